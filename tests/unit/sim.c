/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../../applets/lib/base/net.h"

enum { PORT_WRITE = 32768, IDLE_ROUNDS = 40, ROUND_CALLS = 400000 };

struct sim_faults sim_faults;
bool sim_verbose;
unsigned long long sim_steps;
struct sim_file *sim_listener;

static const struct sim_world *world; /* NULL: all calls are real */
static unsigned long long state, seed_of_run;
static long long now_us;
static struct sim_file files[SIM_FILES];
static unsigned file_count;
static struct sim_file *by_fd[FD_SETSIZE + 8];
static fd_set watched_read, watched_write;
static struct sim_file *signals;
static int signal_number;
static bool io_signal; /* SIGIO is pending */
static bool progress;  /* since the last select() */
static unsigned idle_rounds, round_calls, rounds = 1;

/* ---- the test's side ---- */

void sim_fail(const char *format, ...) {
    va_list ap;

    va_start(ap, format);
    printf(": ");
    vprintf(format, ap);
    printf("; schedule %llu at %lld ms\n", seed_of_run, now_us / 1000);
    fflush(stdout);
    va_end(ap);
    _exit(1);
}

void sim_note(const char *format, ...) {
    va_list ap;

    if (!sim_verbose)
        return;
    va_start(ap, format);
    fprintf(stderr, "# %lld.%03lld ", now_us / 1000, now_us % 1000);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
}

unsigned sim_random(unsigned n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 20) % n);
}

bool sim_chance(unsigned per_mille) { return per_mille && sim_random(1000) < per_mille; }

long long sim_now(void) { return now_us / 1000; }

void sim_start(const struct sim_world *w, unsigned long long seed) {
    world = w;
    seed_of_run = seed;
    state = (seed + 1) * 0x9E3779B97F4A7C15ULL;
    state ^= state >> 31;
    state += !state;
    for (unsigned i = 0; i < file_count; i++)
        sim_forget(&files[i]);
    file_count = 0;
    memset(by_fd, 0, sizeof by_fd);
    signals = NULL;
    signal_number = 0;
    io_signal = false;
    progress = true;
    idle_rounds = 0;
    now_us = (now_us / 100000000 + 1) * 100000000 + 1000000; /* long after whatever was before */
}

struct sim_file *sim_new(enum sim_kind kind, unsigned in_cap, unsigned out_cap) {
    struct sim_file *f = NULL;

    for (unsigned i = 0; i < file_count && !f; i++)
        if (files[i].kind == SIM_NONE)
            f = &files[i];
    if (!f && file_count == SIM_FILES)
        sim_fail("the test needs more files");
    if (!f)
        f = &files[file_count++];
    *f = (struct sim_file){.kind = kind, .fd = -1};
    f->in.cap = in_cap;
    f->out.cap = out_cap;
    f->in.data = malloc(in_cap + 1);
    f->out.data = malloc(out_cap + 1);
    return f;
}

void sim_forget(struct sim_file *f) {
    free(f->in.data);
    free(f->out.data);
    *f = (struct sim_file){.kind = SIM_NONE, .fd = -1};
}

void sim_give(struct sim_file *f, int fd) {
    if (fd < 0)
        for (fd = SIM_FD; by_fd[fd];)
            fd++;
    by_fd[fd] = f;
    f->fd = fd;
}

struct sim_file *sim_at(int fd) {
    return fd < 0 ? NULL : by_fd[fd];
}

unsigned sim_open_files(void) {
    unsigned n = 0;

    for (unsigned i = 0; i < FD_SETSIZE + 8; i++)
        n += by_fd[i] != NULL;
    return n;
}

bool sim_watches(const struct sim_file *f, bool write) {
    return f->fd >= 0 && f->fd < FD_SETSIZE &&
           (FD_ISSET(f->fd, write ? &watched_write : &watched_read) || (f->async && !write));
}

bool sim_readable(const struct sim_file *f) {
    if (f->kind == SIM_SIGNALS)
        return signal_number || io_signal;
    if (f->kind == SIM_LISTENER)
        return world->has_client();
    if (f->kind == SIM_PORT)
        return f->in.n || !f->attached || f->unplugged;
    return !f->pending && (f->in.n || f->in_end || f->in_reset || f->error);
}

bool sim_writable(const struct sim_file *f) {
    if (f->kind == SIM_LISTENER || f->kind == SIM_SIGNALS)
        return false;
    if (f->kind == SIM_PORT)
        return f->attached && !f->unplugged && f->out.n < f->out.cap;
    return !f->pending && (f->out.n < f->out.cap || f->in_reset || f->deaf);
}

unsigned sim_put(struct sim_pipe *p, const void *bytes, unsigned n) {
    const unsigned char *from = bytes;
    unsigned end, first;

    if (n > p->cap - p->n)
        n = p->cap - p->n;
    end = (p->at + p->n) % p->cap;
    first = n < p->cap - end ? n : p->cap - end;
    memcpy(p->data + end, from, first);
    memcpy(p->data, from + first, n - first);
    p->n += n;
    p->total += n;
    return n;
}

unsigned sim_get(struct sim_pipe *p, void *bytes, unsigned n) {
    unsigned char *to = bytes;
    unsigned first;

    if (n > p->n)
        n = p->n;
    first = n < p->cap - p->at ? n : p->cap - p->at;
    memcpy(to, p->data + p->at, first);
    memcpy(to + first, p->data, n - first);
    p->at = (p->at + n) % p->cap;
    p->n -= n;
    return n;
}

void sim_chunk(struct sim_file *f, unsigned n) { f->chunks[f->chunk_count++] = n; }

static unsigned take_chunk(struct sim_file *f, size_t n) {
    unsigned *c = f->chunks;

    if (n < *c) {
        *c -= (unsigned)n;
        return (unsigned)n;
    }
    n = *c;
    memmove(c, c + 1, --f->chunk_count * sizeof *c);
    return (unsigned)n;
}

void sim_detach(struct sim_file *f) {
    f->attached = f->seen = false;
    f->out.n = 0;
}

/* ---- the program's side ---- */

static struct sim_file *file_of(int fd, const char *call) {
    if (!world || fd < SIM_FD)
        return NULL;
    if (fd >= FD_SETSIZE + 8 || !by_fd[fd])
        sim_fail("%s on descriptor %d, which is not open", call, fd);
    if (++round_calls > ROUND_CALLS)
        sim_fail("%d calls without a select()", ROUND_CALLS);
    sim_steps++;
    return by_fd[fd];
}

static int fault(int reason) {
    progress = true;
    errno = reason;
    return -1;
}

static unsigned shorten(unsigned n) {
    if (n > 1 && sim_chance(sim_faults.shorts))
        n = 1 + sim_random(sim_random(2) ? n : n < 40 ? n : 40);
    return n;
}

/* The end of in, told to the program: progress only once. */
static ssize_t told(struct sim_file *f, int reason) {
    progress |= !f->seen;
    f->seen = true;
    errno = reason;
    return reason ? -1 : 0;
}

static ssize_t do_read(struct sim_file *f, void *p, size_t n) {
    bool port = f->kind == SIM_PORT;

    if (!n && port && !f->unplugged)
        return 0;
    if (!n && !port)
        sim_fail("a read of 0 bytes, whose result looks like an end");
    if (n && sim_chance(sim_faults.eintr))
        return fault(EINTR);
    if (port && f->unplugged)
        return told(f, ENODEV);
    if (f->in_reset && f->reset_told)
        return told(f, 0); /* as Linux: the error only once, then an end */
    f->reset_told = f->in_reset;
    if (f->error || f->in_reset)
        return told(f, f->error ? f->error : ECONNRESET);
    if (f->in.n && sim_chance(sim_faults.eagain))
        return fault(EAGAIN);
    if (f->in.n) {
        progress = true;
        return sim_get(&f->in, p,
                       port ? take_chunk(f, n) : shorten(n > 1 << 20 ? 1 << 20 : (unsigned)n));
    }
    if (port ? !f->attached : f->in_end)
        return told(f, 0);
    errno = EAGAIN;
    return -1;
}

static ssize_t do_write(struct sim_file *f, const void *p, size_t n) {
    bool port = f->kind == SIM_PORT;
    unsigned whole;

    if (!n)
        sim_fail("a write of 0 bytes");
    if (f->pending || f->out_end)
        sim_fail("a write on a socket that is %s", f->pending ? "not connected" : "shut down");
    if (sim_chance(sim_faults.eintr))
        return fault(EINTR);
    if (port && f->unplugged)
        return told(f, ENODEV);
    if (f->in_reset || f->deaf) {
        f->in_reset = true;
        return told(f, sim_random(2) ? EPIPE : ECONNRESET);
    }
    if (sim_chance(sim_faults.eagain))
        return fault(EAGAIN);
    if (port && (f->zero_round == rounds || sim_chance(sim_faults.zero))) {
        f->zero_round = rounds; /* and so it stays until something else is done */
        progress = true;
        return 0;
    }
    if (port && n > PORT_WRITE && !f->cut && !memcmp(p, "VS1", 3) &&
        memcmp((const char *)p + PORT_WRITE, "VS1", 3) != 0)
        sim_fail("a frame that a port takes in two pieces");
    if ((port && !f->attached) || f->out.n >= f->out.cap) {
        errno = EAGAIN;
        return -1;
    }
    progress = true;
    whole = port && n > PORT_WRITE ? PORT_WRITE : (unsigned)n;
    n = sim_put(&f->out, p, shorten(whole));
    f->cut = n < whole;
    for (unsigned i = sim_random(4); i && world->act && world->act(); i--)
        continue; /* on one processor the others run before write() returns */
    return (ssize_t)n;
}

static ssize_t read_signal(struct signalfd_siginfo *info, size_t n) {
    if (!signal_number && !io_signal) {
        errno = EAGAIN;
        return -1;
    }
    if (n < sizeof *info)
        sim_fail("a signal read into %zu bytes", n);
    memset(info, 0, sizeof *info);
    info->ssi_signo = (unsigned)(io_signal ? SIGIO : signal_number);
    if (!io_signal)
        signal_number = 0;
    io_signal = false;
    progress = true;
    return sizeof *info;
}

ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n) {
    struct sim_file *f = file_of(fd, "read");

    if (f && f->kind == SIM_SIGNALS)
        return read_signal(p, n);
    return f ? do_read(f, p, n) : __real_read(fd, p, n);
}

ssize_t __real_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags) {
    struct sim_file *f = file_of(fd, "recv");

    if (f && f->kind != SIM_STREAM)
        sim_fail("recv on what is no socket");
    return f ? do_read(f, p, n) : __real_recv(fd, p, n, flags);
}

/* A line of the log: whole, printable, one write. */
static void check_line(const char *p, size_t n) {
    if (n < 2 || p[n - 1] != '\n')
        sim_fail("a log line without its end");
    for (size_t i = 0; i + 1 < n; i++)
        if (p[i] < ' ' || p[i] > '~')
            sim_fail("byte %#x in the log", (unsigned char)p[i]);
    sim_note("%.*s", (int)n - 1, p);
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n) {
    struct sim_file *f = file_of(fd, "write");

    if (f)
        return do_write(f, p, n);
    if (!world || fd != STDERR_FILENO)
        return __real_write(fd, p, n);
    if (n >= 5 && !memcmp(p, "vios", 4))
        check_line(p, n);
    else
        return __real_write(fd, p, n);
    return (ssize_t)n;
}

/* Segment after segment, until one is not filled: a port has no readv() of its own. A stream's
 * keeps an end or an error for the next. */
static ssize_t read_segments(struct sim_file *f, const struct iovec *v, int count) {
    ssize_t all = 0;

    if (count < 1)
        sim_fail("readv() with %d segments", count);
    for (int i = 0; i < count && (!i || (v[i].iov_len && (f->kind == SIM_PORT || f->in.n))); i++) {
        ssize_t n = do_read(f, v[i].iov_base, v[i].iov_len);

        if (n < 0 && !i)
            return -1;
        all += n < 0 ? 0 : n;
        if (n != (ssize_t)v[i].iov_len)
            break;
    }
    return all;
}

ssize_t __real_readv(int fd, const struct iovec *v, int count);
ssize_t __wrap_readv(int fd, const struct iovec *v, int count);
ssize_t __wrap_readv(int fd, const struct iovec *v, int count) {
    struct sim_file *f = file_of(fd, "readv");

    return f ? read_segments(f, v, count) : __real_readv(fd, v, count);
}

/* A stream takes what it has room for, and all of it in one piece. */
static ssize_t write_segments(struct sim_file *f, const struct iovec *v, int count) {
    static unsigned char bytes[1 << 21];
    size_t n = 0;

    for (int i = 0; i < count; i++) {
        if (n + v[i].iov_len > sizeof bytes)
            sim_fail("writev() of more than %zu bytes", sizeof bytes);
        memcpy(bytes + n, v[i].iov_base, v[i].iov_len);
        n += v[i].iov_len;
    }
    return do_write(f, bytes, n);
}

ssize_t __real_writev(int fd, const struct iovec *v, int count);
ssize_t __wrap_writev(int fd, const struct iovec *v, int count);
ssize_t __wrap_writev(int fd, const struct iovec *v, int count) {
    struct sim_file *f = file_of(fd, "writev");

    return f ? write_segments(f, v, count) : __real_writev(fd, v, count);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
    struct sim_file *f = file_of(fd, "close");

    if (!f)
        return __real_close(fd);
    if (sim_watches(f, false) || sim_watches(f, true)) {
        FD_CLR(fd, &watched_read); /* the next select() shows whether it still is */
        FD_CLR(fd, &watched_write);
    }
    by_fd[fd] = NULL;
    f->fd = -1;
    f->out_end = true;
    progress = true;
    if (f->kind == SIM_STREAM && (f->linger0 || f->in.n)) {
        f->out_reset = true;
        f->out.n = 0;
    }
    f->in.n = 0;
    return 0;
}

int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how) {
    struct sim_file *f = file_of(fd, "shutdown");

    if (!f)
        return __real_shutdown(fd, how);
    if (f->kind != SIM_STREAM || f->pending || how != SHUT_WR)
        sim_fail("a shutdown that makes no sense");
    f->out_end = progress = true;
    return 0;
}

static struct sim_file *fresh_file(int *fd) {
    struct sim_file *f;

    if (sim_chance(sim_faults.no_fd)) {
        fault(sim_random(2) ? EMFILE : ENFILE);
        return NULL;
    }
    f = sim_new(SIM_STREAM, 1, 1);
    *fd = sim_chance(sim_faults.high_fd) ? FD_SETSIZE + (int)sim_random(8) : -1;
    if (*fd >= 0 && by_fd[*fd])
        *fd = -1;
    return f;
}

int __real_sys_socket(int domain, int type, int protocol);
int __wrap_sys_socket(int domain, int type, int protocol);
int __wrap_sys_socket(int domain, int type, int protocol) {
    struct sim_file *f;
    int fd;

    if (!world)
        return __real_sys_socket(domain, type, protocol);
    f = fresh_file(&fd);
    if (!f)
        return -1;
    if (!(type & SOCK_NONBLOCK))
        sim_fail("a socket that blocks");
    sim_give(f, fd);
    return f->fd;
}

int __real_sys_open(const char *path, int flags);

/* A path that is held open with O_PATH is given by the number of that descriptor. */
static char held_path[64];
static int held_fd = -1;

static int hold(const char *path) {
    snprintf(held_path, sizeof held_path, "%s", path);
    return held_fd = __real_sys_open("/", O_PATH);
}

static const char *let_go(const char *path) {
    int fd;

    return world && sscanf(path, "/proc/self/fd/%d", &fd) == 1 && fd == held_fd ? held_path : path;
}

int __real_connect(int fd, const struct sockaddr *a, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t n) {
    struct sim_file *f = file_of(fd, "connect");
    int reason;

    if (!f)
        return __real_connect(fd, a, n);
    progress = true;
    reason = world->connect(
        f, a->sa_family == AF_UNIX ? let_go(((const struct sockaddr_un *)a)->sun_path) : NULL);
    if (!reason)
        return 0;
    errno = reason;
    return -1;
}

int __real_sys_accept(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_sys_accept(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_sys_accept(int fd, struct sockaddr *a, socklen_t *n) {
    struct sim_file *f = file_of(fd, "accept");
    int at = -1;

    if (!f)
        return __real_sys_accept(fd, a, n);
    if (!world->has_client()) {
        errno = EAGAIN;
        return -1;
    }
    if (sim_chance(sim_faults.no_fd))
        return fault(EMFILE);
    if (sim_chance(sim_faults.aborted))
        return fault(sim_random(2) ? ECONNABORTED : EINTR);
    if (sim_chance(sim_faults.high_fd))
        at = FD_SETSIZE + (int)sim_random(8);
    f = world->accept();
    sim_give(f, at >= 0 && by_fd[at] ? -1 : at);
    progress = true;
    *n = sizeof(sa_family_t);
    a->sa_family = AF_UNIX;
    return f->fd;
}

int __wrap_net_listen(const struct net_address *a, unsigned mode, const char **failure);
int __wrap_net_listen(const struct net_address *a, unsigned mode, const char **failure) {
    (void)a, (void)mode, (void)failure;
    sim_listener = sim_new(SIM_LISTENER, 1, 1);
    sim_give(sim_listener, -1);
    return sim_listener->fd;
}

int __wrap_net_raise_lo(void);
int __wrap_net_raise_lo(void) { return 0; }

int __real_setsockopt(int fd, int level, int name, const void *p, socklen_t n);
int __wrap_setsockopt(int fd, int level, int name, const void *p, socklen_t n);
int __wrap_setsockopt(int fd, int level, int name, const void *p, socklen_t n) {
    struct sim_file *f = file_of(fd, "setsockopt");

    if (!f)
        return __real_setsockopt(fd, level, name, p, n);
    if (level == SOL_SOCKET && name == SO_LINGER)
        f->linger0 = ((const struct linger *)p)->l_onoff && !((const struct linger *)p)->l_linger;
    return 0;
}

int __real_getsockopt(int fd, int level, int name, void *p, socklen_t *n);
int __wrap_getsockopt(int fd, int level, int name, void *p, socklen_t *n);
int __wrap_getsockopt(int fd, int level, int name, void *p, socklen_t *n) {
    struct sim_file *f = file_of(fd, "getsockopt");

    if (!f)
        return __real_getsockopt(fd, level, name, p, n);
    if (name == SO_PEERCRED) { /* nobody is QEMU here */
        errno = ENOTCONN;
        return -1;
    }
    if (name == TCP_INFO) {
        *(unsigned char *)p = f->in_reset ? TCP_CLOSE : TCP_ESTABLISHED;
        return 0;
    }
    *(int *)p = f->error;
    f->error = 0;
    progress = true;
    return 0;
}

bool __real_net_unsent(int fd);
bool __wrap_net_unsent(int fd);
bool __wrap_net_unsent(int fd) {
    struct sim_file *f = file_of(fd, "ioctl(TIOCOUTQ)");

    return f ? f->out.n && !f->in_reset && !f->deaf : __real_net_unsent(fd);
}

int __real_file_mode(const char *path, bool follow);
int __wrap_file_mode(const char *path, bool follow);
int __wrap_file_mode(const char *path, bool follow) {
    path = let_go(path);
    if (!world || strncmp(path, "sim/", 4))
        return __real_file_mode(path, follow);
    return !strncmp(path, "sim/port", 8) ? S_IFCHR : S_IFSOCK;
}

int __real_file_look(int directory, const char *name, unsigned long long *inode);
int __wrap_file_look(int directory, const char *name, unsigned long long *inode);
int __wrap_file_look(int directory, const char *name, unsigned long long *inode) {
    char path[32];

    if (!world || *name)
        return __real_file_look(directory, name, inode);
    snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
    *inode = 1;
    return __wrap_file_mode(path, true);
}

int __wrap_sys_open(const char *path, int flags);
int __wrap_sys_open(const char *path, int flags) {
    struct sim_file *f;

    if (!world || strncmp(path, "sim/", 4))
        return __real_sys_open(path, flags);
    if (sim_chance(sim_faults.no_fd))
        return fault(EMFILE);
    if (flags & O_PATH)
        return hold(path);
    if (!(flags & O_NONBLOCK))
        sim_fail("open() that blocks");
    f = world->open(path);
    if (!f)
        return -1;
    if (f->fd >= 0)
        sim_fail("a port is opened twice");
    sim_give(f, sim_chance(sim_faults.high_fd) && !by_fd[FD_SETSIZE] ? FD_SETSIZE : -1);
    progress = true;
    return f->fd;
}

int __real_file_open_port(const char *path);
int __wrap_file_open_port(const char *path);
int __wrap_file_open_port(const char *path) {
    return world ? __wrap_sys_open(path, O_RDWR | O_NONBLOCK) : __real_file_open_port(path);
}

ssize_t __real_getrandom(void *p, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags) {
    if (!world)
        return __real_getrandom(p, n, flags);
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)p)[i] = (unsigned char)sim_random(256);
    return (ssize_t)n;
}

#ifdef SYS_clock_gettime64
enum { CLOCK_GETTIME = SYS_clock_gettime64 };
#else
enum { CLOCK_GETTIME = SYS_clock_gettime };
#endif

/* What SIGIO tells of: bytes that came, and ends. */
static unsigned long long news_of(const struct sim_file *f) {
    return f->in.total << 5 | f->in_end << 4 | f->in_reset << 3 | f->attached << 2 |
           f->unplugged << 1 | f->deaf;
}

static void tell_by_signal(void) {
    for (unsigned i = 0; i < file_count; i++)
        if (files[i].async && files[i].fd >= 0 && files[i].told != news_of(&files[i])) {
            files[i].told = news_of(&files[i]);
            io_signal = true;
        }
}

static long do_fcntl(struct sim_file *f, long command, long value) {
    if (command == F_GETFL)
        return O_NONBLOCK;
    if (command == F_SETFL && !(value & O_NONBLOCK))
        sim_fail("F_SETFL that makes it block");
    if (command == F_SETFL) {
        f->async = value & O_ASYNC;
        f->told = news_of(f);
    }
    return 0;
}

/* The clock and fcntl() are asked for by their numbers. With six arguments instead of "...": the
 * sanitizers do not like to see absent ones read. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
    long long *t = (long long *)b;

    if (world && number == SYS_fcntl && file_of((int)a, "fcntl"))
        return do_fcntl(by_fd[a], b, c);
    if (!world || number != CLOCK_GETTIME || a != CLOCK_MONOTONIC_COARSE)
        return __real_syscall(number, a, b, c, d, e, f);
    t[0] = now_us / 1000000;
    t[1] = now_us % 1000000 * 1000;
    return 0;
}

int __real_sys_signalfd(const sigset_t *set);
int __wrap_sys_signalfd(const sigset_t *set);
int __wrap_sys_signalfd(const sigset_t *set) {
    if (!world)
        return __real_sys_signalfd(set);
    if (!sigismember(set, SIGTERM))
        sim_fail("signalfd() that misses SIGTERM");
    if (!signals)
        sim_give(signals = sim_new(SIM_SIGNALS, 1, 1), -1);
    return signals->fd;
}

int __real_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    return world ? 0 : __real_sigprocmask(how, set, old);
}

void sim_signal(int number) { signal_number = number; }

/* ---- select() ---- */

/* How select() may err: not at all; a port that takes bytes again stays unseen; also, some is seen
 * later or without cause. */
enum fill { EXACT, LOSES, ERRS };

/* Fills the sets with what is ready of what is watched. */
static int fill(int count, fd_set *r, fd_set *w, enum fill how) {
    int n = 0;

    for (int fd = 0; fd < count; fd++) {
        bool want_read = FD_ISSET(fd, r), want_write = FD_ISSET(fd, w), is_read, is_write;
        struct sim_file *f = by_fd[fd];

        FD_CLR(fd, r);
        FD_CLR(fd, w);
        if (!want_read && !want_write)
            continue;
        if (!f)
            sim_fail("descriptor %d is watched and not open", fd);
        is_read = want_read && sim_readable(f);
        is_write = want_write && sim_writable(f);
        if (how != EXACT && f->kind == SIM_PORT && is_write && sim_chance(sim_faults.lost_wake))
            is_write = false;
        if (how == ERRS && sim_chance(sim_faults.hide)) {
            is_read = is_write = false;
            f->told = ~0ULL; /* it comes only now */
        } else if (how == ERRS && f->kind == SIM_STREAM && !f->pending &&
                   sim_chance(sim_faults.spurious)) {
            is_read |= want_read;
            is_write |= want_write;
            progress = true;
        }
        if (is_read)
            FD_SET(fd, r);
        if (is_write)
            FD_SET(fd, w);
        n += is_read + is_write;
    }
    return n;
}

static int peek(int count, fd_set *r, fd_set *w) {
    if (++round_calls > ROUND_CALLS)
        sim_fail("%d calls without a select()", ROUND_CALLS);
    return fill(count, r, w, EXACT);
}

static void check_round(void) {
    sim_steps++;
    idle_rounds = progress ? 0 : idle_rounds + 1;
    if (idle_rounds > IDLE_ROUNDS)
        sim_fail("the program spins: %d rounds without anything done", IDLE_ROUNDS);
    progress = false;
    round_calls = 0;
    rounds++;
}

/* Nothing is ready and nothing happens now. Returns false when the time-out is over, or the end has
 * come. */
static bool pass_time(long long limit) {
    long long next;

    if (limit >= 0 && limit <= now_us)
        return false;
    world->sleeps();
    next = world->next();
    next = next < 0 ? -1 : next * 1000;
    progress = true;
    if (next < 0 && limit < 0) {
        world->stops();
        return false;
    }
    if (limit >= 0 && (next < 0 || limit <= next)) {
        now_us = limit > now_us ? limit : now_us;
        return false;
    }
    now_us = next > now_us ? next : now_us;
    return true;
}

/* loop_peek() asks about one descriptor and does not wait; the loop always waits for signals too.
 */
static bool is_peek(const fd_set *r, long ms) {
    return !ms && signals && !FD_ISSET(signals->fd, r);
}

int __real_sys_select(int count, fd_set *r, fd_set *w, long ms);
int __wrap_sys_select(int count, fd_set *r, fd_set *w, long ms);
int __wrap_sys_select(int count, fd_set *r, fd_set *w, long ms) {
    long long limit = ms < 0 ? -1 : now_us + ms * 1000LL;
    fd_set rr, ww;
    int n;

    if (!world || !r) /* the log asks whether it may write */
        return __real_sys_select(count, r, w, ms);
    if (is_peek(r, ms))
        return peek(count, r, w);
    if (ms < -1)
        sim_fail("a time-out of %ld ms", ms);
    check_round();
    watched_read = *r;
    watched_write = *w;
    now_us += sim_random(sim_random(20) ? 200 : 3000);
    for (unsigned i = sim_random(4); i && world->act(); i--)
        continue;
    if (sim_chance(sim_faults.eintr))
        return fault(EINTR);
    for (;;) {
        rr = *r;
        ww = *w;
        tell_by_signal();
        n = fill(count, &rr, &ww, ERRS);
        if (!n && world->act())
            continue;
        if (!n) {
            rr = *r;
            ww = *w;
            tell_by_signal();
            n = fill(count, &rr, &ww, limit < 0 ? EXACT : LOSES);
        }
        if (n || !pass_time(limit))
            break;
    }
    *r = rr;
    *w = ww;
    return n;
}
