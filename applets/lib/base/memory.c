/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <stdint.h>
#include <sys/mman.h>

/* syscalls: madvise */

extern char __executable_start[], etext[]; /* the linker's names for the ends of the code */

void *memory_reserve(size_t n) {
    void *p =
        mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, n, MADV_NOHUGEPAGE); /* whose first use would take 2 MiB */
    return p;
}

void memory_give_back(void *p, size_t n) {
    uintptr_t begin = ((uintptr_t)p + MEMORY_PAGE - 1) & ~(uintptr_t)(MEMORY_PAGE - 1);
    uintptr_t end = ((uintptr_t)p + n) &
                    ~(uintptr_t)(MEMORY_PAGE - 1); /* madvise() would round up, over what follows */

    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void memory_trim(void) {
    memory_give_back(__executable_start,
                     (uintptr_t)etext - (uintptr_t)__executable_start + MEMORY_PAGE - 1);
}
