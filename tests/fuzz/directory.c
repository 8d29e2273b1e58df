/* SPDX-License-Identifier: Apache-2.0 */
/* Directories whose names come and go: what inotify tells, and what is found when it is looked at.
 * An input is whose names they are (a guest's, a host's), then what happens in a tree of files, and
 * when the proxy runs. If the kernel was honest (no event was made up), the proxy knows in the end
 * just the names that there are.
 *
 * For longer: make fuzz T=seconds */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../applets/lib/base/fmt.h"
#include "../../applets/lib/base/loop.h"
#include "../../applets/lib/relay/channels.h"
#include "../../applets/lib/relay/dirwatch.h"
#include "../../applets/lib/relay/root.h"
#include "kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES = 26, NAME = 256, QUEUE = 24, OPS = 300 };

/* A file; the first is above the root. parent: -1: it is not there. kind: S_IF*. target: what a
 * link leads to. */
struct node {
    int parent, kind, target, wd;
    unsigned mask;
    bool closed; /* nobody may read it */
    char name[NAME];
};
static struct node nodes[NODES];
static struct event {
    int wd;
    unsigned mask;
    char name[NAME];
} queue[QUEUE];
static unsigned queued, room, gone_count;
static char gone[NODES][CHANNEL_NAME];
static int next_wd;
static bool host, honest, overflow;
static const uint8_t *input, *input_end;
static long long now;
static loop_fn *on_events;
static const struct names *names;

static unsigned byte(void) { return input < input_end ? *input++ : 0; }

/* ---- the tree ---- */

static const char *some_name(void) {
    static const char *const known[] = {"a", "b",       "vm1",      "vm2", "s.in",
                                        "c", ".hidden", "x\ny\033", "r",   "dots.."};
    static char name[NAME];
    unsigned which = byte(), n = which & 1 ? 107 - which / 16 : 40 + which / 2;

    if (which % 16 < sizeof known / sizeof *known)
        return known[which % 16];
    memset(name, 'l', sizeof name);
    name[which == 255 ? 255 : n] = '\0';
    return name;
}

static struct node *child(int parent, const char *name) {
    for (unsigned i = 1; i < NODES; i++)
        if (nodes[i].parent == parent && !strcmp(nodes[i].name, name))
            return &nodes[i];
    return NULL;
}

static int number_of(const struct node *n) { return (int)(n - nodes); }

/* NULL with errno. No link in the path is followed. */
static struct node *find(const char *path) {
    struct node *at = nodes;

    while (*path) {
        char name[KERNEL_PATH];
        size_t n = strcspn(path += *path == '/', "/");

        if (!n)
            break;
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        path += n;
        errno = at->kind != S_IFDIR ? ENOTDIR
                : at->closed        ? EACCES
                : n > 255           ? ENAMETOOLONG
                                    : ENOENT;
        at = errno == ENOENT ? child(number_of(at), name) : NULL;
        if (!at)
            return NULL;
    }
    return at;
}

/* ---- inotify ---- */

static void add_event(int wd, unsigned mask, const char *name) {
    struct event *e = &queue[queued];

    if (queued == QUEUE - 1 && !overflow) {
        *e = (struct event){.wd = -1, .mask = IN_Q_OVERFLOW};
        queued++;
        overflow = true;
    }
    if (queued >= QUEUE - 1)
        return;
    e->wd = wd;
    e->mask = mask;
    snprintf(e->name, sizeof e->name, "%s", name);
    queued++;
}

static void tell_of(struct node *n, unsigned mask, const char *name) {
    if (n->wd >= 0 && n->mask & mask & IN_ALL_EVENTS)
        add_event(n->wd, mask, name);
}

static void unwatch(struct node *n) {
    if (n->wd >= 0)
        add_event(n->wd, IN_IGNORED, "");
    n->wd = -1;
}

int __wrap_inotify_init1(int flags);
int __wrap_inotify_init1(int flags) {
    (void)flags;
    return (int)syscall(SYS_openat, AT_FDCWD, "inotify", 0, 0);
}

int __wrap_inotify_add_watch(int fd, const char *path, unsigned mask);
int __wrap_inotify_add_watch(int fd, const char *path, unsigned mask) {
    struct node *n;
    int opened;

    (void)fd;
    if (sscanf(path, "/proc/self/fd/%d", &opened) == 1)
        path = kernel_path(opened);
    n = find(path);
    if (n && (n->closed || n->kind != S_IFDIR)) {
        errno = n->closed ? EACCES : ENOTDIR;
        return -1;
    }
    if (!n)
        return -1;
    n->mask = mask & IN_MASK_ADD && n->wd >= 0 ? n->mask | mask : mask;
    if (n->wd < 0)
        n->wd = next_wd++;
    return n->wd;
}

int __wrap_inotify_rm_watch(int fd, int wd);
int __wrap_inotify_rm_watch(int fd, int wd) {
    (void)fd;
    for (unsigned i = 0; i < NODES; i++)
        if (nodes[i].wd == wd && wd >= 0) {
            unwatch(&nodes[i]);
            return 0;
        }
    errno = EINVAL;
    return -1;
}

/* The next events, whole, as many as fit. */
static size_t contents(const struct kernel_file *f, const uint8_t **bytes) {
    static _Alignas(8) uint8_t buffer[2048];
    size_t used = 0;
    unsigned i = 0;

    (void)f;
    for (; i < queued; i++) {
        struct inotify_event e = {.wd = queue[i].wd, .mask = queue[i].mask};
        size_t n = strlen(queue[i].name);

        e.len = n ? (uint32_t)((n + 16) & ~15u) : 0;
        if (used + sizeof e + e.len > sizeof buffer)
            break;
        memcpy(buffer + used, &e, sizeof e);
        memset(buffer + used + sizeof e, 0, e.len);
        memcpy(buffer + used + sizeof e, queue[i].name, n);
        used += sizeof e + e.len;
    }
    memmove(queue, queue + i, (queued - i) * sizeof *queue);
    queued -= i;
    overflow &= queued > 0;
    *bytes = buffer;
    return used;
}

/* ---- what else the kernel says ---- */

static int open_file(const char *path, int flags) {
    struct node *n = strcmp(path, "inotify") ? find(path) : nodes;

    if (!n)
        return -errno;
    if (n->kind == S_IFLNK && flags & O_NOFOLLOW && !(flags & O_PATH))
        return -ELOOP;
    if (flags & O_DIRECTORY && n->kind != S_IFDIR)
        return -ENOTDIR;
    return n->closed && !(flags & O_PATH) ? -EACCES : 0;
}

static const char *list(const struct kernel_file *f, unsigned i) {
    const struct node *n = find(f->path);

    if (!n || i + 1 >= NODES)
        return NULL;
    return nodes[i + 1].parent == number_of(n) ? nodes[i + 1].name : "";
}

static int kind_of(const char *path, bool follow, struct kernel_kind *k) {
    const struct node *n = find(path);

    if (!n)
        return -errno;
    k->mode = follow && n->kind == S_IFLNK ? n->target : n->kind;
    k->inode = 100 + (unsigned)number_of(n);
    k->rdev_major = 240;
    k->rdev_minor = (unsigned)number_of(n);
    return k->mode ? 0 : -ENOENT;
}

static const char *link_of(const char *path) {
    return path[strlen(path) - 1] & 1 ? "../vport0p1" : "../tty1";
}

static void on_text(int fd, const char *p, size_t n) {
    if (fd == 2)
        kernel_check_line(p, n);
}

long long __wrap_loop_now(void);
long long __wrap_loop_now(void) { return now; }

void __wrap_loop_watch(int fd, unsigned want, loop_fn *fn, void *arg);
void __wrap_loop_watch(int fd, unsigned want, loop_fn *fn, void *arg) {
    (void)fd, (void)want, (void)arg;
    on_events = fn;
}

/* ---- what the proxy learns ---- */

static bool is_below(const char *name, const char *above) {
    return !*above || !strcmp(name, above) ||
           (fmt_begins(name, above) && name[strlen(above)] == '/');
}

static bool tell(const char *name, bool there) {
    kernel_check(strlen(name) < CHANNEL_NAME && (*name || !there));
    if (there)
        return channels_find(name) || channels_add(name, room);
    for (unsigned i = channels_count(); i-- > 0;)
        if (i < channels_count() && *channels_at(i)->name && is_below(channels_at(i)->name, name)) {
            if (gone_count < NODES)
                fmt_copy(gone[gone_count++], CHANNEL_NAME, channels_at(i)->name);
            channels_forget(channels_at(i));
        }
    return true;
}

/* As the proxy does once it has given up a channel: another one may have its name. */
static void look_again(void) {
    while (gone_count)
        names->again(gone[--gone_count]);
}

/* ---- what happens ---- */

/* A directory: the root, or one in it. */
static int some_directory(void) {
    unsigned at = 1 + byte() % (NODES - 1);

    return at < NODES && nodes[at].parent == 1 && nodes[at].kind == S_IFDIR ? (int)at : 1;
}

static void drop(struct node *n) {
    unsigned is_dir = n->kind == S_IFDIR ? IN_ISDIR : 0;
    struct node *parent = &nodes[n->parent];

    for (unsigned i = 1; is_dir && i < NODES; i++)
        if (nodes[i].parent == number_of(n))
            drop(&nodes[i]);
    n->parent = -1;
    if (is_dir)
        tell_of(n, IN_DELETE_SELF, "");
    unwatch(n);
    tell_of(parent, IN_DELETE | is_dir, n->name);
}

static void make(int parent, const char *name, unsigned what) {
    static const int kinds[] = {S_IFSOCK, S_IFDIR, S_IFSOCK, S_IFDIR,
                                S_IFLNK,  S_IFCHR, S_IFIFO,  S_IFREG};
    unsigned i = 1;

    while (i < NODES && nodes[i].parent >= 0)
        i++;
    if (i == NODES || nodes[parent].parent < -1 || child(parent, name))
        return;
    nodes[i] = (struct node){.parent = parent, .kind = kinds[what & 7], .wd = -1};
    nodes[i].target = what & 64 ? S_IFSOCK : what & 128 ? S_IFCHR : 0;
    snprintf(nodes[i].name, NAME, "%s", name);
    tell_of(&nodes[parent], IN_CREATE | (nodes[i].kind == S_IFDIR ? IN_ISDIR : 0), name);
}

static void move(struct node *n, int parent, const char *name) {
    struct node *old = child(parent, name);
    unsigned is_dir = n->kind == S_IFDIR ? IN_ISDIR : 0;

    if (n->parent < 0 || number_of(n) == 1 || old == n || (is_dir && parent != 1) ||
        (old && (old->kind == S_IFDIR) != !!is_dir))
        return;
    if (old)
        drop(old);
    if (n->parent < 0) /* it was in there */
        return;
    tell_of(&nodes[n->parent], IN_MOVED_FROM | is_dir, n->name);
    snprintf(n->name, NAME, "%s", name);
    n->parent = parent;
    tell_of(&nodes[parent], IN_MOVED_TO | is_dir, name);
    tell_of(n, IN_MOVE_SELF, "");
}

static void close_or_open(struct node *n) {
    if (n->parent < 0 || number_of(n) < 2)
        return;
    n->closed = n->kind == S_IFDIR && !n->closed;
    tell_of(n, IN_ATTRIB | (n->kind == S_IFDIR ? IN_ISDIR : 0), "");
    tell_of(&nodes[n->parent], IN_ATTRIB | (n->kind == S_IFDIR ? IN_ISDIR : 0), n->name);
}

/* The root goes, or comes. */
static void toggle_root(void) {
    if (nodes[1].parent == 0) {
        drop(&nodes[1]);
        return;
    }
    nodes[1] = (struct node){.parent = 0, .kind = S_IFDIR, .wd = -1, .name = "r"};
    tell_of(&nodes[0], IN_CREATE | IN_ISDIR, "r");
}

static void run_timer(void) {
    for (int i = 0; i < 20 && !names->timer(); i++)
        continue;
}

static void act(void) {
    unsigned op = byte();
    struct node *n = &nodes[1 + op / 16 % (NODES - 1)];

    switch (op % 16) {
    default:
        if (nodes[1].parent == 0)
            make(some_directory(), some_name(), byte());
        break;
    case 4:
    case 5:
        n = &nodes[2 + byte() % (NODES - 2)];
        if (n->parent > 0)
            drop(n);
        break;
    case 6:
    case 7:
        n = &nodes[2 + byte() % (NODES - 2)];
        if (nodes[1].parent == 0)
            move(n, some_directory(), some_name());
        break;
    case 8:
        close_or_open(n);
        break;
    case 9:
        on_events(NULL, LOOP_READ);
        break;
    case 10:
        names->timer();
        break;
    case 11:
        now += byte() * 20;
        run_timer();
        break;
    case 12:
        toggle_root();
        break;
    case 13: /* an event that nobody made */
        honest = false;
        add_event((int)byte() % 8 - 1, byte() | byte() << 8 | byte() << 24,
                  byte() & 3 ? some_name() : "");
        break;
    case 14:
        room = byte() % 8;
        names->again(room ? NULL : some_name());
        break;
    }
}

/* ---- the end ---- */

static bool is_named(const struct node *n) {
    int kind = !host && n->kind == S_IFLNK ? n->target : n->kind;

    return *n->name != '.' && (kind == S_IFSOCK || (!host && kind == S_IFCHR && number_of(n) & 1));
}

/* Whether the channels are those of the tree. What is in a directory that cannot be read may be
 * known; and so may a name of something else by now, which is found out when it is opened. */
static void check_names(void) {
    unsigned there = 0, known = 0;

    for (unsigned i = 2; i < NODES; i++) {
        const struct node *n = &nodes[i], *in = n->parent > 0 ? &nodes[n->parent] : NULL;
        char name[2 * NAME];

        if (!in || !is_named(n) || *in->name == '.' || (!host && in != &nodes[1]))
            continue;
        snprintf(name, sizeof name, "%s%s%s", in == &nodes[1] ? "" : in->name,
                 in == &nodes[1] ? "" : "/", n->name);
        if (strlen(name) >= CHANNEL_NAME || in->closed)
            continue;
        kernel_check(channels_find(name));
        there++;
    }
    for (unsigned i = 0; i < channels_count(); i++) {
        const char *name = channels_at(i)->name;
        char parent[CHANNEL_NAME];
        const struct node *in = child(1, root_parent(name, parent));
        const struct node *n = child(in ? number_of(in) : 1, fmt_base(name));

        known += *name && !(in && in->closed) && !(n && !is_named(n));
    }
    kernel_check(known == there);
}

static int run(void) {
    root_set("/r");
    names = host ? &dirwatch_guests : &dirwatch_ports;
    names->start(tell);
    for (unsigned ops = 0; ops < OPS && input < input_end; ops++)
        act(), look_again();
    room = CHANNEL_MAX;
    names->again(NULL);
    for (unsigned i = 0; i < 80; i++) {
        while (queued)
            on_events(NULL, LOOP_READ);
        run_timer();
        look_again();
        now += 1000;
    }
    if (honest)
        check_names();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct kernel_world world = {.open = open_file,
                                              .contents = contents,
                                              .list = list,
                                              .kind = kind_of,
                                              .link = link_of,
                                              .text = on_text};

    if (!size)
        return 0;
    host = data[0] & 1;
    input = data + 1;
    input_end = data + size;
    queued = gone_count = overflow = 0;
    next_wd = 1;
    now = 1000000;
    honest = true;
    room = CHANNEL_MAX;
    for (unsigned i = 0; i < NODES; i++)
        nodes[i] = (struct node){.parent = -1, .wd = -1};
    nodes[0].kind = S_IFDIR;
    toggle_root();
    kernel_run(&world, run, 1);
    while (channels_count())
        channels_forget(channels_at(channels_count() - 1));
    return 0;
}
