/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/responder.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/loop.h"
#include "relay/guests.h"
#include "relay/receiver.h"
#include "relay/retry.h"
#include "wire/token.h"

/* What a connect costs, in bytes moved. */
enum { CONNECT_COST = 65536 };

/* Milliseconds between two tries to connect to a service that cannot take it yet. */
enum { CONNECT_AGAIN = 50 };

static const struct net_address *service;
static unsigned guest_limit;
static bool is_local; /* the service is on this machine */

void responder_init(const struct net_address *s, unsigned limit) {
    service = s;
    guest_limit = limit;
    is_local = net_is_local(s);
}

void responder_greet(struct channel *ch) {
    endpoint_note(&ch->end, FRAME_RESET, &session_greeting, "");
}

/* ---- the service ---- */

static void connected(struct conn *c) {
    unsigned char token[FRAME_TOKEN];

    c->connecting = false;
    c->wait = CONN_PROGRESS;
    token_new(token);
    conn_apply(c, session_connected(&c->session, token));
}

static void refuse(struct conn *c, int reason) {
    size_t n = fmt_print(c->why, sizeof c->why, "service %s: %s", service->text,
                         reason == EAGAIN ? "its backlog is full" : error_text(reason));

    fmt_ascii(c->why, n); /* of a path anything may be a part */
    c->connecting = false;
    conn_apply(c, session_event(&c->session, SESSION_REFUSED, c->why));
}

/* Begins to connect, or tries again. */
static void connect_service(struct conn *c) {
    int fd = net_connect(service, &c->connecting);

    if (fd < 0 && errno == EMFILE && loop_close_now())
        fd = net_connect(service, &c->connecting);
    c->fd = loop_admit(fd);
    if (c->fd >= 0 && loop_is_last(fd) && channel_busy_beside(c->channel)) {
        close(fd);
        c->fd = -1;
        errno = EMFILE;
    }
    if (c->fd >= 0 && c->connecting)
        c->wait = CONN_PROGRESS;
    else if (c->fd >= 0)
        connected(c);
    else if (errno == EAGAIN) /* a unix socket's backlog is full */
        conn_await(c, CONN_SERVICE, CONNECT_AGAIN);
    else
        refuse(c, errno);
}

static void decided(struct conn *c) {
    int reason = net_connect_error(c->fd);

    if (reason)
        refuse(c, reason);
    else
        connected(c);
}

static void expired(struct conn *c) {
    if (c->wait == CONN_SERVICE && loop_now() - c->begun < CONFIG_CONNECT_TIMEOUT * 1000L)
        connect_service(c);
    else if (session_is_connecting(&c->session))
        refuse(c, c->wait == CONN_SERVICE ? EAGAIN : ETIMEDOUT);
    else
        conn_timeout(c);
}

/* ---- LISTEN ---- */

/* Why this channel's guest may not have one more connection, or NULL. */
static const char *refusal(const struct channel *ch) {
    static char why[64];

    if (channel_is_excess(ch))
        return "all connections are in use (HOST_CONNECTIONS)";
    if (!is_local && !guests_may_connect(ch->guest, loop_now()))
        return "too many connections of this guest in a short time";
    if (channel_busy_beside(ch) < guest_limit)
        return NULL;
    fmt_print(why, sizeof why, "limit of %u connections for this guest", guest_limit);
    return why;
}

/* Stale headers that are looked at in one turn, unless one was answered: then the others are junk,
 * which costs less. */
enum { STALE_LOOKS = 64 };

/* A DATA or ACK for a connection that this process never had: once for each token pair, a RESET. A
 * guest that makes up token pairs gets one answer for each read. vios-protocol(7), host rule 1. */
static void answer_stale(struct channel *ch, struct frame *f) {
    ch->looks++;
    if (frame_same(&f->tokens, &ch->stale))
        return;
    ch->looks = STALE_LOOKS;
    ch->stale = f->tokens;
    ch->resets++;
    endpoint_note(&ch->end, FRAME_RESET, &f->tokens, "");
}

/* A SYN counts as junk, until its ACK has come; and as the one connect of this turn. */
static void charge(struct channel *ch) {
    ch->spent = ch->charged = true;
    loop_charge(&ch->guest->share, CONNECT_COST);
    guests_junk(ch->guest, CHANNEL_SYN, loop_now());
}

static void forgive(struct channel *ch) {
    ch->charged = false;
    guests_forgive(ch->guest, CHANNEL_SYN);
}

/* This SYN gets no connection: its payload is not waited for. vios-protocol(7), host rule 4. */
static void refuse_syn(struct channel *ch, struct frame *f, const char *why) {
    frame_skip(&ch->decoder);
    charge(ch);
    ch->resets++;
    channel_ended(ch, NULL, "-", "refused", why);
    endpoint_note(&ch->end, FRAME_RESET, &f->tokens, CONFIG_FEATURE_REASON && f->length ? why : "");
}

/* The SYN in the input is complete: it gets a connection. */
static void accept_syn(struct channel *ch) {
    struct input *in = ch->in;
    struct conn *c;

    if (in->frame.ctrl != FRAME_SYN)
        return;
    c = conn_new(ch, SESSION_HOST);
    fmt_copy(c->client, sizeof c->client, service->text);
    c->begun = loop_now();
    ch->connections++;
    charge(ch);
    conn_apply(c, session_frame(&c->session, &in->frame, in->text, in->text_bytes));
    connect_service(c);
}

static void hunt(struct channel *ch) {
    struct input *in = ch->in;
    const char *why;
    struct frame f;
    size_t used;
    enum frame_event event = frame_hunt(&ch->decoder, in->bytes + in->raw, in->filled - in->raw,
                                        &used, &f, ch->looks < STALE_LOOKS ? "ABD" : "A");

    in->raw += (unsigned)used;
    if (event != FRAME_BEGIN)
        return;
    if (f.ctrl != FRAME_SYN) {
        frame_reject(&ch->decoder);
        answer_stale(ch, &f);
        return;
    }
    why = refusal(ch);
    if (why)
        refuse_syn(ch, &f, why);
    else if (receiver_begin(ch, &f))
        accept_syn(ch);
}

/* A storm of SYNs gets one connect a turn; and what is owed goes first. */
static bool hears(const struct channel *ch) {
    return !ch->conns && !ch->spent && !ch->end.owed_bytes;
}

static void stray(struct channel *ch) {
    if (!ch->in->left)
        hunt(ch);
    else if (receiver_collect(ch->in))
        accept_syn(ch);
}

/* Whether these are a monitor's first bytes: QMP's greeting, plain or pretty, or the human one's.
 */
static bool is_monitor(const unsigned char *p, size_t n) {
    static const char human[] = "QEMU ", machine[] = "\"QMP\"";
    size_t at = 1;

    if (n >= sizeof human - 1 && !memcmp(p, human, sizeof human - 1))
        return true;
    while (at < n && (p[at] == ' ' || p[at] == '\r' || p[at] == '\n'))
        at++;
    return n >= at + sizeof machine - 1 && *p == '{' &&
           !memcmp(p + at, machine, sizeof machine - 1);
}

/* The first bytes since the socket was opened. A guest that begins with these shuts out its own
 * channel, and no other. */
static void meet(struct channel *ch, const unsigned char *p, size_t n) {
    ch->heard = n > 0;
    ch->monitor = is_monitor(p, n);
    if (!ch->monitor)
        return;
    log_limited(channel_limit(ch, loop_now()), loop_now(), LOG_WARN,
                "%s: QEMU's monitor, not a channel: left alone", ch->name);
    ch->end.broken = true;
}

/* Who sends more without a connection than connections need is not read for a while. */
static void take_junk(struct channel *ch, size_t n) {
    long long now = loop_now();
    unsigned stale = n < ch->stale_bytes ? (unsigned)n : ch->stale_bytes;
    long pause = guests_junk(ch->guest, (unsigned)n - stale, now);

    ch->stale_bytes -= stale;

    if (!pause)
        return;
    log_limited(channel_limit(ch, now), now, LOG_WARN,
                "%s: floods, without a connection: it is read slowly", ch->name);
    ch->paused = true;
    retry_at(ch, now + pause);
}

static void came(struct channel *ch, size_t n) {
    if (!ch->heard)
        meet(ch, ch->in->bytes + ch->in->filled - n, n);
    if (n)
        ch->doubtful = false;
    if (!ch->conns)
        take_junk(ch, n);
    ch->spent = false;
    ch->looks = 0;
}

/* What waits of a guest that is refused, and does not read, is dropped: others may need its place.
 */
static void pumped(struct channel *ch) {
    if (channel_is_excess(ch) || (!ch->conns && ch->in && ch->end.owed_bytes && refusal(ch))) {
        channel_skip_input(ch);
        channel_tidy(ch);
    }
    if (ch->charged && ch->conns && session_is_open(&ch->conns->session))
        forgive(ch);
    channel_hush(ch);
}

const struct role responder = {
    .session = SESSION_HOST,
    .busy = CONFIG_HOST_CONNECTIONS,
    .hears = hears,
    .stray = stray,
    .connected = decided,
    .expired = expired,
    .came = came,
    .pumped = pumped,
};
