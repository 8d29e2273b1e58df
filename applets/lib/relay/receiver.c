/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/receiver.h"

#include "relay/input.h"
#include "relay/share.h"

/* in->text belongs to the frame if it is a SYN, SYNACK or RESET. */
static void dispatch(struct channel *ch, const struct frame *f) {
    struct conn *c = conn_current(ch);
    struct input *in = ch->in;
    unsigned before = c->session.state,
             actions = session_frame(&c->session, f, in->text, in->text_bytes);

    if (before == SESSION_SYN_SENT && c->session.answered) {
        channel_answered(ch);
        c->wait = CONN_PROGRESS;
        channel_mark(ch); /* now it is known whether it may be shared */
    }
    conn_begins(c, before);
    if (f->ctrl == FRAME_RESET && c->session.state != before) {
        if (before == SESSION_SYN_SENT)
            conn_ended(c, NULL, "refused", in->text);
        else if (in->text_bytes || c->session.abort)
            conn_ended(c, NULL, "ended by the other side", in->text);
    }
    conn_apply(c, actions);
    if (CONFIG_FEATURE_MANY)
        share_begin(ch, f);
}

/* A header. Hunted: others than the connection's may stand anywhere in what is skipped. */
static void begin(struct channel *ch, struct frame *f, bool hunted) {
    struct conn *c = conn_current(ch);

    if (hunted && !session_concerns(&c->session, f)) {
        frame_reject(&ch->decoder);
        if (CONFIG_FEATURE_INWARD && f->ctrl == FRAME_SYN)
            role_is_taken(ch);
        else if (session_greeted(&c->session, f))
            conn_greeted(c);
    } else if (!hunted && f->ctrl != FRAME_RESET) {
        dispatch(ch, f); /* its payload, if it is DATA, comes as an event of its own */
    } else if (input_begin(ch, f)) {
        dispatch(ch, f);
    } else {
        c->progress = true;
    }
}

static void step(struct channel *ch) {
    struct input *in = ch->in;
    struct conn *c = conn_current(ch);
    const char *wanted = session_wanted(&c->session);
    const unsigned char *p = in->bytes + in->raw;
    size_t n = in->filled - in->raw, used;
    enum frame_event event;
    struct frame f;

    event = wanted ? frame_hunt(&ch->decoder, p, n, &used, &f, wanted)
                   : frame_feed(&ch->decoder, p, n, &used, &f);
    if (event == FRAME_PAYLOAD)
        input_take(ch, c, (unsigned)used);
    in->raw += (unsigned)used;
    if (event == FRAME_BEGIN)
        begin(ch, &f, wanted != NULL);
    else if (event == FRAME_BAD)
        conn_apply(c, session_event(&c->session, SESSION_BAD, NULL));
}

/* No connection is there to which what comes belongs: there is none, or what it had to say is out.
 */
static bool is_stray(const struct channel *ch) {
    const struct conn *c = conn_current(ch);

    return !c || session_is_over(&c->session);
}

static bool may_look(const struct channel *ch) {
    if (channel_is_shared(ch))
        return !ch->held || !(channel_is_spent(ch) || *ch->refusal);
    return is_stray(ch) ? role->hears(ch) : !session_is_closing(&conn_current(ch)->session);
}

bool receiver_run(struct channel *ch) {
    bool any = false;

    for (; ch->in && (ch->in->raw < ch->in->filled || ch->held) && may_look(ch); any = true) {
        if (channel_is_shared(ch))
            share_step(ch);
        else if (is_stray(ch))
            role->stray(ch);
        else if (!ch->in->left)
            step(ch);
        else if (input_collect(ch->in))
            dispatch(ch, &ch->in->frame);
    }
    if (channel_is_shared(ch) && any) {
        share_flush(ch);
        share_await(ch);
    }
    return any;
}

bool receiver_may_read(const struct channel *ch) {
    if (ch->paused)
        return false;
    if (!ch->conns && !ch->in && !channel_is_shared(ch))
        return !ch->end.owed_bytes;
    return may_look(ch) && (!ch->in || ch->in->filled + ENDPOINT_ROOM(&ch->end) <= CHANNEL_INPUT);
}
