/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/deliver.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/net.h"
#include "relay/guests.h"

/* syscalls (guest host): shutdown */

/* Milliseconds that an abort waits for a TCP peer to take what was sent before; and between two
 * looks at that. */
enum { DRAIN_MAX = 5000, DRAIN_MAX_SHARED = 60000, DRAIN_AGAIN = 20 };

/* A RST takes from the TCP peer what it has had no window for yet: so that waits for it, for some
 * time. */
static bool drains(struct conn *c) {
    if (c->wait == CONN_DRAIN && c->drained && c->deadline > loop_now())
        return true;
    if (!c->session.abort || !net_unsent(c->fd))
        return false;
    if (!c->drained)
        c->drained = loop_now() + (session_is_shared(&c->session) ? DRAIN_MAX_SHARED : DRAIN_MAX);
    if (c->drained <= loop_now())
        return false;
    conn_await(c, CONN_DRAIN, DRAIN_AGAIN);
    return true;
}

static void delivered(struct conn *c) {
    if (c->connecting)
        return;
    if (c->shut_due && !c->shut) {
        shutdown(c->fd, SHUT_WR);
        c->shut = true;
    }
    if (session_is_closing(&c->session) && !drains(c))
        conn_apply(c, session_event(&c->session, SESSION_DELIVERED, NULL));
}

/* After a write() that failed: whether to read on what the TCP side sent before it went. After any
 * other error it has not gone, and would take the end of stream for the end of all. */
static bool reads_on(const struct conn *c) {
    return (errno == EPIPE || errno == ECONNRESET) && session_reads_local(&c->session);
}

/* Payload in the input goes to the TCP side as far as it takes it now. False: not all of it. */
static bool write_tcp(struct conn *c, struct input *in) {
    while (in->head < in->tail) {
        ssize_t n = write(c->fd, in->bytes + in->head, in->tail - in->head);

        if (n < 0 && conn_transient()) {
            drains(c);
            return false;
        }
        if (n < 0 && !reads_on(c)) {
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

/* ---- of a shared channel ---- */

/* Of a channel between two reads, directly to TCP sides: more go through the windows, so that many
 * small frames do not cost a write() each. */
enum { WRITES = 16 };

/* What a write costs its guest, in bytes. */
enum { WRITE_COST = 2048 };

static void count_write(struct channel *ch) {
    ch->writes++;
    if (CONFIG_VIOS_PROXY_HOST && ch->guest)
        loop_charge(&ch->guest->share, WRITE_COST);
}

/* The TCP side takes nothing more, for errno. What it sent before is still to be read, as far as
 * the credit goes: to wait for more of that, its peer would have to be kept talking. */
static void broke(struct conn *c) {
    if (!reads_on(c) || !session_has_credit(&c->session)) {
        conn_failed(c);
        return;
    }
    c->error = errno;
    window_empty(&c->window);
    conn_took(c);
}

void deliver_now(struct conn *c, const unsigned char *p, size_t n) {
    ssize_t done = 0;

    c->coming -= (unsigned)n;
    if (session_is_over(&c->session))
        return;
    if (c->error) {
        errno = c->error;
        broke(c);
        return;
    }
    if (!c->window.n && c->fd >= 0 && !c->connecting) {
        c->writable = c->channel->writes >= WRITES;
        if (!c->writable) {
            count_write(c->channel);
            done = write(c->fd, p, n);
        }
    }
    if (done < 0 && !conn_transient()) {
        broke(c);
        return;
    }
    if (done < 0)
        done = 0;
    if ((size_t)done < n)
        window_put(&c->window, p + done, n - (size_t)done);
    if (done)
        conn_took(c);
}

/* What the window holds goes to the TCP side as far as it takes it now. */
static void write_window(struct conn *c) {
    ssize_t n = window_write(&c->window, c->fd);

    count_write(c->channel);
    if (n > 0)
        conn_took(c);
    else if (!conn_transient())
        broke(c);
}

static bool deliver_window(struct conn *c) {
    bool any = c->window.n && c->writable;

    c->writable = false;
    if (any)
        write_window(c);
    if (!c->window.n && c->fd >= 0)
        delivered(c);
    return any && !c->window.n;
}

/* True: all of what waited has gone. */
static bool deliver_pending(struct conn *c) {
    struct input *in = c->channel->in;
    bool any = conn_is_stuck(c);

    if (session_is_shared(&c->session))
        return deliver_window(c);
    if (any && !write_tcp(c, in))
        return false;
    if (c->fd >= 0)
        delivered(c);
    return any;
}

/* (host) Others go first. */
static bool is_enough(const struct conn *c) {
    const struct channel *ch = c->channel;

    return CONFIG_VIOS_PROXY_HOST && ch->guest && ch->writes >= WRITES && c->window.n &&
           c->writable && !loop_is_alone();
}

bool deliver_all(struct channel *ch) {
    struct conn *c = ch->late ? ch->late : ch->conns;
    bool any = ch->late; /* those before it are next */

    for (ch->late = NULL; c; c = c->next) {
        if (is_enough(c)) {
            ch->late = c;
            ch->spent = true;
            return false;
        }
        any |= deliver_pending(c);
    }
    return any;
}
