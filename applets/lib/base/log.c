/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/sys.h"

/* syscalls: write exit_group */

static const char levels[][9] = {
    "FATAL: ", "ALERT: ", "ERROR: ", "WARN: ", "NOTICE: ", "INFO: ", "DEBUG: "};
static const char priorities[] =
    "2134567"; /* of syslog. FATAL is not its 0, which goes to every terminal */
enum { PRIORITY = sizeof "<0>" - 1 };
static const char *applet = "vios";
static int level_width; /* of levels, in a line; 0: they are not shown */
static enum log_level wanted = LOG_INFO;
static int failure = EXIT_FAILURE;

void log_name(const char *name, bool with_levels) {
    applet = name;
    level_width = with_levels ? sizeof *levels : 0;
}

void log_failure(int status) { failure = status; }

/* Whether b, up to its colon, is a, in upper or lower case. */
static bool same_word(const char *a, const char *b) {
    while (*b != ':' && (*a & ~0x20) == *b) {
        a++;
        b++;
    }
    return !*a && *b == ':';
}

int log_level_set(const char *name) {
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
        if (same_word(name, levels[i])) {
            wanted = (enum log_level)i;
            return 0;
        }
    return -1;
}

int log_wants(enum log_level level) { return level <= wanted; }

static int write_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

int log_text(int fd, const char *text) { return write_all(fd, text, strlen(text)); }

/* Whether a write to stderr may wait for a reader. Some devices cannot be asked, as /dev/kmsg. */
static bool is_full(void) {
    fd_set ready;
    int mode;

    FD_ZERO(&ready);
    FD_SET(STDERR_FILENO, &ready);
    if (sys_select(STDERR_FILENO + 1, NULL, &ready, 0))
        return false;
    mode = file_mode("/proc/self/fd/2", true);
    return S_ISFIFO(mode) || S_ISSOCK(mode);
}

/* Whether stderr is systemd's journal: JOURNAL_STREAM has the device and the inode of a socket. */
static bool is_journal(void) {
    const char *inode = fmt_find(fmt_setting(environ, "JOURNAL_STREAM="), ':');
    char journal[40];

    if (!CONFIG_FEATURE_NOTIFY || !*inode)
        return false;
    fmt_print(journal, sizeof journal, "socket:[%s]", inode + 1);
    return !strcmp(file_link("/proc/self/fd/2"), journal);
}

/* If nobody reads the log, the line is dropped, since the loop must not wait; the next line that is
 * written has the number of those dropped. (A stopped terminal does stop us: its user asked.) */
static void line(enum log_level level, unsigned left_out, const char *f, va_list ap) {
    static char buffer[768]; /* a root path, and what is said of it */
    static unsigned lost;
    size_t room = sizeof buffer - 32, n;
    char *start = buffer;
    int saved = errno;

    n = fmt_print(buffer, room, "<%c>%s: %.*s", priorities[level], applet, level_width,
                  levels[level]);
    n += fmt_vprint(buffer + n, room - n, f, ap);
    fmt_printable(buffer);
    left_out += lost;
    if (left_out)
        n += fmt_print(buffer + n, sizeof buffer - n, " (and %u more)", left_out);
    buffer[n++] = '\n';
    lost = left_out + 1;
    if (!is_journal())
        start += PRIORITY;
    if (!is_full()) {
        write_all(STDERR_FILENO, start, n - (size_t)(start - buffer));
        lost = 0;
    }
    errno = saved;
}

void log_msg(enum log_level level, const char *f, ...) {
    va_list ap;

    if (!log_wants(level))
        return;
    va_start(ap, f);
    line(level, 0, f, ap);
    va_end(ap);
}

void log_fatal(const char *f, ...) {
    va_list ap;

    va_start(ap, f);
    line(LOG_FATAL, 0, f, ap);
    va_end(ap);
    exit(failure);
}

bool log_limited(struct log_limit *limit, long long now_ms, enum log_level level, const char *f,
                 ...) {
    va_list ap;

    if (!log_wants(level))
        return false;
    if (now_ms < limit->next) {
        limit->left_out++;
        return false;
    }
    va_start(ap, f);
    line(level, limit->left_out, f, ap);
    va_end(ap);
    limit->left_out = 0;
    limit->next = now_ms + LOG_QUIET;
    return true;
}

void log_out(const char *text) {
    if (log_text(STDOUT_FILENO, text))
        log_fatal("stdout: %m");
}
