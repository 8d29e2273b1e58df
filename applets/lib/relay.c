/* SPDX-License-Identifier: Apache-2.0 */
#include "relay.h"

#include <errno.h>
#include <unistd.h>

#include "fmt.h"
#include "log.h"
#include "loop.h"
#include "net.h"
#include "receiver.h"
#include "sender.h"

/* A lost wake-up of a port is made good for once in this many milliseconds. virtio-serial.md, "select". */
enum { LOOK_AGAIN = 1000 };
/* Bytes that an idle channel is read for in a turn: junk gets no more than its share. */
enum { IDLE_READ = 4096 };
/* Buffers that a connection may move one way before it is another one's turn. */
enum { TURNS = 4 };

static const struct conn_role *role;
static unsigned turn; /* of the last connection */
static struct log_limit losses; /* a lost host costs one message, however many connections it had */

static void settle(struct channel *ch);
static void on_local(void *arg, unsigned ready);

void relay_init(const struct conn_role *r) {
    role = r;
    conn_init(r);
}

/* ---- moving ---- */

static bool finished(const struct conn *c) {
    return c->link.state == LINK_OVER && !c->todo && !c->channel->owed_bytes;
}

static void on_channel(void *arg, unsigned ready);

static void watch(struct channel *ch) {
    struct conn *c = ch->conn;
    unsigned want = 0;

    if (ch->fd >= 0) {
        if (!ch->attached || ch->owed_bytes || (c && c->todo))
            want |= LOOP_WRITE;
        if (ch->attached && receiver_may_read(ch))
            want |= LOOP_READ;
        loop_watch(ch->fd, want, on_channel, ch);
        if (CONFIG_VIOS_PROXY_HOST && !ch->port)
            loop_quiet(ch->fd, !c && !ch->owed_bytes);
    }
    if (!c || c->fd < 0)
        return;
    want = c->connecting || c->head < c->tail ? LOOP_WRITE : 0;
    if (!c->connecting && sender_may_read(c))
        want |= LOOP_READ;
    loop_watch(c->fd, want, on_local, c);
}

/* The channel's other side is not there any more (renewed: but another one is): nothing of the old stream counts. */
static void lose(struct channel *ch, bool renewed) {
    struct conn *c = ch->conn;
    bool begun = ch->owed_bytes; /* the new host may have got the beginning of this frame */

    if (ch->broken)
        channel_close(ch);
    else
        channel_detached(ch);
    if (renewed)
        channel_attached(ch);
    ch->aligned &= !begun;
    if (!c)
        return;
    c->raw = c->filled;
    c->frame_left = 0;
    if (c->link.state != LINK_IDLE && c->link.state < LINK_CLOSING)
        conn_ended(c, &losses, "ended", ch->port ? "the host has gone" : "the other side has gone");
    conn_apply(c, link_event(&c->link, LINK_DETACH, NULL));
    role->changed(ch);
}

/* (host) What waits of a guest that is refused, and does not read, is dropped: others may need its place. */
static bool keeps_nothing(const struct conn *c) {
    return CONFIG_VIOS_PROXY_HOST && (conn_is_spare(c) || (c->link.state == LINK_IDLE && c->channel->owed_bytes && conn_refusal(c)));
}

static bool has_nothing(const struct conn *c) { return c->link.state == LINK_IDLE && !c->frame_left && c->raw == c->filled; }

/* After anything has happened: does all that can be done now, then says what to wait for. */
static void settle(struct channel *ch) {
    struct conn *c = ch->conn;

    while (c) {
        bool again = receiver_parse(c);

        again |= conn_deliver(c);
        again |= sender_flush(c);
        if (ch->broken && ch->fd >= 0) {
            lose(ch, false);
            again = true;
        }
        if (finished(c)) {
            conn_recycle(c);
            again = true;
        }
        if (!again)
            break;
    }
    if (ch->broken && ch->fd >= 0)
        lose(ch, false);
    if (c && keeps_nothing(c))
        c->raw = c->filled;
    if (c && has_nothing(c)) {
        conn_release(c);
        c = NULL;
    }
    if (c)
        conn_set_deadline(c);
    watch(ch);
    if (!c && ch->fd < 0)
        role->lost(ch);
    else if (!c)
        role->changed(ch);
}

static void read_channel(struct channel *ch) {
    struct conn *c = ch->conn ? ch->conn : conn_borrow(ch);
    size_t n, room = CONN_RX - c->filled;
    enum channel_result result;

    if (c->link.state == LINK_IDLE && room > IDLE_READ)
        room = IDLE_READ;
    result = channel_read(ch, c->link.state == LINK_ESTABLISHED, c->rx + c->filled, room, &n);
    if (!link_is_guest(&c->link) && c->link.state == LINK_IDLE)
        channel_idle_bytes(ch, n, loop_now());
    c->spent = ch->answered = false;
    c->filled += (unsigned)n;
    if (result == CHANNEL_DETACHED || result == CHANNEL_RENEWED) {
        receiver_parse(c);
        lose(ch, result == CHANNEL_RENEWED);
    }
}

/* A buffer that was filled, and has been delivered or was left of an old connection: most likely there is more, which select() need not
 * say. */
static void read_on(struct channel *ch) {
    bool full = true;

    for (int i = 0; i < TURNS && full; i++) {
        struct conn *c;

        read_channel(ch);
        c = ch->conn;
        full = c && c->filled + CHANNEL_ROOM(ch) > CONN_RX;
        settle(ch);
        full = full && ch->conn == c && c->link.state != LINK_IDLE && !c->filled && receiver_may_read(ch);
    }
}

static void on_channel(void *arg, unsigned ready) {
    struct channel *ch = arg;
    unsigned long long before = ch->received;

    if (!ch->attached)
        channel_attached(ch);
    if ((ready & LOOP_READ) && receiver_may_read(ch)) {
        read_on(ch);
        if (ch->conn && sender_guess(ch->conn, ch->received - before))
            settle(ch);
        return;
    }
    if (!ch->conn)
        channel_flush(ch);
    settle(ch);
}

static void on_local(void *arg, unsigned ready) {
    struct conn *c = arg;

    if (CONFIG_VIOS_PROXY_HOST && c->connecting) {
        int reason = net_connect_error(c->fd);

        if (reason)
            role->refused(c, reason);
        else
            relay_connecting(c, c->fd, false);
    } else if (ready & LOOP_READ) {
        sender_read(c, TURNS);
    }
    settle(c->channel);
}

void relay_start(struct channel *ch) {
    read_channel(ch);
    settle(ch);
}

void relay_open(struct channel *ch, int fd, const char *client, long long since) {
    struct conn *c = ch->conn ? ch->conn : conn_borrow(ch);
    unsigned char token[FRAME_TOKEN];

    c->fd = fd;
    c->since = since;
    c->begun = loop_now();
    c->text[0] = '\0';
    fmt_copy(c->client, sizeof c->client, client);
    c->filler = ch->aligned ? 0 : FRAME_FILLER_BYTES;
    ch->used = ++turn;
    ch->connections++;
    conn_token(token);
    conn_apply(c, link_open(&c->link, token, !ch->silent));
    settle(ch);
}

int relay_take(struct conn *c) {
    struct channel *ch = c->channel;
    int fd = c->fd;

    loop_watch(fd, 0, NULL, NULL);
    c->fd = -1;
    conn_apply(c, link_event(&c->link, LINK_REFUSED, NULL));
    settle(ch);
    return fd;
}

void relay_connecting(struct conn *c, int fd, bool pending) {
    unsigned char token[FRAME_TOKEN];

    c->fd = fd;
    c->connecting = pending;
    if (pending)
        return;
    conn_token(token);
    conn_apply(c, link_connected(&c->link, token));
}

void relay_refused(struct conn *c, const char *why) {
    c->connecting = false;
    fmt_copy(c->text, sizeof c->text, why);
    conn_apply(c, link_event(&c->link, LINK_REFUSED, c->text));
}

void relay_drop(struct channel *ch) {
    if (ch->conn)
        return;
    channel_close(ch);
    role->lost(ch);
}

bool relay_check(struct channel *ch) {
    char none;

    if (!ch->port || ch->fd < 0 || read(ch->fd, &none, 0) >= 0 || errno != ENODEV)
        return false;
    ch->broken = true;
    settle(ch);
    return true;
}

void relay_resume(struct channel *ch) {
    ch->paused = false;
    settle(ch);
}

/* ---- time ---- */

/* A port whose news may not reach select(): one that is written to. (One that is not read, since the TCP peer has yet to take what
 * came, is left alone, even if its host has gone: it may hold the rest of that, and its end.) */
static bool needs_look(const struct conn *c) {
    const struct channel *ch = c->channel;

    return ch->port && ch->attached && (ch->owed_bytes || c->todo);
}

static bool timed; /* relay_timeout() has found something to wait for */

long relay_timeout(void) {
    long long next = -1;
    long wait = -1;

    for (unsigned i = 0; i < conn_top(); i++) {
        const struct conn *c = conn_at(i);

        if (!c)
            continue;
        if (c->deadline && (next < 0 || c->deadline < next))
            next = c->deadline;
        if (needs_look(c) && wait < 0)
            wait = LOOK_AGAIN;
        if (CONFIG_VIOS_PROXY_HOST && c->spent && c->raw < c->filled && c->link.state == LINK_IDLE)
            wait = 0;
    }
    if (next >= 0) {
        next -= loop_now();
        if (next < 0)
            next = 0;
        if (wait < 0 || next < wait)
            wait = (long)next;
    }
    timed = wait >= 0;
    return wait;
}

/* The host that greeted has not answered: its QEMU may have dropped our SYN with the words for the host before. Once more. */
static void syn_again(struct conn *c) {
    unsigned char token[FRAME_TOKEN];

    c->greeted = false;
    c->frame_left = 0;
    conn_token(token);
    conn_apply(c, link_open(&c->link, token, c->link.first));
    settle(c->channel);
}

static void expire(struct conn *c) {
    struct channel *ch = c->channel;

    if (c->link.state == LINK_SYN_SENT && c->greeted)
        syn_again(c);
    if (c->deadline > loop_now())
        return;
    if (c->link.state == LINK_SYN_SENT && !c->slow) {
        c->slow = true;
        conn_set_deadline(c);
        role->slow(c);
        return;
    }
    c->deadline = 0;
    if (c->draining > loop_now())
        ;
    else if (c->link.state == LINK_IDLE)
        c->frame_left = 0;
    else if (CONFIG_VIOS_PROXY_HOST && c->link.state == LINK_CONNECTING)
        role->refused(c, ETIMEDOUT);
    else
        conn_apply(c, link_event(&c->link, LINK_TIMEOUT, NULL));
    settle(ch);
}

void relay_tick(void) {
    static long long looked;
    long long now;
    bool look_now;

    if (!timed)
        return;
    now = loop_now();
    look_now = now - looked >= LOOK_AGAIN;
    if (look_now)
        looked = now;
    for (unsigned i = 0; i < conn_top(); i++) {
        struct conn *c = conn_at(i);

        if (!c)
            continue;
        if (c->deadline && c->deadline <= now)
            expire(c);
        if (c->channel && look_now && needs_look(c))
            settle(c->channel);
        if (CONFIG_VIOS_PROXY_HOST && c->channel && c->spent) {
            c->spent = false;
            settle(c->channel);
        }
    }
}

bool relay_stop(void) {
    bool owed = false;

    for (unsigned i = 0; i < conn_top(); i++) {
        struct conn *c = conn_at(i);

        /* Behind one connection's last words the next SYN may wait. */
        while (c && c->channel && c->link.state != LINK_IDLE && c->link.state != LINK_OVER) {
            conn_apply(c, link_event(&c->link, LINK_STOP, "the proxy was stopped"));
            settle(c->channel);
        }
        owed |= c && c->channel && (c->todo || c->channel->owed_bytes);
    }
    return owed;
}
