/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/conn.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/memory.h"
#include "base/net.h"
#include "base/pool.h"

/* Milliseconds that an abort waits for a TCP peer to take what was sent before; and between two
 * looks at that. */
enum { DRAIN_MAX = 5000, DRAIN_AGAIN = 20 };

/* Milliseconds that a host which has greeted gets to answer the SYN before that. */
enum { GREETED = CONFIG_MOVE_TIMEOUT / 4 };

static MEMORY_BULK _Alignas(MEMORY_PAGE) struct conn conns[CHANNEL_BUSY];
static struct pool pool = POOL(conns);

struct conn *conn_new(struct channel *ch, enum session_role role) {
    struct conn *c = pool_take(&pool);

    memset(c, 0, offsetof(struct conn, why));
    c->channel = ch;
    c->fd = -1;
    c->session.role = (unsigned char)role;
    c->next = ch->conns;
    ch->conns = c;
    channel_occupy(ch);
    return c;
}

static void log_end(const struct conn *c) {
    unsigned ms = (unsigned)(loop_now() - c->begun);

    log_msg(LOG_DEBUG, "%s: %s: is over: %llu bytes received, %llu sent, %u.%03u s",
            c->channel->name, c->client, c->received, c->sent, ms / 1000, ms % 1000);
}

void conn_free(struct conn *c) {
    struct conn **at = &c->channel->conns;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    log_end(c);
    pool_give(&pool, c);
}

bool conn_is_finished(const struct conn *c) {
    return session_is_over(&c->session) && !c->due && !c->channel->end.owed_bytes;
}

void conn_trim(void) { pool_trim(&pool); }

/* ---- time ---- */

void conn_await(struct conn *c, enum conn_wait what, long ms) {
    c->wait = (unsigned char)what;
    c->deadline = loop_now() + ms;
}

void conn_greeted(struct conn *c) {
    long left = (long)(c->deadline - loop_now());

    conn_await(c, CONN_GREETED, left < GREETED ? left : GREETED);
}

bool conn_is_stuck(const struct conn *c) {
    return c->channel->in && c->channel->in->head < c->channel->in->tail;
}

void conn_set_deadline(struct conn *c) {
    long patience;

    if (c->wait != CONN_PROGRESS)
        return;
    patience = session_timeout(&c->session, conn_is_stuck(c));
    if (c->progress || !c->deadline || !patience)
        c->deadline = patience ? loop_now() + patience : 0;
    c->progress = false;
}

/* ---- the TCP side ---- */

static void close_tcp(struct conn *c, bool abort) {
    struct input *in = c->channel->in;
    unsigned char rest[512];

    if (in)
        in->head = in->tail = in->raw;
    if (c->fd < 0)
        return;
    if (abort)
        net_abort_on_close(c->fd);
    else if (!c->session.sent_eof)
        /* What is unread at close() would turn it into a RST that can overtake our last bytes. */
        for (int i = 0; i < 64 && recv(c->fd, rest, sizeof rest, 0) > 0; i++)
            continue;
    if (CONFIG_VIOS_PROXY_HOST && c->channel->guest && !abort && !c->session.sent_eof)
        net_forget_on_close(c->fd);
    loop_close(c->fd);
    c->fd = -1;
}

void conn_ended(struct conn *c, struct log_limit *limit, const char *how, const char *why) {
    channel_ended(c->channel, limit, c->client, how, why);
}

void conn_apply(struct conn *c, unsigned actions) {
    const struct session *l = &c->session;

    c->progress = true;
    c->shut_due |= (actions & SESSION_SHUT) != 0;
    if (actions & SESSION_SEND_RESET) {
        c->due = SESSION_SEND_RESET;
        if (l->why)
            conn_ended(c, NULL, "ended", l->why);
    } else {
        c->due |= actions & SESSION_SENDS;
    }
    if (session_is_over(l)) {
        c->wait = CONN_PROGRESS;
        close_tcp(c, actions & SESSION_ABORT);
    }
}

void conn_lost(struct conn *c) {
    /* A lost host costs one message, however many connections it had. */
    static struct log_limit losses;

    if (!session_is_ending(&c->session))
        conn_ended(c, &losses, "ended",
                   c->channel->end.port ? "the host has gone" : "the other side has gone");
    conn_apply(c, session_event(&c->session, SESSION_DETACH, NULL));
}

void conn_timeout(struct conn *c) {
    conn_apply(c, session_event(&c->session, SESSION_TIMEOUT, NULL));
}

bool conn_transient(void) { return errno == EAGAIN || errno == EINTR; }

void conn_failed(struct conn *c) {
    fmt_copy(c->why, sizeof c->why, error_text(errno));
    conn_apply(c, session_event(&c->session, SESSION_LOCAL_ERROR, c->why));
}

/* A RST takes from the TCP peer what it has had no window for yet: so that waits for it, for some
 * time. */
static bool drains(struct conn *c) {
    if (!c->session.abort || !net_unsent(c->fd))
        return false;
    if (!c->drained)
        c->drained = loop_now() + DRAIN_MAX;
    if (c->drained <= loop_now())
        return false;
    conn_await(c, CONN_DRAIN, DRAIN_AGAIN);
    return true;
}

static void delivered(struct conn *c) {
    if (c->shut_due && !c->shut) {
        shutdown(c->fd, SHUT_WR);
        c->shut = true;
    }
    if (session_is_closing(&c->session) && !drains(c))
        conn_apply(c, session_event(&c->session, SESSION_DELIVERED, NULL));
}

/* Payload in the input goes to the TCP side as far as it takes it now. False: not all of it. */
static bool write_tcp(struct conn *c, struct input *in) {
    while (in->head < in->tail) {
        ssize_t n = write(c->fd, in->bytes + in->head, in->tail - in->head);

        if (n < 0 && conn_transient()) {
            drains(c);
            return false;
        }
        if (n < 0 && !session_reads_local(&c->session)) {
            conn_failed(c);
            return true;
        }
        if (n < 0) {
            c->error = errno;
            n = (ssize_t)(in->tail - in->head);
        }
        in->head += (unsigned)n;
        c->progress = true;
    }
    return true;
}

bool conn_deliver(struct conn *c) {
    struct input *in = c->channel->in;
    bool any = conn_is_stuck(c);

    if (any && !write_tcp(c, in))
        return false;
    if (c->fd >= 0)
        delivered(c);
    return any;
}
