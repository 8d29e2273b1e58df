/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include "base/memory.h"

void *pool_take(struct pool *p) {
    void *slot = p->free;

    p->in_use++;
    if (!slot)
        return (char *)p->base + p->touched++ * p->size;
    p->free = *(void **)slot;
    return slot;
}

void pool_give(struct pool *p, void *slot) {
    *(void **)slot = p->free;
    p->free = slot;
    p->in_use--;
}

void pool_trim(struct pool *p) {
    size_t n;

    if (p->in_use || !p->touched)
        return;
    n = p->touched * p->size + MEMORY_PAGE - 1;
    memory_give_back(p->base, n < p->all ? n : p->all);
    p->free = NULL;
    p->touched = 0;
}
