/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include <string.h>

enum { EOS_LETTER = 'E', CAPABILITIES_MAX = 16 };
enum { LINGER = CONFIG_LINGER_TIMEOUT ? CONFIG_LINGER_TIMEOUT : 1 };
/* A service that has ended seldom waits for more. */
enum { LINGER_HOST = LINGER / 5 ? LINGER / 5 : 1 };

static const struct frame_tokens refusal = {{'R', 'R', 'R', 'R'}, {'R', 'R', 'R', 'R'}};

const struct frame_tokens link_greeting = {{'I', 'N', 'I', 'T'}, {'I', 'N', 'I', 'T'}};

const char *const link_capabilities = CONFIG_FEATURE_HALF_CLOSE ? "E" : "";

static unsigned over(struct link *l, unsigned actions) {
    l->state = LINK_OVER;
    return actions;
}

/* Ends with a RESET before there is anything to deliver. */
static unsigned refuse(struct link *l, const char *why) {
    l->why = why;
    return over(l, LINK_SEND_RESET | LINK_CLOSE);
}

/* ESTABLISHED ends: what is received goes to the TCP side first. */
static unsigned closing(struct link *l, bool abort, const char *why, unsigned actions) {
    l->state = LINK_CLOSING;
    l->abort = abort;
    l->why = why;
    return actions | (abort ? LINK_ABORT : LINK_CLOSE);
}

static unsigned violated(struct link *l, const char *why) {
    if (l->state == LINK_ESTABLISHED)
        return closing(l, true, why, LINK_SEND_RESET);
    return l->state == LINK_CLOSING || l->state == LINK_OVER ? 0 : refuse(l, why);
}

static bool offers_eos(const char *text, unsigned n) {
    for (unsigned i = 0; i < n && i < CAPABILITIES_MAX; i++)
        if (CONFIG_FEATURE_HALF_CLOSE && text[i] == EOS_LETTER)
            return true;
    return false;
}

unsigned link_open(struct link *l, const unsigned char guest_token[FRAME_TOKEN], bool first) {
    *l = (struct link){.role = LINK_GUEST, .state = LINK_SYN_SENT, .first = first};
    l->offered = *link_capabilities;
    memcpy(l->tokens.guest, guest_token, FRAME_TOKEN);
    memcpy(l->tokens.host, frame_unknown, FRAME_TOKEN);
    return LINK_SEND_SYN;
}

static unsigned got_syn(struct link *l, const struct frame *f, const char *text, unsigned n) {
    *l = (struct link){.role = LINK_HOST, .state = LINK_CONNECTING, .offered = n > 0, .eos = offers_eos(text, n)};
    l->tokens = f->tokens;
    memcpy(l->tokens.host, frame_unknown, FRAME_TOKEN);
    return LINK_CONNECT;
}

static unsigned got_synack(struct link *l, const struct frame *f, const char *text, unsigned n) {
    memcpy(l->tokens.host, f->tokens.host, FRAME_TOKEN);
    l->eos = l->offered && offers_eos(text, n);
    l->answered = true;
    l->state = LINK_ESTABLISHED;
    return LINK_SEND_ACK;
}

static unsigned got_reset(struct link *l, const struct frame *f) {
    bool own = !memcmp(f->tokens.guest, l->tokens.guest, FRAME_TOKEN);

    switch (l->state) {
    case LINK_SYN_SENT:
        if (!own && !(l->first && frame_same(&f->tokens, &refusal)))
            return 0;
        l->answered = true;
        return over(l, LINK_CLOSE);
    case LINK_CONNECTING:
    case LINK_SYN_RCVD:
        return over(l, LINK_CLOSE);
    case LINK_ESTABLISHED:
        /* Without E a RESET is how every connection ends; with it, or from somebody else, it is an abort. */
        return closing(l, l->eos || !frame_same(&f->tokens, &l->tokens), NULL, 0);
    default:
        return 0;
    }
}

static unsigned got_data(struct link *l, const struct frame *f) {
    if (!l->eos)
        return f->length ? LINK_DELIVER : violated(l, "DATA of length 0, without capability E");
    if (l->got_eof)
        return violated(l, "DATA after end of stream");
    if (f->length)
        return LINK_DELIVER;
    l->got_eof = true;
    return l->sent_eof ? closing(l, false, NULL, 0) : LINK_SHUT;
}

/* Whether this is a host's end, in a state that a guest's does not have. */
static bool host_is(const struct link *l, enum link_state state) { return !link_is_guest(l) && l->state == state; }

unsigned link_frame(struct link *l, const struct frame *f, const char *text, unsigned n) {
    if (f->ctrl == FRAME_RESET)
        return got_reset(l, f);
    if (l->state == LINK_IDLE)
        return f->ctrl == FRAME_SYN && !link_is_guest(l) ? got_syn(l, f, text, n) : 0;
    if (l->state == LINK_SYN_SENT)
        return f->ctrl == FRAME_SYNACK ? got_synack(l, f, text, n) : 0;
    if (host_is(l, LINK_CONNECTING))
        return violated(l, "a frame before the SYNACK");
    if (!frame_same(&f->tokens, &l->tokens))
        return violated(l, "wrong token");
    if (host_is(l, LINK_SYN_RCVD) && f->ctrl == FRAME_ACK && !f->length) {
        l->state = LINK_ESTABLISHED;
        return 0;
    }
    if (l->state == LINK_ESTABLISHED && f->ctrl == FRAME_DATA)
        return got_data(l, f);
    return violated(l, host_is(l, LINK_SYN_RCVD) ? "a frame that is not the ACK" : "wrong ctrl");
}

unsigned link_connected(struct link *l, const unsigned char host_token[FRAME_TOKEN]) {
    memcpy(l->tokens.host, host_token, FRAME_TOKEN);
    l->state = LINK_SYN_RCVD;
    return LINK_SEND_SYNACK;
}

static unsigned local_eof(struct link *l) {
    if (l->state != LINK_ESTABLISHED || l->sent_eof)
        return 0;
    l->sent_eof = true;
    if (!l->eos)
        return 0;
    return l->got_eof ? closing(l, false, NULL, LINK_SEND_EOS) : LINK_SEND_EOS;
}

static unsigned timeout(struct link *l) {
    if (host_is(l, LINK_CONNECTING))
        return refuse(l, "timeout in connect");
    if (host_is(l, LINK_SYN_RCVD))
        return refuse(l, "no ACK");
    switch (l->state) {
    case LINK_SYN_SENT:
        return refuse(l, "no answer from the host");
    case LINK_ESTABLISHED:
        if (!l->eos)
            return over(l, LINK_SEND_RESET | LINK_CLOSE);
        l->why = "half-closed and idle for too long";
        return over(l, LINK_SEND_RESET | LINK_ABORT);
    case LINK_CLOSING:
        return over(l, LINK_ABORT);
    default:
        return 0;
    }
}

unsigned link_event(struct link *l, enum link_event event, const char *why) {
    if (l->state == LINK_IDLE || l->state == LINK_OVER)
        return 0;
    switch (event) {
    case LINK_REFUSED:
        return refuse(l, why);
    case LINK_LOCAL_EOF:
        return local_eof(l);
    case LINK_BAD:
        return violated(l, "not a frame of version 1");
    case LINK_TIMEOUT:
        return timeout(l);
    case LINK_DELIVERED:
        return over(l, l->abort ? LINK_ABORT : LINK_CLOSE);
    case LINK_DETACH:
        if (l->state == LINK_CLOSING)
            return 0;
        return l->state < LINK_ESTABLISHED ? over(l, LINK_ABORT) : closing(l, true, "the channel is gone", 0);
    case LINK_LOCAL_ERROR:
    case LINK_STOP:
        if (l->state == LINK_CLOSING)
            return over(l, LINK_ABORT);
        l->why = why;
        return over(l, LINK_SEND_RESET | LINK_ABORT);
    }
    return 0;
}

long link_patience(const struct link *l, bool stuck) {
    switch (l->state) {
    case LINK_SYN_SENT:
    case LINK_SYN_RCVD:
        return CONFIG_HANDSHAKE_TIMEOUT * 1000L;
    case LINK_CONNECTING:
        return CONFIG_CONNECT_TIMEOUT * 1000L;
    case LINK_ESTABLISHED:
        if (!l->sent_eof && !l->got_eof)
            return 0;
        if (l->eos || stuck)
            return CONFIG_HALF_CLOSED_TIMEOUT * 1000L;
        return link_is_guest(l) ? LINGER : LINGER_HOST;
    case LINK_CLOSING:
        return CONFIG_HALF_CLOSED_TIMEOUT * 1000L;
    default:
        return 0;
    }
}

bool link_lingers(const struct link *l) {
    return l->state == LINK_ESTABLISHED && l->sent_eof && !l->eos;
}

bool link_may_explain(const struct link *l) { return link_is_guest(l) || l->offered; }

bool link_reads_local(const struct link *l) { return l->state == LINK_ESTABLISHED && !l->sent_eof; }

const char *link_prey(const struct link *l) { return l->state == LINK_SYN_SENT ? "CH" : NULL; }

bool link_concerns(const struct link *l, const struct frame *f) {
    return !memcmp(f->tokens.guest, l->tokens.guest, FRAME_TOKEN) ||
           (f->ctrl == FRAME_RESET && l->first && frame_same(&f->tokens, &refusal));
}

bool link_greeted(const struct link *l, const struct frame *f) {
    return l->state == LINK_SYN_SENT && f->ctrl == FRAME_RESET && frame_same(&f->tokens, &link_greeting);
}

const char *link_state_name(const struct link *l) {
    static const char names[][12] = {"IDLE", "SYN_SENT", "CONNECTING", "SYN_RCVD", "ESTABLISHED", "CLOSING", "OVER"};

    if (l->state == LINK_IDLE)
        return link_is_guest(l) ? "CLOSED" : "LISTEN";
    return names[l->state];
}
