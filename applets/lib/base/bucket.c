/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bucket.h"

unsigned bucket_add(struct bucket *d, long long now, unsigned rate, unsigned cost) {
    unsigned long long paid = (unsigned long long)(now - d->at) * rate;

    d->at = now;
    d->owed = (d->owed > paid ? d->owed - (unsigned)paid : 0) + cost;
    return d->owed;
}
