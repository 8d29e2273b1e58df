/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"

#include <string.h>

#include "base/memory.h"

enum { FIRSTS = 40, CROWDS = 64, NAMES = 1024 };

/* One for all guests whose names have the same hash. since: when the first of count messages came.
 */
static MEMORY_BULK struct crowd {
    struct log_limit rest;
    unsigned count;
    long long since;
} crowds[CROWDS];

static unsigned hash_of(const char *name, size_t n) {
    unsigned hash = 0;

    while (n--)
        hash = hash * 31 + (unsigned char)*name++;
    return hash;
}

bool limits_is_new(const char *name) {
    static MEMORY_BULK unsigned seen[NAMES];
    static unsigned count;
    unsigned hash = hash_of(name, strlen(name));

    for (unsigned i = 0; i < count; i++)
        if (seen[i] == hash)
            return false;
    if (count == NAMES)
        return false;
    seen[count++] = hash;
    return true;
}

struct log_limit *limits_of(const char *name, size_t n, long long now) {
    struct crowd *c = &crowds[hash_of(name, n) % CROWDS];

    if (now - c->since >= LOG_QUIET) {
        c->since = now;
        c->count = 0;
    }
    return ++c->count > FIRSTS ? &c->rest : NULL;
}
