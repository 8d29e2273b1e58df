/* SPDX-License-Identifier: Apache-2.0 */
/* scan: looks at the names in directories: at one for which there is an event, or at all, one
 * directory at a time and some names in each turn of the loop, so that nobody waits for it. */
#ifndef VIOS_SCAN_H
#define VIOS_SCAN_H

#include "relay/directory.h"
#include "relay/names.h"

/* fn is called for names from now on. nested: the root has a directory for each guest. */
void scan_init(bool nested, names_fn *fn);

/* Looks at a name in a struct directory: a file_list_fn. */
bool scan_name(const char *base, void *directory);

/* (host) Looks at a part of what is due. Milliseconds until there is more to do, or -1. */
long scan_timer(void);

/* (guest) Looks at all names in the root, of which nobody can make more than can be looked at now.
 */
void scan_now(void);

/* (host) Stops looking at this directory (NULL: at any). */
void scan_stop(const struct directory *d);

#endif
