/* SPDX-License-Identifier: Apache-2.0 */
/* bucket: what somebody has cost us that they could do without, paid off as time goes by. */
#ifndef VIOS_BUCKET_H
#define VIOS_BUCKET_H

/* owed: at the time `at`, in milliseconds. */
struct bucket {
    long long at;
    unsigned owed;
};

/* Adds a cost, after what has been paid off by now, `rate` a millisecond. Returns what is owed. */
unsigned bucket_add(struct bucket *d, long long now, unsigned rate, unsigned cost);

#endif
