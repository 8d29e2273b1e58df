/* SPDX-License-Identifier: Apache-2.0 */
/* debt: what somebody has cost us that they could do without, paid off as time goes by. */
#ifndef VIOS_DEBT_H
#define VIOS_DEBT_H

/* owed: at the time `at`, in milliseconds. */
struct debt {
    long long at;
    unsigned owed;
};

/* Adds a cost, after what has been paid off by now, `rate` a millisecond. Returns what is owed. */
unsigned debt_add(struct debt *d, long long now, unsigned rate, unsigned cost);

#endif
