/* SPDX-License-Identifier: Apache-2.0 */
/* share: a channel that carries many connections: when that begins and ends, and what comes over
 * it meanwhile. vios-protocol(7), MANY CONNECTIONS ON A CHANNEL. */
/* clang-format off */
/*   one connection   version 1: receiver.c looks for its frames; it agrees to M in its handshake
 *   shared           from the SYNACK (initiator) or its ACK (responder) on: each frame names its
 *                    connection; payload goes to its TCP side at once, or into its window
 *   apart            it ended: what has come still goes to the TCP sides, then these are aborted;
 *                    the channel is at version 1's beginning */
/* clang-format on */
#ifndef VIOS_SHARE_H
#define VIOS_SHARE_H

#include "relay/role.h"

/* If the connection that the channel carries is open and has agreed to it: it is shared from now
 * on. f: the frame by which it has come to that, a SYNACK or ACK. */
void share_begin(struct channel *ch, const struct frame *f);

/* Ends the sharing and its connections. tell: the peer must be told. why: for the log; NULL: the
 * peer has gone. */
void share_end(struct channel *ch, bool tell, const char *why);

/* One step of what has come: a frame's header, or payload. */
void share_step(struct channel *ch);

/* What was gathered for one connection goes to it. */
void share_flush(struct channel *ch);

/* After what has come was decoded: whether the rest of a frame is awaited, and until when. */
void share_await(struct channel *ch);

#endif
