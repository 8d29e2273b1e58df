/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/relay.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "relay/guests.h"
#include "relay/receiver.h"
#include "relay/sender.h"
#include "wire/token.h"

/* A lost wake-up of a port is made good for once in this many milliseconds.
 * vios-protocol(7), port facts 5 and 6. */
enum { LOOK_AGAIN = 1000 };
/* Bytes that an idle channel is read for in a turn: junk gets no more than its share. */
enum { IDLE_READ = 4096 };
/* Buffers that a connection may move one way while nobody else has anything to do. */
enum { TURNS = 4 };
/* What a read costs beside its bytes, in bytes. */
enum { READ_COST = 2048 };

void relay_init(const struct role *r) {
    role = r;
    token_begin();
    channel_limit_busy(r->busy);
}

/* ---- select() ---- */

static void on_channel(void *arg, unsigned ready);
static void on_tcp(void *arg, unsigned ready);

static void share(const struct channel *ch, int fd) {
    if (CONFIG_VIOS_PROXY_HOST && ch->guest)
        loop_share(fd, &ch->guest->share);
}

static int turns(const struct channel *ch) { return ch->guest && !loop_is_alone() ? 1 : TURNS; }

static void charge(const struct channel *ch, unsigned long long bytes) {
    if (CONFIG_VIOS_PROXY_HOST && ch->guest)
        loop_charge(&ch->guest->share, READ_COST + (unsigned)bytes);
}

static void watch_tcp(struct conn *c) {
    unsigned want = c->connecting || conn_is_stuck(c) ? LOOP_WRITE : 0;

    if (c->fd < 0)
        return;
    if (!c->connecting && sender_may_read(c))
        want |= LOOP_READ;
    loop_watch(c->fd, want, on_tcp, c);
    share(c->channel, c->fd);
}

static void watch(struct channel *ch) {
    unsigned want = 0;

    for (struct conn *c = ch->conns; c; c = c->next)
        watch_tcp(c);
    if (ch->end.fd < 0)
        return;
    if (!ch->end.attached || ch->end.owed_bytes || sender_is_due(ch))
        want |= LOOP_WRITE;
    if (ch->end.attached && receiver_may_read(ch))
        want |= LOOP_READ;
    loop_watch(ch->end.fd, want, on_channel, ch);
    share(ch, ch->end.fd);
}

/* ---- moving ---- */

/* A port whose news may not reach select(): one that is written to. (One that is not read, since
 * the TCP peer has yet to take what came, is left alone, even if its host has gone: it may hold the
 * rest of that, and its end.) */
static bool needs_look(const struct channel *ch) {
    return ch->end.port && ch->end.attached && (ch->end.owed_bytes || sender_is_due(ch));
}

/* A connect was made for it, and there is more that could be looked at in the next turn. */
static bool has_more(const struct channel *ch) {
    return ch->spent && !ch->conns && ch->in && ch->in->raw < ch->in->filled;
}

static long long sooner(long long a, long long b) { return !a || (b && b < a) ? b : a; }

/* When the channel is to be looked at again, if nothing happens. */
static void set_deadline(struct channel *ch) {
    ch->deadline = ch->in ? ch->in->deadline : 0;
    if (needs_look(ch))
        ch->deadline = sooner(ch->deadline, loop_now() + LOOK_AGAIN);
    if (has_more(ch))
        ch->deadline = loop_now();
    for (struct conn *c = ch->conns; c; c = c->next) {
        conn_set_deadline(c);
        ch->deadline = sooner(ch->deadline, c->deadline);
    }
}

/* The channel's other side is not there any more (renewed: but another one is): nothing of the old
 * stream counts. */
static void lose(struct channel *ch, bool renewed) {
    bool begun = ch->end.owed_bytes; /* the new host may have got the beginning of this frame */

    if (ch->end.broken)
        channel_close(ch);
    else
        channel_detached(ch);
    if (renewed)
        channel_attached(ch);
    ch->end.aligned &= !begun;
    channel_skip_input(ch);
    for (struct conn *c = ch->conns; c; c = c->next) {
        if (session_is_asking(&c->session) && !ch->end.broken)
            conn_greeted(c); /* nothing of its bytes has gone: another host can serve it, if one
                                comes soon */
        else
            conn_lost(c);
    }
    channel_mark(ch);
}

/* True if a connection's last frame is out, so that it could go. */
static bool finish(struct channel *ch) {
    for (struct conn *c = ch->conns; c; c = c->next) {
        if (!conn_is_finished(c))
            continue;
        if (role->finished)
            role->finished(c);
        conn_free(c);
        channel_mark(ch);
        return true;
    }
    return false;
}

static bool deliver(struct channel *ch) {
    bool any = false;

    for (struct conn *c = ch->conns; c; c = c->next)
        any |= conn_deliver(c);
    return any;
}

/* After anything has happened: does all that can be done now, then says what to wait for. */
void relay_pump(struct channel *ch) {
    bool again;

    do {
        again = receiver_run(ch);
        again |= deliver(ch);
        again |= sender_run(ch);
        if (ch->end.broken && ch->end.fd >= 0) {
            lose(ch, false);
            again = true;
        }
        again |= finish(ch);
    } while (again);
    channel_tidy(ch);
    if (role->pumped)
        role->pumped(ch);
    set_deadline(ch);
    watch(ch);
}

static void read_channel(struct channel *ch) {
    struct input *in = channel_input(ch);
    bool framed = ch->conns && session_is_open(&ch->conns->session);
    size_t n, room = CHANNEL_INPUT - in->filled;
    enum endpoint_result result;

    if (!ch->conns && room > IDLE_READ)
        room = IDLE_READ;
    result = endpoint_read(&ch->end, framed, in->bytes + in->filled, room, &n);
    in->filled += (unsigned)n;
    charge(ch, n);
    if (role->came)
        role->came(ch, n);
    if (result == ENDPOINT_DETACHED || result == ENDPOINT_RENEWED) {
        receiver_run(ch);
        lose(ch, result == ENDPOINT_RENEWED);
    }
}

/* A full buffer that was passed on: there is probably more, so read again without select(). */
static void read_on(struct channel *ch) {
    bool full = true;

    for (int i = turns(ch); i > 0 && full; i--) {
        read_channel(ch);
        full = ch->in->filled + ENDPOINT_ROOM(&ch->end) > CHANNEL_INPUT;
        relay_pump(ch);
        full = full && ch->conns && !ch->in && receiver_may_read(ch);
    }
}

static void on_channel(void *arg, unsigned ready) {
    struct channel *ch = arg;
    unsigned long long before = ch->received;

    if (!ch->end.attached) {
        channel_attached(ch);
        channel_mark(ch);
        if (ch->conns && role->attached)
            role->attached(ch->conns);
    }
    if ((ready & LOOP_READ) && receiver_may_read(ch)) {
        read_on(ch);
        if (!ch->conns || !sender_guess(ch->conns, ch->received - before))
            return;
    }
    relay_pump(ch);
}

static void on_tcp(void *arg, unsigned ready) {
    struct conn *c = arg;
    struct channel *ch = c->channel;
    unsigned long long before = ch->sent;

    if (c->connecting)
        role->connected(c);
    else if (ready & LOOP_READ)
        sender_read(c, turns(ch));
    charge(ch, ch->sent - before);
    relay_pump(ch);
}

void relay_start(struct channel *ch) {
    read_channel(ch);
    channel_mark(ch);
    relay_pump(ch);
}

/* vios-protocol(7), port fact 3. */
bool relay_check(struct channel *ch) {
    char none;

    if (!ch->end.port || ch->end.fd < 0 || read(ch->end.fd, &none, 0) >= 0 || errno != ENODEV)
        return false;
    ch->end.broken = true;
    relay_pump(ch);
    return true;
}

/* ---- time ---- */

long relay_timeout(void) {
    long long next = 0;

    for (unsigned i = 0; i < channel_busy(); i++)
        next = sooner(next, channel_busy_at(i)->deadline);
    if (!next)
        return -1;
    next -= loop_now();
    return next < 0 ? 0 : (long)next;
}

/* A control frame's payload has not come in time. */
static void frame_expired(struct channel *ch) {
    channel_skip_input(ch);
    if (ch->conns)
        conn_apply(ch->conns, session_event(&ch->conns->session, SESSION_BAD, NULL));
}

static void expire(struct channel *ch, long long now) {
    ch->spent = false;
    if (ch->in && ch->in->deadline && ch->in->deadline <= now)
        frame_expired(ch);
    for (struct conn *c = ch->conns; c; c = c->next)
        if (c->deadline && c->deadline <= now) {
            c->deadline = 0;
            if (c->wait != CONN_DRAIN)
                role->expired(c);
            else if (c->drained <= now)
                conn_timeout(c);
        }
    relay_pump(ch);
}

/* What others may cause at will is only a part of a round; the rest of it comes in the next one,
 * after what is ready then. */
void relay_tick(void) {
    for (unsigned i = channel_busy(); i-- > 0;) {
        struct channel *ch = channel_busy_at(i);

        if (ch->deadline && ch->deadline <= loop_now() && !(ch->spent && loop_is_round_over()))
            expire(ch, loop_now());
    }
}

/* A connection that has not ended. */
static struct conn *unended(const struct channel *ch) {
    struct conn *c = ch->conns;

    while (c && session_is_over(&c->session))
        c = c->next;
    return c;
}

bool relay_stop(void) {
    bool owed = false;

    for (unsigned i = channel_busy(); i-- > 0;) {
        struct channel *ch = channel_busy_at(i);
        struct conn *c;

        /* After one connection's last frame the next SYN may wait. */
        while ((c = unended(ch)) != NULL) {
            conn_apply(c, session_event(&c->session, SESSION_STOP, "the proxy was stopped"));
            relay_pump(ch);
        }
        owed |= ch->end.owed_bytes || sender_is_due(ch);
    }
    return owed;
}
