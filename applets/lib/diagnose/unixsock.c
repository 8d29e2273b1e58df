/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/unixsock.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/sys.h"

/* syscalls (connect): sendto recvfrom */

/* musl has no kernel headers: what follows are parts of <linux/netlink.h>, <linux/sock_diag.h> and
 * <linux/unix_diag.h>. */
enum {
    NETLINK_DIAG = 4,
    BY_FAMILY = 20,
    ERROR = 2,
    DONE = 3,
    REQUEST = 0x1,
    DUMP = 0x300,
    SHOW = 2 | 16,
    VFS = 1,
    QUEUE = 4
};
enum { ESTABLISHED = 1, LISTEN = 10, STATES = 1 << ESTABLISHED | 1 << LISTEN };

struct header {
    uint32_t length;
    uint16_t type, flags;
    uint32_t sequence, port;
};

struct question {
    struct header h;
    uint8_t family, protocol;
    uint16_t pad;
    uint32_t states, inode, show, cookie[2];
};

struct answer {
    struct header h;
    uint8_t family, type, state, pad;
    uint32_t inode, cookie[2];
};

struct attribute {
    uint16_t length, type;
};

/* The value of an attribute of 8 bytes, among n bytes of attributes: inode and device of the file,
 * or how many clients wait and how many may. */
static bool find(const char *p, size_t n, unsigned type, uint32_t value[2]) {
    struct attribute a;

    for (size_t step; n >= sizeof a; n -= step, p += step) {
        memcpy(&a, p, sizeof a);
        step = (a.length + 3u) & ~3u;
        if (a.length < sizeof a || step > n)
            break;
        if (a.type != type || a.length != sizeof a + 8)
            continue;
        memcpy(value, p + sizeof a, 8);
        return true;
    }
    return false;
}

static void take(const struct answer *a, unixsock_fn *fn, void *arg) {
    const char *attributes = (const char *)(a + 1);
    size_t n = a->h.length - sizeof *a;
    uint32_t file[2], queue[2] = {0, 0};
    struct unixsock s = {0};

    if (a->h.length < sizeof *a || a->type != SOCK_STREAM || !find(attributes, n, VFS, file))
        return;
    s.listens = a->state == LISTEN;
    s.inode = a->inode;
    if (s.listens && find(attributes, n, QUEUE, queue))
        s.waiting = queue[0];
    s.file = file[0];
    s.fs = makedev(file[1] >> 20, file[1] & 0xfffff);
    fn(&s, arg);
}

/* Reads one datagram. 1: there are more; 0: that was all; -1: errno. */
static int take_all(const char *p, size_t n, unixsock_fn *fn, void *arg) {
    const struct header *h;

    for (size_t step; n >= sizeof *h; n -= step, p += step) {
        h = (const void *)p;
        step = (h->length + 3u) & ~3u;
        if (h->length < sizeof *h || h->length > n || step > n)
            break;
        if (h->type == DONE)
            return 0;
        if (h->type == ERROR && h->length >= sizeof *h + sizeof(int)) {
            errno = (int)-*(const unsigned *)(h + 1);
            return -1;
        }
        if (h->type == BY_FAMILY)
            take((const struct answer *)h, fn, arg);
    }
    return 1;
}

int unixsock_each(unixsock_fn *fn, void *arg) {
    static _Alignas(8) char text[8192]; /* the most that a kernel sends at once to a reader that has
                                           not asked for more */
    struct question q = {
        {sizeof q, BY_FAMILY, REQUEST | DUMP, 0, 0}, AF_UNIX, 0, 0, STATES, 0, SHOW, {0, 0}};
    ssize_t n;
    int result = -1, fd = sys_socket(AF_NETLINK, SOCK_RAW, NETLINK_DIAG);

    if (fd < 0)
        return -1;
    if (send(fd, &q, sizeof q, 0) == sizeof q)
        while ((n = recv(fd, text, sizeof text, 0)) > 0 &&
               (result = take_all(text, (size_t)n, fn, arg)) > 0)
            continue;
    close(fd);
    return result;
}

bool unixsock_is_of(const struct unixsock *s, dev_t fs, ino_t inode) {
    return s->file == (uint32_t)inode && s->fs == fs;
}
