/* SPDX-License-Identifier: Apache-2.0 */
/* loop: one select() loop. The owner of an fd says after each change what it waits for; the loop
 * itself has no interest in any. */
#ifndef VIOS_LOOP_H
#define VIOS_LOOP_H

#include <stdbool.h>

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

/* Called when fd is ready; ready: a set of LOOP_READ, LOOP_WRITE. */
typedef void loop_fn(void *arg, unsigned ready);

/* Whether fd may be watched: fds at or above FD_SETSIZE never get into a set. */
bool loop_fits(int fd);

/* Returns fd, which may be -1 with errno. One that is too high for select() is closed: -1 with
 * EMFILE. */
int loop_admit(int fd);

/* Whether fd is one of the last below the process's limit, or select()'s: these are for guests that
 * have none. */
bool loop_is_last(int fd);

/* Watches fd for want (0: for nothing) and calls fn(arg, ready). fd must fit. Before fd is closed:
 * want 0. */
void loop_watch(int fd, unsigned want, loop_fn *fn, void *arg);

/* Whose work an fd's is (NULL: nobody's that is counted). used: its cost so far, in bytes moved or
 * their worth. Of those that are ready, those that have used less than the others go first. A round
 * serves the others in the order of what they have used, up to a cost of LOOP_ROUND; then select()
 * says who else is ready. One that was idle comes back at most LOOP_CREDIT ahead of the others. */
struct loop_share {
    unsigned long long used;
};
enum { LOOP_ROUND = 16384, LOOP_CREDIT = 1 << 18 };
void loop_share(int fd, struct loop_share *share);
void loop_charge(struct loop_share *share, unsigned cost);

/* Whether nothing else was ready in this round; whether it has cost LOOP_ROUND. */
bool loop_is_alone(void);
bool loop_is_round_over(void);

/* Makes fd, a non-blocking socket, quiet or not: select() is not asked about quiet ones until a
 * signal (SIGIO) shows that something has happened to one of them. So the many that mostly wait
 * cost those at work nothing. Before fd is closed: false. */
void loop_quiet(int fd, bool on);

/* Closes fd before the next wait: closing a TCP connection takes the kernel longer than all else
 * that is done here, and others that are ready go first. loop_close_now(): now; true if there was
 * any. */
void loop_close(int fd);
bool loop_close_now(void);

/* From now on SIGINT, SIGTERM, SIGHUP and SIGUSR1 are seen by loop_wait() only, and SIGPIPE by
 * nobody. */
void loop_signals(void);

/* Before a wait that is likely to be long: give back the pages that it does not need. */
void loop_rest(void);

/* Waits at most ms milliseconds (-1: for ever) and calls what is ready. False if the time was over
 * with nothing ready. A failing select() is FATAL. */
bool loop_wait(long ms);

/* Whether SIGINT, SIGTERM or SIGHUP has come; whether SIGUSR1 has, since the last call. */
bool loop_stopped(void);
bool loop_asked(void);

/* Whether fd is ready for reading or writing now: a set of LOOP_READ, LOOP_WRITE. fd must fit. */
unsigned loop_peek(int fd);

/* What this round has found of fd and not yet reported: the caller handles it. fd must fit. */
unsigned loop_take(int fd);

/* Milliseconds of a clock that never goes back; a tick (1 to 10 ms) coarse, and the same until the
 * next loop_wait(). */
long long loop_now(void);

/* Microseconds of a clock that never goes back, to the point. */
long long loop_micros(void);

#endif
