/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/relay.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "relay/deliver.h"
#include "relay/guests.h"
#include "relay/receiver.h"
#include "relay/sender.h"
#include "relay/share.h"
#include "relay/turns.h"
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

void relay_init(const struct role *r, unsigned busy, unsigned connections) {
    role = r;
    token_begin();
    conn_init(connections);
    channel_limit_busy(busy);
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
    if (!c->connecting && (!c->readable || c->channel->asks) && sender_may_read(c))
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
    if (!ch->end.attached || ((ch->end.owed_bytes || sender_is_due(ch)) && !ch->end.starved))
        want |= LOOP_WRITE;
    if (ch->end.attached && receiver_may_read(ch))
        want |= LOOP_READ;
    loop_watch(ch->end.fd, want, on_channel, ch);
    share(ch, ch->end.fd);
}

/* ---- moving ---- */

/* What waits for memory; and a port whose news may not reach select(): one that is written to. (One
 * that is not read, since the TCP peer has yet to take what came, is left alone, even if its host
 * has gone: it may hold the rest of that, and its end.) */
static bool needs_look(const struct channel *ch) {
    return (ch->end.port || ch->end.starved) && ch->end.attached &&
           (ch->end.owed_bytes || sender_is_due(ch));
}

/* A connect was made for it, and there is more that could be looked at in the next turn. */
static bool has_more(const struct channel *ch) {
    if (CONFIG_FEATURE_MANY && CONFIG_VIOS_PROXY_HOST && ch->late)
        return true;
    if (channel_is_shared(ch))
        return ch->held && !*ch->refusal;
    return channel_is_spent(ch) && !conn_current(ch) && ch->in && ch->in->raw < ch->in->filled;
}

static long long sooner(long long a, long long b) { return !a || (b && b < a) ? b : a; }

/* When the channel is to be looked at again, if nothing happens. */
static void set_deadline(struct channel *ch) {
    ch->deadline = ch->in ? ch->in->deadline : 0;
    if (channel_is_shared(ch))
        ch->deadline = sooner(ch->deadline, ch->frame_end);
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

    share_end(ch, false, NULL);
    if (ch->end.broken)
        channel_close(ch);
    else
        channel_detached(ch);
    if (renewed)
        channel_attached(ch);
    ch->end.aligned &= !begun;
    channel_skip_input(ch);
    for (struct conn *c = ch->conns; c; c = c->next) {
        if (conn_is_apart(c))
            continue;
        if (session_is_asking(&c->session) && !ch->end.broken)
            conn_greeted(c); /* nothing of its bytes has gone: another host can serve it, if one
                                comes soon */
        else
            conn_lost(c, NULL);
    }
    if (renewed && role->renewed)
        role->renewed(ch);
    channel_mark(ch);
}

/* True if connections' last frames are out, so that they could go. */
static bool finish(struct channel *ch) {
    struct conn *c, *next;
    bool any = false;

    for (c = ch->conns; c; c = next) {
        next = c->next;
        if (!conn_is_finished(c))
            continue;
        if (role->finished)
            role->finished(c);
        conn_free(c);
        channel_mark(ch);
        any = true;
    }
    return any;
}

/* After anything has happened: does all that can be done now, then says what to wait for. */
void relay_pump(struct channel *ch) {
    bool again;

    do {
        again = receiver_run(ch);
        again |= deliver_all(ch);
        again |= channel_is_shared(ch) ? turns_run(ch) : sender_run(ch);
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
    const struct conn *c = conn_current(ch);
    bool framed = channel_is_shared(ch) || (c && session_is_open(&c->session));
    size_t n, room = CHANNEL_INPUT - in->filled;
    enum endpoint_result result;

    if (!ch->conns && room > IDLE_READ)
        room = IDLE_READ;
    result = endpoint_read(&ch->end, framed, in->bytes + in->filled, room, &n);
    in->filled += (unsigned)n;
    ch->writes = ch->looks = 0;
    charge(ch, n);
    if (role->came)
        role->came(ch, n);
    if (result == ENDPOINT_DETACHED || result == ENDPOINT_RENEWED) {
        receiver_run(ch);
        lose(ch, result == ENDPOINT_RENEWED);
        in->filled += (unsigned)ch->end.fresh;
    }
}

/* The connection that has most likely more to say, since something has just come for it. */
static struct conn *asked(const struct channel *ch) {
    return channel_is_shared(ch) ? ch->gathered : conn_current(ch);
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
    unsigned long long before = ch->received, sent = ch->sent;
    bool more = true;

    if (!ch->end.attached) {
        channel_attached(ch);
        channel_mark(ch);
        role->attached(ch);
    }
    if ((ready & LOOP_READ) && receiver_may_read(ch)) {
        read_on(ch);
        more = asked(ch) && sender_guess(asked(ch), ch->received - before);
    }
    if (more)
        relay_pump(ch);
    if (ch->sent != sent)
        charge(ch, ch->sent - sent);
}

static void note_ready(struct conn *c, unsigned ready) {
    c->readable |= (ready & LOOP_READ) != 0;
    c->writable |= (ready & LOOP_WRITE) != 0;
}

/* Of a shared channel's TCP sides all that are ready are dealt with together. */
static void note_all(struct channel *ch) {
    for (struct conn *c = ch->conns; c; c = c->next)
        if (c->fd >= 0 && !c->connecting)
            note_ready(c, loop_take(c->fd));
}

static void on_tcp(void *arg, unsigned ready) {
    struct conn *c = arg;
    struct channel *ch = c->channel;
    unsigned long long before = ch->sent;

    ch->writes = 0;
    if (c->connecting) {
        role->connected(c);
    } else if (session_is_shared(&c->session)) {
        note_ready(c, ready);
        note_all(ch);
    } else if (ready & LOOP_READ) {
        sender_read(c, turns(ch));
    }
    relay_pump(ch);
    charge(ch, ch->sent - before);
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
        owed |= channel_owes(ch) || sender_is_due(ch);
    }
    return owed;
}
