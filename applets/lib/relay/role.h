/* SPDX-License-Identifier: Apache-2.0 */
/* role: what the two ends do differently: the initiator, which sends SYN for its clients, and the
 * responder (responder.c), which connects to a service. Either may stand at a port or at a socket.
 * Only the applets know which one they need, so the linker leaves the other one out. */
#ifndef VIOS_ROLE_H
#define VIOS_ROLE_H

#include "relay/conn.h"

/* session: which end. A function may be NULL: there is nothing to do. hears, stray: bytes have come
 * that belong to no connection: whether they may be looked at now, and one step of that. attached:
 * the port's host has come; renewed: it was replaced unseen. connected: the pending connect of the
 * TCP side is decided. expired: the deadline is over. came: n bytes have been read, and none of
 * them is decoded yet. finished: a connection is at its end, and goes after this. pumped: all has
 * been done that could be done now. syn: on a shared channel, one has come, complete. junk: n bytes
 * have, which are for nobody. */
struct role {
    enum session_role session;
    bool (*hears)(const struct channel *ch);
    void (*stray)(struct channel *ch);
    void (*attached)(struct channel *ch);
    void (*renewed)(struct channel *ch);
    void (*connected)(struct conn *c);
    void (*expired)(struct conn *c);
    void (*came)(struct channel *ch, size_t n);
    void (*finished)(struct conn *c);
    void (*pumped)(struct channel *ch);
    void (*syn)(struct channel *ch);
    void (*junk)(struct channel *ch, size_t n);
};

/* Set once, before all else. */
extern const struct role *role;

/* The other side has sent what this one sends. vios-protocol(7), direction rule 4. */
void role_is_taken(struct channel *ch);

#endif
