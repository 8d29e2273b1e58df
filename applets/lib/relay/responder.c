/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/responder.h"

#include <string.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/loop.h"
#include "relay/guard.h"
#include "relay/guests.h"
#include "relay/input.h"
#include "relay/service.h"
#include "relay/services.h"
#include "relay/share.h"

/* What a connect costs, in bytes moved. */
enum { CONNECT_COST = 65536 };

static unsigned guest_limit;
static bool is_local; /* all services are on this machine */

void responder_init(const struct net_address *s, unsigned limit) {
    services_set_default(s);
    guest_limit = limit;
    is_local = services_are_local();
}

void responder_greet(struct channel *ch) {
    endpoint_note(&ch->end, FRAME_RESET, &session_greeting, "");
}

/* ---- LISTEN ---- */

static bool is_at_limit(const struct channel *ch) {
    return ch->guest->connections + channel_unread_beside(ch) >= guest_limit;
}

/* Why this channel's guest may not have one more connection, or NULL. */
static const char *refusal(const struct channel *ch) {
    static char why[64];

    if (!channel_guest(ch)) /* all channels of a guest may be busy */
        return conn_is_room() ? NULL : "all connections are in use";
    if (channel_is_excess(ch) || !conn_is_room())
        return "all connections are in use (HOST_CONNECTIONS)";
    if (!is_local && !guests_may_connect(ch->guest, loop_now()))
        return "too many connections of this guest in a short time";
    if (!is_at_limit(ch))
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
    if (frame_same(&f->tokens, &ch->stale) && loop_now() < ch->stale_at + CHANNEL_STALE)
        return;
    ch->stale_at = loop_now();
    ch->looks = STALE_LOOKS;
    ch->stale = f->tokens;
    ch->resets++;
    endpoint_note(&ch->end, FRAME_RESET, &f->tokens, "");
}

/* A SYN counts as junk, until its ACK has come; and as the one connect of this turn. */
static void charge(struct channel *ch) {
    if (!channel_guest(ch))
        return;
    ch->spent = ch->charged = true;
    loop_charge(&ch->guest->share, CONNECT_COST);
    guests_junk(ch->guest, CHANNEL_SYN, loop_now());
}

static void forgive(struct channel *ch) {
    ch->charged = false;
    guests_forgive(ch->guest, CHANNEL_SYN);
}

/* This SYN gets no connection. vios-protocol(7), host rule 4. */
static void refuse_syn(struct channel *ch, const struct frame *f, const char *why) {
    ch->resets++;
    channel_ended(ch, NULL, "-", "refused", why);
    endpoint_note(&ch->end, FRAME_RESET, &f->tokens, CONFIG_FEATURE_REASON && f->length ? why : "");
}

/* The SYN in the input gets a connection to this service. */
static void begin(struct channel *ch, const struct service *s) {
    struct input *in = ch->in;
    struct conn *c = conn_new(ch, SESSION_HOST);
    const struct net_address *at = services_address(s, ch);

    fmt_copy(c->client, sizeof c->client, at ? at->text : s->at.text);
    c->service = s;
    c->begun = loop_now();
    ch->connections++;
    conn_apply(c, session_frame(&c->session, &in->frame, in->text, in->text_bytes));
    c->session.name = s->name;
    if (channel_is_shared(ch))
        session_share(&c->session);
    service_connect(c);
}

/* Whether this SYN believes in a channel that is shared: its guest learns that it is not.
 * vios-protocol(7), sharing rule 7. */
static bool is_mistaken(struct channel *ch) {
    unsigned most;

    if (ch->adjacent || !session_offers_many(ch->in->text, ch->in->text_bytes, &most))
        return false;
    ch->init_due = true;
    return true;
}

/* The SYN in the input is complete. */
static void accept_syn(struct channel *ch) {
    const struct service *s;
    const char *why;

    if (ch->in->frame.ctrl != FRAME_SYN)
        return;
    charge(ch);
    if (is_mistaken(ch))
        return;
    ch->places = guest_limit < CONFIG_CHANNEL_CONNECTIONS ? guest_limit
                                                          : (unsigned)CONFIG_CHANNEL_CONNECTIONS;
    s = services_asked(ch, ch->in->text, ch->in->text_bytes, &why);
    if (s)
        begin(ch, s);
    else
        refuse_syn(ch, &ch->in->frame, why);
}

/* A connection that has ended for the guest takes none of its places, though the service has yet to
 * take what came. Of these there may be as many again. */
static bool has_place(const struct channel *ch) {
    unsigned live = 0;

    for (const struct conn *c = ch->conns; c; c = c->next)
        live += !session_is_ending(&c->session);
    return live < CONFIG_CHANNEL_CONNECTIONS && ch->carried < 2 * CONFIG_CHANNEL_CONNECTIONS;
}

/* Where a limit is reached, the next SYN ends a connection that was aborted, whatever its service
 * has yet to take. */
static void make_room(struct channel *ch) {
    struct conn *c = ch->conns;

    if (has_place(ch) && !is_at_limit(ch))
        return;
    while (c && !(session_is_closing(&c->session) && c->session.abort))
        c = c->next;
    if (!c)
        return;
    conn_timeout(c);
    if (conn_is_finished(c))
        conn_free(c);
}

static void junk(struct channel *ch, size_t n) {
    if (channel_guest(ch))
        guard_junk(ch, n);
}

/* The next SYN of a shared channel is complete. vios-protocol(7), sharing rule 2. */
static void accept_shared(struct channel *ch) {
    struct input *in = ch->in;
    const struct service *s = NULL;
    const char *why = NULL;
    unsigned most;

    if (channel_is_spent(ch) || *ch->refusal) {
        ch->held = true;
        return;
    }
    if (channel_guest(ch)) {
        make_room(ch);
        ch->spent = true;
        loop_charge(&ch->guest->share, CONNECT_COST);
    }
    if (!session_offers_many(in->text, in->text_bytes, &most))
        why = "a SYN without M, on a shared channel";
    else if (conn_find(ch, in->frame.tokens.guest))
        why = "a SYN with a token that is in use";
    else if (!has_place(ch))
        why = "no place on this channel (CHANNEL_CONNECTIONS)";
    else
        why = refusal(ch);
    if (!why)
        s = services_asked(ch, in->text, in->text_bytes, &why);
    if (!s) {
        ch->refused = ch->stale =
            in->frame.tokens; /* what came with it gets no answer of its own */
        ch->stale_at = loop_now();
        fmt_copy(ch->refusal, sizeof ch->refusal, why);
        channel_ended(ch, NULL, "-", "refused", why);
        junk(ch, CHANNEL_SYN);
    } else {
        begin(ch, s);
    }
}

/* The letters to look for: SYNs and what may precede them, and stale headers. Each look costs some
 * 50 ns, so after STALE_LOOKS at other RESETs only SYNs count in this turn. */
static const char *wanted(const struct channel *ch) {
    if (!channel_guest(ch) || ch->looks < STALE_LOOKS)
        return CONFIG_FEATURE_MANY ? "ABCDWH" : "ABCD";
    return CONFIG_FEATURE_MANY && ch->looks < 2 * STALE_LOOKS ? "AH" : "A";
}

static void note_reset(struct channel *ch, const struct frame *f) {
    if (f->length || !frame_same(&f->tokens, &session_greeting)) {
        frame_reject(&ch->decoder);
        ch->looks++;
        return;
    }
    frame_skip(&ch->decoder);
    ch->since_init = 0;
}

static void note_synack(struct channel *ch) {
    ch->looks++;
    role_is_taken(ch);
}

static void hunt(struct channel *ch) {
    struct input *in = ch->in;
    const char *why;
    struct frame f;
    size_t used;
    enum frame_event event =
        frame_hunt(&ch->decoder, in->bytes + in->raw, in->filled - in->raw, &used, &f, wanted(ch));

    in->raw += (unsigned)used;
    if (CONFIG_FEATURE_MANY && ch->since_init <= FRAME_HEADER)
        ch->since_init += (unsigned)used;
    if (event != FRAME_BEGIN)
        return;
    if (CONFIG_FEATURE_MANY && f.ctrl == FRAME_RESET) {
        note_reset(ch, &f);
        return;
    }
    if (f.ctrl != FRAME_SYN) {
        frame_reject(&ch->decoder);
        if (f.ctrl == FRAME_SYNACK)
            note_synack(ch);
        else
            answer_stale(ch, &f);
        return;
    }
    ch->adjacent = ch->since_init == FRAME_HEADER;
    ch->since_init = FRAME_HEADER + 1;
    why = refusal(ch);
    if (why) { /* its payload is not waited for */
        frame_skip(&ch->decoder);
        charge(ch);
        refuse_syn(ch, &f, why);
    } else if (input_begin(ch, &f)) {
        accept_syn(ch);
    }
}

/* A storm of SYNs gets one connect a turn; and what is owed goes first. */
static bool hears(const struct channel *ch) {
    return !conn_current(ch) && !channel_is_spent(ch) && !ch->end.owed_bytes && !ch->init_due;
}

static void stray(struct channel *ch) {
    if (!ch->in->left)
        hunt(ch);
    else if (input_collect(ch->in))
        accept_syn(ch);
}

static void came(struct channel *ch, size_t n) {
    ch->looks = 0;
    if (!channel_guest(ch))
        return;
    guard_came(ch, n);
    ch->spent = false;
}

/* What waits of a guest that is refused, and does not read, is dropped: others may need its place.
 */
static void pumped(struct channel *ch) {
    if (!channel_guest(ch))
        return;
    if (ch->in && (channel_is_excess(ch) || (!ch->conns && ch->end.owed_bytes && refusal(ch)))) {
        share_end(ch, true, "too many connections of its guest");
        channel_skip_input(ch);
        channel_tidy(ch);
    }
    if (ch->charged && ch->conns && session_is_open(&ch->conns->session))
        forgive(ch);
    channel_hush(ch);
}

const struct role responder = {
    .session = SESSION_HOST,
    .hears = hears,
    .stray = stray,
    .attached = responder_greet,
    .renewed = responder_greet,
    .connected = service_decided,
    .expired = service_expired,
    .came = came,
    .pumped = pumped,
    .syn = accept_shared,
    .junk = junk,
};
