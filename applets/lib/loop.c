/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>

#include "log.h"

static fd_set reads, writes;             /* what is watched */
static fd_set read_ready, write_ready;   /* what this round found, less what has been unwatched since */
static struct {
    loop_fn *fn;
    void *arg;
} owners[FD_SETSIZE];
static int top; /* one more than the highest watched fd */
static sigset_t outside;
static volatile sig_atomic_t stopped, asked;

bool loop_fits(int fd) { return fd >= 0 && fd < FD_SETSIZE; }

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
        return;
    }
    set_bit(fd, false, &read_ready);
    set_bit(fd, false, &write_ready);
    while (top && !has_bit(top - 1, &reads) && !has_bit(top - 1, &writes))
        top--;
}

static void on_signal(int number) {
    if (number == SIGUSR1)
        asked = 1;
    else
        stopped = 1;
}

void loop_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t ours;

    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGUSR1);
    sigprocmask(SIG_BLOCK, &ours, &outside);
    sigdelset(&outside, SIGINT);
    sigdelset(&outside, SIGTERM);
    sigdelset(&outside, SIGUSR1);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void dispatch(void) {
    enum { WORD = 8 * sizeof(long) };

    for (int fd = 0; fd < top; fd++) {
        unsigned ready;

        if (fd % WORD == 0 && !(read_ready.fds_bits[fd / WORD] | write_ready.fds_bits[fd / WORD])) {
            fd += WORD - 1;
            continue;
        }
        ready = (has_bit(fd, &read_ready) ? LOOP_READ : 0u) | (has_bit(fd, &write_ready) ? LOOP_WRITE : 0u);
        if (ready)
            owners[fd].fn(owners[fd].arg, ready);
    }
}

bool loop_wait(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    int n;

    read_ready = reads;
    write_ready = writes;
    n = pselect(top, &read_ready, &write_ready, NULL, ms < 0 ? NULL : &t, &outside);
    if (n > 0)
        dispatch();
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
    struct timespec none = {0, 0};
    fd_set r, w;

    FD_ZERO(&r);
    FD_ZERO(&w);
    set_bit(fd, true, &r);
    set_bit(fd, true, &w);
    if (pselect(fd + 1, &r, &w, NULL, &none, NULL) <= 0)
        return 0;
    return (has_bit(fd, &r) ? LOOP_READ : 0u) | (has_bit(fd, &w) ? LOOP_WRITE : 0u);
}

long long loop_now(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t); /* no system call, whatever the clock source */
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}
