/* SPDX-License-Identifier: Apache-2.0 */
#include "base/activate.h"

#include <limits.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"

/* Whether fd is a socket that listens. Then it becomes non-blocking, and a is its address. */
static bool listens(int fd, struct net_address *a) {
    int yes = 0;
    socklen_t n = sizeof yes;

    *a = (struct net_address){.length = sizeof a->sa};
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &n) || !yes ||
        getsockname(fd, &a->sa.any, &a->length) || net_set_nonblocking(fd))
        return false;
    net_prepare(fd);
    net_describe(a);
    return true;
}

unsigned activate_take(struct net_address *a, unsigned most) {
    const char *text = fmt_setting(environ, "LISTEN_FDS=");
    long count = fmt_number(text, 0, most);

    if (!*text || fmt_number(fmt_setting(environ, "LISTEN_PID="), 1, INT_MAX) != getpid())
        return 0;
    for (int i = 0; i < count; i++)
        if (!listens(ACTIVATE_FIRST + i, &a[i]))
            count = -1;
    if (count < 0)
        log_fatal("LISTEN_FDS %s: 1 to %u listening sockets are needed", text, most);
    return (unsigned)count;
}
