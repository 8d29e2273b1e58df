/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <sanitizer/asan_interface.h>

#include "../../applets/lib/base/fmt.h"
#include "../../applets/lib/base/loop.h"
#include "../../applets/lib/base/memory.h"

/* The ends of the sections of state.h, which the linker knows. */
extern char __start_fuzz_bss[], __stop_fuzz_bss[], __start_fuzz_data[], __stop_fuzz_data[];

/* So that both are there. */
#pragma clang section bss = "fuzz_bss" data = "fuzz_data"
__attribute__((used)) static long zero, one = 1;
#pragma clang section bss = "" data = ""

static const struct kernel_world *world; /* NULL: the real one */
static struct kernel_file files[KERNEL_FILES];
static jmp_buf end;
static char *first; /* of fuzz_data */

void kernel_check(bool holds) {
    if (!holds)
        __builtin_trap();
}

/* ---- state ---- */

/* Between the variables are places that nobody else may touch. */
__attribute__((no_sanitize("address", "undefined"), no_builtin)) static void
copy(char *to, const char *from, const char *stop) {
    for (; to < stop; to += sizeof(long))
        *(long *)to = from ? *(const long *)from : 0, from += from ? sizeof(long) : 0;
}

static void reset(void) {
    size_t n = (size_t)(__stop_fuzz_data - __start_fuzz_data);

    if (!first) {
        first = malloc(n + sizeof(long));
        copy(first, __start_fuzz_data, first + n);
    }
    copy(__start_fuzz_data, first, __stop_fuzz_data);
    copy(__start_fuzz_bss, NULL, __stop_fuzz_bss);
    for (unsigned i = 0; i < KERNEL_FILES; i++)
        files[i].open = false;
}

unsigned kernel_open_files(void) {
    unsigned n = 0;

    for (unsigned i = 0; i < KERNEL_FILES; i++)
        n += files[i].open;
    return n;
}

int kernel_run(const struct kernel_world *w, int (*fn)(void), unsigned left) {
    int status;

    reset();
    world = w;
    status = setjmp(end);
    if (!status)
        status = fn() + 1;
    if (kernel_open_files() > left)
        kernel_check(status > 1); /* it has ended in the midst of something */
    world = NULL;
    return status - 1;
}

void kernel_check_line(const char *p, size_t n) {
    char copy[1024];

    kernel_check(n && n < sizeof copy && p[n - 1] == '\n' && !memchr(p, '\n', n - 1));
    memcpy(copy, p, n - 1);
    copy[n - 1] = '\0';
    fmt_printable(copy);
    kernel_check(!memcmp(copy, p, n - 1));
}

/* ---- calls ---- */

static int fail(int reason) {
    errno = reason < 0 ? -reason : reason;
    return -1;
}

static struct kernel_file *file_at(int fd) {
    struct kernel_file *f =
        fd >= KERNEL_FD && fd < KERNEL_FD + KERNEL_FILES ? &files[fd - KERNEL_FD] : NULL;

    if (world && f)
        kernel_check(f->open);
    return world ? f : NULL;
}

const char *kernel_path(int fd) { return file_at(fd)->path; }

/* A path from a directory that is open. */
static const char *path_of(int directory, const char *name, char path[KERNEL_PATH]) {
    const struct kernel_file *f = file_at(directory);

    if (!f || *name == '/')
        return name;
    snprintf(path, KERNEL_PATH, "%s%s%s", f->path, *name ? "/" : "", name);
    return path;
}

static int open_file(const char *path, int flags) {
    int reason = strcmp(path, "socket") ? world->open ? world->open(path, flags) : -ENOSYS : 0;
    unsigned i = 0;

    if (reason)
        return fail(reason);
    while (i < KERNEL_FILES && files[i].open)
        i++;
    if (i == KERNEL_FILES)
        return fail(EMFILE);
    files[i].open = true;
    files[i].at = 0;
    snprintf(files[i].path, sizeof files[i].path, "%s", path);
    return KERNEL_FD + (int)i;
}

/* As the kernel lays names out. */
struct entry {
    uint64_t inode, offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static long list_file(struct kernel_file *f, char *p, size_t cap) {
    size_t used = 0;
    const char *name;

    if (!world->list)
        return fail(ENOTDIR);
    while ((name = world->list(f, (unsigned)f->at)) != NULL) {
        size_t n = (offsetof(struct entry, name) + strlen(name) + 8) & ~(size_t)7;
        struct entry *e = (struct entry *)(p + used);

        if (!*name) {
            f->at++;
            continue;
        }
        if (used + n > cap)
            return used ? (long)used : fail(EINVAL);
        memset(e, 0, n);
        e->length = (unsigned short)n;
        strcpy(e->name, name);
        used += n;
        f->at++;
    }
    return (long)used;
}

/* The parts of struct statx that are read. */
static int stat_file(const char *path, int flags, unsigned char *out) {
    struct kernel_kind k = {0};
    uint16_t mode;
    int reason = world->kind ? world->kind(path, !(flags & AT_SYMLINK_NOFOLLOW), &k) : -ENOSYS;

    if (reason)
        return fail(reason);
    mode = (uint16_t)k.mode;
    memset(out, 0, 256);
    memcpy(out + 28, &mode, 2);
    memcpy(out + 32, &k.inode, 8);
    memcpy(out + 128, &k.rdev_major, 4);
    memcpy(out + 132, &k.rdev_minor, 4);
    out[140] = 5;
    return 0;
}

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);

/* It reads more arguments than some calls have. */
long __wrap_syscall(long number, ...);
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...) {
    enum { OPENAT2 = 437 };
    char path[KERNEL_PATH];
    long a[6];
    va_list ap;

    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (!world)
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    switch (number) {
    case SYS_openat:
        return open_file(path_of((int)a[0], (const char *)a[1], path), (int)a[2]);
    case OPENAT2:
        return open_file(path_of((int)a[0], (const char *)a[1], path), (int)*(uint64_t *)a[2]);
    case SYS_getdents64:
        return list_file(file_at((int)a[0]), (char *)a[1], (size_t)a[2]);
    case SYS_statx:
        return stat_file(path_of((int)a[0], (const char *)a[1], path), (int)a[2],
                         (unsigned char *)a[4]);
    case SYS_socket:
    case SYS_signalfd4:
        return open_file("socket", 0);
    case SYS_pselect6:
        return 1; /* all of them are ready */
    case SYS_fcntl:
        return a[0] < 3 ? 0 : fail(EBADF);
    default:
        return fail(ENOSYS);
    }
}

ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n) {
    struct kernel_file *f = file_at(fd);
    const uint8_t *bytes;
    size_t have;

    if (!f)
        return __real_read(fd, p, n);
    have = world->contents ? world->contents(f, &bytes) : 0;
    have = have < n ? have : n;
    if (have)
        memcpy(p, bytes, have);
    f->at += have;
    return (ssize_t)have;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
    struct kernel_file *f = file_at(fd);

    if (!f)
        return world ? fail(EBADF) : __real_close(fd);
    f->open = false;
    return 0;
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n) {
    if (!world)
        return __real_write(fd, p, n);
    if (world->text)
        world->text(fd, p, n);
    return (ssize_t)n;
}

_Noreturn void __real_exit(int status);
_Noreturn void __wrap_exit(int status);
_Noreturn void __wrap_exit(int status) {
    if (!world)
        __real_exit(status);
    longjmp(end, status + 1);
}

ssize_t __real_readlink(const char *path, char *p, size_t n);
ssize_t __wrap_readlink(const char *path, char *p, size_t n);
ssize_t __wrap_readlink(const char *path, char *p, size_t n) {
    const char *target = world && world->link ? world->link(path) : NULL;

    if (!world)
        return __real_readlink(path, p, n);
    if (!target)
        return fail(ENOENT);
    n = strlen(target) < n ? strlen(target) : n;
    memcpy(p, target, n);
    return (ssize_t)n;
}

int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode) {
    struct kernel_kind k;
    int reason = world->kind ? world->kind(path, true, &k) : -ENOSYS;

    (void)mode;
    return reason ? fail(reason) : 0;
}

int __wrap_statfs(const char *path, struct statfs *fs);
int __wrap_statfs(const char *path, struct statfs *fs) {
    memset(fs, 0, sizeof *fs);
    return __wrap_access(path, 0);
}

int __wrap_mknod(const char *path, mode_t mode, dev_t device);
int __wrap_mknod(const char *path, mode_t mode, dev_t device) {
    int reason = world->node ? world->node(path, mode, device) : -EPERM;

    return reason ? fail(reason) : 0;
}

int __real_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    return world ? 0 : __real_sigprocmask(how, set, old);
}

typedef void handler(int number);
handler *__real_signal(int number, handler *h);
handler *__wrap_signal(int number, handler *h);
handler *__wrap_signal(int number, handler *h) {
    return world ? SIG_DFL : __real_signal(number, h);
}

bool __wrap_loop_wait(long ms);

__attribute__((weak)) void memory_trim(void) {}

/* For those who do not wait. */
__attribute__((weak)) bool __wrap_loop_wait(long ms) { return (void)ms, false; }

long long __real_loop_now(void);
long long __wrap_loop_now(void);
__attribute__((weak)) long long __wrap_loop_now(void) { return __real_loop_now(); }

void __real_loop_watch(int fd, unsigned want, loop_fn *fn, void *arg);
void __wrap_loop_watch(int fd, unsigned want, loop_fn *fn, void *arg);
__attribute__((weak)) void __wrap_loop_watch(int fd, unsigned want, loop_fn *fn, void *arg) {
    __real_loop_watch(fd, want, fn, arg);
}

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags) {
    (void)p, (void)flags;
    kernel_check(file_at(fd));
    return (ssize_t)n;
}

int __wrap_bind(int fd, const struct sockaddr *a, socklen_t n);
int __wrap_bind(int fd, const struct sockaddr *a, socklen_t n) {
    (void)a, (void)n;
    kernel_check(file_at(fd));
    return 0;
}

ssize_t __wrap_recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *a, socklen_t *an);
ssize_t __wrap_recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *a, socklen_t *an) {
    unsigned from = 0;
    ssize_t got;

    (void)flags;
    kernel_check(file_at(fd));
    ASAN_UNPOISON_MEMORY_REGION(p, n);
    got = world->receive ? world->receive(p, n, &from) : -EAGAIN;
    if (got >= 0 && !a) /* nothing behind it may be read */
        ASAN_POISON_MEMORY_REGION((char *)p + got, n - (size_t)got);
    if (a && an && *an >= 8)
        memcpy((char *)a + 4, &from, sizeof from);
    return got < 0 ? fail((int)got) : got;
}

ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags) {
    return __wrap_recvfrom(fd, p, n, flags, NULL, NULL);
}
