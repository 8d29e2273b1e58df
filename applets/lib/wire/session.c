/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/session.h"

#include <string.h>

#include "wire/offer.h"

enum { EOS_LETTER = 'E', MANY_LETTER = 'M', SERVICE_LETTER = 'S' };
/* Milliseconds after which a TCP side that nobody reads is checked: it may be dead. */
enum { LOOK = 10000 };
/* Milliseconds without progress after which the TCP peer of a shared channel loses what it has not
 * read. */
enum { SHARED_DRAIN = 60000 };
enum { LINGER = CONFIG_LINGER_TIMEOUT ? CONFIG_LINGER_TIMEOUT : 1 };
/* A service that has ended seldom waits for more. */
enum { LINGER_HOST = LINGER / 5 ? LINGER / 5 : 1 };

const struct frame_tokens session_refusal = {{'R', 'R', 'R', 'R'}, {'R', 'R', 'R', 'R'}};

const struct frame_tokens session_greeting = {{'I', 'N', 'I', 'T'}, {'I', 'N', 'I', 'T'}};

const char *const session_capabilities =
    SESSION_LETTERS(CONFIG_FEATURE_HALF_CLOSE, CONFIG_FEATURE_MANY);

const char *session_accepted(const struct session *l) {
    const char *both = CONFIG_FEATURE_MANY && l->many ? "EMS" : l->eos ? "ES" : "S";
    const char *without = CONFIG_FEATURE_MANY && l->many ? "EM" : l->eos ? "E" : "";

    return CONFIG_FEATURE_SERVICES && l->services ? both : without;
}

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
    return CONFIG_FEATURE_HALF_CLOSE && offer_has(text, n, EOS_LETTER);
}

bool session_offers_services(const char *text, unsigned n) {
    return CONFIG_FEATURE_SERVICES && offer_has(text, n, SERVICE_LETTER);
}

/* The number at the beginning of a word. */
static unsigned number(const char *word, unsigned n) {
    unsigned v = 0;

    for (; n && *word >= '0' && *word <= '9' && v < 10000; word++, n--)
        v = v * 10 + (unsigned)(*word - '0');
    return v ? v : 1;
}

bool session_offers_many(const char *text, unsigned n, unsigned *most) {
    unsigned length;
    const char *word = offer_word(text, n, MANY_LETTER, &length);

    *most = word ? number(word, length) : 1;
    return CONFIG_FEATURE_MANY && offers_eos(text, n) && offer_has(text, n, MANY_LETTER);
}

unsigned session_open(struct session *l, const unsigned char guest_token[FRAME_TOKEN],
                      const char *name, bool first) {
    *l = (struct session){
        .role = SESSION_GUEST, .state = SESSION_SYN_SENT, .first = first, .name = name};
    l->offered = *session_capabilities;
    memcpy(l->tokens.guest, guest_token, FRAME_TOKEN);
    memcpy(l->tokens.host, frame_unknown, FRAME_TOKEN);
    return SESSION_SEND_SYN;
}

void session_share(struct session *l) {
    l->shared = true;
    l->credit = l->granted = SESSION_CREDIT;
}

unsigned session_open_shared(struct session *l, const unsigned char guest_token[FRAME_TOKEN],
                             const char *name) {
    session_open(l, guest_token, name, false);
    l->eos = l->many = true;
    session_share(l);
    return SESSION_SEND_SYN;
}

static unsigned got_syn(struct session *l, const struct frame *f, const char *text, unsigned n) {
    unsigned most;

    *l = (struct session){.role = SESSION_HOST,
                          .state = SESSION_CONNECTING,
                          .offered = n > 0,
                          .eos = offers_eos(text, n),
                          .many = session_offers_many(text, n, &most),
                          .services = session_offers_services(text, n)};
    l->tokens = f->tokens;
    memcpy(l->tokens.host, frame_unknown, FRAME_TOKEN);
    return SESSION_CONNECT;
}

/* Its default service is connected. vios-protocol(7), service rule 3. */
const char session_nameless[] = "the other side knows no services by name";

static unsigned got_synack(struct session *l, const struct frame *f, const char *text, unsigned n) {
    unsigned most;

    memcpy(l->tokens.host, f->tokens.host, FRAME_TOKEN);
    l->answered = true;
    l->services = l->offered && session_offers_services(text, n);
    if (CONFIG_FEATURE_SERVICES && l->name && !l->services)
        return refuse(l, session_nameless);
    l->state = SESSION_ESTABLISHED;
    if (session_is_shared(l))
        return 0;
    l->eos = l->offered && offers_eos(text, n);
    l->many = CONFIG_FEATURE_MANY && l->offered && session_offers_many(text, n, &most);
    return SESSION_SEND_ACK;
}

static unsigned got_reset(struct session *l, const struct frame *f) {
    bool own = !memcmp(f->tokens.guest, l->tokens.guest, FRAME_TOKEN);

    if (session_is_shared(l) && l->sent_eof && l->got_eof)
        return 0;
    switch (l->state) {
    case SESSION_SYN_SENT:
        if (!own && !(l->first && frame_same(&f->tokens, &session_refusal)))
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
    if (session_is_shared(l) && f->length > l->granted)
        return violated(l, "DATA beyond the credit");
    if (session_is_shared(l))
        l->granted -= f->length;
    if (!l->eos)
        return f->length ? SESSION_DELIVER : violated(l, "DATA of length 0, without capability E");
    if (l->got_eof)
        return violated(l, "DATA after end of stream");
    if (f->length)
        return SESSION_DELIVER;
    l->got_eof = true;
    return l->sent_eof ? closing(l, false, NULL, 0) : SESSION_SHUT;
}

/* A frame for a connection of a shared channel, other than SYN, RESET and WINDOW. */
static unsigned got_shared(struct session *l, const struct frame *f, const char *text, unsigned n) {
    if (f->ctrl == FRAME_SYNACK && l->state == SESSION_SYN_SENT)
        return got_synack(l, f, text, n);
    if (f->ctrl == FRAME_DATA &&
        (l->state == SESSION_ESTABLISHED || l->state == SESSION_CONNECTING))
        return got_data(l, f);
    return violated(l, "wrong ctrl");
}

unsigned session_window(struct session *l, const char *text, unsigned n) {
    const unsigned char *p = (const unsigned char *)text;
    unsigned more;

    if (session_is_ending(l))
        return 0;
    more = n == 4 ? (unsigned)p[0] << 24 | (unsigned)p[1] << 16 | (unsigned)p[2] << 8 | p[3] : 0;
    if (!more || more > SESSION_CREDIT_MAX - l->credit)
        return violated(l, "a bad WINDOW");
    l->credit += more;
    return 0;
}

/* Whether this is a host's end, in a state that a guest's does not have. */
static bool host_is(const struct session *l, enum session_state state) {
    return !session_is_guest(l) && l->state == state;
}

unsigned session_frame(struct session *l, const struct frame *f, const char *text, unsigned n) {
    if (f->ctrl == FRAME_RESET)
        return got_reset(l, f);
    if (session_is_shared(l))
        return got_shared(l, f, text, n);
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
    l->state = session_is_shared(l) ? SESSION_ESTABLISHED : SESSION_SYN_RCVD;
    return SESSION_SEND_SYNACK;
}

/* A client's bytes on a shared channel go with the SYN. */
static bool may_send(const struct session *l) {
    return l->state == SESSION_ESTABLISHED ||
           (session_is_shared(l) && l->state == SESSION_SYN_SENT);
}

static unsigned local_eof(struct session *l) {
    if (!may_send(l) || l->sent_eof)
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
        return refuse(l, "no answer from the other side");
    case SESSION_ESTABLISHED:
        if (!l->eos)
            return over(l, SESSION_SEND_RESET | SESSION_CLOSE);
        l->why = "half-closed and idle for too long";
        return over(l, SESSION_SEND_RESET | SESSION_ABORT);
    default: /* CLOSING */
        return over(l, SESSION_ABORT);
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

bool session_has_credit(const struct session *l) { return !session_is_shared(l) || l->credit; }

long session_timeout(const struct session *l, bool stuck) {
    switch (l->state) {
    case SESSION_SYN_SENT:
    case SESSION_SYN_RCVD:
        return CONFIG_HANDSHAKE_TIMEOUT * 1000L;
    case SESSION_CONNECTING:
        return CONFIG_CONNECT_TIMEOUT * 1000L;
    case SESSION_ESTABLISHED:
        if (!l->sent_eof && !l->got_eof)
            return session_has_credit(l) ? 0 : LOOK;
        if (l->eos || stuck)
            return CONFIG_HALF_CLOSED_TIMEOUT * 1000L;
        return session_is_guest(l) ? LINGER : LINGER_HOST;
    case SESSION_CLOSING:
        return session_is_shared(l) ? SHARED_DRAIN : CONFIG_HALF_CLOSED_TIMEOUT * 1000L;
    default:
        return 0;
    }
}

bool session_lingers(const struct session *l) {
    return l->state == SESSION_ESTABLISHED && l->sent_eof && !l->eos;
}

bool session_may_explain(const struct session *l) { return session_is_guest(l) || l->offered; }

bool session_reads_local(const struct session *l) { return may_send(l) && !l->sent_eof; }

const char *session_wanted(const struct session *l) {
    return l->state != SESSION_SYN_SENT ? NULL : CONFIG_FEATURE_INWARD ? "ACH" : "CH";
}

bool session_concerns(const struct session *l, const struct frame *f) {
    return !memcmp(f->tokens.guest, l->tokens.guest, FRAME_TOKEN) ||
           (f->ctrl == FRAME_RESET && l->first && frame_same(&f->tokens, &session_refusal));
}

bool session_is_greeting(const struct frame *f) {
    return f->ctrl == FRAME_RESET && !f->length && frame_same(&f->tokens, &session_greeting);
}

bool session_greeted(const struct session *l, const struct frame *f) {
    return l->state == SESSION_SYN_SENT && session_is_greeting(f);
}

const char *session_state_name(const struct session *l) {
    static const char names[][12] = {"IDLE",        "SYN_SENT", "CONNECTING", "SYN_RCVD",
                                     "ESTABLISHED", "CLOSING",  "OVER"};

    if (l->state == SESSION_IDLE)
        return session_is_guest(l) ? "CLOSED" : "LISTEN";
    return names[l->state];
}
