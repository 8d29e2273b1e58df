/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/session.h"

#include <string.h>

enum { EOS_LETTER = 'E', CAPABILITIES_MAX = 16 };
enum { LINGER = CONFIG_LINGER_TIMEOUT ? CONFIG_LINGER_TIMEOUT : 1 };
/* A service that has ended seldom waits for more. */
enum { LINGER_HOST = LINGER / 5 ? LINGER / 5 : 1 };

static const struct frame_tokens refusal = {{'R', 'R', 'R', 'R'}, {'R', 'R', 'R', 'R'}};

const struct frame_tokens session_greeting = {{'I', 'N', 'I', 'T'}, {'I', 'N', 'I', 'T'}};

const char *const session_capabilities = CONFIG_FEATURE_HALF_CLOSE ? "E" : "";

static unsigned over(struct session *l, unsigned actions) {
    l->state = SESSION_OVER;
    return actions;
}

/* Ends with a RESET before there is anything to deliver. */
static unsigned refuse(struct session *l, const char *why) {
    l->why = why;
    return over(l, SESSION_SEND_RESET | SESSION_CLOSE);
}

/* ESTABLISHED ends: what is received goes to the TCP side first. */
static unsigned closing(struct session *l, bool abort, const char *why, unsigned actions) {
    l->state = SESSION_CLOSING;
    l->abort = abort;
    l->why = why;
    return actions | (abort ? SESSION_ABORT : SESSION_CLOSE);
}

static unsigned violated(struct session *l, const char *why) {
    if (l->state == SESSION_ESTABLISHED)
        return closing(l, true, why, SESSION_SEND_RESET);
    return l->state == SESSION_CLOSING || l->state == SESSION_OVER ? 0 : refuse(l, why);
}

static bool offers_eos(const char *text, unsigned n) {
    for (unsigned i = 0; i < n && i < CAPABILITIES_MAX; i++)
        if (CONFIG_FEATURE_HALF_CLOSE && text[i] == EOS_LETTER)
            return true;
    return false;
}

unsigned session_open(struct session *l, const unsigned char guest_token[FRAME_TOKEN], bool first) {
    *l = (struct session){.role = SESSION_GUEST, .state = SESSION_SYN_SENT, .first = first};
    l->offered = *session_capabilities;
    memcpy(l->tokens.guest, guest_token, FRAME_TOKEN);
    memcpy(l->tokens.host, frame_unknown, FRAME_TOKEN);
    return SESSION_SEND_SYN;
}

static unsigned got_syn(struct session *l, const struct frame *f, const char *text, unsigned n) {
    *l = (struct session){.role = SESSION_HOST,
                          .state = SESSION_CONNECTING,
                          .offered = n > 0,
                          .eos = offers_eos(text, n)};
    l->tokens = f->tokens;
    memcpy(l->tokens.host, frame_unknown, FRAME_TOKEN);
    return SESSION_CONNECT;
}

static unsigned got_synack(struct session *l, const struct frame *f, const char *text, unsigned n) {
    memcpy(l->tokens.host, f->tokens.host, FRAME_TOKEN);
    l->eos = l->offered && offers_eos(text, n);
    l->answered = true;
    l->state = SESSION_ESTABLISHED;
    return SESSION_SEND_ACK;
}

static unsigned got_reset(struct session *l, const struct frame *f) {
    bool own = !memcmp(f->tokens.guest, l->tokens.guest, FRAME_TOKEN);

    switch (l->state) {
    case SESSION_SYN_SENT:
        if (!own && !(l->first && frame_same(&f->tokens, &refusal)))
            return 0;
        l->answered = true;
        return over(l, SESSION_CLOSE);
    case SESSION_CONNECTING:
    case SESSION_SYN_RCVD:
        return over(l, SESSION_CLOSE);
    case SESSION_ESTABLISHED:
        /* Without E a RESET is how every connection ends; with it, or from somebody else, it is an
         * abort. */
        return closing(l, l->eos || !frame_same(&f->tokens, &l->tokens), NULL, 0);
    default:
        return 0;
    }
}

static unsigned got_data(struct session *l, const struct frame *f) {
    if (!l->eos)
        return f->length ? SESSION_DELIVER : violated(l, "DATA of length 0, without capability E");
    if (l->got_eof)
        return violated(l, "DATA after end of stream");
    if (f->length)
        return SESSION_DELIVER;
    l->got_eof = true;
    return l->sent_eof ? closing(l, false, NULL, 0) : SESSION_SHUT;
}

/* Whether this is a host's end, in a state that a guest's does not have. */
static bool host_is(const struct session *l, enum session_state state) {
    return !session_is_guest(l) && l->state == state;
}

unsigned session_frame(struct session *l, const struct frame *f, const char *text, unsigned n) {
    if (f->ctrl == FRAME_RESET)
        return got_reset(l, f);
    if (l->state == SESSION_IDLE)
        return f->ctrl == FRAME_SYN && !session_is_guest(l) ? got_syn(l, f, text, n) : 0;
    if (l->state == SESSION_SYN_SENT)
        return f->ctrl == FRAME_SYNACK ? got_synack(l, f, text, n) : 0;
    if (host_is(l, SESSION_CONNECTING))
        return violated(l, "a frame before the SYNACK");
    if (!frame_same(&f->tokens, &l->tokens))
        return violated(l, "wrong token");
    if (host_is(l, SESSION_SYN_RCVD) && f->ctrl == FRAME_ACK && !f->length) {
        l->state = SESSION_ESTABLISHED;
        return 0;
    }
    if (l->state == SESSION_ESTABLISHED && f->ctrl == FRAME_DATA)
        return got_data(l, f);
    return violated(l, host_is(l, SESSION_SYN_RCVD) ? "a frame that is not the ACK" : "wrong ctrl");
}

unsigned session_connected(struct session *l, const unsigned char host_token[FRAME_TOKEN]) {
    memcpy(l->tokens.host, host_token, FRAME_TOKEN);
    l->state = SESSION_SYN_RCVD;
    return SESSION_SEND_SYNACK;
}

static unsigned local_eof(struct session *l) {
    if (l->state != SESSION_ESTABLISHED || l->sent_eof)
        return 0;
    l->sent_eof = true;
    if (!l->eos)
        return 0;
    return l->got_eof ? closing(l, false, NULL, SESSION_SEND_EOS) : SESSION_SEND_EOS;
}

static unsigned timeout(struct session *l) {
    if (host_is(l, SESSION_CONNECTING))
        return refuse(l, "timeout in connect");
    if (host_is(l, SESSION_SYN_RCVD))
        return refuse(l, "no ACK");
    switch (l->state) {
    case SESSION_SYN_SENT:
        return refuse(l, "no answer from the host");
    case SESSION_ESTABLISHED:
        if (!l->eos)
            return over(l, SESSION_SEND_RESET | SESSION_CLOSE);
        l->why = "half-closed and idle for too long";
        return over(l, SESSION_SEND_RESET | SESSION_ABORT);
    case SESSION_CLOSING:
        return over(l, SESSION_ABORT);
    default:
        return 0;
    }
}

unsigned session_event(struct session *l, enum session_event event, const char *why) {
    if (l->state == SESSION_IDLE || l->state == SESSION_OVER)
        return 0;
    switch (event) {
    case SESSION_REFUSED:
        return refuse(l, why);
    case SESSION_LOCAL_EOF:
        return local_eof(l);
    case SESSION_BAD:
        return violated(l, "not a frame of version 1");
    case SESSION_TIMEOUT:
        return timeout(l);
    case SESSION_DELIVERED:
        return over(l, l->abort ? SESSION_ABORT : SESSION_CLOSE);
    case SESSION_DETACH:
        if (l->state == SESSION_CLOSING)
            return 0;
        return l->state < SESSION_ESTABLISHED ? over(l, SESSION_ABORT)
                                              : closing(l, true, "the channel is gone", 0);
    case SESSION_LOCAL_ERROR:
    case SESSION_STOP:
        if (l->state == SESSION_CLOSING)
            return over(l, SESSION_ABORT);
        l->why = why;
        return over(l, SESSION_SEND_RESET | SESSION_ABORT);
    }
    return 0;
}

long session_timeout(const struct session *l, bool stuck) {
    switch (l->state) {
    case SESSION_SYN_SENT:
    case SESSION_SYN_RCVD:
        return CONFIG_HANDSHAKE_TIMEOUT * 1000L;
    case SESSION_CONNECTING:
        return CONFIG_CONNECT_TIMEOUT * 1000L;
    case SESSION_ESTABLISHED:
        if (!l->sent_eof && !l->got_eof)
            return 0;
        if (l->eos || stuck)
            return CONFIG_HALF_CLOSED_TIMEOUT * 1000L;
        return session_is_guest(l) ? LINGER : LINGER_HOST;
    case SESSION_CLOSING:
        return CONFIG_HALF_CLOSED_TIMEOUT * 1000L;
    default:
        return 0;
    }
}

bool session_lingers(const struct session *l) {
    return l->state == SESSION_ESTABLISHED && l->sent_eof && !l->eos;
}

bool session_may_explain(const struct session *l) { return session_is_guest(l) || l->offered; }

bool session_reads_local(const struct session *l) {
    return l->state == SESSION_ESTABLISHED && !l->sent_eof;
}

const char *session_wanted(const struct session *l) {
    return l->state == SESSION_SYN_SENT ? "CH" : NULL;
}

bool session_concerns(const struct session *l, const struct frame *f) {
    return !memcmp(f->tokens.guest, l->tokens.guest, FRAME_TOKEN) ||
           (f->ctrl == FRAME_RESET && l->first && frame_same(&f->tokens, &refusal));
}

bool session_greeted(const struct session *l, const struct frame *f) {
    return l->state == SESSION_SYN_SENT && f->ctrl == FRAME_RESET &&
           frame_same(&f->tokens, &session_greeting);
}

const char *session_state_name(const struct session *l) {
    static const char names[][12] = {"IDLE",        "SYN_SENT", "CONNECTING", "SYN_RCVD",
                                     "ESTABLISHED", "CLOSING",  "OVER"};

    if (l->state == SESSION_IDLE)
        return session_is_guest(l) ? "CLOSED" : "LISTEN";
    return names[l->state];
}
