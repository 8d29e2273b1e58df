/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "fmt.h"
#include "log.h"
#include "loop.h"
#include "watch.h"

static const struct net_address *service;
static unsigned guest_limit;

static const char *over_limit(const struct conn *c) {
    static char why[64];

    if (!CONFIG_FEATURE_GUEST_LIMIT || !guest_limit || conn_count(c, channel_guest(c->channel->name)) < guest_limit)
        return NULL;
    fmt_print(why, sizeof why, "limit of %u connections for this guest", guest_limit);
    return why;
}

static void refuse(struct conn *c, int reason) {
    char why[CONN_TEXT];
    size_t n = fmt_print(why, sizeof why, "service %s: %s", service->text,
                         reason == EAGAIN ? "its backlog is full" : error_text(reason));

    fmt_printable(why, n); /* of a path anything may be a part */
    relay_refused(c, why);
}

static void connect_service(struct conn *c) {
    bool pending;
    int fd;

    if (!c->retrying) {
        fmt_print(c->client, sizeof c->client, "%s", service->text);
        c->channel->connections++;
        c->begun = loop_now();
    }
    fd = net_connect(service, &pending);
    if (fd < 0 && errno == EMFILE && loop_close_now())
        fd = net_connect(service, &pending);
    fd = loop_admit(fd);
    c->retrying = fd < 0 && errno == EAGAIN; /* a unix socket's backlog is full */
    if (fd >= 0)
        relay_connecting(c, fd, pending);
    else if (!c->retrying)
        refuse(c, errno);
}

static void on_refused(struct conn *c, int reason) {
    if (!c->retrying)
        refuse(c, reason);
    else if (loop_now() - c->begun < CONFIG_CONNECT_TIMEOUT * 1000L)
        connect_service(c);
    else
        refuse(c, EAGAIN);
}

/* A guest that kept a connection across a restart of this host learns it now. Host rule 2. */
static void greet(struct channel *ch) {
    struct frame init = {FRAME_RESET, link_greeting, 0};

    channel_note(ch, &init, "");
}

static void on_changed(struct channel *ch) {
    if (ch->gone)
        relay_drop(ch);
}

/* What was a socket when its name was seen may be something else by now: then it is none of ours. */
static const char *path_of(const char *name) {
    const char *path = watch_path(name);
    int mode = file_mode(path, false);

    return mode < 0 || S_ISSOCK(mode) ? path : NULL;
}

static void tell_again(const char *name) {
    if (name)
        watch_name(name);
    else
        watch_all();
}

int host_run(const struct proxy_setup *setup, unsigned limit) {
    static const struct conn_role role = {LINK_HOST, over_limit, connect_service, on_refused, on_changed, proxy_lost, NULL};
    static const struct proxy_names names = {
        CONFIG_HOST_CHANNELS, "HOST_CHANNELS", path_of, tell_again, greet,
    };

    service = &setup->service;
    guest_limit = limit;
    watch_check(setup->directory);
    if (access("/proc/self/fd", F_OK))
        log_fatal("/proc is not mounted: sockets are opened through it");
    channel_distrust();
    relay_init(&role);
    proxy_init(&names);
    watch_start(setup->directory, true, proxy_name);
    log_msg(LOG_INFO, "serving %s from %s", service->text, setup->directory);
    proxy_run(watch_timer);
    return EXIT_SUCCESS;
}
