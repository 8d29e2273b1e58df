/* SPDX-License-Identifier: Apache-2.0 */
#include "sender.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fmt.h"

_Static_assert(CONFIG_BUFFER_SIZE >= 2 * FRAME_HEADER + CONN_TEXT, "a control frame must fit into a buffer");
_Static_assert(CONFIG_BUFFER_SIZE <= FRAME_HEADER + FRAME_PAYLOAD_MAX, "a buffer's payload must fit into a frame");

/* An answer of at most so many bytes is likely to be followed by the next question. */
enum { SHORT = 16384 };

/* The longest DATA frame that is sent. */
static size_t longest(const struct conn *c) { return c->link.role == LINK_GUEST ? CONFIG_BUFFER_SIZE : CONN_RX; }

static size_t encode(struct conn *c, unsigned char *p, enum frame_ctrl ctrl, const char *text) {
    size_t n = fmt_length(text, CONN_TEXT);
    struct frame f = {(unsigned char)ctrl, c->link.tokens, (unsigned)n};

    frame_encode(p, &f);
    memcpy(p + FRAME_HEADER, text, n);
    return FRAME_HEADER + n;
}

static const char *explanation(const struct conn *c) {
    return CONFIG_FEATURE_REASON && c->link.why && link_may_explain(&c->link) ? c->link.why : "";
}

/* The TCP side cannot be read any more. */
static void read_ended(struct conn *c, bool failed) {
    if (failed && conn_transient())
        return;
    if (!failed)
        errno = c->error;
    if (failed || c->error)
        conn_failed(c);
    else
        conn_apply(c, link_event(&c->link, LINK_LOCAL_EOF, NULL));
}

/* Reads the TCP side into a DATA frame at tx + at: the frame's length, 0 if there is nothing to send. guess: select() has not told of it.
 * Then its end can wait until that is so; an error cannot, since the kernel gives it only once. */
static size_t read_local(struct conn *c, size_t at, bool guess) {
    ssize_t n = read(c->fd, c->tx + at + FRAME_HEADER, longest(c) - FRAME_HEADER - at);
    struct frame f = {FRAME_DATA, c->link.tokens, (unsigned)n};

    if (n <= 0) {
        if (n || !guess)
            read_ended(c, n < 0);
        return 0;
    }
    frame_encode(c->tx + at, &f);
    c->channel->sent += (size_t)n;
    c->moved = true;
    return FRAME_HEADER + (size_t)n;
}

/* The bytes of the next frame in todo, in tx. Filler goes before a SYN, a bufferful at a time (guest rule 3). The client's first words,
 * which have waited for the SYNACK, go out with the ACK. */
static size_t encode_next(struct conn *c) {
    unsigned due = c->todo & -c->todo;
    unsigned char *tx = c->tx;
    size_t n;

    if (due == LINK_SEND_SYN && c->filler) {
        n = c->filler < CONFIG_BUFFER_SIZE ? c->filler : CONFIG_BUFFER_SIZE;
        memset(tx, FRAME_FILLER, n);
        c->filler -= (unsigned)n;
        return n;
    }
    c->todo -= due;
    switch (due) {
    case LINK_SEND_SYN:
        n = encode(c, tx, FRAME_RESET, "");
        return n + encode(c, tx + n, FRAME_SYN, link_capabilities);
    case LINK_SEND_SYNACK:
        return encode(c, tx, FRAME_SYNACK, c->link.eos ? link_capabilities : "");
    case LINK_SEND_ACK:
        n = encode(c, tx, FRAME_ACK, "");
        return n + (c->fd >= 0 ? read_local(c, n, false) : 0);
    case LINK_SEND_EOS:
        return encode(c, tx, FRAME_DATA, "");
    default:
        c->channel->resets++;
        return encode(c, tx, FRAME_RESET, explanation(c));
    }
}

bool sender_flush(struct conn *c) {
    struct channel *ch = c->channel;
    size_t owed = ch->owed_bytes;
    bool any = owed > 0;

    if (!ch->attached)
        c->todo = 0;
    while (channel_flush(ch) == CHANNEL_DONE && c->todo) {
        any = true;
        channel_write(ch, c->tx, encode_next(c));
    }
    c->moved |= ch->owed_bytes != owed;
    return any && !ch->owed_bytes;
}

bool sender_may_read(const struct conn *c) {
    const struct channel *ch = c->channel;

    return link_reads_local(&c->link) && ch->attached && !ch->owed_bytes && !c->todo;
}

void sender_read(struct conn *c, int turns) {
    size_t n = longest(c);

    for (int i = 0; i < turns && n == longest(c) && sender_may_read(c); i++) {
        n = read_local(c, 0, false);
        channel_write(c->channel, c->tx, n);
    }
}

bool sender_guess(struct conn *c, unsigned long long n) {
    size_t length = 0;

    if (c->link.role == LINK_GUEST && n && n <= SHORT && !c->filled && sender_may_read(c))
        length = read_local(c, 0, true);
    if (length)
        channel_write(c->channel, c->tx, length);
    return length || c->todo;
}
