/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/sys.h"

/* syscalls: clock_gettime clock_gettime64 read fcntl fcntl64 getpid prlimit64 close */

static fd_set reads, writes; /* what is watched */
static fd_set read_ready,
    write_ready;     /* what this round found, less what has been unwatched since */
static fd_set quiet; /* watched by a signal, not by select() */
static MEMORY_BULK struct {
    loop_fn *fn;
    void *arg;
    struct loop_share *share;
} owners[FD_SETSIZE];
static int closing[8]; /* fds to be closed, the first closing_count */
static unsigned closing_count;
static int top; /* one more than the highest watched fd */
static int signals = -1;
static bool stopped, asked, resting;
/* The next select() is asked about quiet fds too, until it finds none of them ready. From then on
 * a signal shows each change. */
static bool look_at_all = true;
static long long now; /* of this round, 0: not yet asked for */

bool loop_fits(int fd) { return fd >= 0 && fd < FD_SETSIZE; }

int loop_admit(int fd) {
    if (fd < FD_SETSIZE)
        return fd;
    close(fd);
    errno = EMFILE;
    return -1;
}

bool loop_is_last(int fd) {
    enum { KEPT = 32 };
    unsigned long long limit[2] = {0}; /* the soft one, the hard one */

    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, limit);
    if (limit[0] > FD_SETSIZE)
        limit[0] = FD_SETSIZE;
    return (unsigned)fd + (limit[0] / 4 < KEPT ? limit[0] / 4 : KEPT) >= limit[0];
}

/* The only place where an fd gets into a set. */
static void set_bit(int fd, bool on, fd_set *set) {
    if (!loop_fits(fd))
        return;
    if (on)
        FD_SET((unsigned)fd, set);
    else
        FD_CLR((unsigned)fd, set);
}

static bool has_bit(int fd, const fd_set *set) { return FD_ISSET((unsigned)fd, set); }

void loop_watch(int fd, unsigned want, loop_fn *fn, void *arg) {
    if (!loop_fits(fd))
        return;
    set_bit(fd, want & LOOP_READ, &reads);
    set_bit(fd, want & LOOP_WRITE, &writes);
    if (want) {
        owners[fd].fn = fn;
        owners[fd].arg = arg;
        if (fd >= top)
            top = fd + 1;
        look_at_all |= has_bit(fd, &quiet);
        return;
    }
    set_bit(fd, false, &read_ready);
    set_bit(fd, false, &write_ready);
    owners[fd].share = NULL;
    while (top && !has_bit(top - 1, &reads) && !has_bit(top - 1, &writes))
        top--;
}

void loop_quiet(int fd, bool on) {
    if (!loop_fits(fd) || on == has_bit(fd, &quiet))
        return;
    if (on)
        syscall(SYS_fcntl, fd, F_SETOWN, getpid());
    if (syscall(SYS_fcntl, fd, F_SETFL, O_NONBLOCK | (on ? O_ASYNC : 0)))
        on = false;
    set_bit(fd, on, &quiet);
    look_at_all |= on;
}

bool loop_close_now(void) {
    bool any = closing_count > 0;

    while (closing_count)
        close(closing[--closing_count]);
    return any;
}

void loop_close(int fd) {
    loop_watch(fd, 0, NULL, NULL);
    if (closing_count == sizeof closing / sizeof *closing)
        loop_close_now();
    closing[closing_count++] = fd;
}

static void on_signals(void *arg, unsigned ready) {
    struct signalfd_siginfo info;

    (void)arg;
    (void)ready;
    if (read(signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGIO)
        look_at_all = true;
    else if (info.ssi_signo == SIGUSR1)
        asked = true;
    else
        stopped = true;
}

static int ready_count; /* of this round */
/* What the fd had used that was served last, of those that have used much. */
static unsigned long long level;
static unsigned round_cost;
static int served; /* the fd that was */

void loop_signals(void) {
    static const unsigned char asked_for[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    sigset_t ours;

    sigemptyset(&ours);
    for (unsigned i = 0; i < sizeof asked_for; i++)
        /* A blocked signal reaches the descriptor even if it is ignored. */
        if (!sys_ignores(asked_for[i]))
            sigaddset(&ours, asked_for[i]);
    sigaddset(&ours, SIGIO);
    signals = loop_admit(sys_signalfd(&ours));
    if (signals < 0)
        log_fatal("no descriptor for signals: %m");
    sigaddset(&ours, SIGPIPE); /* stays pending; write() says EPIPE */
    sigprocmask(SIG_BLOCK, &ours, NULL);
    loop_watch(signals, LOOP_READ, on_signals, NULL);
    level = 0;
    served = 0;
}

enum { WORD = 8 * sizeof(long) }; /* bits of one */

/* What this round asks select() about. */
static void fill_sets(void) {
    for (int i = 0; i * WORD < top; i++) {
        unsigned long hidden =
            CONFIG_VIOS_PROXY_HOST && !look_at_all ? (unsigned long)quiet.fds_bits[i] : 0;

        read_ready.fds_bits[i] = reads.fds_bits[i] & ~hidden;
        write_ready.fds_bits[i] = writes.fds_bits[i] & ~hidden;
    }
    look_at_all = false;
}

/* ---- turns ---- */

void loop_share(int fd, struct loop_share *share) {
    if (loop_fits(fd))
        owners[fd].share = share;
}

void loop_charge(struct loop_share *share, unsigned cost) {
    if (share->used + LOOP_CREDIT < level)
        share->used = level - LOOP_CREDIT;
    share->used += cost;
    round_cost += cost;
}

bool loop_is_alone(void) { return ready_count == 1; }

bool loop_is_round_over(void) { return round_cost >= LOOP_ROUND; }

static unsigned ready_for(int fd) {
    return (has_bit(fd, &read_ready) ? LOOP_READ : 0u) |
           (has_bit(fd, &write_ready) ? LOOP_WRITE : 0u);
}

unsigned loop_take(int fd) {
    unsigned ready = ready_for(fd);

    set_bit(fd, false, &read_ready);
    set_bit(fd, false, &write_ready);
    look_at_all |= has_bit(fd, &quiet);
    return ready;
}

static void call(int fd) {
    unsigned ready = loop_take(fd);

    owners[fd].fn(owners[fd].arg, ready);
}

/* Whether others go first. */
static bool is_heavy(int fd) {
    return CONFIG_VIOS_PROXY_HOST && owners[fd].share && owners[fd].share->used > level;
}

/* Of those that are ready, after the one that was served last, the one that has used least; -1:
 * there is none. */
static int lightest(void) {
    int best = -1;

    for (int i = 1; i <= top; i++) {
        int fd = (served + i) % top;

        if (ready_for(fd) && (best < 0 || owners[fd].share->used < owners[best].share->used))
            best = fd;
    }
    return best;
}

/* Serves those that have used much, as far as this round goes, and at least one of them. */
static void serve_heavy(void) {
    while ((served = lightest()) >= 0) {
        level = owners[served].share->used;
        call(served);
        if (loop_is_round_over()) {
            look_at_all = true; /* nothing else would show again the quiet ones that must wait */
            return;
        }
    }
    served = 0;
}

static void dispatch(void) {
    bool heavy = false;

    for (int fd = 0; fd < top; fd++) {
        if (fd % WORD == 0 && !(read_ready.fds_bits[fd / WORD] | write_ready.fds_bits[fd / WORD]))
            fd += WORD - 1;
        else if (ready_for(fd) && is_heavy(fd))
            heavy = true;
        else if (ready_for(fd))
            call(fd);
    }
    if (heavy)
        serve_heavy();
}

void loop_rest(void) { resting = true; }

bool loop_wait(long ms) {
    int n;

    loop_close_now();
    fill_sets();
    if (resting)
        memory_trim(); /* here: layout.ld keeps what runs from now on */
    resting = false;
    n = sys_select(top, &read_ready, &write_ready, ms);
    now = 0;
    ready_count = n;
    round_cost = 0;
    if (n > 0)
        dispatch();
    if (n < 0)
        look_at_all = true;
    /* The original's words, which logs are searched for. */
    if (n < 0 && errno != EINTR)
        log_fatal("poll() (here select): %m");
    return n != 0;
}

bool loop_stopped(void) { return stopped; }

bool loop_asked(void) {
    bool was = asked;

    asked = 0;
    return was;
}

unsigned loop_peek(int fd) {
    fd_set r, w;

    FD_ZERO(&r);
    FD_ZERO(&w);
    set_bit(fd, true, &r);
    set_bit(fd, true, &w);
    if (sys_select(fd + 1, &r, &w, 0) <= 0)
        return 0;
    return (has_bit(fd, &r) ? LOOP_READ : 0u) | (has_bit(fd, &w) ? LOOP_WRITE : 0u);
}

static long long clock_micros(int clock) {
    struct {
        long long seconds, nanoseconds;
    } t;

#ifdef SYS_clock_gettime64
    enum { CLOCK_GETTIME = SYS_clock_gettime64 };
#else
    enum { CLOCK_GETTIME = SYS_clock_gettime };
#endif
    return syscall(CLOCK_GETTIME, clock, &t) ? 0 : t.seconds * 1000000 + t.nanoseconds / 1000;
}

long long loop_micros(void) { return clock_micros(CLOCK_MONOTONIC); }

/* One system call a round at most. The vDSO would need none, but its code costs more than the few
 * calls: nothing asks for the time while established connections are busy. */
long long loop_now(void) {
    if (!now)
        now = clock_micros(CLOCK_MONOTONIC_COARSE) / 1000;
    return now;
}
