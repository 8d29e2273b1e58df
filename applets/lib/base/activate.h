/* SPDX-License-Identifier: Apache-2.0 */
/* activate: sockets that a supervisor has opened, by the sd_listen_fds() protocol. */
#ifndef VIOS_ACTIVATE_H
#define VIOS_ACTIVATE_H

#include "base/net.h"

/* The first descriptor; the others follow it. */
enum { ACTIVATE_FIRST = 3 };

/* The number of sockets (0: none), and the addresses at which they listen. FATAL if one does not
 * listen, or if there are more than `most`. */
unsigned activate_take(struct net_address *addresses, unsigned most);

#endif
