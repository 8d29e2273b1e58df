/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/window.h"

#include <string.h>
#include <sys/uio.h>

/* syscalls (guest host): writev */

void window_put(struct window *w, const unsigned char *p, size_t n) {
    unsigned at = (w->head + w->n) % WINDOW_BYTES, end = at + (unsigned)n;
    size_t first = end > WINDOW_BYTES ? WINDOW_BYTES - at : n;

    memcpy(w->bytes + at, p, first);
    memcpy(w->bytes, p + first, n - first);
    w->n += (unsigned)n;
    if (end > WINDOW_BYTES)
        end = WINDOW_BYTES;
    if (end > w->touched)
        w->touched = end;
}

ssize_t window_write(struct window *w, int fd) {
    unsigned first = w->head + w->n > WINDOW_BYTES ? WINDOW_BYTES - w->head : w->n;
    struct iovec v[2] = {{w->bytes + w->head, first}, {w->bytes, w->n - first}};
    ssize_t n = writev(fd, v, 2);

    if (n <= 0)
        return n;
    w->head = (w->head + (unsigned)n) % WINDOW_BYTES;
    w->n -= (unsigned)n;
    if (!w->n)
        window_empty(w);
    return n;
}

/* So many bytes stay, until it is quiet: what is used again at once would cost as much each
 * time. */
enum { KEEP = 65536 };

void window_empty(struct window *w) {
    w->head = w->n = 0;
    if (w->touched > KEEP)
        window_trim(w);
}

void window_trim(struct window *w) {
    if (w->n || !w->touched)
        return;
    memory_give_back(w->bytes, w->touched + MEMORY_PAGE - 1);
    w->touched = 0;
}
