/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/fmt.h"
#include "base/limits.h"
#include "base/loop.h"
#include "base/sys.h"
#include "relay/channel.h"
#include "relay/channels.h"
#include "relay/root.h"

enum { NAMES = 4096 }; /* that are looked at in a guest's directory */

static bool subdirectories;
static names_fn *tell;
/* What is being looked at, or NULL. fd: where in it. names: how many so far. failed: not all could
 * be looked at. */
static struct directory *current;
static int fd = -1;
static unsigned names;
static bool failed;
static struct log_limit left_alone; /* whoever owns a directory could repeat it at will */

/* Only the host proxy has directories in its root. */
#define NESTED (CONFIG_VIOS_PROXY_HOST && subdirectories)

void scan_init(bool nested, names_fn *fn) {
    subdirectories = nested;
    tell = fn;
}

/* There are events for permissions, but none for descriptors or memory that are free again; nor, in
 * a guest, for what a link leads to. */
static void cannot(struct directory *d, const char *what, const char *name) {
    int reason = errno;

    if (error_is_absence(reason)) {
        if (NESTED)
            return;
    } else if (!d->complained) {
        d->complained = log_limited(&left_alone, loop_now(), LOG_ERROR, "cannot %s %s: %s", what,
                                    root_path(name), directory_reason(reason));
    }
    failed = true;
    if (reason != EACCES)
        directory_later(d);
}

static void add_directory(const char *name) {
    struct directory *d = directory_find(name);

    if (d && d->wd < 0)
        directory_note(d);
    if (d || directory_add(name))
        return;
    log_limited(&left_alone, loop_now(), LOG_WARN,
                "%s waits: more than %d directories (Kconfig HOST_CHANNELS)", root_path(name),
                CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CHANNELS : 0);
    directory_root()->waits = true;
}

/* A link could lead us to another guest's sockets; and a guest's owner can make any number of them.
 */
static void leave_link(const char *name, size_t parent) {
    struct log_limit once = {0}, *limit = limits_of(name, parent, loop_now());

    log_limited(limit ? limit : &once, loop_now(), LOG_WARN,
                "%s is a symbolic link: it is left alone", root_path(name));
}

/* A name in a directory, and what it is. */
static void take(struct directory *d, const char *name, int mode) {
    if (NESTED && d == directory_root() && S_ISDIR(mode))
        add_directory(name);
    else if (NESTED && S_ISLNK(mode))
        leave_link(name, strlen(d->name));
    else if (S_ISSOCK(mode) || (!NESTED && file_is_port(root_path(name))))
        d->waits |= !tell(name, true);
    else if (!NESTED && S_ISCHR(mode) && limits_is_new(name))
        log_limited(&left_alone, loop_now(), LOG_INFO,
                    "%s: not known to be a virtio-serial port: left alone", root_path(name));
}

/* directory: d, if it is open. False: no more names in it are to be looked at. */
static bool look(struct directory *d, int directory, const char *base) {
    const char *slash = *d->name ? "/" : "";
    char name[CHANNEL_NAME];
    int mode;

    if (*base == '.') /* udev makes a link under another name, then renames it */
        return true;
    if (strlen(d->name) + strlen(slash) + strlen(base) >= CHANNEL_NAME) {
        log_limited(&left_alone, loop_now(), LOG_WARN,
                    "channel %s%s%s: a name of more than %d bytes is left out", d->name, slash,
                    base, CHANNEL_NAME - 1);
        return true;
    }
    fmt_print(name, sizeof name, "%s%s%s", d->name, slash, base);
    mode = !NESTED         ? file_mode(root_path(name), true)
           : directory < 0 ? root_mode(name)
                           : file_look(directory, base, NULL);
    if (mode < 0)
        cannot(d, "look at", name);
    else
        take(d, name, mode);
    return !NESTED || d == directory_root() || !d->waits;
}

bool scan_name(const char *base, void *directory) { return look(directory, -1, base); }

/* ---- whole directories ---- */

void scan_stop(const struct directory *d) {
    if (!current || (d && d != current))
        return;
    close(fd);
    current = NULL;
}

/* By now it may be another directory. So it is watched again before its names are read, and nothing
 * that comes meanwhile is missed. */
static int open_guest(struct directory *d) {
    int opened = root_open(d->name, O_RDONLY | O_DIRECTORY), reason;

    if (opened < 0 || !directory_watch(d, opened))
        return opened;
    reason = errno;
    close(opened);
    errno = reason;
    return -1;
}

static void begin(struct directory *d) {
    bool is_root = d == directory_root();

    if (is_root && d->unheard)
        directory_note_all(false);
    d->next = 0;
    if (is_root && d->wd < 0) /* nobody would tell of its end; it is looked at once it is watched */
        return;
    d->unheard = d->waits = failed = false;
    d->looked = loop_now();
    names = 0;
    fd = is_root ? root_open("", O_RDONLY | O_DIRECTORY) : open_guest(d);
    if (fd >= 0) {
        current = d;
        channels_missing(d->name, fd, tell);
    } else if (!is_root && error_is_absence(errno)) {
        tell(d->name, false);
        directory_forget(d);
    } else {
        cannot(d, "watch", d->name);
    }
}

static void done(struct directory *d) {
    if (failed)
        return;
    d->backoff = 0;
    d->complained = false;
}

static bool see(const char *base, void *unused) {
    (void)unused;
    if (current != directory_root() && ++names > NAMES) {
        log_limited(&left_alone, loop_now(), LOG_WARN,
                    "%s: more than %d names; the others are left out", root_path(current->name),
                    NAMES);
        return false;
    }
    return look(current, fd, base);
}

static void go_on(void) {
    int n = file_list_on(fd, see, NULL);

    if (n < 0)
        cannot(current, "read", current->name);
    if (n > 0)
        return;
    done(current);
    scan_stop(current);
}

long scan_timer(void) {
    struct directory *d;

    if (current) {
        go_on();
    } else if (!directory_wait()) {
        d = directory_due();
        if (d)
            begin(d);
    }
    return current ? 0 : directory_wait();
}

/* ---- the guest's ---- */

void scan_now(void) {
    struct directory *d = directory_root();

    d->next = 0;
    if (d->wd < 0) /* as in begin() */
        return;
    d->waits = failed = false;
    if (file_list(root_path(""), true, scan_name, d))
        cannot(d, "read", "");
    done(d);
}
