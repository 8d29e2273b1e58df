/* SPDX-License-Identifier: Apache-2.0 */
/* tally: how the handshakes of one target went, and how long they took. */
#ifndef VIOS_TALLY_H
#define VIOS_TALLY_H

#include "diagnose/probe.h"

enum { TALLY_MAX = 100000 };

/* Forgets the last target; adds a handshake of `us` microseconds, at most TALLY_MAX of them;
 * their number. */
void tally_begin(void);
void tally_add(enum probe_result r, unsigned us);
unsigned tally_count(void);

/* Prints it after this name, or (NULL) as JSON. */
void tally_show(const char *name);

#endif
