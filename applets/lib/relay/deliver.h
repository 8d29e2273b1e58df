/* SPDX-License-Identifier: Apache-2.0 */
/* deliver: from the channel to the TCP side. Of version 1 the payload waits in the channel's input,
 * of a shared channel in the connection's window. */
#ifndef VIOS_DELIVER_H
#define VIOS_DELIVER_H

#include "relay/conn.h"

/* What waits goes to the channel's TCP sides, as far as they take it now, and while others wait as
 * much as a turn has; the rest has the next one. True if there may be more. */
bool deliver_all(struct channel *ch);

/* (shared) n bytes of payload, within the window, for the TCP side. What that does not take at once
 * waits. */
void deliver_now(struct conn *c, const unsigned char *p, size_t n);

#endif
