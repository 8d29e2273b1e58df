/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/share.h"

#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "relay/deliver.h"
#include "relay/input.h"

/* Milliseconds until the rest of a frame must have come. */
enum { FRAME_TIME = 30000 };

void share_begin(struct channel *ch, const struct frame *f) {
    struct conn *c = conn_current(ch);

    if (ch->shared || !c || !session_is_open(&c->session) || !c->session.many)
        return;
    ch->shared = true;
    ch->services = c->session.services;
    ch->init_due = false;
    if (f->ctrl == FRAME_SYNACK)
        session_offers_many(ch->in->text, ch->in->text_bytes, &ch->places);
    if (ch->places > CONFIG_CHANNEL_CONNECTIONS)
        ch->places = CONFIG_CHANNEL_CONNECTIONS;
    conn_share(c);
    channel_mark(ch);
    log_msg(LOG_DEBUG, "%s: shared, for %u connections", ch->name, ch->places);
}

/* The client of a SYN that is void waits like a new one; what came for the others is delivered. */
static void part(struct conn *c, const char *why) {
    c->apart = true;
    c->channel->carried--;
    c->due = 0;
    if (!conn_is_void(c))
        conn_lost(c, why);
    else if (c->wait != CONN_GREETED)
        conn_greeted(c);
}

void share_end(struct channel *ch, bool tell, const char *why) {
    if (!channel_is_shared(ch))
        return;
    share_flush(ch);
    ch->shared = ch->held = ch->adjacent = false;
    ch->init_due = tell && ch->end.attached;
    ch->target = ch->resting = NULL;
    ch->rest_bytes = 0;
    ch->refusal[0] = '\0';
    ch->frame_end = 0;
    channel_skip_frame(ch);
    for (struct conn *c = ch->conns; c; c = c->next)
        if (!conn_is_apart(c)) /* of a sharing before */
            part(c, why);
    channel_mark(ch);
    log_msg(LOG_DEBUG, "%s: not shared any more", ch->name);
}

/* ---- what comes ---- */

/* Whether the host token is that of the connection, or unknown. vios-protocol(7), sharing rule
 * 1. */
static bool is_named(const struct conn *c, const struct frame *f) {
    return !memcmp(f->tokens.host, frame_unknown, FRAME_TOKEN) ||
           frame_same(&f->tokens, &c->session.tokens);
}

/* Frames cross, so this violates nothing. vios-protocol(7), sharing rule 4. */
static void answer_stranger(struct channel *ch, const struct frame *f) {
    bool again = frame_same(&f->tokens, &ch->stale) && loop_now() < ch->stale_at + CHANNEL_STALE;

    if (role->junk)
        role->junk(ch, FRAME_HEADER);
    if (again || ch->looks || ch->end.owed_bytes || ch->rest_bytes || ch->init_due || *ch->refusal)
        return;
    ch->looks = 1;
    ch->stale = f->tokens;
    ch->stale_at = loop_now();
    ch->resets++;
    endpoint_note(&ch->end, FRAME_RESET, &f->tokens, "");
}

/* Whoever answers in this way does not share. vios-protocol(7), sharing rule 7. */
static bool is_another_host(const struct channel *ch, const struct conn *c, const struct frame *f) {
    unsigned most;

    if (!ch->conns || role->session != SESSION_GUEST)
        return false;
    if (f->ctrl == FRAME_RESET && frame_same(&f->tokens, &session_refusal))
        return true;
    if (!c || !session_is_asking(&c->session))
        return false;
    if (f->ctrl == FRAME_RESET)
        return memcmp(f->tokens.host, frame_unknown, FRAME_TOKEN);
    return f->ctrl == FRAME_SYNACK && !session_offers_many(ch->in->text, ch->in->text_bytes, &most);
}

static void got_reset(struct conn *c, const struct frame *f, const char *text, unsigned n) {
    unsigned before = c->session.state, actions;

    actions = session_frame(&c->session, f, text, n);
    if (c->session.state == before)
        return;
    if (before == SESSION_SYN_SENT)
        conn_ended(c, NULL, "refused", text);
    else
        conn_ended(c, NULL, "ended by the other side", text);
    c->due = 0;
    conn_apply(c, actions);
}

/* SYNACK, DATA, or what does not belong. */
static void got_frame(struct conn *c, const struct frame *f, const char *text, unsigned n) {
    unsigned before = c->session.state;

    if (session_is_ending(&c->session))
        return;
    if (f->ctrl == FRAME_SYNACK)
        c->wait = CONN_PROGRESS;
    conn_apply(c, session_frame(&c->session, f, text, n));
    conn_begins(c, before);
}

static void got_window(struct conn *c, const char *text, unsigned n) {
    if (!session_is_ending(&c->session))
        conn_apply(c, session_window(&c->session, text, n));
}

/* A frame that is complete, or DATA's header. */
static void dispatch(struct channel *ch, struct conn *c, const struct frame *f) {
    struct input *in = ch->in;
    bool free = !c || session_is_ending(&c->session);

    if (session_is_greeting(f)) {
        share_end(ch, false, "the other side has begun anew");
    } else if (is_another_host(ch, c, f)) {
        share_end(ch, true, "another host has come, which does not know it");
    } else if (f->ctrl == FRAME_SYN) {
        if (c)
            got_frame(c, f, "", 0);
        ch->held = role->syn && free;
    } else if (!c ||
               (!is_named(c, f) && !(f->ctrl == FRAME_SYNACK && session_is_asking(&c->session)))) {
        if (f->ctrl != FRAME_RESET)
            answer_stranger(ch, f);
    } else if (f->ctrl == FRAME_RESET) {
        got_reset(c, f, in->text, in->text_bytes);
    } else if (f->ctrl == FRAME_WINDOW) {
        got_window(c, in->text, f->length);
    } else {
        got_frame(c, f, in->text, in->text_bytes);
    }
}

static void begin(struct channel *ch, const struct frame *f) {
    struct conn *c = conn_find(ch, f->tokens.guest);

    ch->target = NULL;
    switch (f->ctrl) {
    case FRAME_DATA:
        dispatch(ch, c, f);
        if (c && is_named(c, f) && !session_is_ending(&c->session)) {
            ch->target = c;
            c->coming += f->length;
        }
        break;
    case FRAME_SYN:
    case FRAME_SYNACK:
    case FRAME_RESET:
    case FRAME_WINDOW:
        if (input_begin(ch, f))
            dispatch(ch, c, f);
        break;
    default: /* is skipped with its payload: vios-protocol(7), sharing rule 6 */
        break;
    }
}

void share_flush(struct channel *ch) {
    struct input *in = ch->in;

    if (!in || in->head == in->tail)
        return;
    if (ch->gathered)
        deliver_now(ch->gathered, in->bytes + in->head, in->tail - in->head);
    in->head = in->tail = in->raw;
}

static void take_payload(struct channel *ch, unsigned n) {
    if (!ch->target)
        return;
    if (ch->gathered != ch->target) {
        share_flush(ch);
        ch->streak = 0;
    }
    ch->gathered = ch->target;
    ch->streak += n;
    conn_streak(ch->target);
    input_take(ch, ch->target, n);
}

void share_step(struct channel *ch) {
    struct input *in = ch->in;
    enum frame_event event;
    struct frame f;
    size_t used;

    if (ch->held) {
        ch->held = false;
        role->syn(ch);
        return;
    }
    if (in->left) {
        if (input_collect(in))
            dispatch(ch, conn_find(ch, in->frame.tokens.guest), &in->frame);
        return;
    }
    event = frame_feed(&ch->decoder, in->bytes + in->raw, in->filled - in->raw, &used, &f);
    if (event == FRAME_PAYLOAD)
        take_payload(ch, (unsigned)used);
    in->raw += (unsigned)used;
    if (event == FRAME_BEGIN)
        begin(ch, &f);
    else if (event == FRAME_BAD)
        share_end(ch, true, "bytes that are no frame");
}

void share_await(struct channel *ch) {
    bool within = ch->decoder.have || ch->decoder.left;

    if (channel_is_shared(ch))
        ch->frame_end = within ? loop_now() + FRAME_TIME : 0;
}
