/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/dirwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bucket.h"
#include "base/error.h"
#include "base/file.h"
#include "base/fmt.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/sys.h"
#include "relay/channel.h"
#include "relay/directory.h"
#include "relay/root.h"
#include "relay/scan.h"

/* Guests may own their directories. What an event in one costs, what one that makes or moves a
 * directory, and one for which all of it is looked at; the most that it may owe: in milliseconds,
 * in which that is paid off. Who owes more is not heard until it is looked at. */
enum { EVENT = 100, MOVE = 1000, LOOK = 3000, CREDIT = 300 * EVENT };

/* ancestor: the watch on the nearest directory above a root that is missing, or empty: an empty
 * root that is removed while somebody keeps it open gives no event. */
static int inotify = -1, ancestor = -1;
static bool subdirectories;
static names_fn *tell;
static struct log_limit too_often;

/* Only the host proxy has directories in its root. */
#define NESTED (CONFIG_VIOS_PROXY_HOST && subdirectories)

static void look(struct directory *d) {
    if (NESTED)
        directory_note(d);
    else
        scan_now();
}

static int watch_root(void) { return inotify_add_watch(inotify, root_path(""), DIRECTORY_EVENTS); }

static void enter(void) {
    struct directory *d = directory_root();

    d->wd = watch_root();
    if (d->wd >= 0)
        look(d);
}

/* A watch on the nearest directory above the root that is there. */
static int watch_above(void) {
    enum {
        MASK_ABOVE = IN_ATTRIB | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
                     IN_ONLYDIR | IN_MASK_ADD
    };
    char above[ROOT_PATH];
    char *slash;
    int wd;

    fmt_copy(above, sizeof above, root_path(""));
    for (size_t n = strlen(above); n > 1 && above[n - 1] == '/';)
        above[--n] = '\0';
    do {
        slash = strrchr(above, '/');
        fmt_copy(slash == above ? above + 1 : slash ? slash : above, 2, slash ? "" : ".");
        wd = inotify_add_watch(inotify, above, MASK_ABOVE);
    } while (wd < 0 && slash && slash != above);
    return wd;
}

static void guard_no_more(void) {
    if (ancestor >= 0)
        inotify_rm_watch(inotify, ancestor);
    ancestor = -1;
}

/* Begins to watch what is above an empty root. */
static void guard(void) {
    if (ancestor >= 0 || file_more_than(sys_open(root_path(""), O_RDONLY | O_DIRECTORY), 0))
        return;
    ancestor = watch_above();
    if (ancestor == directory_root()->wd) /* as with ".", of which the watch stays as it was */
        ancestor = -1;
}

/* Whether the watched root is not what is at its path any more. */
static bool is_replaced(void) { return watch_root() != directory_root()->wd; }

/* Nothing would ever be seen again. */
static bool blind(void) { return directory_root()->wd < 0 && ancestor < 0; }

/* Watches the root, or what there is of the way to it; twice, for what is made meanwhile. */
static void enter_root(void) {
    int above = -1;

    guard_no_more();
    for (;;) {
        int before = above;

        enter();
        if (directory_root()->wd >= 0)
            break;
        above = watch_above();
        if (above == before)
            break;
        if (before >= 0)
            inotify_rm_watch(inotify, before);
    }
    if (directory_root()->wd >= 0 && above >= 0)
        inotify_rm_watch(inotify, above);
    if (directory_root()->wd < 0)
        ancestor = above;
    else
        guard();
}

static void leave_root(void) {
    struct directory *d = directory_root();

    if (d->wd >= 0)
        inotify_rm_watch(inotify, d->wd);
    d->wd = -1;
    if (NESTED) {
        scan_stop(NULL);
        directory_forget_all();
    }
    tell("", false);
    enter_root();
    if (!blind())
        return;
    log_limited(&too_often, loop_now(), LOG_ERROR, "cannot watch %s: %s", root_path(""),
                directory_reason(errno));
    directory_later(d);
}

/* Whether what has happened in a directory is to be looked at now. */
static bool is_heard(struct directory *d, unsigned cost) {
    if (!NESTED)
        return true;
    if (d->unheard)
        return false;
    if (bucket_add(&d->debt, loop_now(), 1, cost) <= CREDIT)
        return true;
    log_limited(&too_often, loop_now(), LOG_WARN,
                "%s: changes too often, so it is read once a second", root_path(d->name));
    d->debt.owed = CREDIT;
    d->unheard = true;
    d->looked = loop_now();
    directory_note(d);
    return false;
}

static void on_name(struct directory *d, const char *base, bool there) {
    struct directory *below;
    char name[CHANNEL_NAME];
    bool is_root = d == directory_root();

    if (there) {
        if (is_root)
            guard_no_more();
        scan_name(base, d);
        return;
    }
    if (is_root) {
        guard();
        if (is_replaced()) {
            leave_root();
            return;
        }
    }
    if (strlen(d->name) + !is_root + strlen(base) >= CHANNEL_NAME)
        return;
    fmt_print(name, sizeof name, "%s%s%s", d->name, is_root ? "" : "/", base);
    below = NESTED && is_root ? directory_find(name) : NULL;
    if (below) {
        scan_stop(below);
        directory_forget(below);
    }
    tell(name, false);
}

/* (host) The kernel has lost events. Whoever owns one directory can bring that about: the channels
 * of others, which are there, stay. */
static void catch_up(void) {
    if (directory_root()->wd < 0 || is_replaced()) {
        leave_root();
        return;
    }
    directory_note_all(false);
    guard();
}

/* Of a directory itself: the root, or (host) another one. */
static void on_self(struct directory *d, unsigned mask) {
    if (d == directory_root() && (!(mask & IN_ATTRIB) || is_replaced())) {
        leave_root();
        return;
    }
    if (NESTED && !(mask & IN_ATTRIB)) { /* it has gone; another one may have taken its place
                                            before, or that of the root */
        inotify_rm_watch(inotify, d->wd);
        d->wd = -1;
        if (is_replaced())
            leave_root();
        else if (is_heard(directory_root(), MOVE))
            look(d);
    } else if (is_heard(d, LOOK)) { /* perhaps it may be read, or searched, only now */
        look(d);
    }
}

/* Whether a guest's directory that is watched has an event of its own for this. Its owner could
 * otherwise make the root ignore events. */
static bool is_told_twice(const struct directory *d, const struct inotify_event *e) {
    bool about = NESTED && d == directory_root() && (e->mask & IN_ATTRIB) && (e->mask & IN_ISDIR);
    const struct directory *below = about ? directory_find(e->name) : NULL;

    return below && below->wd >= 0;
}

static void on_event(const struct inotify_event *e) {
    struct directory *d = e->wd == directory_root()->wd ? directory_root()
                          : NESTED                      ? directory_of(e->wd)
                                                        : NULL;

    if (e->mask & IN_Q_OVERFLOW) {
        if (NESTED)
            catch_up();
        else
            leave_root();
    } else if (e->wd == ancestor) {
        if (directory_root()->wd < 0)
            enter_root();
        else if (!e->len || is_replaced())
            leave_root();
    } else if (d && !e->len) {
        on_self(d, e->mask);
    } else if (d && !is_told_twice(d, e) && is_heard(d, e->mask & IN_ISDIR ? MOVE : EVENT)) {
        on_name(d, e->name, e->mask & (IN_CREATE | IN_MOVED_TO | IN_ATTRIB));
    }
}

static void on_inotify(void *arg, unsigned ready) {
    _Alignas(struct inotify_event) char events[2048];
    ssize_t n = read(inotify, events, sizeof events);

    (void)arg;
    (void)ready;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const void *)(events + at);

        on_event(e);
        at += (ssize_t)(sizeof *e + e->len);
    }
}

static void start(bool nested, names_fn *fn) {
    subdirectories = nested;
    tell = fn;
    scan_init(nested, fn);
    inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (NESTED)
        directory_init(inotify);
    directory_root()->wd = -1;
    loop_watch(inotify, LOOP_READ, on_inotify, NULL);
    if (inotify >= 0)
        enter_root();
    if (blind())
        log_fatal("cannot watch %s: %s", root_path(""), directory_reason(errno));
}

static void start_ports(names_fn *fn) { start(false, fn); }

static void start_guests(names_fn *fn) { start(true, fn); }

static void look_again(const char *name) {
    char parent[CHANNEL_NAME];
    struct directory *d = NESTED ? directory_find(root_parent(name, parent)) : directory_root();

    if (d && d->wd >= 0)
        scan_name(fmt_base(name), d);
}

static void look_at_all(void) {
    if (NESTED)
        directory_note_all(true);
    else
        scan_now();
}

static void again(const char *name) {
    if (name)
        look_again(name);
    else
        look_at_all();
}

static long timer(void) {
    struct directory *d = directory_root();
    long long left = d->next - loop_now();

    if (d->next && left <= 0 && blind())
        leave_root();
    if (NESTED)
        return scan_timer();
    if (d->next && left <= 0)
        scan_now();
    return !d->next ? -1 : left > 0 ? (long)left : 0;
}

/* What was a socket when its name was seen may be something else by now: then it is none of ours.
 */
static const char *socket_path(const char *name) {
    int mode = root_mode(name);

    return mode < 0 || S_ISSOCK(mode) ? root_path(name) : NULL;
}

const struct names dirwatch_ports = {start_ports, again, root_path, timer};
const struct names dirwatch_guests = {start_guests, again, socket_path, timer};
