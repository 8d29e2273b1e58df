/* SPDX-License-Identifier: Apache-2.0 */
#include "base/user.h"

#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/memory.h"

#if CONFIG_FEATURE_USER

#define PASSWD "/etc/passwd"

enum { PASSWD_MOST = 16384 }; /* so much of it is looked at */

#ifdef SYS_setuid32
enum { SETUID = SYS_setuid32, SETGID = SYS_setgid32, SETGROUPS = SYS_setgroups32 };
#else
enum { SETUID = SYS_setuid, SETGID = SYS_setgid, SETGROUPS = SYS_setgroups };
#endif

static const char *given;
static long uid, gid;

/* The number before the next colon, and what is behind that. */
static long next_number(const char **text) {
    char number[12];
    const char *end = fmt_find(*text, ':');

    fmt_print(number, sizeof number, "%.*s", (int)(end - *text), *text);
    *text = end + (*end == ':');
    return fmt_number(number, 0, INT_MAX);
}

/* NAME:PASSWORD:UID:GID:... */
static bool is_in_line(const char *line, const char *name) {
    if (!fmt_begins(line, name) || line[strlen(name)] != ':')
        return false;
    line = fmt_find(line + strlen(name) + 1, ':');
    line += *line == ':';
    uid = next_number(&line);
    gid = next_number(&line);
    return true;
}

static bool find(const char *name) {
    static MEMORY_BULK char text[PASSWD_MOST];
    bool found = false;

    if (file_read(PASSWD, text, sizeof text) < 0)
        log_fatal("-U %s: " PASSWD ": %m", name);
    for (char *line = text, *end = text; *end && !found; line = end + 1) {
        end = line + (fmt_find(line, '\n') - line);
        found = is_in_line(line, name);
    }
    return found;
}

void user_set(const char *text) {
    const char *rest = text;

    given = text;
    uid = next_number(&rest);
    gid = rest > text && rest[-1] == ':' ? next_number(&rest) : uid;
    if (uid < 0 && (*fmt_find(text, ':') || !find(text)))
        log_fatal("-U %s: neither UID[:GID] nor a name in " PASSWD, text);
    if (uid <= 0 || gid < 0 || *rest)
        log_fatal("-U %s: this is root, take another UID[:GID] or name in " PASSWD, text);
}

bool user_become(void) {
    unsigned group = (unsigned)gid;

    if (!given)
        return false;
    if (syscall(SETGROUPS, 1, &group) || syscall(SETGID, gid) || syscall(SETUID, uid))
        log_fatal("-U %s: %m", given);
    return true;
}

#endif
