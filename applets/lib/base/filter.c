/* SPDX-License-Identifier: Apache-2.0 */
#include "base/filter.h"

#include "base/fmt.h"
#include "base/log.h"

enum { PATTERNS = 8 };

static const char *patterns[PATTERNS];
unsigned filter_count;

void filter_add(const char *pattern) {
    if (!fmt_glob_valid(pattern))
        log_fatal("-n %s: this pattern matches nothing", pattern);
    opt_add('n', patterns, &filter_count, PATTERNS, pattern);
}

bool filter_matches(const char *name) {
    for (unsigned i = 0; i < filter_count; i++)
        if (fmt_glob(patterns[i], name))
            return true;
    return false;
}
