/* SPDX-License-Identifier: Apache-2.0 */
#include "crowd.h"

#include "memory.h"

enum { FIRSTS = 40, CROWDS = 64 };

/* Of guests whose names have the same hash. since: when the first of count messages came. */
static MEMORY_BULK struct crowd {
    struct log_limit rest;
    unsigned count;
    long long since;
} crowds[CROWDS];

struct log_limit *crowd_limit(const char *name, size_t n, long long now) {
    unsigned hash = 0;
    struct crowd *c;

    while (n--)
        hash = hash * 31 + (unsigned char)*name++;
    c = &crowds[hash % CROWDS];
    if (now - c->since >= LOG_QUIET) {
        c->since = now;
        c->count = 0;
    }
    return ++c->count > FIRSTS ? &c->rest : NULL;
}
