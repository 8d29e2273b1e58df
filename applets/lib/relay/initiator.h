/* SPDX-License-Identifier: Apache-2.0 */
/* initiator: the end of the protocol that sends SYN, for a client. vios-protocol(7), the guest's
 * rules. */
#ifndef VIOS_INITIATOR_H
#define VIOS_INITIATOR_H

#include "relay/role.h"

extern const struct role initiator;

/* Before all else: how long a client waits for the answer to its SYN, in milliseconds. */
void initiator_init(long patience);

/* A port has been opened: what the host still has of a program that was killed ends.
 * vios-protocol(7), sharing rule 9. */
void initiator_greet(struct channel *ch);

/* Carries the client fd over the free, attached channel. name: the service that it gets; NULL: the
 * default one. since: loop_now() when the client came. */
void initiator_open(struct channel *ch, int fd, const char *client, const char *name,
                    long long since);

/* Takes the client away from a connection whose SYN has no answer yet, and gives that up. The
 * client's fd. */
int initiator_take(struct conn *c);

/* Ends a connection that lingers: its time is over. */
void initiator_finish(struct conn *c);

/* Whether another channel should have the client: this one's host has not answered for
 * CONFIG_MOVE_TIMEOUT. vios-protocol(7), guest rule 6. */
bool initiator_is_late(const struct conn *c);

#endif
