/* SPDX-License-Identifier: Apache-2.0 */
/* session: the state machine of one connection, for both ends of protocol version 1 and its
 * extension. Pure: no fd, no clock, no log. An event goes in, a set of actions comes out, and the
 * relay carries them out. */
/* clang-format off */
/*   state        initiator (guest)                      responder (host)
 *
 *   IDLE         session_open -> SYN; SYN_SENT          SYN -> CONNECT; CONNECTING
 *   SYN_SENT     own SYNACK -> ACK; ESTABLISHED
 *                own RESET, or RRRR after the only SYN -> CLOSE; OVER
 *                TIMEOUT -> RESET CLOSE; OVER
 *                (without its host the relay waits half a second for another one, and sends
 *                SYN again)
 *   CONNECTING                                          session_connected -> SYNACK; SYN_RCVD
 *                                                       REFUSED, TIMEOUT -> RESET; OVER
 *                                                       RESET -> CLOSE; OVER
 *                                                       any other frame -> RESET CLOSE; OVER
 *   SYN_RCVD                                            ACK -> ; ESTABLISHED
 *                                                       RESET -> CLOSE; OVER
 *                                                       any other frame, TIMEOUT -> RESET CLOSE;
 *                                                       OVER
 *   ESTABLISHED  both ends alike:
 *                DATA -> DELIVER
 *                DATA of length 0, E agreed -> SHUT (CLOSE; CLOSING when both have ended)
 *                RESET -> CLOSE or ABORT; CLOSING
 *                any other frame -> RESET ABORT; CLOSING
 *                LOCAL_EOF, E agreed -> EOS
 *                LOCAL_EOF without E -> ; then TIMEOUT (linger) -> RESET CLOSE; OVER
 *   CLOSING      nothing more is read from the channel; what came before is being delivered
 *                DELIVERED, TIMEOUT -> ; OVER
 *   OVER         the TCP side is done with; bytes owed to the channel may still have to go
 *   any          LOCAL_ERROR, STOP -> RESET ABORT; OVER
 *                DETACH -> ABORT; CLOSING (OVER before ESTABLISHED, nothing in CLOSING)
 *
 * CONNECTING is a part of the protocol's SYN_RCVD; IDLE is its CLOSED (guest) or LISTEN (host). */
/* clang-format on */
#ifndef VIOS_SESSION_H
#define VIOS_SESSION_H

#include <stdbool.h>

#include "wire/frame.h"

enum session_role { SESSION_GUEST, SESSION_HOST };

/* Whether this binary responds: connects to services. */
#define SESSION_RESPONDS (CONFIG_VIOS_PROXY_HOST || CONFIG_FEATURE_INWARD)

enum session_state {
    SESSION_IDLE,
    SESSION_SYN_SENT,
    SESSION_CONNECTING,
    SESSION_SYN_RCVD,
    SESSION_ESTABLISHED,
    SESSION_CLOSING,
    SESSION_OVER,
};

enum session_event {
    SESSION_REFUSED,     /* the service did not answer our connect; why: the relay's text */
    SESSION_LOCAL_EOF,   /* the TCP side sends no more, and all that it sent has left */
    SESSION_LOCAL_ERROR, /* the TCP side failed */
    SESSION_BAD,         /* bytes that are no frame, where one must begin */
    SESSION_TIMEOUT,     /* session_timeout() is over */
    SESSION_DELIVERED,   /* CLOSING: all that was received has gone to the TCP side, or never can */
    SESSION_DETACH,      /* the channel is gone, and the peer with it */
    SESSION_STOP,        /* this program ends */
};

/* A set of these, to be done in this order: frames first. A RESET stays due until it is written,
 * and what was received is delivered before a close. vios-protocol(7), common rules 2 and 3. */
enum session_action {
    SESSION_SEND_SYN = 1,    /* RESET + SYN, with filler before if the channel is not aligned */
    SESSION_SEND_SYNACK = 2, /* with the accepted capabilities as payload if the peer offered any */
    SESSION_SEND_ACK = 4,
    SESSION_SEND_EOS = 8, /* DATA of length 0 */
    SESSION_SEND_RESET =
        16, /* with the session's tokens, and l->why as payload if the peer may have it */
    SESSION_CONNECT = 32,       /* begin to connect to the service */
    SESSION_DELIVER = 64,       /* this frame's payload belongs to the TCP side */
    SESSION_SHUT = 128,         /* after delivering: shutdown(SHUT_WR) of the TCP side */
    SESSION_CLOSE = 256,        /* after delivering: an orderly close of the TCP side */
    SESSION_ABORT = 512,        /* after delivering: a close with RST */
    SESSION_SEND_WINDOW = 1024, /* M: what the peer may send more; the caller knows how much */
};

#define SESSION_SENDS \
    (SESSION_SEND_SYN | SESSION_SEND_SYNACK | SESSION_SEND_ACK | SESSION_SEND_EOS | \
     SESSION_SEND_RESET | SESSION_SEND_WINDOW)

/* tokens: valid from SYN_SENT / CONNECTING on; the host token only from SYN_RCVD / ESTABLISHED on,
 * `????` before. offered: SYN_SENT and on, the SYN had capabilities. eos: both sides agreed to `E`;
 * never without offered. sent_eof: the TCP side has ended and, with eos, the end of stream is sent
 * or about to be. got_eof: it came from the peer. first: (guest) this is the channel's only
 * unanswered SYN, so a RESET RRRR is for it. answered: (guest) the host reacted to our SYN. abort:
 * CLOSING ends by RST, else in order. many: both sides agreed to `M`. shared: the connection is on
 * a shared channel. services: both sides agreed to `S`. credit, granted: payload bytes that we may
 * still send, and that the peer may. name: the service's; NULL: the default one. why: the reason of
 * the end, or NULL; it points at a literal or at the caller's text. */
struct session {
    unsigned char role, state;
    bool offered, eos, sent_eof, got_eof, first, answered, abort, many, shared, services;
    unsigned credit, granted;
    struct frame_tokens tokens;
    const char *name, *why;
};

/* The initiator's end. All are, in a binary that does not respond. */
static inline bool session_is_guest(const struct session *l) {
    return !SESSION_RESPONDS || l->role == SESSION_GUEST;
}

/* The connection is on a shared channel. */
static inline bool session_is_shared(const struct session *l) {
    return CONFIG_FEATURE_MANY && l->shared;
}

/* What the session is at. Answered: (guest) the SYN still waits for its SYNACK. Connecting: (host)
 * to the service. Closing: nothing more is read from the channel; over: nor from the TCP side;
 * ending: either. */
static inline bool session_is_open(const struct session *l) {
    return l->state == SESSION_ESTABLISHED;
}
static inline bool session_is_asking(const struct session *l) {
    return l->state == SESSION_SYN_SENT;
}
static inline bool session_is_connecting(const struct session *l) {
    return l->state == SESSION_CONNECTING;
}
static inline bool session_is_closing(const struct session *l) {
    return l->state == SESSION_CLOSING;
}
static inline bool session_is_over(const struct session *l) { return l->state == SESSION_OVER; }
static inline bool session_is_ending(const struct session *l) {
    return l->state >= SESSION_CLOSING;
}

/* The reason with which vios-probe ends its connections. */
#define SESSION_PROBE "vios-probe"

/* The letters of a SYN that offers `S`, with or without `E` and `M`. */
#define SESSION_LETTERS(eos, many) \
    (CONFIG_FEATURE_SERVICES ? (many)  ? "EMS" \
                               : (eos) ? "ES" \
                                       : "S" \
     : (many)                ? "EM" \
     : (eos)                 ? "E" \
                             : "")

/* The capabilities that we know, for a SYN's payload; the accepted ones, for the SYNACK's.
 * vios-protocol(7), extension rule 2. */
extern const char *const session_capabilities;
const char *session_accepted(const struct session *l);

/* The credit with which each direction on a shared channel begins; the most that it may ever be.
 * vios-protocol(7), sharing rule 3. */
#ifndef SESSION_CREDIT /* a test has less */
#define SESSION_CREDIT 4096
#endif
enum { SESSION_CREDIT_MAX = 0x7fffffff };

/* Whether a SYN offers, or a SYNACK accepts, many connections: *most of them, or 1 if it does not
 * say. */
bool session_offers_many(const char *text, unsigned n, unsigned *most);

/* Whether a SYN offers, or a SYNACK accepts, services by name. The first words of the refusal of
 * one that does not exist; why a client is closed if the other side has not accepted names. */
bool session_offers_services(const char *text, unsigned n);
#define SESSION_NO_SERVICE "no service "
#define SESSION_NO_DEFAULT "no default service"
extern const char session_nameless[];

/* Marks the connection as one of a shared channel. (guest) As session_open() for one more client of
 * a shared channel. */
void session_share(struct session *l);
unsigned session_open_shared(struct session *l, const unsigned char guest_token[FRAME_TOKEN],
                             const char *name);

/* WINDOW: the number at text, of n bytes, is how much more may be sent. */
unsigned session_window(struct session *l, const char *text, unsigned n);

/* (guest) A client waits: IDLE -> SYN_SENT. guest_token: 4 bytes of 33..126, new for each call.
 * name: of the service; NULL: the default one. Returns actions. */
unsigned session_open(struct session *l, const unsigned char guest_token[FRAME_TOKEN],
                      const char *name, bool first);

/* A frame from the peer. text, n: the payload of a SYN, SYNACK or RESET, as far as the caller keeps
 * it; that of DATA is not needed. Called for a RESET, and for a frame that was hunted, when its
 * payload is complete; for others at the header. Returns actions.
 * vios-protocol(7), THE PROGRAMS OF 2011, host rule 5, extension rule 3. */
unsigned session_frame(struct session *l, const struct frame *f, const char *text, unsigned n);

/* (host) The service has answered: CONNECTING -> SYN_RCVD. host_token: as guest_token above.
 * Returns actions. */
unsigned session_connected(struct session *l, const unsigned char host_token[FRAME_TOKEN]);

/* Any other event. why: the reason to give for REFUSED, LOCAL_ERROR, STOP, or NULL. Returns
 * actions. */
unsigned session_event(struct session *l, enum session_event event, const char *why);

/* Milliseconds of quiet (no byte moved, no state changed) after which SESSION_TIMEOUT is due; 0:
 * none. stuck: bytes wait for the TCP side to take them. vios-protocol(7), extension rule 4. */
long session_timeout(const struct session *l, bool stuck);

/* Whether it waits for the rest of the other direction, from a peer that does not know `E`: until
 * session_timeout() is over or, in a guest, another client needs the channel. */
bool session_lingers(const struct session *l);

/* Whether the peer may have payload on its RESET (a guest that offered nothing may be the
 * original). vios-protocol(7), extension rules 1 and 2. */
bool session_may_explain(const struct session *l);

/* Whether to read the TCP side: its bytes have somewhere to go; and (shared) whether they may go
 * now. */
bool session_reads_local(const struct session *l);
bool session_has_credit(const struct session *l);

/* The ctrls to hunt for in this state, or NULL when frames must follow one another; and whether a
 * hunted frame is for this session (its SYNACK, a RESET of its SYN), so that its payload is worth
 * waiting for. vios-protocol(7), guest rule 5. */
const char *session_wanted(const struct session *l);
bool session_concerns(const struct session *l, const struct frame *f);

/* The tokens of the RESET with which a host greets when it attaches (vios-protocol(7), host rule
 * 2), and of the one with which the original refuses. Whether the frame is a greeting; and whether
 * it is one while this session waits for its SYNACK, so that our SYN may not have reached the new
 * host. */
extern const struct frame_tokens session_greeting, session_refusal;
bool session_is_greeting(const struct frame *f);
bool session_greeted(const struct session *l, const struct frame *f);

/* A state's name, for tables and logs. */
const char *session_state_name(const struct session *l);

#endif
