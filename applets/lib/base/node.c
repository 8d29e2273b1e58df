/* SPDX-License-Identifier: Apache-2.0 */
#include "base/node.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/log.h"

/* syscalls (guest connect): mknod mknodat */

/* From "major:minor" in sysfs. */
void node_make(const char *path, const char *port) {
    char attribute[128], dev[24], number[24];
    long major, minor;
    size_t n;

    fmt_print(attribute, sizeof attribute, FILE_PORTS "/%s/dev", port);
    if (file_mode(path, true) >= 0 || errno != ENOENT || file_read(attribute, dev, sizeof dev) < 0)
        return;
    n = (size_t)(fmt_find(dev, ':') - dev);
    fmt_print(number, sizeof number, "%.*s", (int)n, dev);
    major = fmt_number(number, 0, 4095);
    minor = fmt_number(dev + n + (dev[n] == ':'), 0, 1048575);
    if (major < 0 || minor < 0)
        return;
    if (mknod(path, S_IFCHR | 0600, makedev((unsigned)major, (unsigned)minor)))
        log_msg(LOG_ERROR, "mknod %s: %m", path);
    else
        log_msg(LOG_INFO, "made the missing node %s", path);
}
