/* SPDX-License-Identifier: Apache-2.0 */
/* receiver: from a channel's input to its connections: cuts what came into frames, finds the
 * connection that each is for, and leaves the payload in place for the TCP side. */
#ifndef VIOS_RECEIVER_H
#define VIOS_RECEIVER_H

#include "relay/role.h"

/* Looks at the channel's input, as far as it may be now. True if it was anything. */
bool receiver_run(struct channel *ch);

/* Whether the channel may be read now: there is room, and somebody to look at it. */
bool receiver_may_read(const struct channel *ch);

#endif
