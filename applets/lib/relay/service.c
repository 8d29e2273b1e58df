/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/service.h"

#include <errno.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fmt.h"
#include "base/loop.h"
#include "relay/guests.h"
#include "wire/token.h"

/* Milliseconds between two tries to connect to a service that cannot take it yet. */
enum { CONNECT_AGAIN = 50 };

static const struct net_address *service;

void service_set(const struct net_address *s) { service = s; }

const char *service_name(void) { return service->text; }

static void connected(struct conn *c) {
    unsigned char token[FRAME_TOKEN];

    c->connecting = false;
    c->wait = CONN_PROGRESS;
    token_new(token);
    conn_apply(c, session_connected(&c->session, token));
    conn_begins(c, SESSION_CONNECTING);
    if (session_is_shared(&c->session) && !c->session.got_eof)
        c->due |= SESSION_SEND_WINDOW;
}

static void refuse(struct conn *c, int reason) {
    size_t n = fmt_print(c->why, sizeof c->why, "service %s: %s", service->text,
                         reason == EAGAIN ? "its backlog is full" : error_text(reason));

    fmt_ascii(c->why, n); /* of a path anything may be a part */
    c->connecting = false;
    conn_apply(c, session_event(&c->session, SESSION_REFUSED, c->why));
}

/* vios-protocol(7), sharing rule 2. */
static long connect_time(const struct conn *c) {
    enum { SHARED = 20, ALL = CONFIG_CONNECT_TIMEOUT };

    return (session_is_shared(&c->session) && ALL > SHARED ? SHARED : ALL) * 1000L;
}

/* Begins to connect, or tries again. */
void service_connect(struct conn *c) {
    int fd = net_connect(service, &c->connecting);

    if (fd < 0 && errno == EMFILE && loop_close_now())
        fd = net_connect(service, &c->connecting);
    c->fd = loop_admit(fd);
    if (c->fd >= 0 && channel_guest(c->channel) && loop_is_last(fd) &&
        c->channel->guest->connections > 1) {
        close(fd);
        c->fd = -1;
        errno = EMFILE;
    }
    if (c->fd >= 0 && c->connecting)
        conn_await(c, CONN_ANSWER, (long)(c->begun + connect_time(c) - loop_now()));
    else if (c->fd >= 0)
        connected(c);
    else if (errno == EAGAIN) /* a unix socket's backlog is full */
        conn_await(c, CONN_SERVICE, CONNECT_AGAIN);
    else
        refuse(c, errno);
}

void service_decided(struct conn *c) {
    int reason = net_connect_error(c->fd);

    if (reason)
        refuse(c, reason);
    else
        connected(c);
}

void service_expired(struct conn *c) {
    if (c->wait == CONN_SERVICE && loop_now() - c->begun < connect_time(c))
        service_connect(c);
    else if (session_is_connecting(&c->session))
        refuse(c, c->wait == CONN_SERVICE ? EAGAIN : ETIMEDOUT);
    else
        conn_timeout(c);
}
