/* SPDX-License-Identifier: Apache-2.0 */
/* responder: the end of the protocol that waits for a SYN, and connects to a service.
 * vios-protocol(7), the host's rules. */
#ifndef VIOS_RESPONDER_H
#define VIOS_RESPONDER_H

#include "base/net.h"
#include "relay/role.h"

extern const struct role responder;

/* Before all else. service: the default one; NULL: there is none. limit: the most connections of
 * one guest, and of one channel. */
void responder_init(const struct net_address *service, unsigned limit);

/* The channel has just been opened, or its host has come. vios-protocol(7), host rule 2. */
void responder_greet(struct channel *ch);

#endif
