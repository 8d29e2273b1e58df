/* SPDX-License-Identifier: Apache-2.0 */
/* turns: what a shared channel sends: frames without payload first, then the connections that have
 * something to send and credit for it, in turn. vios-protocol(7), sharing rule 8. */
#ifndef VIOS_TURNS_H
#define VIOS_TURNS_H

#include "relay/conn.h"

/* The most bytes of a write; and of one connection at once, while no other has any. */
enum { TURNS_WRITE = 32768, TURNS_ALONE = CONFIG_BUFFER_SIZE };

/* Writes what is owed, due, and to be sent, as far as the channel takes it and this is not more
 * than its turn. True if that was anything, and there may be more to do at once. */
bool turns_run(struct channel *ch);

#endif
