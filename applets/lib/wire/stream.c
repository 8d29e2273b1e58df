/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/loop.h"
#include "base/net.h"

/* syscalls (connect): shutdown read write close */

/* A frame is one write() of a port. PIECE: what a write() to a pipe takes without blocking when
 * select() calls the pipe writable. Other processes share the descriptors, so O_NONBLOCK is not
 * set. */
enum { OUTPUT = 32768, INPUT = 32768, PIECE = 4096 };
/* Milliseconds. A wake-up of a port may be lost: vios-protocol(7), port fact 6. */
enum { LOOK_AGAIN = 250, SOON = 10 };

static unsigned char input[INPUT], output[OUTPUT];

/* ---- what the session wants ---- */

static void apply(struct stream *s, unsigned actions) {
    bool eos = actions & SESSION_SEND_EOS && !s->deaf;

    if (eos && s->end->raw)
        shutdown(s->end->fd, SHUT_WR);
    else if (eos)
        endpoint_note(s->end, FRAME_DATA, &s->session->tokens, "");
    s->since = loop_now();
}

static void happened(struct stream *s, enum session_event event) {
    apply(s, session_event(s->session, event, s->text));
}

/* Whether a read() or write() of stdin or stdout has moved n bytes. */
static bool moved(struct stream *s, const char *which, ssize_t n) {
    s->since = loop_now();
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        fmt_print(s->text, sizeof s->text, "%s: %m", which);
        s->local = true;
        happened(s, SESSION_LOCAL_ERROR);
    }
    return n > 0;
}

/* ---- stdin to the peer ---- */

static void send_data(struct stream *s) {
    struct frame f = {FRAME_DATA, s->session->tokens, s->out_left};
    unsigned char *p = output + s->out_at;
    unsigned header = s->end->raw ? 0 : FRAME_HEADER;

    if (!s->end->port)
        f.length = frame_fit(p, f.length);
    frame_encode(p - FRAME_HEADER, &f);
    s->out_at += f.length;
    s->out_left -= f.length;
    endpoint_write(s->end, p - header, header + f.length);
}

/* After a write() that failed, what the peer said before it went is still to be read. After any
 * other error it has not gone, and would wait for the rest. */
static void flush(struct stream *s) {
    if (endpoint_flush(s->end) == ENDPOINT_LOST) {
        s->deaf = true;
        s->gone |= errno != EPIPE && errno != ECONNRESET;
    }
    if (s->deaf)
        s->end->owed_bytes = s->out_left = 0;
    while (!s->end->owed_bytes && s->out_left)
        send_data(s);
}

static void take_stdin(struct stream *s) {
    ssize_t n = read(STDIN_FILENO, output + FRAME_HEADER, OUTPUT - FRAME_HEADER);

    if (!n)
        happened(s, SESSION_LOCAL_EOF);
    if (!moved(s, "stdin", n))
        return;
    s->out_at = FRAME_HEADER;
    s->out_left = (unsigned)n;
}

/* ---- the peer to stdout ---- */

static void deliver(struct stream *s) {
    ssize_t n = write(STDOUT_FILENO, input + s->at, s->payload < PIECE ? s->payload : PIECE);

    if (!moved(s, "stdout", n))
        return;
    s->at += (unsigned)n;
    s->payload -= (unsigned)n;
    s->came = true;
}

/* At the end of stream stdout is closed for its reader, while stdin may go on. */
static void take_frame(struct stream *s) {
    apply(s, session_frame(s->session, &s->frame, s->text, s->text_bytes));
    if (s->session->got_eof && !s->session->abort && s->frame.ctrl == FRAME_DATA)
        moved(s, "stdout", close(STDOUT_FILENO));
}

/* The reason of a RESET is kept before the RESET takes effect. */
static size_t take_payload(struct stream *s, size_t n) {
    if (s->frame.ctrl == FRAME_DATA) {
        s->payload = (unsigned)n;
        return 0;
    }
    for (size_t i = 0; i < n && s->text_bytes < STREAM_REASON; i++)
        s->text[s->text_bytes++] = (char)input[s->at + i];
    if (!s->decoder.left)
        take_frame(s);
    return n;
}

static void decode(struct stream *s) {
    while (!s->payload && s->at < s->filled && !session_is_ending(s->session)) {
        size_t used;
        enum frame_event event =
            frame_feed(&s->decoder, input + s->at, s->filled - s->at, &used, &s->frame);

        if (event == FRAME_PAYLOAD)
            used = take_payload(s, used);
        s->at += (unsigned)used;
        if (event == FRAME_BAD)
            happened(s, SESSION_BAD);
        if (event == FRAME_BEGIN && (s->frame.ctrl != FRAME_RESET || !s->frame.length))
            take_frame(s);
    }
}

/* The end of a socket without frames is the end of stream. */
static void receive(struct stream *s) {
    enum endpoint_result r;
    size_t n;

    errno = 0;
    r = endpoint_read(s->end, !s->end->raw, input, INPUT, &n);
    s->at = 0;
    s->filled = (unsigned)n;
    if (s->end->raw)
        s->payload = s->filled;
    s->gone = r > ENDPOINT_BLOCKED;
    if (s->gone && s->end->raw && !errno) {
        s->frame.ctrl = FRAME_DATA;
        take_frame(s);
    }
}

/* All that came has been handled, and more may come. */
static bool hears(const struct stream *s) { return s->at == s->filled && !s->gone; }

/* ---- the loop ---- */

/* An end in order has reached the peer: QEMU drops what it has not read when its client goes.
 * vios-protocol(7), socket fact 2. */
static bool is_pending(const struct stream *s) {
    return s->end->owed_bytes || (!s->end->port && net_unsent(s->end->fd));
}

static bool is_whole(const struct stream *s) {
    return s->session->got_eof && s->session->sent_eof && !s->session->abort && !s->deaf &&
           !s->local;
}

static void on_ready(void *flags, unsigned ready) { *(unsigned *)flags |= ready; }

/* Milliseconds until the session's timeout; -1: it has none. */
static long time_left(struct stream *s) {
    long most = session_timeout(s->session, s->payload);
    long long left = s->since + most - loop_now();

    if (!most)
        return -1;
    if (left > 0)
        return (long)left;
    happened(s, SESSION_TIMEOUT);
    return 0;
}

static void await(struct stream *s) {
    bool over = session_is_ending(s->session), owes = s->end->owed_bytes;
    unsigned unused;

    s->ready = 0;
    loop_watch(STDIN_FILENO, !owes && session_reads_local(s->session) ? LOOP_READ : 0, on_ready,
               &s->ready);
    loop_watch(STDOUT_FILENO, s->payload ? LOOP_WRITE : 0, on_ready, &s->ready);
    loop_watch(s->end->fd,
               (hears(s) ? LOOP_READ : 0u) | (owes && !s->end->starved ? LOOP_WRITE : 0u), on_ready,
               &unused);
    loop_wait(over ? SOON : owes ? LOOK_AGAIN : time_left(s));
}

static void turn(struct stream *s) {
    if (s->ready & LOOP_READ)
        take_stdin(s);
    if (s->ready & LOOP_WRITE)
        deliver(s);
    flush(s);
    if (hears(s))
        receive(s);
    decode(s);
    if (s->at == s->filled && s->gone && (s->deaf || !s->end->raw || !s->session->got_eof))
        happened(s, SESSION_DETACH);
    /* After its end of stream the peer sent a RESET: it may not have taken all. */
    if (session_is_ending(s->session) && !s->end->raw && (s->gone || s->at < s->filled))
        s->deaf = true;
}

bool stream_run(struct stream *s, const unsigned char *p, size_t n) {
    memcpy(input, p, n);
    s->filled = (unsigned)n;
    turn(s);
    while (!loop_stopped() && (!session_is_ending(s->session) || (is_whole(s) && is_pending(s)))) {
        await(s);
        turn(s);
    }
    return is_whole(s) && !is_pending(s);
}
