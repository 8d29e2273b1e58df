/* SPDX-License-Identifier: Apache-2.0 */
/* tally: how the handshakes of one target went, and how long they took. */
#ifndef VIOS_TALLY_H
#define VIOS_TALLY_H

#include "diagnose/probe.h"

enum { TALLY_MAX = 100000 };

/* Forgets the last target; one more handshake, of so many microseconds, TALLY_MAX at most; how many
 * there were. */
void tally_begin(void);
void tally_add(enum probe_result r, unsigned us);
unsigned tally_count(void);

/* Prints it after this name, or (NULL) as JSON. */
void tally_show(const char *name);

#endif
