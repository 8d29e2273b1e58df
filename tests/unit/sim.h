/* SPDX-License-Identifier: Apache-2.0 */
/* sim: a kernel made of memory. The proxies' objects are linked with -Wl,--wrap=CALL for all that
 * they use of the real one, so that the same code runs on ports, sockets and a clock that belong to
 * the test, with faults from a seed. Time passes only in select(). */
#ifndef VIOS_SIM_H
#define VIOS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/select.h>

enum { SIM_FILES = 400, SIM_CHUNKS = 32, SIM_FD = 300 /* the lowest of its descriptors */ };

/* Bytes on their way: n of them from data[at] on, round a ring. total: all that ever went in. */
struct sim_pipe {
    unsigned at, n, cap;
    unsigned long long total;
    unsigned char *data;
};

enum sim_kind { SIM_NONE, SIM_PORT, SIM_STREAM, SIM_LISTENER, SIM_SIGNALS };

/* One open file of the program and its other side, which is the test's.
 * in, out: as the program sees them. in_end, in_reset: the other side has shut down, has reset.
 * out_end, out_reset: the program has. attached, unplugged: ports. seen: the program was told of
 * the end of in. pending, error: a connect under way and its result. async: SIGIO tells of it;
 * told: what it told last. cut: a write was, shorter than a port would cut it. deaf: (stream) the
 * other side has closed altogether: what the program writes is answered by a reset. */
struct sim_file {
    enum sim_kind kind;
    int fd; /* -1: not open (any more) */
    struct sim_pipe in, out;
    bool in_end, in_reset, out_end, out_reset, attached, unplugged, seen, pending, linger0, deaf,
        async, reset_told, cut;
    unsigned long long told;
    int error;
    unsigned zero_round;
    unsigned chunks[SIM_CHUNKS], chunk_count; /* a port's read() returns at most the rest of one */
};

/* The faults' rates, of 1000. */
struct sim_faults {
    unsigned eintr, eagain, shorts, zero, hide, spurious, no_fd, high_fd, aborted, lost_wake;
};

/* What surrounds the program. act: one thing that can happen now; false if there is none. next:
 * when something happens by itself, ms, -1 never. open: the port or socket at a path, or NULL with
 * errno set. connect: to a path, or (NULL) to the service; 0 or errno. accept: the next client, or
 * NULL. sleeps: called whenever the program is about to sleep. stops: all is over; the program may
 * end (by sim_signal(SIGTERM), or by a longjmp() out of this). */
struct sim_world {
    bool (*act)(void);
    long long (*next)(void);
    struct sim_file *(*open)(const char *path);
    int (*connect)(struct sim_file *f, const char *path);
    struct sim_file *(*accept)(void);
    bool (*has_client)(void);
    void (*sleeps)(void);
    void (*stops)(void);
};

extern struct sim_faults sim_faults;
extern bool sim_verbose;
extern unsigned long long sim_steps;
extern struct sim_file *sim_listener; /* the program's; clients come as the world says */

void sim_start(const struct sim_world *world, unsigned long long seed);
unsigned sim_random(unsigned n);
bool sim_chance(unsigned per_mille);
long long sim_now(void);

/* A new file that is not open yet; and open files now. */
struct sim_file *sim_new(enum sim_kind kind, unsigned in_cap, unsigned out_cap);
void sim_give(struct sim_file *f, int fd_or_minus_1);
void sim_forget(struct sim_file *f);
struct sim_file *sim_at(int fd);
unsigned sim_open_files(void);

/* What the program watched when it last called select(); what is so. */
bool sim_watches(const struct sim_file *f, bool write);
bool sim_readable(const struct sim_file *f);
bool sim_writable(const struct sim_file *f);

/* The other side's ends of the pipes. Each moves at most n bytes and returns how many. */
unsigned sim_put(struct sim_pipe *p, const void *bytes, unsigned n);
unsigned sim_get(struct sim_pipe *p, void *bytes, unsigned n);

/* The program gets a signal. */
void sim_signal(int number);

/* A port: n bytes that were put have come as one buffer. */
void sim_chunk(struct sim_file *port, unsigned n);

/* A port's host goes: what the program had written is lost. */
void sim_detach(struct sim_file *port);

/* The schedule has failed: says why, with the seed; ends the process. */
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
