/* SPDX-License-Identifier: Apache-2.0 */
/* bucket: a leaky bucket: costs are added, and drain at a fixed rate. */
#ifndef VIOS_BUCKET_H
#define VIOS_BUCKET_H

/* owed: the level at the time `at`, in milliseconds. */
struct bucket {
    long long at;
    unsigned owed;
};

/* Drains `rate` a millisecond until now, then adds a cost. Returns the level. */
unsigned bucket_add(struct bucket *d, long long now, unsigned rate, unsigned cost);

#endif
