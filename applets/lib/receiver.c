/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver.h"

#include <string.h>

#include "fmt.h"

/* A DATA or ACK for a connection that this process never had: once for each token pair, a RESET. Host rule 1. A guest that makes up
 * token pairs gets one answer for each read. */
static void answer_stale(struct channel *ch, struct frame *f) {
    if (link_is_guest(&ch->conn->link) || f->ctrl == FRAME_SYN || ch->answered || frame_same(&f->tokens, &ch->stale))
        return;
    ch->answered = true;
    ch->stale = f->tokens;
    f->ctrl = FRAME_RESET;
    ch->resets++;
    channel_note(ch, f, "");
}

/* This SYN gets no connection: its payload is not waited for. */
static void refuse_syn(struct conn *c, struct frame *f, const char *why) {
    struct channel *ch = c->channel;

    frame_skip(&ch->decoder);
    f->ctrl = FRAME_RESET;
    c->spent = true;
    ch->junk.owed += CHANNEL_SYN;
    ch->resets++;
    fmt_copy(c->client, sizeof c->client, "-");
    conn_ended(c, NULL, "refused", why);
    channel_note(ch, f, CONFIG_FEATURE_REASON && f->length ? why : "");
}

static void dispatch(struct conn *c, const struct frame *f) {
    struct channel *ch = c->channel;
    unsigned before = c->link.state, actions;

    c->text[c->text_bytes] = '\0';
    fmt_printable(c->text, c->text_bytes);
    actions = link_frame(&c->link, f, c->text, c->text_bytes);
    if (before == LINK_SYN_SENT && c->link.answered) {
        ch->aligned = true;
        ch->silent = false;
    }
    if (CONFIG_VIOS_PROXY_HOST && before == LINK_SYN_RCVD && c->link.state == LINK_ESTABLISHED && ch->junk.owed >= CHANNEL_SYN)
        ch->junk.owed -= CHANNEL_SYN;
    if (f->ctrl == FRAME_RESET && c->link.state != before) {
        if (before == LINK_SYN_SENT)
            conn_ended(c, NULL, "refused", c->text);
        else if (c->text_bytes || c->link.abort)
            conn_ended(c, NULL, "ended by the other side", c->text);
    }
    conn_apply(c, actions);
}

static void begin(struct conn *c, struct frame *f, bool hunted) {
    struct channel *ch = c->channel;
    bool ours = !hunted || link_concerns(&c->link, f), syn = hunted && ours && !link_is_guest(&c->link);
    const char *refusal = syn ? conn_refusal(c) : NULL;

    c->text_bytes = 0;
    if (!ours) {
        frame_reject(&ch->decoder);
        c->greeted |= link_greeted(&c->link, f);
        answer_stale(ch, f);
    } else if (refusal) {
        refuse_syn(c, f, refusal);
    } else if (f->length && (hunted || f->ctrl == FRAME_RESET)) {
        frame_skip(&ch->decoder);
        c->frame = *f;
        c->frame_left = f->length;
        c->moved = true;
    } else {
        dispatch(c, f);
    }
}

/* The payload of a control frame: as much as fits is kept, all of it is waited for. */
static void collect(struct conn *c) {
    unsigned n = c->filled - c->raw, keep = CONN_TEXT - c->text_bytes;

    if (n > c->frame_left)
        n = c->frame_left;
    if (keep > n)
        keep = n;
    memcpy(c->text + c->text_bytes, c->rx + c->raw, keep);
    c->text_bytes += keep;
    c->raw += n;
    c->frame_left -= n;
    if (!c->frame_left)
        dispatch(c, &c->frame);
}

static void take_payload(struct conn *c, unsigned n) {
    unsigned char *rx = c->rx;

    if (c->head == c->tail)
        c->head = c->tail = c->raw;
    if (c->tail != c->raw)
        memmove(rx + c->tail, rx + c->raw, n);
    c->tail += n;
    c->moved = true;
    c->channel->received += n;
}

static void step(struct conn *c) {
    const char *prey = link_prey(&c->link);
    const unsigned char *p = c->rx + c->raw;
    size_t n = c->filled - c->raw, used;
    struct frame_decoder *d = &c->channel->decoder;
    enum frame_event event;
    struct frame f;

    event = prey ? frame_hunt(d, p, n, &used, &f, prey) : frame_feed(d, p, n, &used, &f);
    if (event == FRAME_PAYLOAD)
        take_payload(c, (unsigned)used);
    c->raw += (unsigned)used;
    if (event == FRAME_BEGIN)
        begin(c, &f, prey != NULL);
    else if (event == FRAME_BAD)
        conn_apply(c, link_event(&c->link, LINK_BAD, NULL));
}

/* Whether what comes is of no connection: in a guest, without one, and behind its own RESET; it is read to see the host go. */
static bool is_stale(const struct conn *c) {
    return link_is_guest(&c->link) && (c->link.state == LINK_IDLE || c->link.state == LINK_OVER);
}

/* Whether the bytes from the channel may be looked at now. A storm of SYNs gets one connect a turn. */
static bool may_parse(const struct conn *c) {
    if (is_stale(c))
        return true;
    return c->link.state < LINK_CLOSING && !(c->link.state == LINK_IDLE && (c->spent || c->channel->owed_bytes));
}

bool receiver_parse(struct conn *c) {
    bool any = false;

    for (; c->raw < c->filled && may_parse(c); any = true) {
        if (is_stale(c))
            c->raw = c->filled;
        else if (c->frame_left)
            collect(c);
        else
            step(c);
    }
    return any;
}

bool receiver_may_read(const struct channel *ch) {
    const struct conn *c = ch->conn;

    if (ch->paused)
        return false;
    if (!c)
        return !ch->owed_bytes;
    return may_parse(c) && c->filled + CHANNEL_ROOM(ch) <= CONN_RX;
}
