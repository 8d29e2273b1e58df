/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/turns.h"

#include <unistd.h>

#include "base/loop.h"
#include "relay/sender.h"

/* Buffers that a channel may send while nobody else has anything to do, and else. */
enum { BUFFERS_ALONE = 4, BUFFERS = 1 };
/* The most writes of a turn: what is read at once may have to go as many short frames. */
enum { WRITES = 32 };

/* Room for any frame without payload but a reason; where there is less, no frame with payload is
 * begun. */
enum { CONTROL = FRAME_HEADER + CHANNEL_TEXT, LEAST = FRAME_HEADER + 512 };

static bool may_send(const struct conn *c) {
    return c->readable && c->fd >= 0 && !c->connecting && !conn_is_apart(c) && !c->due &&
           session_reads_local(&c->session) && session_has_credit(&c->session);
}

/* The next connection that has something to send, from c on, or NULL. The first of the channel's is
 * the one whose turn it is. */
static struct conn *next_turn(struct conn *c) {
    while (c && !may_send(c))
        c = c->next;
    return c;
}

/* It has had its turn: the others are first. */
static void move_to_end(struct conn *c) {
    struct conn **at = &c->channel->conns;

    if (!c->next)
        return;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    while (*at)
        at = &(*at)->next;
    *at = c;
    c->next = NULL;
}

/* The header of the next frame of what was read, over bytes that have gone. What does not fit into
 * it is the rest. The bytes of the frame. */
static size_t cut(struct channel *ch, struct conn *c, unsigned at, unsigned n, unsigned most) {
    unsigned char *tx = ch->out->bytes;
    struct frame f = {FRAME_DATA, c->session.tokens, n < most ? n : most};

    if (!ch->end.port)
        f.length = frame_fit(tx + at + FRAME_HEADER, f.length);
    frame_encode(tx + at, &f);
    ch->resting = c;
    ch->rest = at + FRAME_HEADER + f.length;
    ch->rest_bytes = n - f.length;
    return FRAME_HEADER + f.length;
}

/* Reads the TCP side of the one whose turn it is into the output, from `at` on: the bytes to
 * send of it. */
static size_t read_turn(struct conn *c, unsigned at) {
    struct channel *ch = c->channel;
    unsigned most = at ? TURNS_WRITE : TURNS_ALONE;
    ssize_t n;

    if (most > CONFIG_BUFFER_SIZE)
        most = CONFIG_BUFFER_SIZE;
    most -= at + (most > TURNS_WRITE ? 2u : 1u) * FRAME_HEADER; /* what two frames take, no third */
    if (most > c->session.credit)
        most = c->session.credit;
    n = read(c->fd, ch->out->bytes + at + FRAME_HEADER, most);
    c->readable = n == (ssize_t)most;
    if (n <= 0) {
        sender_read_ended(c, n < 0);
        return 0;
    }
    move_to_end(c);
    c->session.credit -= (unsigned)n;
    ch->sent += (unsigned)n;
    c->sent += (unsigned)n;
    c->progress = true;
    return cut(ch, c, at, (unsigned)n, TURNS_WRITE - FRAME_HEADER - at);
}

static size_t encode_window(struct conn *c, unsigned char *tx) {
    const struct frame f = {FRAME_WINDOW, c->session.tokens, 4};
    unsigned more = conn_grant(c);

    c->session.granted += more;
    frame_encode(tx, &f);
    for (int i = FRAME_HEADER + 3; i >= FRAME_HEADER; i--, more >>= 8)
        tx[i] = (unsigned char)more;
    return FRAME_HEADER + 4;
}

/* The next frame that is due of this connection. */
static size_t encode_due(struct conn *c, unsigned char *tx) {
    unsigned due = c->due & -c->due;

    c->due -= due;
    if (due == SESSION_SEND_WINDOW)
        return c->session.got_eof || !conn_grant(c) ? 0 : encode_window(c, tx);
    return sender_encode(c, tx, due);
}

/* One write: the bytes of it in the output, 0: nothing. */
static size_t compose(struct channel *ch) {
    unsigned most = CONFIG_BUFFER_SIZE < TURNS_WRITE ? CONFIG_BUFFER_SIZE : TURNS_WRITE;
    unsigned char *tx;
    struct conn *c;
    size_t n;

    if (!sender_next_due(ch) && !next_turn(ch->conns))
        return 0;
    tx = channel_output(ch)->bytes;
    n = 0;
    while (n + CONTROL <= most && (c = sender_next_due(ch)) != NULL)
        n += encode_due(c, tx + n);
    while (!ch->rest_bytes && (!n || n + LEAST <= most) && (c = next_turn(ch->conns)) != NULL)
        n += read_turn(c, (unsigned)n);
    return n;
}

static size_t next_write(struct channel *ch) {
    if (ch->rest_bytes)
        return cut(ch, ch->resting, ch->rest - FRAME_HEADER, ch->rest_bytes,
                   TURNS_WRITE - FRAME_HEADER);
    return compose(ch);
}

/* A SYN gets no connection: this goes before all else, since there may be no output for it. */
static void refuse(struct channel *ch) {
    const char *why = CONFIG_FEATURE_REASON ? ch->refusal : "";

    endpoint_note(&ch->end, FRAME_RESET, &ch->refused, why);
    ch->refusal[0] = '\0';
    ch->resets++;
}

bool turns_run(struct channel *ch) {
    int left = ch->guest && !loop_is_alone() ? BUFFERS : BUFFERS_ALONE;
    int writes = WRITES;
    bool any = ch->end.owed_bytes;

    while (left && endpoint_flush(&ch->end) == ENDPOINT_DONE && writes--) {
        unsigned at = ch->rest_bytes ? ch->rest - FRAME_HEADER : 0;
        size_t n;

        if (*ch->refusal && !at) {
            refuse(ch);
            any = true;
            continue;
        }
        n = next_write(ch);
        if (!n && !sender_next_due(ch))
            break;
        any = true;
        left -= !ch->rest_bytes && n > LEAST;
        endpoint_write(&ch->end, ch->out->bytes + at, n);
    }
    ch->asks = !ch->end.owed_bytes;
    return any && left && writes >= 0 && !ch->end.owed_bytes;
}
