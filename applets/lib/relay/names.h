/* SPDX-License-Identifier: Apache-2.0 */
/* names: where channels come from: a directory (dirwatch.h), or sysfs. */
#ifndef VIOS_NAMES_H
#define VIOS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* A name is there (again), as "channel" or "guest/channel"; or it has gone, with all below it ("":
 * all). Also called for names that are known already. False: there is no room for it, so it is
 * called again after again(NULL). */
typedef bool names_fn(const char *name, bool there);

/* start: reports what is there now, and then what comes and goes. again: looks at one name again,
 * or (NULL), when there is room, at those for which there was none. path: what to open for a name,
 * in a static buffer, or NULL when it is gone. timer: looks at some of the names that are due;
 * milliseconds until there is more, or -1; may be NULL. */
struct names {
    void (*start)(names_fn *tell);
    void (*again)(const char *name);
    const char *(*path)(const char *name);
    long (*timer)(void);
};

#endif
