/* SPDX-License-Identifier: Apache-2.0 */
/* guest: clients and the choice of a channel for each. */
#ifndef VIOS_GUEST_H
#define VIOS_GUEST_H

#include "proxy.h"

/* What the choice can lead to. */
enum guest_choice { GUEST_FREE, GUEST_BUSY, GUEST_NO_HOST };

/* The channel for the next client: free, host attached, not silent last time, least recently used; a silent one only if there is no
 * other (never with lively). GUEST_BUSY: a host is attached, but no such channel is free. */
enum guest_choice guest_choose(struct channel **chosen, bool lively);

/* Listens, uses the channels of setup->directory (or of sysfs, if that is the default and missing) until it is told to stop.
 * reject: a client that finds all channels in use is closed at once. Returns the exit status. */
int guest_run(const struct proxy_setup *setup, bool reject);

#endif
