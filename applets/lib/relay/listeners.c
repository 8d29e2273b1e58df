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
    struct listener *one = arg;

    (void)ready;
    one->called = one->set->called = one->set->due = true;
    proxy_want_review();
}

void listeners_watch(struct listeners *l, bool on) {
    l->listening = on;
    for (unsigned i = 0; i < l->count; i++)
        loop_watch(l->one[i].fd, on ? LOOP_READ : 0, on_listener, &l->one[i]);
}

int listeners_accept(struct listeners *l, char client[CONN_CLIENT], const char **service) {
    unsigned left = l->count;
    int fd = -1;

    errno = EAGAIN;
    do {
        struct listener *one;

        l->turn = l->turn ? l->turn - 1 : l->count - 1;
        one = &l->one[l->turn];
        if (l->listening && !one->called)
            continue;
        one->called = false;
        fd = net_accept(one->fd, client, CONN_CLIENT);
    } while (fd < 0 && errno == EAGAIN && --left);
    *service = CONFIG_FEATURE_SERVICES && l->turn >= l->unnamed
                   ? services_listens[l->turn - l->unnamed].name
                   : NULL;
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
    if (CONFIG_FEATURE_ADDR && !net_is_local(a))
        log_msg(LOG_WARN,
                "listening on %s, which is not a loopback address: others can use this service",
                a->text);
    l->one[l->count++] = (struct listener){.set = l, .fd = fd};
}

int listeners_add(struct listeners *l, const struct net_address *a, unsigned mode,
                  unsigned long long *inode, const char **failure) {
    int fd = loop_admit(net_listen(a, mode, failure));

    if (fd < 0)
        return -1;
    if (CONFIG_FEATURE_UNIX && a->sa.any.sa_family == AF_UNIX)
        *inode = file_inode(a->text, false);
    take(l, fd, a);
    return 0;
}

/* The sockets of LISTEN_FDS, if there are, take the place of those that setup has. */
static unsigned take_opened(struct setup *setup) {
    unsigned opened =
        CONFIG_FEATURE_LISTEN_FDS ? activate_take(setup->service, SETUP_ADDRESSES) : 0;

    if (opened && setup->placed)
        log_fatal("LISTEN_FDS says where to listen: leave out -a and -u");
    if (opened && setup->none)
        log_fatal("LISTEN_FDS says where to listen: leave out service_port none");
    setup->services = opened ? opened : setup->services;
    return opened;
}

void listeners_open(struct listeners *l, struct setup *setup) {
    unsigned opened = take_opened(setup);
    const char *failure;

    l->unnamed = setup->services;
    for (unsigned i = 0; i < setup->services + services_listen_count; i++) {
        struct service *named = i < setup->services ? NULL : &services_listens[i - setup->services];
        const struct net_address *a = named ? &named->at : &setup->service[i];

        raise_lo(a); /* before: ::1 is there only while lo is up */
        if (i < opened)
            take(l, ACTIVATE_FIRST + (int)i, a);
        else if (listeners_add(l, a, setup->mode, named ? &named->inode : &l->inode, &failure))
            log_fatal("%s: %s: %m", failure, a->text);
    }
}

static void remove_socket(const char *path, unsigned long long inode) {
    if (file_inode(path, false) == inode)
        unlink(path);
}

void listeners_close(struct listeners *l, const char *path) {
    listeners_watch(l, false);
    while (l->count)
        close(l->one[--l->count].fd);
    if (CONFIG_FEATURE_UNIX && l->inode)
        remove_socket(path, l->inode);
    l->inode = 0;
    for (unsigned i = 0; CONFIG_FEATURE_SERVICES && !l->guest && i < services_listen_count; i++)
        if (services_listens[i].inode)
            remove_socket(services_listens[i].at.text, services_listens[i].inode);
}
