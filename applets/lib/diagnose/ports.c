/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/fmt.h"
#include "base/holder.h"
#include "base/log.h"
#include "diagnose/unixsock.h"

/* syscalls (connect): statfs statfs64 access faccessat */

#define DEBUGFS "/sys/kernel/debug"

enum { PORTS_MAX = 1024 };

static struct port table[PORTS_MAX];
static unsigned count, left_out;
static bool hidden;      /* something could not be looked at */
static const char *root; /* NULL: the ports are from sysfs */

/* ---- what there is ---- */

unsigned ports_count(void) { return count; }

struct port *ports_at(unsigned i) {
    return &table[i];
}

const char *ports_path(const struct port *p) {
    static char path[PORTS_PATH];

    if (root)
        fmt_print(path, sizeof path, "%s/%s", root, p->name);
    else
        fmt_print(path, sizeof path, "/dev/%s", p->node);
    return path;
}

/* Begins a new one. */
static struct port *fresh(void) {
    static struct port p;

    memset(&p, 0, sizeof p);
    p.host = p.held = -1;
    p.sent = p.received = -1;
    return &p;
}

static void add(const struct port *p) {
    unsigned at = count;

    if (count == PORTS_MAX) {
        left_out++;
        return;
    }
    while (at && strcmp(p->name, table[at - 1].name) < 0)
        at--;
    memmove(&table[at + 1], &table[at], (count++ - at) * sizeof *table);
    memcpy(&table[at], p, sizeof *p);
}

/* The name by which the host knows a port. */
static bool read_name(const char *node, char name[PORTS_NAME]) {
    char path[96];

    fmt_print(path, sizeof path, FILE_PORTS "/%s/name", node);
    return file_read(path, name, PORTS_NAME) > 0;
}

static void set_agent(struct port *p, const char *name) {
    int n;
    const char *agent = agent_of(name, &n);

    if (agent_is_inward(name))
        fmt_copy(p->agent, sizeof p->agent, "vios -R");
    else if (agent)
        fmt_print(p->agent, sizeof p->agent, "%.*s", n, agent);
}

static bool add_sysfs(const char *node, void *unused) {
    struct port *p = fresh();
    struct stat st;

    (void)unused;
    if (!read_name(node, p->name))
        return true;
    fmt_copy(p->node, sizeof p->node, node);
    set_agent(p, p->name);
    if (!file_stat(ports_path(p), true, &st) && S_ISCHR(st.st_mode))
        p->device = st.st_rdev;
    add(p);
    return true;
}

bool ports_node(dev_t device, char node[PORTS_NODE]) {
    fmt_copy(node, PORTS_NODE, file_device(major(device), minor(device)));
    return file_is_port_number(major(device), minor(device));
}

static void unseen(const char *path) {
    if (error_is_absence(errno))
        return;
    log_msg(LOG_WARN, "%s: %m", path);
    hidden = true;
}

static bool add_file(const char *base, void *parent) {
    struct port *p = fresh();
    const char *path = ports_path(p), *above = parent;
    char name[PORTS_NAME];
    struct stat st;

    if (*base == '.') /* udev makes a link under another name, then renames it */
        return true;
    fmt_print(p->name, sizeof p->name, "%s%s%s", above, *above ? "/" : "", base);
    ports_path(p);
    if (file_stat(path, false, &st) || (S_ISLNK(st.st_mode) && file_stat(path, true, &st))) {
        unseen(path);
        return true;
    }
    if (S_ISDIR(st.st_mode) && !*above) {
        fmt_copy(name, sizeof name, base);
        if (!file_list(path, false, add_file, name))
            return true;
        if (errno == ENOTDIR || errno == ELOOP)
            log_msg(LOG_WARN, "%s is a symbolic link: it is left alone", path);
        unseen(path);
        return true;
    }
    p->is_socket = S_ISSOCK(st.st_mode);
    p->device = st.st_rdev;
    p->fs = st.st_dev;
    p->inode = st.st_ino;
    if (!p->is_socket && !(S_ISCHR(st.st_mode) && ports_node(p->device, p->node)))
        return true;
    set_agent(p, *p->node && read_name(p->node, name) ? name : fmt_base(p->name));
    add(p);
    return true;
}

int ports_scan(const char *directory) {
    int result;

    count = left_out = 0;
    hidden = false;
    root = NULL;
    if (!directory)
        file_list(FILE_PORTS, true, add_sysfs, NULL);
    if (count)
        return 0;
    root = directory ? directory : CONFIG_HOST_DIRECTORY;
    result = file_list(root, true, add_file, (void *)"");
    if (left_out)
        log_msg(LOG_WARN, "%u of %u channels are left out", left_out, left_out + count);
    return directory ? result : 0;
}

bool ports_hidden(void) { return hidden; }

void ports_filter(bool (*keep)(const struct port *p)) {
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++)
        if (keep(&table[i]))
            table[kept++] = table[i];
    count = kept;
}

struct port *ports_find(const char *what) {
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(table[i].name, what) || !strcmp(table[i].node, what))
            return &table[i];
    return NULL;
}

/* ---- what can be seen of it ---- */

/* The number in the last line of text that begins with key, or -1. The first line is the port's
 * name, whatever that holds; a number that is too large loses its upper bits. */
static int64_t value_of(const char *text, const char *key) {
    size_t n = strlen(key);
    uint64_t v = UINT64_MAX;

    while (*(text = fmt_find(text, '\n')))
        if (fmt_begins(++text, key))
            for (v = 0, text += n; *text >= '0' && *text <= '9'; text++)
                v = v * 10 + (unsigned)(*text - '0');
    return (int64_t)v;
}

/* vios-protocol(7), port fact 10. */
static void look_at_debugfs(struct port *p) {
    char path[96], text[1024];

    fmt_print(path, sizeof path, DEBUGFS "/virtio-ports/%s", p->node);
    if (!*p->node || file_read(path, text, sizeof text) < 0)
        return;
    p->host = (int)value_of(text, "host_connected: ");
    p->held = (int)value_of(text, "guest_connected: ");
    p->sent = value_of(text, "bytes_sent: ");
    p->received = value_of(text, "bytes_received: ");
}

static void match_holder(const struct stat *open, int pid, void *unused) {
    (void)unused;
    for (unsigned i = 0; i < count; i++) {
        struct port *p = &table[i];

        if (p->is_socket ? S_ISSOCK(open->st_mode) && p->listener && open->st_ino == p->listener
                         : S_ISCHR(open->st_mode) && p->device == open->st_rdev)
            p->pid = pid;
    }
}

static void match_socket(const struct unixsock *s, void *unused) {
    (void)unused;
    for (unsigned i = 0; i < count; i++) {
        struct port *p = &table[i];

        if (!p->is_socket || !unixsock_is_of(s, p->fs, p->inode))
            continue;
        if (s->listens) {
            p->host = 1;
            p->listener = s->inode;
            p->waiting = (int)s->waiting;
        } else {
            p->held = 1;
        }
    }
}

/* Whether sock_diag may have other numbers for files of this file system than stat(). */
static bool is_renumbered(const char *path) {
    enum { BTRFS = (int)0x9123683e, OVERLAY = 0x794c7630 };
    struct statfs fs;

    return statfs(path, &fs) || (int)fs.f_type == BTRFS || (int)fs.f_type == OVERLAY;
}

/* Whatever was not found is unknown if the kernel shows nothing. */
static void look_at_sockets(void) {
    bool told = !unixsock_each(match_socket, NULL);

    for (unsigned i = 0; i < count; i++) {
        struct port *p = &table[i];

        if (!p->is_socket || (told && p->host < 0 && is_renumbered(ports_path(p))))
            continue;
        if (told && p->host < 0)
            p->host = 0;
        if (told && p->held < 0)
            p->held = 0;
    }
}

static bool match_link(const char *base, void *unused) {
    char path[PORTS_PATH];
    struct stat st;

    (void)unused;
    fmt_print(path, sizeof path, CONFIG_HOST_DIRECTORY "/%s", base);
    for (unsigned i = 0; !file_stat(path, true, &st) && i < count; i++)
        if (st.st_rdev == table[i].device)
            table[i].unlinked = false;
    return true;
}

/* vios-proxy-guest looks for ports in sysfs only if the default directory is not there. */
static void look_at_links(void) {
    bool there = !root && !access(CONFIG_HOST_DIRECTORY, X_OK);

    for (unsigned i = 0; i < count; i++)
        table[i].unlinked = there && (!*table[i].agent || agent_is_inward(table[i].name));
    if (there)
        file_list(CONFIG_HOST_DIRECTORY, true, match_link, NULL);
}

/* Why debugfs showed nothing of a port. */
static const char *debugfs_hint(void) {
    if (!access(DEBUGFS "/virtio-ports", X_OK))
        return NULL;
    if (errno == EACCES)
        return "only root can read debugfs, which shows hosts and bytes";
    if (access(DEBUGFS, F_OK))
        return NULL;
    return "to see hosts and bytes: mount -t debugfs debugfs " DEBUGFS;
}

const char *ports_look(void) {
    bool complete, less = false;

    for (unsigned i = 0; i < count; i++)
        look_at_debugfs(&table[i]);
    look_at_sockets();
    look_at_links();
    complete = holder_each(match_holder, NULL);
    for (unsigned i = 0; i < count; i++) {
        struct port *p = &table[i];

        if (p->is_socket)
            continue;
        if (p->pid || (p->held < 0 && complete && p->device))
            p->held = p->pid != 0;
        less |= p->host < 0;
    }
    return less ? debugfs_hint() : NULL;
}
