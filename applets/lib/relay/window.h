/* SPDX-License-Identifier: Apache-2.0 */
/* window: what a connection of a shared channel has received and its TCP side has yet to take: a
 * ring of fixed size for each connection. It has room for all that the peer may send.
 * vios-protocol(7), sharing rule 3.
 *
 * Its pages are touched only when the TCP side is slow, or has to wait for its turn among others,
 * and given back when it is empty. */
#ifndef VIOS_WINDOW_H
#define VIOS_WINDOW_H

#include <stddef.h>
#include <sys/types.h>

#include "base/memory.h"

/* The most that may be under way of a connection: while it is alone on its channel. Whole pages:
 * what one gives back must be its own. */
enum { WINDOW_BYTES = (4 * CONFIG_WINDOW + MEMORY_PAGE - 1) / MEMORY_PAGE * MEMORY_PAGE };

/* bytes: the ring, WINDOW_BYTES of them. n of them are in use, from head on. touched: of how many
 * the pages may be there. */
struct window {
    unsigned char *bytes;
    unsigned head, n, touched;
};

/* n more bytes. There must be room. */
void window_put(struct window *w, const unsigned char *p, size_t n);

/* Writes what it holds to fd: as write(). */
ssize_t window_write(struct window *w, int fd);

/* Forgets what it holds. If it holds nothing: gives its pages back. */
void window_empty(struct window *w);
void window_trim(struct window *w);

#endif
