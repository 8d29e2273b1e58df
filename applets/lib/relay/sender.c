/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/sender.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "base/fmt.h"
#include "wire/offer.h"

/* syscalls (guest host): readv */

/* The most bytes that a port takes in a write(), all or none. vios-protocol(7), port fact 4. */
enum { PORT_WRITE = 32768 };

_Static_assert(CONFIG_BUFFER_SIZE >= 2 * FRAME_HEADER + CHANNEL_TEXT,
               "a control frame must fit into a buffer");
_Static_assert(CONFIG_BUFFER_SIZE <= 2 * PORT_WRITE, "a buffer must fit into two frames");

/* After an answer of at most this many bytes the next question is likely to follow. */
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

void sender_read_ended(struct conn *c, bool failed) {
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
 * port these may be two frames, of which a write() takes one or none. So a proxy that is killed
 * leaves no half frame, which the next one's filler would complete with bytes that nobody has sent.
 * guess: select() has not reported it. Then its end can wait until it does; an error cannot, since
 * the kernel gives it only once. vios-protocol(7), guest rule 1. */
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
            sender_read_ended(c, got < 0);
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

/* (responder) What is agreed to, as the SYNACK's payload. */
static const char *accepted(const struct conn *c) {
    static char text[16];
    const char *letters = session_accepted(&c->session);

    if (!SESSION_RESPONDS || !CONFIG_FEATURE_MANY || !c->session.many)
        return letters;
    fmt_print(text, sizeof text, "%s M%u", letters, c->channel->places);
    return text;
}

size_t sender_encode(struct conn *c, unsigned char *p, unsigned due) {
    switch (due) {
    case SESSION_SEND_SYN:
        return encode(c, p, FRAME_SYN, offer_text(session_capabilities, c->session.name));
    case SESSION_SEND_SYNACK:
        return encode(c, p, FRAME_SYNACK, accepted(c));
    case SESSION_SEND_ACK:
        return encode(c, p, FRAME_ACK, "");
    case SESSION_SEND_EOS:
        return encode(c, p, FRAME_DATA, "");
    default:
        c->channel->resets++;
        return encode(c, p, FRAME_RESET, explanation(c));
    }
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
    n = 0;
    if (due == SESSION_SEND_SYN)
        n = frame_write(tx, FRAME_RESET,
                        CONFIG_FEATURE_MANY ? &session_greeting : &c->session.tokens, "", 0);
    n += sender_encode(c, tx + n, due);
    if (due == SESSION_SEND_ACK && c->fd >= 0)
        n += read_local(c, tx, n, false);
    return n;
}

struct conn *sender_next_due(const struct channel *ch) {
    struct conn *c = ch->conns;

    while (c && !c->due)
        c = c->next;
    return c;
}

bool sender_is_due(const struct channel *ch) {
    return (CONFIG_FEATURE_MANY && (ch->init_due || *ch->refusal || ch->rest_bytes)) ||
           sender_next_due(ch);
}

/* The channel is shared no more, and its peer is to know it. */
static void send_init(struct channel *ch) {
    if (!ch->init_due || endpoint_flush(&ch->end) != ENDPOINT_DONE)
        return;
    ch->init_due = false;
    ch->resets++;
    endpoint_note(&ch->end, FRAME_RESET, &session_greeting, "");
}

bool sender_run(struct channel *ch) {
    size_t owed = ch->end.owed_bytes;
    bool any = owed > 0;
    struct conn *c;

    if (CONFIG_FEATURE_MANY)
        send_init(ch);
    for (c = ch->conns; c && !ch->end.attached; c = c->next)
        c->due = 0;
    while (endpoint_flush(&ch->end) == ENDPOINT_DONE && (c = sender_next_due(ch)) != NULL) {
        unsigned char *tx = channel_output(ch)->bytes;

        any = true;
        endpoint_write(&ch->end, tx, encode_next(c, tx));
    }
    c = conn_current(ch);
    if (c)
        c->progress |= ch->end.owed_bytes != owed;
    return any && !ch->end.owed_bytes;
}

bool sender_may_read(const struct conn *c) {
    const struct channel *ch = c->channel;

    /* Of a shared channel also while that is blocked: who is ready then has a turn after it. */
    if (CONFIG_FEATURE_MANY && c->session.shared)
        return session_reads_local(&c->session) && ch->end.attached && !conn_is_apart(c) &&
               session_has_credit(&c->session);
    return session_reads_local(&c->session) && ch->end.attached && !ch->end.owed_bytes && !c->due;
}

void sender_read(struct conn *c, int turns) {
    size_t n = most(c->channel);

    for (int i = 0; i < turns && n == most(c->channel) && sender_may_read(c); i++)
        n = carry(c, false);
}

bool sender_guess(struct conn *c, unsigned long long n) {
    size_t length = 0;

    if (!c->channel->end.port || !n || n > SHORT || c->channel->in || !sender_may_read(c))
        return c->due;
    if (session_is_shared(&c->session)) {
        c->readable = true;
        return true;
    }
    length = carry(c, true);
    return length || c->due;
}
