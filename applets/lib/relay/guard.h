/* SPDX-License-Identifier: Apache-2.0 */
/* guard: (host) what guests send that belongs to no connection: counted, and no more of it read
 * than connections need. */
#ifndef VIOS_GUARD_H
#define VIOS_GUARD_H

#include "relay/conn.h"

/* n bytes have been read from a guest's channel, and none of them is decoded yet. */
void guard_came(struct channel *ch, size_t n);

/* n bytes of junk have come. */
void guard_junk(struct channel *ch, size_t n);

#endif
