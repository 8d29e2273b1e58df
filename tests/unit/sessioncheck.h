/* SPDX-License-Identifier: Apache-2.0 */
/* sessioncheck: what holds for a link after any event; abort() if it does not. */
#ifndef VIOS_SESSIONCHECK_H
#define VIOS_SESSIONCHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "../../applets/lib/wire/session.h"

#define SESSIONCHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

static inline void sessioncheck_state(const struct session *l) {
    SESSIONCHECK(l->state <= SESSION_OVER);
    SESSIONCHECK(l->role == SESSION_HOST ||
                 (l->state != SESSION_CONNECTING && l->state != SESSION_SYN_RCVD));
    SESSIONCHECK(l->role == SESSION_GUEST || l->state != SESSION_SYN_SENT);
    SESSIONCHECK(!l->eos || l->offered);
    SESSIONCHECK(!l->got_eof || l->eos);
    SESSIONCHECK(!(l->sent_eof && l->got_eof) || l->state >= SESSION_CLOSING);
    SESSIONCHECK(!session_reads_local(l) || l->state == SESSION_ESTABLISHED ||
                 (l->shared && l->state == SESSION_SYN_SENT));
    SESSIONCHECK(!l->many || l->eos);
    SESSIONCHECK(!l->shared || (l->many && l->state != SESSION_SYN_RCVD));
    SESSIONCHECK(l->credit <= SESSION_CREDIT_MAX && l->granted <= SESSION_CREDIT_MAX);
    SESSIONCHECK(l->shared || (!l->credit && !l->granted));
    SESSIONCHECK(session_timeout(l, false) >= 0 &&
                 session_timeout(l, true) >= session_timeout(l, false));
    SESSIONCHECK((l->state == SESSION_SYN_SENT) == (session_wanted(l) != NULL));
    SESSIONCHECK(*session_state_name(l));
}

/* What it does: the frame, or (NULL) the event. A WINDOW on a shared channel has its number from
 * its length: 0, more than may be, or a few; or is itself of another length. */
static inline unsigned sessioncheck_do(struct session *l, const struct frame *f,
                                       enum session_event event) {
    unsigned n;

    if (!f)
        return session_event(l, event, "why");
    n = f->length < 8 ? f->length : 8;
    if (f->ctrl == FRAME_WINDOW && l->shared)
        return session_window(l,
                              f->length & 1   ? "\0\0\0\7"
                              : f->length & 2 ? "\177\1\1\1"
                                              : "\0\0\0",
                              f->length > 250 ? 3 : 4);
    return session_frame(l, f, "EM M7 fg", n);
}

/* One event: the frame, or (NULL) the event. */
static inline unsigned sessioncheck_step(struct session *l, const struct frame *f,
                                         enum session_event event) {
    struct session before = *l;
    unsigned actions = sessioncheck_do(l, f, event);

    sessioncheck_state(l);
    SESSIONCHECK(!(actions & SESSION_SEND_SYN));
    SESSIONCHECK(!(actions & SESSION_CLOSE) || !(actions & SESSION_ABORT));
    SESSIONCHECK(before.state != SESSION_OVER || (!actions && l->state == SESSION_OVER));
    SESSIONCHECK(before.state != SESSION_CLOSING || l->state >= SESSION_CLOSING);
    SESSIONCHECK(l->state == SESSION_IDLE || l->state >= before.state); /* only forward */
    SESSIONCHECK(before.state == SESSION_IDLE || l->state != SESSION_IDLE);
    SESSIONCHECK(!(actions & SESSION_SEND_RESET) ||
                 l->state >= SESSION_CLOSING); /* a RESET ends it */
    SESSIONCHECK(l->state < SESSION_CLOSING || before.state >= SESSION_CLOSING ||
                 actions & (SESSION_CLOSE | SESSION_ABORT));
    SESSIONCHECK(!(actions & SESSION_SEND_EOS) || (l->eos && l->sent_eof && !before.sent_eof));
    SESSIONCHECK(!(actions & SESSION_DELIVER) || ((l->state == SESSION_ESTABLISHED ||
                                                   (l->shared && l->state == SESSION_CONNECTING)) &&
                                                  f && f->ctrl == FRAME_DATA && f->length));
    SESSIONCHECK(!l->shared || !(actions & SESSION_DELIVER) ||
                 l->granted == before.granted - f->length);
    SESSIONCHECK(l->credit >= before.credit || l->state == SESSION_IDLE);
    SESSIONCHECK(!(actions & SESSION_CONNECT) ||
                 (before.state == SESSION_IDLE && l->state == SESSION_CONNECTING));
    SESSIONCHECK(!(actions & SESSION_SEND_SYNACK));
    SESSIONCHECK(!(actions & SESSION_SEND_ACK) || (!l->shared && before.state == SESSION_SYN_SENT &&
                                                   l->state == SESSION_ESTABLISHED));
    return actions;
}

#endif
