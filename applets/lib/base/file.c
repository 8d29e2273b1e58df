/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/sys.h"

/* syscalls: openat2 read getdents64 statx readlink readlinkat close */

int file_read(const char *path, char *text, size_t cap) {
    int fd = sys_open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, cap - 1);

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return -1;
    n -= n && text[n - 1] == '\n';
    text[n] = '\0';
    return (int)n;
}

/* Whether the name is "." or "..". */
static bool is_dots(const char *name) {
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Calls fn for the names in n bytes of a directory. False: fn has returned false. */
static bool list_some(const char *entries, int n, file_list_fn *fn, void *arg) {
    for (int at = 0; at < n;) {
        const struct dirent *entry = (const void *)(entries + at);

        at += entry->d_reclen;
        if (!is_dots(entry->d_name) && !fn(entry->d_name, arg))
            return false;
    }
    return true;
}

int file_list_on(int fd, file_list_fn *fn, void *arg) {
    _Alignas(struct dirent) char entries[1024];
    int n = (int)syscall(SYS_getdents64, fd, entries, sizeof entries);

    return n > 0 ? list_some(entries, n, fn, arg) : n;
}

int file_list_all(int fd, file_list_fn *fn, void *arg) {
    int n = fd;

    while (fd >= 0 && (n = file_list_on(fd, fn, arg)) > 0)
        continue;
    if (fd >= 0)
        close(fd);
    return n < 0 ? -1 : 0;
}

int file_list(const char *directory, bool follow, file_list_fn *fn, void *arg) {
    return file_list_all(sys_open(directory, O_RDONLY | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW)),
                         fn, arg);
}

static bool count_down(const char *name, void *arg) {
    (void)name;
    return (*(unsigned *)arg)-- > 0;
}

bool file_more_than(int fd, unsigned n) {
    unsigned left = n;

    return file_list_all(fd, count_down, &left) || left > n;
}

/* Linux's struct statx, which older musls do not have. Their stat() takes 700 bytes for kernels
 * before statx(). */
struct status {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, pad;
    uint64_t inode, size, blocks, attributes_mask, times[8];
    uint32_t special[2], device[2];
    uint64_t more[14];
};
_Static_assert(sizeof(struct status) == 256, "as Linux has it");

enum { BASIC = 0x7ff }; /* of statx() */

static int read_status(const char *path, bool follow, struct status *st) {
    return (int)syscall(SYS_statx, AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW, BASIC, st);
}

int file_stat(const char *path, bool follow, struct stat *st) {
    struct status s;

    if (read_status(path, follow, &s))
        return -1;
    st->st_mode = s.mode;
    st->st_uid = s.uid;
    st->st_ino = s.inode;
    st->st_dev = makedev(s.device[0], s.device[1]);
    st->st_rdev = makedev(s.special[0], s.special[1]);
    return 0;
}

int file_look(int directory, const char *name, unsigned long long *inode) {
    struct status st;

    if (syscall(SYS_statx, directory, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, BASIC, &st))
        return -1;
    if (inode)
        *inode = st.inode;
    return st.mode;
}

static int open_by_steps(int directory, const char *name, int flags) {
    const char *base = fmt_base(name);
    char parent[256]; /* NAME_MAX and a NUL */
    int fd, held;

    if (base == name)
        return sys_open_at(directory, name, flags | O_NOFOLLOW);
    fmt_print(parent, sizeof parent, "%.*s", (int)(base - name - 1), name);
    held = sys_open_at(directory, parent, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (held < 0)
        return -1;
    fd = sys_open_at(held, base, flags | O_NOFOLLOW);
    close(held);
    return fd;
}

int file_open_below(int directory, const char *name, int flags) {
    enum {
        OPENAT2 = 437,
        NO_SYMLINKS = 4,
        BENEATH = 8
    }; /* since Linux 5.6; some sandboxes forbid it */
    struct {
        uint64_t flags, mode, resolve;
    } how = {(unsigned)flags | O_NOFOLLOW | O_CLOEXEC, 0, NO_SYMLINKS | BENEATH};
    int fd = (int)syscall(OPENAT2, directory, name, &how, sizeof how);

    return fd < 0 ? open_by_steps(directory, name, flags) : fd;
}

int file_mode(const char *path, bool follow) {
    struct status st;

    return read_status(path, follow, &st) ? -1 : st.mode;
}

unsigned long long file_inode(const char *path, bool follow) {
    struct status st;

    return read_status(path, follow, &st) ? 0 : st.inode;
}

const char *file_link(const char *path) {
    static char target[256];
    ssize_t n = readlink(path, target, sizeof target - 1);

    target[n > 0 ? n : 0] = '\0';
    return target;
}

const char *file_device(unsigned major, unsigned minor) {
    char link[40];

    fmt_print(link, sizeof link, "/sys/dev/char/%u:%u", major, minor);
    return fmt_base(file_link(link));
}

/* Whether /proc/devices has this major number for the driver, which has one for each virtio-serial
 * device. Block devices, which come after all others, need no room. */
static bool is_ports_major(unsigned major) {
    char text[4096], line[32];
    const char *p = text;

    fmt_print(line, sizeof line, "\n%3u virtio-portsdev\n", major);
    if (file_read("/proc/devices", text, sizeof text) < 0)
        return false;
    while (*p && !fmt_begins(p, line))
        p++;
    return *p;
}

bool file_is_port_number(unsigned major, unsigned minor) {
    const char *name = file_device(major, minor);

    return *name ? fmt_begins(name, "vport") : is_ports_major(major);
}

bool file_is_port(const char *path) {
    struct status st;

    return !read_status(path, true, &st) && S_ISCHR(st.mode) &&
           file_is_port_number(st.special[0], st.special[1]);
}

int file_open_port(const char *path) {
    int reason = ENODEV, fd = -1, held = sys_open(path, O_PATH);
    char name[32];

    if (held < 0)
        return -1;
    fmt_print(name, sizeof name, "/proc/self/fd/%d", held);
    if (file_mode(name, true) >= 0) /* /proc is mounted */
        path = name;
    if (file_is_port(path)) {
        fd = sys_open(path, O_RDWR | O_NONBLOCK | O_NOCTTY);
        reason = errno;
    }
    close(held);
    errno = reason;
    return fd;
}

bool file_same(const char *a, const char *b) {
    struct status x, y;

    return !read_status(a, false, &x) && !read_status(b, false, &y) && x.inode == y.inode &&
           !memcmp(x.device, y.device, sizeof x.device);
}
