/* SPDX-License-Identifier: Apache-2.0 */
#include "socks.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fmt.h"
#include "holder.h"
#include "sys.h"

enum { LISTENS = 0x10000, STREAM = 1, CONNECTING = 2, CONNECTED = 3 };

/* The number at *p, behind blanks; *p is then behind it. */
static unsigned long take_number(const char **p, unsigned base) {
    const char *digits = "0123456789abcdef", *at;
    unsigned long v = 0;

    while (**p == ' ')
        ++*p;
    while (**p && (at = memchr(digits, **p | 0x20, base)) != NULL) {
        v = v * base + (unsigned long)(at - digits);
        ++*p;
    }
    return v;
}

/* "address: references protocol flags type state inode path", all but the inode in hexadecimal. The heading is no such line. */
static void take_line(const char *line, void (*fn)(const struct socks *s, void *arg), void *arg) {
    unsigned long number[6];
    struct socks s;
    const char *p = strchr(line, ':');

    if (!p++)
        return;
    for (int i = 0; i < 6; i++)
        number[i] = take_number(&p, i < 5 ? 16 : 10);
    if (*p != ' ' || !p[1] || number[3] != STREAM)
        return;
    s = (struct socks){number[2] == LISTENS, number[4] == CONNECTING, number[5], p + 1};
    if (s.listens || s.pending || number[4] == CONNECTED)
        fn(&s, arg);
}

int socks_each(void (*fn)(const struct socks *s, void *arg), void *arg) {
    char text[4096], *end;
    size_t have = 0;
    ssize_t n;
    int fd = sys_open("/proc/net/unix", O_RDONLY);

    if (fd < 0)
        return -1;
    while ((n = read(fd, text + have, sizeof text - have)) > 0) {
        char *line = text;

        have += (size_t)n;
        while ((end = memchr(line, '\n', have)) != NULL) {
            *end = '\0';
            take_line(line, fn, arg);
            have -= (size_t)(end + 1 - line);
            line = end + 1;
        }
        memmove(text, line, have);
    }
    close(fd);
    return (int)n;
}

int socks_stat(const struct socks *s, struct stat *st) {
    char path[sizeof "/proc/99999999/cwd/" + 108];

    if (*s->path == '/' || *s->path == '@') /* @: no file, in Linux's abstract names */
        return stat(s->path, st);
    fmt_print(path, sizeof path, "/proc/%d/cwd/%s", holder_of_socket(s->inode), s->path);
    return stat(path, st);
}
