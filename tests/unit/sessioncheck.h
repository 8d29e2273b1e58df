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
    SESSIONCHECK(!session_reads_local(l) || l->state == SESSION_ESTABLISHED);
    SESSIONCHECK(session_timeout(l, false) >= 0 &&
                 session_timeout(l, true) >= session_timeout(l, false));
    SESSIONCHECK((l->state == SESSION_SYN_SENT) == (session_wanted(l) != NULL));
    SESSIONCHECK(*session_state_name(l));
}

/* One event: the frame, or (NULL) the event. */
static inline unsigned sessioncheck_step(struct session *l, const struct frame *f,
                                         enum session_event event) {
    struct session before = *l;
    unsigned actions = f ? session_frame(l, f, "Ebcdefgh", f->length < 8 ? f->length : 8)
                         : session_event(l, event, "why");

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
    SESSIONCHECK(!(actions & SESSION_DELIVER) ||
                 (l->state == SESSION_ESTABLISHED && f && f->ctrl == FRAME_DATA && f->length));
    SESSIONCHECK(!(actions & SESSION_CONNECT) ||
                 (before.state == SESSION_IDLE && l->state == SESSION_CONNECTING));
    SESSIONCHECK(!(actions & SESSION_SEND_SYNACK));
    SESSIONCHECK(!(actions & SESSION_SEND_ACK) ||
                 (before.state == SESSION_SYN_SENT && l->state == SESSION_ESTABLISHED));
    return actions;
}

#endif
