/* SPDX-License-Identifier: Apache-2.0 */
/* receiver: from a channel to its connection: cuts what came into frames, hands them to the link, and leaves the payload in place
 * for the TCP side. */
#ifndef VIOS_RECEIVER_H
#define VIOS_RECEIVER_H

#include "conn.h"

/* Looks at what has been read of the channel, as far as it may be now. True if it was anything. */
bool receiver_parse(struct conn *c);

/* Whether the channel may be read now: there is room, and somebody to look at it. */
bool receiver_may_read(const struct channel *ch);

#endif
