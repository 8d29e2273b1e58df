/* SPDX-License-Identifier: Apache-2.0 */
/* memory: where static data lies, and what is given back. All data is static, and most of it is
 * tables and buffers of which a small guest uses the first lines. */
#ifndef VIOS_MEMORY_H
#define VIOS_MEMORY_H

#include <stddef.h>

enum { MEMORY_PAGE = 4096 };

/* A large table or buffer: it goes after all small data, so that those share a few pages
 * (kbuild/layout.ld). */
#define MEMORY_BULK __attribute__((section(".bss..bulk")))

/* n bytes of address space, zero, that take memory from their first use on; once, for a table whose
 * size is known at the start. Not static data: a small guest refuses to start a program that could
 * need more than it has. NULL with errno: there is none. */
void *memory_reserve(size_t n);

/* Gives the whole pages from p on back: n bytes of static buffers, which are zero from then on. */
void memory_give_back(void *p, size_t n);

/* Gives the pages of code back; those that are needed again are read again. */
void memory_trim(void);

#endif
