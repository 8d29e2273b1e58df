/* SPDX-License-Identifier: Apache-2.0 */
/* activate: sockets that a supervisor has opened, by the sd_listen_fds() protocol. */
#ifndef VIOS_ACTIVATE_H
#define VIOS_ACTIVATE_H

#include "base/net.h"

/* Of the first one; the others follow it. */
enum { ACTIVATE_FIRST = 3 };

/* How many there are (0: none), and the addresses at which they listen. One that does not, or more
 * than `most`, is FATAL. */
unsigned activate_take(struct net_address *addresses, unsigned most);

#endif
