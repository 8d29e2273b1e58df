/* SPDX-License-Identifier: Apache-2.0 */
#include "base/held.h"

#include <errno.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/net.h"

int held_connect(int held) {
    struct net_address a;
    char name[32];
    bool pending;
    int fd, reason;

    if (held < 0)
        return -1;
    fmt_print(name, sizeof name, "/proc/self/fd/%d", held);
    net_path(&a, name);
    fd = net_connect(&a, &pending);
    reason = errno;
    close(held);
    errno = reason;
    return fd;
}
