/* SPDX-License-Identifier: Apache-2.0 */
/* loop: one select() loop. It keeps no interest of its own: who owns an fd says after each change
 * what it wants of it. */
#ifndef VIOS_LOOP_H
#define VIOS_LOOP_H

#include <stdbool.h>

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

/* Called when fd is ready; ready: a set of LOOP_READ, LOOP_WRITE. */
typedef void loop_fn(void *arg, unsigned ready);

/* Whether fd may be watched: fds at or above FD_SETSIZE never get into a set. */
bool loop_fits(int fd);

/* fd, which may be -1 with errno; one that is too high for select() is closed, and -1 with EMFILE
 * returned. */
int loop_admit(int fd);

/* Whether fd is one of the last that there can be, of the process's limit or of select()'s: these
 * are for those who have none. */
bool loop_is_last(int fd);

/* Watches fd for want (0: for nothing) and calls fn(arg, ready). fd must fit. Before fd is closed:
 * want 0. */
void loop_watch(int fd, unsigned want, loop_fn *fn, void *arg);

/* Whose work an fd's is (NULL: nobody's who is counted). used: what that has cost so far, in bytes
 * moved or what is worth them, from where all began. Of those who are ready at once, those that
 * have used less than the others go first; of the others a round serves those that have used least,
 * as much as LOOP_ROUND costs; then select() tells who else is ready by now. Who comes back after a
 * rest is LOOP_CREDIT before the others at most. */
struct loop_share {
    unsigned long long used;
};
enum { LOOP_ROUND = 16384, LOOP_CREDIT = 1 << 18 };
void loop_share(int fd, struct loop_share *share);
void loop_charge(struct loop_share *share, unsigned cost);

/* Whether nothing else was ready in this round; whether it has cost LOOP_ROUND. */
bool loop_is_alone(void);
bool loop_is_round_over(void);

/* Makes fd, a socket that does not block, quiet or not: select() is not asked about a quiet one
 * until a signal (SIGIO) says that something has happened to one of them. For the many that mostly
 * wait, so that those at work do not pay for them. Before fd is closed: false. */
void loop_quiet(int fd, bool on);

/* Closes fd before the next wait: for a TCP connection that takes the kernel longer than all else
 * that is done here, and what else is ready need not wait for it. loop_close_now(): now; true if
 * there was any. */
void loop_close(int fd);
bool loop_close_now(void);

/* From now on SIGINT, SIGTERM, SIGHUP and SIGUSR1 are seen by loop_wait() only, and SIGPIPE by
 * nobody. */
void loop_signals(void);

/* Before a wait that is likely to be long: let go of the pages that it does not need. */
void loop_rest(void);

/* Waits at most ms milliseconds (-1: for ever) and calls what is ready. False if the time was over
 * with nothing ready. A failing select() is FATAL. */
bool loop_wait(long ms);

/* Whether SIGINT, SIGTERM or SIGHUP has come; whether SIGUSR1 has, since the last call. */
bool loop_stopped(void);
bool loop_asked(void);

/* Whether fd is ready for reading or writing now: a set of LOOP_READ, LOOP_WRITE. fd must fit. */
unsigned loop_peek(int fd);

/* What this round has found of fd, and not yet told: the caller sees to it. fd must fit. */
unsigned loop_take(int fd);

/* Milliseconds of a clock that never goes back; a tick (1 to 10 ms) coarse, and the same until the
 * next loop_wait(). */
long long loop_now(void);

/* Microseconds of a clock that never goes back, to the point. */
long long loop_micros(void);

#endif
