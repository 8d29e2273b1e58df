/* SPDX-License-Identifier: Apache-2.0 */
/* pool: slots of one size in a static table. The slot that was given back last is taken first: its
 * pages are there, and in the cache. So few slots are touched if few are in use at once. */
#ifndef VIOS_POOL_H
#define VIOS_POOL_H

#include <stddef.h>

/* base, all, size: the table, which begins on a page, its bytes, and those of a slot, which is
 * aligned as a pointer and holds one. free: the first free slot of those that were in use; each
 * begins with a pointer to the next. touched: slots that were ever in use; in_use: those that are
 * now. */
struct pool {
    void *base;
    size_t all, size;
    void *free;
    unsigned touched, in_use;
};

#define POOL(table) \
    { table, sizeof(table), sizeof *(table), NULL, 0, 0 }

/* A slot, with whatever was in it. There must be one: the caller counts. */
void *pool_take(struct pool *p);
void pool_give(struct pool *p, void *slot);

/* If no slot is in use: gives the table's memory back to the kernel. */
void pool_trim(struct pool *p);

#endif
