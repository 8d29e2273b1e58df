/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <fcntl.h>
#include <unistd.h>

int file_read(const char *path, char *text, size_t cap) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, cap - 1);

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return -1;
    n -= n && text[n - 1] == '\n';
    text[n] = '\0';
    return (int)n;
}
