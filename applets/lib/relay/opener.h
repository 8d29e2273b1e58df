/* SPDX-License-Identifier: Apache-2.0 */
/* opener: opens channels, and says why it could not. */
#ifndef VIOS_OPENER_H
#define VIOS_OPENER_H

#include "relay/channel.h"

/* Opens the character device, or connects to the unix socket, at path; of a channel with a guest
 * nothing but a socket, no link being followed below the root. 0, or -1 after a message (once for
 * each failure in a row) and with retry set, for a later try; without a message if it is only not
 * yet its turn. */
int opener_open(struct channel *ch, const char *path, long long now);

/* Why the channel could not be opened, which is (was) at path: in a static buffer. */
const char *opener_why(const struct channel *ch, const char *path);

/* (host) Whether what was left alone, as a monitor, is another socket now. */
bool opener_sees_another(const struct channel *ch);

#endif
