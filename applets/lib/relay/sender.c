/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/sender.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "base/fmt.h"

/* A port takes so many bytes in a write() at most, and takes them whole.
 * vios-protocol(7), port fact 4. */
enum { PORT_WRITE = 32768 };

_Static_assert(CONFIG_BUFFER_SIZE >= 2 * FRAME_HEADER + CHANNEL_TEXT,
               "a control frame must fit into a buffer");
_Static_assert(CONFIG_BUFFER_SIZE <= 2 * PORT_WRITE, "a buffer must fit into two frames");

/* An answer of at most so many bytes is likely to be followed by the next question. */
enum { SHORT = 16384 };

/* The most bytes that are sent at once: over a port two frames, each a write(); over a socket one
 * frame. */
static size_t most(const struct channel *ch) {
    return ch->end.port ? CONFIG_BUFFER_SIZE : CHANNEL_INPUT;
}

static size_t encode(struct conn *c, unsigned char *p, enum frame_ctrl ctrl, const char *text) {
    return frame_write(p, ctrl, &c->session.tokens, text, CHANNEL_TEXT);
}

static const char *explanation(const struct conn *c) {
    return CONFIG_FEATURE_REASON && c->session.why && session_may_explain(&c->session)
               ? c->session.why
               : "";
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
        conn_apply(c, session_event(&c->session, SESSION_LOCAL_EOF, NULL));
}

/* The header of a DATA frame before its payload: the frame's length. */
static size_t encode_data(const struct conn *c, unsigned char *payload, size_t n) {
    struct frame f = {FRAME_DATA, c->session.tokens, (unsigned)n};

    frame_encode(payload - FRAME_HEADER, &f);
    return FRAME_HEADER + n;
}

/* Reads the TCP side into the output, from `at` on: the bytes to send, 0 if there are none. For a
 * port they are two frames if need be, of which a write() takes one, or none: so a proxy that is
 * killed leaves no half of one, which the next one's filler would complete with what nobody has
 * sent. guess: select() has not told of it. Then its end can wait until that is so; an error
 * cannot, since the kernel gives it only once. vios-protocol(7), guest rule 1. */
static size_t read_local(struct conn *c, unsigned char *tx, size_t at, bool guess) {
    size_t all = most(c->channel),
           first = c->channel->end.port && all > PORT_WRITE ? PORT_WRITE : all;
    size_t rest = all > first + FRAME_HEADER ? all - first - FRAME_HEADER : 0;
    unsigned char *p = tx + at + FRAME_HEADER, *q = tx + first + FRAME_HEADER;
    struct iovec v[2] = {{p, first - FRAME_HEADER - at}, {q, rest}};
    ssize_t got = readv(c->fd, v, 2);
    size_t n = (size_t)got;

    if (got <= 0) {
        if (got || !guess)
            read_ended(c, got < 0);
        return 0;
    }
    c->channel->sent += n;
    c->sent += n;
    c->progress = true;
    if (n <= v[0].iov_len)
        return encode_data(c, p, n);
    return encode_data(c, p, v[0].iov_len) + encode_data(c, q, n - v[0].iov_len);
}

/* One buffer from the TCP side to the channel: the bytes of it. */
static size_t carry(struct conn *c, bool guess) {
    unsigned char *tx = channel_output(c->channel)->bytes;
    size_t n = read_local(c, tx, 0, guess);

    endpoint_write(&c->channel->end, tx, n);
    channel_tidy(c->channel);
    return n;
}

/* The bytes of the next frame that is due, in tx. Filler goes before a SYN, a bufferful at a time.
 * The client's first words, which have waited for the SYNACK, go out with the ACK.
 * vios-protocol(7), guest rules 2 and 3. */
static size_t encode_next(struct conn *c, unsigned char *tx) {
    unsigned due = c->due & -c->due;
    size_t n;

    if (due == SESSION_SEND_SYN && c->filler) {
        n = c->filler < CONFIG_BUFFER_SIZE ? c->filler : CONFIG_BUFFER_SIZE;
        memset(tx, FRAME_FILLER, n);
        c->filler -= (unsigned)n;
        return n;
    }
    c->due -= due;
    switch (due) {
    case SESSION_SEND_SYN:
        n = encode(c, tx, FRAME_RESET, "");
        return n + encode(c, tx + n, FRAME_SYN, session_capabilities);
    case SESSION_SEND_SYNACK:
        return encode(c, tx, FRAME_SYNACK, c->session.eos ? session_capabilities : "");
    case SESSION_SEND_ACK:
        n = encode(c, tx, FRAME_ACK, "");
        return n + (c->fd >= 0 ? read_local(c, tx, n, false) : 0);
    case SESSION_SEND_EOS:
        return encode(c, tx, FRAME_DATA, "");
    default:
        c->channel->resets++;
        return encode(c, tx, FRAME_RESET, explanation(c));
    }
}

/* A connection with a frame that is due. */
static struct conn *next_due(const struct channel *ch) {
    struct conn *c = ch->conns;

    while (c && !c->due)
        c = c->next;
    return c;
}

bool sender_is_due(const struct channel *ch) { return next_due(ch); }

bool sender_run(struct channel *ch) {
    size_t owed = ch->end.owed_bytes;
    bool any = owed > 0;
    struct conn *c;

    for (c = ch->conns; c && !ch->end.attached; c = c->next)
        c->due = 0;
    while (endpoint_flush(&ch->end) == ENDPOINT_DONE && (c = next_due(ch)) != NULL) {
        unsigned char *tx = channel_output(ch)->bytes;

        any = true;
        endpoint_write(&ch->end, tx, encode_next(c, tx));
    }
    if (ch->conns)
        ch->conns->progress |= ch->end.owed_bytes != owed;
    return any && !ch->end.owed_bytes;
}

bool sender_may_read(const struct conn *c) {
    const struct channel *ch = c->channel;

    return session_reads_local(&c->session) && ch->end.attached && !ch->end.owed_bytes && !c->due;
}

void sender_read(struct conn *c, int turns) {
    size_t n = most(c->channel);

    for (int i = 0; i < turns && n == most(c->channel) && sender_may_read(c); i++)
        n = carry(c, false);
}

bool sender_guess(struct conn *c, unsigned long long n) {
    size_t length = 0;

    if (c->channel->end.port && n && n <= SHORT && !c->channel->in && sender_may_read(c))
        length = carry(c, true);
    return length || c->due;
}
