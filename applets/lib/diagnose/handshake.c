/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/handshake.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/loop.h"
#include "wire/offer.h"
#include "wire/token.h"

enum { GRACE = 500000 /* us for the last frames */, LOOK_AGAIN = 250000, READS = 64 };
enum { SYN_AGAIN = 500000 /* us after a greeting */ };

/* For the host's log: a RESET may say why. */
static const char why[] = SESSION_PROBE;

void handshake_begin(struct handshake *h, long ms) {
    *h = (struct handshake){.connects = h->connects, .waits = h->waits, .end = h->end};
    h->started = loop_micros();
    h->deadline = h->started + ms * 1000LL;
}

/* ---- waiting, reading, writing ---- */

static void on_ready(void *arg, unsigned ready) {
    (void)arg;
    (void)ready;
}

enum probe_result handshake_wait(struct handshake *h, unsigned want) {
    long long left = h->deadline - loop_micros();

    if (loop_stopped() && !h->retreating)
        return PROBE_STOPPED;
    if (left <= 0)
        return PROBE_TIMED_OUT;
    if (((want & LOOP_WRITE) || h->end.starved) && left > LOOK_AGAIN)
        left = LOOK_AGAIN; /* a wake-up may be lost: vios-protocol(7), port fact 6 */
    if (h->again && left > SYN_AGAIN)
        left = SYN_AGAIN;
    loop_watch(h->end.fd, want, on_ready, NULL);
    loop_wait((long)(left / 1000) + 1);
    loop_watch(h->end.fd, 0, NULL, NULL);
    return PROBE_ANSWERED;
}

/* Keeps what messages may show of what the host sent. */
static void note(struct handshake *h, const unsigned char *b, size_t n) {
    for (; n; n--, b++) {
        if (h->came < HANDSHAKE_SEEN)
            h->seen[h->came] = *b;
        h->came++;
        memmove(h->last, h->last + 1, sizeof h->last - 1);
        h->last[3] = *b;
        if (h->last[0] == 'V' && h->last[1] == 'S' && h->last[2] >= '0' && h->last[2] <= '9' &&
            h->last[2] != '1' && *b && *fmt_find("ABCDH", (char)*b))
            h->other = h->last[2];
    }
}

static void begin_answer(struct handshake *h, struct frame *f) {
    frame_skip(&h->decoder);
    if (f->ctrl == FRAME_SYN) {
        bool own = !memcmp(f->tokens.guest, h->session.tokens.guest, FRAME_TOKEN);

        h->echo |= own;
        h->rival |= !own;
    } else if (session_greeted(&h->session, f)) {
        h->again = loop_micros() + SYN_AGAIN;
    } else if (session_concerns(&h->session, f)) {
        h->answer = *f;
        h->left = f->length;
        h->begun = true;
        h->done = !h->left;
    }
}

/* The payload of the answer: as much as fits is kept. */
static size_t collect(struct handshake *h, const unsigned char *b, size_t n) {
    if (n > h->left)
        n = h->left;
    for (size_t i = 0; i < n && h->kept < HANDSHAKE_PAYLOAD; i++)
        h->payload[h->kept++] = (char)(b[i] < ' ' || b[i] > '~' ? '?' : b[i]);
    h->left -= (unsigned)n;
    h->done = !h->left;
    return n;
}

static void hunt(struct handshake *h, const unsigned char *b, size_t n) {
    note(h, b, n);
    while (n && !h->done) {
        size_t used;

        if (h->left) {
            used = collect(h, b, n);
        } else {
            struct frame f;

            if (frame_hunt(&h->decoder, b, n, &used, &f, "ACH") != FRAME_BEGIN)
                return;
            begin_answer(h, &f);
        }
        b += used;
        n -= used;
    }
    h->rest = b;
    h->rest_bytes = n;
}

/* Reads what is there, within bounds. vios-protocol(7), guest rule 7. */
static enum probe_result take(struct handshake *h) {
    static unsigned char b[4096];

    for (int i = 0; i < READS && !h->done; i++) {
        ssize_t n = read(h->end.fd, b, sizeof b);

        if (n < 0 && errno == EAGAIN)
            return PROBE_ANSWERED;
        if (n <= 0)
            return PROBE_CUT_OFF;
        if (h->hunting)
            hunt(h, b, (size_t)n);
    }
    return PROBE_ANSWERED;
}

/* QEMU does not notice while the guest has the port closed. */
void handshake_visit(struct handshake *h) {
    enum { PATIENCE = 300 /* ms */ };

    handshake_begin(h, PATIENCE);
    shutdown(h->end.fd, SHUT_WR);
    while (take(h) == PROBE_ANSWERED && handshake_wait(h, LOOP_READ) == PROBE_ANSWERED)
        continue;
}

/* Writes what is owed, and reads meanwhile: a host that waits for us to read may not read itself.
 */
static enum probe_result flush(struct handshake *h) {
    enum endpoint_result written;

    while ((written = endpoint_flush(&h->end)) == ENDPOINT_BLOCKED) {
        enum probe_result r = take(h);

        if (!r)
            r = handshake_wait(h, LOOP_READ | (h->end.starved ? 0u : LOOP_WRITE));
        if (r)
            return r;
    }
    return written == ENDPOINT_DONE ? PROBE_ANSWERED : PROBE_CUT_OFF;
}

static enum probe_result send_all(struct handshake *h, const unsigned char *b, size_t n) {
    h->end.owed = b;
    h->end.owed_bytes = n;
    return flush(h);
}

/* ---- the handshake ---- */

static size_t encode(unsigned char *b, enum frame_ctrl ctrl, const struct frame_tokens *tokens,
                     const char *payload) {
    return frame_write(b, ctrl, tokens, payload, OFFER_TEXT);
}

static enum probe_result align(struct handshake *h) {
    static unsigned char filler[4096];

    h->step = "sending filler (it does not read)";
    memset(filler, FRAME_FILLER, sizeof filler);
    for (unsigned left = FRAME_FILLER_BYTES; left;) {
        unsigned n = left < sizeof filler ? left : (unsigned)sizeof filler;
        enum probe_result r = send_all(h, filler, n);

        if (r)
            return r;
        left -= n;
    }
    return PROBE_ANSWERED;
}

/* RESET, with tokens that are not ours, and SYN. vios-protocol(7), guest rule 2. */
static enum probe_result send_syn(struct handshake *h) {
    static unsigned char b[2 * FRAME_HEADER + OFFER_TEXT];
    bool many = CONFIG_FEATURE_MANY && !h->connects;
    unsigned char token[FRAME_TOKEN];
    size_t n;

    h->step = "sending the SYN (it does not read)";
    token_begin();
    token_new(token);
    session_open(&h->session, token, h->service, true);
    h->again = 0;
    n = encode(b, FRAME_RESET, &session_greeting, "");
    n += encode(b + n, FRAME_SYN, &h->session.tokens,
                offer_text(SESSION_LETTERS(true, many), h->service));
    h->hunting = true;
    h->started = loop_micros();
    return send_all(h, b, n);
}

static enum probe_result await_answer(struct handshake *h) {
    h->step = "waiting for the answer to the SYN";
    while (!h->done) {
        enum probe_result r = handshake_wait(h, LOOP_READ);

        if (!r)
            r = take(h);
        if (!r && h->again && loop_micros() >= h->again)
            return r;
        if (r && !h->done)
            return r;
        if (h->echo)
            return PROBE_WRONG_ANSWER;
        if ((h->other || h->rival) && h->deadline > loop_micros() + GRACE)
            h->deadline = loop_micros() + GRACE;
    }
    h->us = (unsigned)(loop_micros() - h->started);
    return PROBE_ANSWERED;
}

/* What the SYNACK says: letters, and after a blank the number of connections. */
static void read_letters(struct handshake *h) {
    h->many = session_offers_many(h->payload, h->kept, &h->places);
    if (!h->many)
        h->places = 1;
    h->payload[fmt_find(h->payload, ' ') - h->payload] = '\0';
}

/* The answer is a RESET. */
static enum probe_result refused(const struct handshake *h) {
    return CONFIG_FEATURE_SERVICES && (fmt_begins(h->payload, SESSION_NO_SERVICE) ||
                                       fmt_begins(h->payload, SESSION_NO_DEFAULT))
               ? PROBE_NO_SERVICE
               : PROBE_REFUSED;
}

/* The host has connected to its default service. vios-protocol(7), service rule 3. */
static bool is_nameless(struct handshake *h) {
    if (!CONFIG_FEATURE_SERVICES || !h->service || session_offers_services(h->payload, h->kept))
        return false;
    h->session.tokens = h->answer.tokens;
    h->session.why = session_nameless;
    return true;
}

/* Leaves the host in LISTEN. */
static enum probe_result finish(struct handshake *h) {
    static unsigned char b[3 * FRAME_HEADER + sizeof why];
    size_t n;

    if (h->connects) {
        session_frame(&h->session, &h->answer, h->payload, h->kept);
        return send_all(h, b, encode(b, FRAME_ACK, &h->session.tokens, ""));
    }
    read_letters(h);
    h->step = "ending the connection (it does not read)";
    h->session.tokens = h->answer.tokens;
    n = encode(b, FRAME_ACK, &h->session.tokens, "");
    n += encode(b + n, FRAME_RESET, &h->session.tokens, why);
    if (h->many) /* the channel is shared now, by nobody */
        n += encode(b + n, FRAME_RESET, &session_greeting, "");
    return send_all(h, b, n);
}

/* Drains what the peer has sent before, and waits for the port's host. */
static enum probe_result meet(struct handshake *h) {
    enum probe_result r;

    h->step = "opening it";
    while ((r = take(h)) != PROBE_ANSWERED && h->waits && h->end.port &&
           handshake_wait(h, LOOP_WRITE) == PROBE_ANSWERED)
        continue;
    if (!r)
        return r;
    if (loop_stopped())
        return PROBE_STOPPED;
    return h->end.port ? PROBE_NO_HOST : PROBE_CUT_OFF;
}

/* A guest's program finds a greeting inside any frame, so a socket needs no filler.
 * vios-protocol(7), sharing rule 9. */
static bool is_aligned(const struct handshake *h) {
    return h->end.aligned || (h->connects && !h->end.port);
}

static enum probe_result handshake(struct handshake *h) {
    enum probe_result r = meet(h);

    if (!r && !is_aligned(h))
        r = align(h);
    while (!r && !h->done) {
        r = send_syn(h);
        if (!r)
            r = await_answer(h);
    }
    if (r)
        return r;
    h->end.aligned = true;
    if (h->answer.ctrl != FRAME_SYNACK)
        return refused(h);
    return is_nameless(h) ? PROBE_NAMELESS : finish(h);
}

/* Why there was no answer in time. */
static enum probe_result judge(struct handshake *h, enum probe_result r) {
    if (r != PROBE_TIMED_OUT || !h->hunting || h->end.owed_bytes || h->done)
        return r;
    if (h->begun || h->decoder.have > 3) {
        h->step = "reading the answer, of which only a part came";
        return r;
    }
    if (h->other)
        return PROBE_WRONG_VERSION;
    return h->rival || (h->came && memcmp(h->seen, "VS1", 3)) ? PROBE_WRONG_ANSWER
                                                              : PROBE_NO_ANSWER;
}

/* A port's host that goes may have been a visitor, and another one may come. */
enum probe_result handshake_run(struct handshake *h) {
    long long deadline = h->deadline;
    enum probe_result r;

    while ((r = handshake(h)) == PROBE_CUT_OFF && h->waits && h->end.port) {
        handshake_begin(h, 0);
        h->deadline = deadline;
    }
    return judge(h, r);
}

void handshake_retreat(struct handshake *h) {
    const char *reason = CONFIG_FEATURE_REASON && h->session.why ? h->session.why : why;

    h->retreating = true;
    h->deadline = loop_micros() + GRACE;
    if (!h->hunting || flush(h))
        return;
    endpoint_note(&h->end, FRAME_RESET, &h->session.tokens, reason);
    flush(h);
}
