/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "crowd.h"
#include "debt.h"
#include "error.h"
#include "file.h"
#include "fmt.h"
#include "log.h"
#include "loop.h"
#include "memory.h"
#include "sys.h"

/* IN_ATTRIB: what may not be read yet may be later. */
enum { MASK = IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR };
enum { DIRECTORIES = 1 + (CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CHANNELS : 0) };

/* Guests may own their directories. What an event in one costs, and one for which all of it is looked at; the most that it may owe:
 * in milliseconds, in which that is paid off. Who owes more is not heard for PAUSE at most, then looked at as a whole, of which
 * NAMES count. */
enum { EVENT = 100, LOOK = 3000, CREDIT = 300 * EVENT, PAUSE = 1000, NAMES = 4096 };

/* The root is directories[0], with the empty name. wd: -1 for a free slot, or while the root is missing. ancestor: the watch on the
 * nearest directory above a root that is missing, or empty: if that is removed while somebody keeps it open, it does not tell.
 * unheard: it owes too much, and is looked at, and heard again, at next_look. */
struct directory {
    int wd;
    char name[CHANNEL_NAME];
    struct debt debt;
    bool unheard;
};
static MEMORY_BULK struct directory directories[DIRECTORIES];
static unsigned count;
static int inotify = -1, ancestor = -1;
static const char *root;
static bool subdirectories;
static watch_fn *tell;
static struct log_limit left_alone; /* whoever owns a directory could repeat it at will */
static bool left_out, freed; /* a directory found no slot; a slot has become free */
static long long next_look; /* 0: all are heard */
static unsigned looked; /* names of the directory that is being looked into */

/* Only the host proxy has directories in its root. */
#define NESTED (CONFIG_VIOS_PROXY_HOST && subdirectories)

static void enter(unsigned at);

/* What errno means of inotify. */
static const char *reason(void) {
    int full = errno, fd = full == EMFILE ? sys_open("/", O_RDONLY) : -1;

    if (fd >= 0) { /* descriptors there are */
        close(fd);
        return "fs.inotify.max_user_instances is used up";
    }
    return full == ENOSPC ? "fs.inotify.max_user_watches is used up" : error_text(full);
}

void watch_check(const char *path) {
    int fd, mode = file_mode(path, true);

    if (strlen(path) > WATCH_PATH / 2) {
        errno = ENAMETOOLONG;
        mode = -1;
    }
    if (mode < 0)
        log_fatal("Root path stat fail: %s: %m%s", path, fmt_number(path, 1, 65535) < 0 ? "" : " (a port is the second operand)");
    if (!S_ISDIR(mode))
        log_fatal("Root path is not a directory: %s", path);
    fd = sys_open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        log_fatal("Root path open error: %s: %m", path);
    close(fd);
}

const char *watch_path(const char *name) {
    static char path[WATCH_PATH];

    fmt_print(path, sizeof path, "%s%s%s", root, *name ? "/" : "", name);
    return path;
}

static int find(const char *name) {
    for (unsigned i = 0; i < count; i++)
        if (directories[i].wd >= 0 && !strcmp(directories[i].name, name))
            return (int)i;
    return -1;
}

static void add_directory(const char *name) {
    unsigned at = 1;

    if (!NESTED)
        return;
    if (find(name) >= 0)
        return;
    while (at < count && directories[at].wd >= 0)
        at++;
    if (at == DIRECTORIES) {
        if (!left_out)
            log_msg(LOG_WARN, "%s: more than %d directories (Kconfig HOST_CHANNELS); it waits", watch_path(name), DIRECTORIES - 1);
        left_out = true;
        return;
    }
    if (at == count)
        count++;
    fmt_copy(directories[at].name, CHANNEL_NAME, name);
    directories[at].debt.owed = 0;
    directories[at].unheard = false;
    enter(at);
}

/* A guest's owner could lead us to another guest's sockets, or make such links at will. */
static void leave_link(const char *name, size_t parent) {
    struct log_limit once = {0}, *limit = crowd_limit(name, parent, loop_now());

    log_limited(limit ? limit : &once, loop_now(), LOG_WARN,
                "%s is a symbolic link: it is left alone", watch_path(name));
}

/* A name in a directory has been seen. False: no more are to be looked at. */
static bool consider(const char *base, void *arg) {
    unsigned at = (unsigned)((struct directory *)arg - directories);
    const char *parent = directories[at].name;
    bool go_on = !NESTED || at == 0 || ++looked <= NAMES;
    char name[CHANNEL_NAME];
    int mode;

    if (*base == '.') /* udev makes a link under such a name, then renames it */
        return go_on;
    if (strlen(parent) + 1 + strlen(base) >= CHANNEL_NAME) {
        log_limited(&left_alone, loop_now(), LOG_WARN, "channel %s%s%s: a name of more than %d bytes is left out", parent, *parent ? "/" : "", base,
                CHANNEL_NAME - 1);
        return go_on;
    }
    fmt_print(name, sizeof name, "%s%s%s", parent, *parent ? "/" : "", base);
    mode = file_mode(watch_path(name), !NESTED);
    if (mode < 0 && errno == EACCES)
        log_limited(&left_alone, loop_now(), LOG_ERROR, "cannot look at %s: %m", watch_path(name));
    if (mode < 0)
        return go_on;
    if (NESTED && at == 0 && S_ISDIR(mode))
        add_directory(name);
    else if (CONFIG_VIOS_PROXY_HOST && S_ISLNK(mode))
        leave_link(name, strlen(parent));
    else if (S_ISSOCK(mode) || (!NESTED && file_is_port(watch_path(name))))
        tell(name, true);
    else if (!NESTED && S_ISCHR(mode) && crowd_is_new(name))
        log_limited(&left_alone, loop_now(), LOG_INFO, "%s: not known to be a virtio-serial port: left alone", watch_path(name));
    return go_on;
}

/* What is in a directory now. 0, or -1 with errno. */
static int look_into(unsigned at) {
    int result;

    looked = 0;
    result = file_list(watch_path(directories[at].name), at == 0, consider, &directories[at]);
    if (NESTED && at && looked > NAMES)
        log_limited(&left_alone, loop_now(), LOG_WARN, "%s: more than %d names; the others are left out",
                    watch_path(directories[at].name), NAMES);
    return result;
}

/* Begins to watch a directory, then looks at what is in it: nothing that comes meanwhile is missed. */
static void enter(unsigned at) {
    struct directory *d = &directories[at];

    d->wd = inotify_add_watch(inotify, watch_path(d->name), MASK | (NESTED && at ? IN_DONT_FOLLOW : 0));
    if (d->wd < 0 && at)
        log_limited(&left_alone, loop_now(), LOG_ERROR, "cannot watch %s: %s", watch_path(d->name), reason());
    if (d->wd >= 0 && look_into(at))
        log_msg(LOG_ERROR, "cannot read %s: %m", watch_path(d->name));
}

/* A watch on the nearest directory above the root that is there. */
static int watch_above(void) {
    enum { MASK_ABOVE = IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD };
    char above[WATCH_PATH];
    char *slash;
    int wd;

    fmt_copy(above, sizeof above, root);
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
    if (ancestor >= 0 || file_more_than(root, 0))
        return;
    ancestor = watch_above();
    if (ancestor == directories[0].wd) /* as with ".", of which the watch stays as it was */
        ancestor = -1;
}

/* Whether the watched root is not what is at its path any more. */
static bool is_replaced(void) { return inotify_add_watch(inotify, root, MASK) != directories[0].wd; }

/* Nothing would ever be seen again. */
static bool blind(void) { return directories[0].wd < 0 && ancestor < 0; }

/* Watches the root, or what there is of the way to it; twice, for what is made meanwhile. */
static void enter_root(void) {
    int above = -1;

    guard_no_more();
    for (;;) {
        int before = above;

        enter(0);
        if (directories[0].wd >= 0)
            break;
        above = watch_above();
        if (above == before)
            break;
        if (before >= 0)
            inotify_rm_watch(inotify, before);
    }
    if (directories[0].wd >= 0 && above >= 0)
        inotify_rm_watch(inotify, above);
    if (directories[0].wd < 0)
        ancestor = above;
    else
        guard();
}

static void leave(unsigned at) {
    if (directories[at].wd < 0)
        return;
    inotify_rm_watch(inotify, directories[at].wd);
    directories[at].wd = -1;
    freed = true;
}

static void leave_root(void) {
    for (unsigned i = 0; i < count; i++)
        leave(i);
    tell("", false);
    enter_root();
    if (blind())
        log_msg(LOG_ERROR, "cannot watch %s: %s", root, reason());
}

/* A directory has gone; another one may have taken its place before, or that of the root. */
static void renew(unsigned at) {
    char name[CHANNEL_NAME];

    fmt_copy(name, sizeof name, directories[at].name);
    leave(at);
    if (is_replaced())
        leave_root();
    else
        consider(name, &directories[0]);
}

static void on_name(unsigned at, const char *base, bool there) {
    const char *parent = directories[at].name;
    char name[CHANNEL_NAME];
    int below;

    if (there) {
        if (at == 0)
            guard_no_more();
        consider(base, &directories[at]);
        return;
    }
    if (at == 0) {
        guard();
        if (is_replaced()) {
            leave_root();
            return;
        }
    }
    if (strlen(parent) + 1 + strlen(base) >= CHANNEL_NAME)
        return;
    fmt_print(name, sizeof name, "%s%s%s", parent, *parent ? "/" : "", base);
    below = find(name);
    if (at == 0 && below > 0)
        leave((unsigned)below);
    tell(name, false);
}

/* (host) The kernel has lost events. Whoever owns one directory can bring that about: the channels of others, which are there, stay. */
static void catch_up(void) {
    for (unsigned i = 1; i < count; i++) {
        int wd = directories[i].wd < 0 ? -1 : inotify_add_watch(inotify, watch_path(directories[i].name), MASK | IN_DONT_FOLLOW);

        if (wd == directories[i].wd)
            continue;
        inotify_rm_watch(inotify, wd);
        leave(i);
    }
    if (directories[0].wd < 0 || is_replaced()) {
        leave_root();
        return;
    }
    channel_missing("", tell);
    watch_all();
    guard();
}

/* Whether what has happened in a directory is to be looked at now. */
static bool is_heard(unsigned at, unsigned cost) {
    struct directory *d = &directories[at];

    if (!NESTED || at == 0)
        return true;
    if (d->unheard)
        return false;
    if (debt_add(&d->debt, loop_now(), 1, cost) <= CREDIT)
        return true;
    log_limited(&left_alone, loop_now(), LOG_WARN, "%s: changes too often; it is looked at once a second", watch_path(d->name));
    d->debt.owed = CREDIT;
    d->unheard = true;
    if (!next_look)
        next_look = loop_now() + PAUSE;
    return false;
}

long watch_timer(void) {
    long long left = CONFIG_VIOS_PROXY_HOST && next_look ? next_look - loop_now() : -1;

    if (!next_look || left > 0)
        return (long)left;
    next_look = 0;
    for (unsigned i = 0; i < count; i++) {
        struct directory *d = &directories[i];

        if (!d->unheard)
            continue;
        d->unheard = false;
        channel_missing(d->name, tell);
        if (d->wd >= 0)
            look_into(i);
    }
    return -1;
}

static void on_event(const struct inotify_event *e) {
    if (e->mask & IN_Q_OVERFLOW) {
        if (NESTED)
            catch_up();
        else
            leave_root();
        return;
    }
    if (e->wd == ancestor) {
        if (directories[0].wd < 0)
            enter_root();
        else if (!e->len || is_replaced())
            leave_root();
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (directories[i].wd != e->wd)
            continue;
        if (i == 0 && !e->len && (!(e->mask & IN_ATTRIB) || is_replaced()))
            leave_root();
        else if (NESTED && !e->len && !(e->mask & IN_ATTRIB))
            renew(i);
        else if (!is_heard(i, e->len ? EVENT : LOOK))
            ;
        else if (e->len)
            on_name(i, e->name, e->mask & (IN_CREATE | IN_MOVED_TO | IN_ATTRIB));
        else /* perhaps it may be read, or searched, only now */
            look_into(i);
        return;
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
    if (freed && left_out) {
        left_out = false;
        look_into(0);
    }
    freed = false;
}

void watch_start(const char *path, bool nested, watch_fn *fn) {
    root = path;
    subdirectories = nested;
    tell = fn;
    count = 1;
    directories[0].wd = -1;
    inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    loop_watch(inotify, LOOP_READ, on_inotify, NULL);
    if (inotify >= 0)
        enter_root();
    if (blind())
        log_fatal("cannot watch %s: %s", path, reason());
}

void watch_name(const char *name) {
    const char *slash = strrchr(name, '/');
    char parent[CHANNEL_NAME];
    int at;

    fmt_print(parent, sizeof parent, "%.*s", slash ? (int)(slash - name) : 0, name);
    at = find(parent);
    if (at >= 0)
        consider(slash ? slash + 1 : name, &directories[at]);
}

void watch_all(void) {
    for (unsigned i = 0; i < count; i++)
        if (directories[i].wd >= 0)
            look_into(i);
}
