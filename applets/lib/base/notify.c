/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/net.h"
#include "base/sys.h"

/* syscalls (guest host): sendto */

bool notify_supervisor(const char *state) {
    const char *path = fmt_setting(environ, "NOTIFY_SOCKET=");
    struct net_address a;
    ssize_t sent = -1;
    int fd;

    if (net_path(&a, path))
        return true;
    if (*path == '@')
        a.sa.un.sun_path[0] = '\0';
    a.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    fd = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, &a.sa.any, a.length);
        close(fd);
    }
    if (sent < 0 && errno == EAGAIN)
        return false;
    if (sent < 0)
        log_msg(LOG_WARN, "NOTIFY_SOCKET %s: %m", path);
    return true;
}
