/* SPDX-License-Identifier: Apache-2.0 */
/* guestsock: (host, -R) a unix socket for each guest, that comes and goes with it: -u with %g for
 * its name. */
#ifndef VIOS_GUESTSOCK_H
#define VIOS_GUESTSOCK_H

#include "relay/guests.h"
#include "relay/setup.h"

/* Whether setup has such a path. */
bool guestsock_init(const struct setup *setup);
bool guestsock_is_wanted(void);

/* One more channel of the guest; its last one goes. */
void guestsock_join(struct guest *g);
void guestsock_leave(struct guest *g);

/* Tries again what has failed: milliseconds until it wants to be called again, or -1. */
long guestsock_timer(void);

/* All sockets are removed. */
void guestsock_end(void);

#endif
