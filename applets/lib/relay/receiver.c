/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/receiver.h"

#include <string.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/loop.h"

/* All payload of the frame has come. */
static void complete(struct input *in) {
    in->deadline = 0;
    in->text[in->text_bytes] = '\0';
    fmt_ascii(in->text, in->text_bytes);
}

bool receiver_begin(struct channel *ch, const struct frame *f) {
    struct input *in = ch->in;

    frame_skip(&ch->decoder);
    in->frame = *f;
    in->left = f->length;
    in->text_bytes = 0;
    if (in->left)
        in->deadline = loop_now() + CONFIG_HANDSHAKE_TIMEOUT * 1000L;
    else
        complete(in);
    return !in->left;
}

bool receiver_collect(struct input *in) {
    unsigned n = in->filled - in->raw, keep = CHANNEL_TEXT - in->text_bytes;

    if (n > in->left)
        n = in->left;
    if (keep > n)
        keep = n;
    memcpy(in->text + in->text_bytes, in->bytes + in->raw, keep);
    in->text_bytes += keep;
    in->raw += n;
    in->left -= n;
    if (!in->left)
        complete(in);
    return !in->left;
}

/* The connection that a frame is for. */
static struct conn *find(const struct channel *ch, const struct frame *f) {
    (void)f; /* a channel carries one connection at a time */
    return ch->conns;
}

/* in->text belongs to the frame if it is a SYN, SYNACK or RESET. */
static void dispatch(struct channel *ch, const struct frame *f) {
    struct conn *c = find(ch, f);
    struct input *in = ch->in;
    unsigned before = c->session.state,
             actions = session_frame(&c->session, f, in->text, in->text_bytes);

    if (before == SESSION_SYN_SENT && c->session.answered) {
        channel_answered(ch);
        c->wait = CONN_PROGRESS;
    }
    if (before < SESSION_ESTABLISHED && session_is_open(&c->session))
        log_msg(LOG_DEBUG, "%s: %s: begins", ch->name, c->client);
    if (f->ctrl == FRAME_RESET && c->session.state != before) {
        if (before == SESSION_SYN_SENT)
            conn_ended(c, NULL, "refused", in->text);
        else if (in->text_bytes || c->session.abort)
            conn_ended(c, NULL, "ended by the other side", in->text);
    }
    conn_apply(c, actions);
}

/* A header. Hunted: others than the connection's may stand anywhere in what is skipped. */
static void begin(struct channel *ch, struct frame *f, bool hunted) {
    struct conn *c = find(ch, f);

    if (hunted && !session_concerns(&c->session, f)) {
        frame_reject(&ch->decoder);
        if (session_greeted(&c->session, f))
            conn_greeted(c);
    } else if (!hunted && f->ctrl != FRAME_RESET) {
        dispatch(ch, f); /* its payload, if it is DATA, comes as an event of its own */
    } else if (receiver_begin(ch, f)) {
        dispatch(ch, f);
    } else {
        c->progress = true;
    }
}

static void take_payload(struct channel *ch, unsigned n) {
    struct input *in = ch->in;

    if (in->head == in->tail)
        in->head = in->tail = in->raw;
    if (in->tail != in->raw)
        memmove(in->bytes + in->tail, in->bytes + in->raw, n);
    in->tail += n;
    ch->conns->progress = true;
    ch->conns->received += n;
    ch->received += n;
}

static void step(struct channel *ch) {
    struct input *in = ch->in;
    struct conn *c = ch->conns;
    const char *wanted = session_wanted(&c->session);
    const unsigned char *p = in->bytes + in->raw;
    size_t n = in->filled - in->raw, used;
    enum frame_event event;
    struct frame f;

    event = wanted ? frame_hunt(&ch->decoder, p, n, &used, &f, wanted)
                   : frame_feed(&ch->decoder, p, n, &used, &f);
    if (event == FRAME_PAYLOAD)
        take_payload(ch, (unsigned)used);
    in->raw += (unsigned)used;
    if (event == FRAME_BEGIN)
        begin(ch, &f, wanted != NULL);
    else if (event == FRAME_BAD)
        conn_apply(c, session_event(&c->session, SESSION_BAD, NULL));
}

/* No connection is there to which what comes belongs: there is none, or what it had to say is out.
 */
static bool is_stray(const struct channel *ch) {
    return !ch->conns || session_is_over(&ch->conns->session);
}

static bool may_look(const struct channel *ch) {
    return is_stray(ch) ? role->hears(ch) : !session_is_closing(&ch->conns->session);
}

bool receiver_run(struct channel *ch) {
    bool any = false;

    for (; ch->in && ch->in->raw < ch->in->filled && may_look(ch); any = true) {
        if (is_stray(ch))
            role->stray(ch);
        else if (!ch->in->left)
            step(ch);
        else if (receiver_collect(ch->in))
            dispatch(ch, &ch->in->frame);
    }
    return any;
}

bool receiver_may_read(const struct channel *ch) {
    if (ch->paused)
        return false;
    if (!ch->conns && !ch->in)
        return !ch->end.owed_bytes;
    return may_look(ch) && (!ch->in || ch->in->filled + ENDPOINT_ROOM(&ch->end) <= CHANNEL_INPUT);
}
