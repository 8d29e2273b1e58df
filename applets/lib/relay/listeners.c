/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/listeners.h"

#include <errno.h>
#include <unistd.h>

#include "base/activate.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "relay/proxy.h"

static void on_listener(void *arg, unsigned ready) {
    struct listeners *l = arg;

    (void)ready;
    l->called = l->due = true;
    proxy_want_review();
}

void listeners_watch(struct listeners *l, bool on) {
    l->listening = on;
    for (unsigned i = 0; i < l->count; i++)
        loop_watch(l->fds[i], on ? LOOP_READ : 0, on_listener, l);
}

int listeners_accept(struct listeners *l, char client[CONN_CLIENT]) {
    unsigned left = l->count;
    int fd;

    do {
        l->turn = l->turn ? l->turn - 1 : l->count - 1;
        fd = net_accept(l->fds[l->turn], client, CONN_CLIENT);
    } while (fd < 0 && errno == EAGAIN && --left);
    return fd;
}

bool listeners_call(struct listeners *l) {
    bool waits = l->called || !l->listening;

    l->called = false;
    return waits;
}

/* vios-protocol(7), port fact 12. */
static void raise_lo(const struct net_address *a) {
    int result;

    if (!CONFIG_FEATURE_LO || a->sa.any.sa_family == AF_UNIX || !net_is_local(a))
        return;
    result = net_raise_lo();
    if (result > 0)
        log_msg(LOG_NOTICE, "interface lo was down: brought it up");
    else if (result < 0)
        log_msg(LOG_WARN, "interface lo cannot be brought up, clients may not reach %s: %m",
                a->text);
}

static void take(struct listeners *l, int fd, const struct net_address *a) {
    if (!loop_fits(fd))
        log_fatal("Proxy service: descriptor %d is too high for select()", fd);
    if (CONFIG_FEATURE_ADDR && !net_is_local(a))
        log_msg(LOG_WARN,
                "listening on %s, which is not a loopback address: others can use this service",
                a->text);
    l->fds[l->count++] = fd;
}

int listeners_add(struct listeners *l, const struct net_address *a, unsigned mode,
                  const char **failure) {
    int fd = loop_admit(net_listen(a, mode, failure));

    if (fd < 0)
        return -1;
    if (CONFIG_FEATURE_UNIX && a->sa.any.sa_family == AF_UNIX)
        l->inode = file_inode(a->text, false);
    take(l, fd, a);
    return 0;
}

void listeners_open(struct listeners *l, struct setup *setup) {
    unsigned opened =
        CONFIG_FEATURE_LISTEN_FDS ? activate_take(setup->service, SETUP_ADDRESSES) : 0;
    const char *failure;

    if (opened && setup->placed)
        log_fatal("LISTEN_FDS says where to listen, so -a and -u cannot");
    setup->services = opened ? opened : setup->services;
    for (unsigned i = 0; i < setup->services; i++) {
        const struct net_address *a = &setup->service[i];

        raise_lo(a); /* before: ::1 is there only while lo is up */
        if (opened)
            take(l, ACTIVATE_FIRST + (int)i, a);
        else if (listeners_add(l, a, setup->mode, &failure))
            log_fatal("%s: %s: %m", failure, a->text);
    }
}

void listeners_close(struct listeners *l, const char *path) {
    listeners_watch(l, false);
    while (l->count)
        close(l->fds[--l->count]);
    if (CONFIG_FEATURE_UNIX && l->inode && file_inode(path, false) == l->inode)
        unlink(path);
    l->inode = 0;
}
