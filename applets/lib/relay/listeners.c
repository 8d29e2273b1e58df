/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/listeners.h"

#include <errno.h>

#include "base/log.h"
#include "base/loop.h"
#include "relay/proxy.h"

static int fds[SETUP_ADDRESSES];
static unsigned count;
static bool listening, called; /* select() watches them; it has told of a client */

static void on_listener(void *arg, unsigned ready) {
    (void)arg;
    (void)ready;
    called = true;
    proxy_want_review();
}

void listeners_watch(bool on) {
    listening = on;
    for (unsigned i = 0; i < count; i++)
        loop_watch(fds[i], on ? LOOP_READ : 0, on_listener, NULL);
}

int listeners_accept(char client[CONN_CLIENT]) {
    static unsigned turn;
    unsigned left = count;
    int fd;

    do {
        turn = turn ? turn - 1 : count - 1;
        fd = net_accept(fds[turn], client, CONN_CLIENT);
    } while (fd < 0 && errno == EAGAIN && --left);
    return fd;
}

bool listeners_call(void) {
    bool waits = called || !listening;

    called = false;
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

static void listen_at(const struct net_address *a) {
    int fd;

    raise_lo(a); /* before: ::1 is there only while lo is up */
    fd = net_listen(a);
    if (!loop_fits(fd))
        log_fatal("Proxy service: descriptor %d is too high for select()", fd);
    if (CONFIG_FEATURE_ADDR && !net_is_local(a))
        log_msg(LOG_WARN,
                "listening on %s, which is not a loopback address: others can use this service",
                a->text);
    fds[count++] = fd;
}

void listeners_open(const struct setup *setup) {
    for (count = 0; count < setup->services;)
        listen_at(&setup->service[count]);
}

bool listeners_are_open(void) { return count; }
