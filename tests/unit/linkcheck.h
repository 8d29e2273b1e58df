/* SPDX-License-Identifier: Apache-2.0 */
/* linkcheck: what holds for a link after any event; abort() if it does not. */
#ifndef VIOS_LINKCHECK_H
#define VIOS_LINKCHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "../../applets/lib/link.h"

#define LINKCHECK(condition)                                                                                                     \
    do {                                                                                                                         \
        if (!(condition)) {                                                                                                      \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                     \
            abort();                                                                                                             \
        }                                                                                                                        \
    } while (0)

static inline void linkcheck_state(const struct link *l) {
    LINKCHECK(l->state <= LINK_OVER);
    LINKCHECK(l->role == LINK_HOST || (l->state != LINK_CONNECTING && l->state != LINK_SYN_RCVD));
    LINKCHECK(l->role == LINK_GUEST || l->state != LINK_SYN_SENT);
    LINKCHECK(!l->eos || l->offered);
    LINKCHECK(!l->got_eof || l->eos);
    LINKCHECK(!(l->sent_eof && l->got_eof) || l->state >= LINK_CLOSING);
    LINKCHECK(!link_reads_local(l) || l->state == LINK_ESTABLISHED);
    LINKCHECK(link_patience(l, false) >= 0 && link_patience(l, true) >= link_patience(l, false));
    LINKCHECK((l->state == LINK_SYN_SENT) == (link_prey(l) != NULL));
    LINKCHECK(*link_state_name(l));
}

/* One event: the frame, or (NULL) the event. */
static inline unsigned linkcheck_step(struct link *l, const struct frame *f, enum link_event event) {
    struct link before = *l;
    unsigned actions = f ? link_frame(l, f, "Ebcdefgh", f->length < 8 ? f->length : 8) : link_event(l, event, "why");

    linkcheck_state(l);
    LINKCHECK(!(actions & LINK_SEND_SYN));
    LINKCHECK(!(actions & LINK_CLOSE) || !(actions & LINK_ABORT));
    LINKCHECK(before.state != LINK_OVER || (!actions && l->state == LINK_OVER));
    LINKCHECK(before.state != LINK_CLOSING || l->state >= LINK_CLOSING);
    LINKCHECK(l->state == LINK_IDLE || l->state >= before.state);           /* only forward */
    LINKCHECK(before.state == LINK_IDLE || l->state != LINK_IDLE);
    LINKCHECK(!(actions & LINK_SEND_RESET) || l->state >= LINK_CLOSING);    /* a RESET ends it */
    LINKCHECK(l->state < LINK_CLOSING || before.state >= LINK_CLOSING || actions & (LINK_CLOSE | LINK_ABORT));
    LINKCHECK(!(actions & LINK_SEND_EOS) || (l->eos && l->sent_eof && !before.sent_eof));
    LINKCHECK(!(actions & LINK_DELIVER) || (l->state == LINK_ESTABLISHED && f && f->ctrl == FRAME_DATA && f->length));
    LINKCHECK(!(actions & LINK_CONNECT) || (before.state == LINK_IDLE && l->state == LINK_CONNECTING));
    LINKCHECK(!(actions & LINK_SEND_SYNACK));
    LINKCHECK(!(actions & LINK_SEND_ACK) || (before.state == LINK_SYN_SENT && l->state == LINK_ESTABLISHED));
    return actions;
}

#endif
