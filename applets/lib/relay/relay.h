/* SPDX-License-Identifier: Apache-2.0 */
/* relay: moves bytes between channels and the TCP sides of their connections: one event in, all
 * that can be done now out. */
/* clang-format off */
/*   TCP side  --> read(), after room for a header --> output: one write() --> channel
 *   TCP side  <-- write() of the payload <-- input: headers taken out <-- read() <-- channel
 *
 *   on_channel, on_tcp   something is ready: read it
 *   relay_pump           receiver (input -> frames -> sessions), TCP sides, sender (frames that are
 *                        due -> output), until nothing moves; then gives back what is empty, and
 *                        sets what select() waits for
 *
 * Nothing here decides what a channel is used for next: it is marked, and reviewed before the loop
 * sleeps. */
/* clang-format on */
#ifndef VIOS_RELAY_H
#define VIOS_RELAY_H

#include "relay/role.h"

/* Once, before all else. busy: the most channels that may be busy at once; connections: the most
 * that there may be. */
void relay_init(const struct role *role, unsigned busy, unsigned connections);

/* A channel has just been opened: reads what waits, so that it is known whether a host is attached.
 */
void relay_start(struct channel *ch);

/* After anything has happened to the channel or its connections. */
void relay_pump(struct channel *ch);

/* Whether the channel's port has been unplugged; then it is closed, and what it carries ends,
 * whatever its TCP peer does. */
bool relay_check(struct channel *ch);

/* Ends all connections: true while frames are still owed. Call again when something was ready. */
bool relay_stop(void);

#endif
