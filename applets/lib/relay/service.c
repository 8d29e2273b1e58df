/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/service.h"

#include <errno.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fmt.h"
#include "base/loop.h"
#include "relay/guests.h"
#include "relay/header.h"
#include "relay/services.h"
#include "wire/token.h"

/* Milliseconds between two tries to connect to a service that cannot take it yet. */
enum { CONNECT_AGAIN = 50 };

static void refuse(struct conn *c, int reason) {
    const struct net_address *at = services_address(c->service, c->channel);
    size_t n =
        fmt_print(c->why, sizeof c->why, "service %s: %s", at ? at->text : c->service->at.text,
                  reason == EAGAIN ? "its backlog is full" : error_text(reason));

    fmt_ascii(c->why, n); /* of a path anything may be a part */
    c->connecting = false;
    conn_apply(c, session_event(&c->session, SESSION_REFUSED, c->why));
}

static void connected(struct conn *c) {
    unsigned char token[FRAME_TOKEN];
    int reason = 0;

    token_new(token);
    if (CONFIG_FEATURE_PROXY_HEADER && header_is_due(c))
        reason = header_send(c, token);
    if (reason) {
        refuse(c, reason);
        return;
    }
    c->connecting = false;
    c->wait = CONN_PROGRESS;
    conn_apply(c, session_connected(&c->session, token));
    conn_begins(c, SESSION_CONNECTING);
    if (session_is_shared(&c->session) && !c->session.got_eof)
        c->due |= SESSION_SEND_WINDOW;
}

/* vios-protocol(7), sharing rule 2. */
static long connect_time(const struct conn *c) {
    enum { SHARED = 20, ALL = CONFIG_CONNECT_TIMEOUT };

    return (session_is_shared(&c->session) && ALL > SHARED ? SHARED : ALL) * 1000L;
}

/* Begins to connect, or tries again. */
void service_connect(struct conn *c) {
    const struct net_address *at = services_address(c->service, c->channel);
    int fd;

    if (!at) {
        refuse(c, ENAMETOOLONG);
        return;
    }
    fd = net_connect(at, &c->connecting);
    if (fd < 0 && errno == EMFILE && loop_close_now())
        fd = net_connect(at, &c->connecting);
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
