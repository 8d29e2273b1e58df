/* SPDX-License-Identifier: Apache-2.0 */
/* filter: the names that -n chooses. */
#ifndef VIOS_FILTER_H
#define VIOS_FILTER_H

#include <stdbool.h>

#include "base/opt.h"

/* The option's row. */
#if CONFIG_FEATURE_GLOB
#define FILTER_OPT(what) {'n', "GLOB...", what, filter_add},
#else
#define FILTER_OPT(what)
#endif

/* One more pattern, 8 at most. One that can match nothing is FATAL. */
void filter_add(const char *pattern);

/* -n was given; the name matches one of its patterns. */
extern unsigned filter_count;
static inline bool filter_is_given(void) { return CONFIG_FEATURE_GLOB && filter_count; }
bool filter_matches(const char *name);

#endif
