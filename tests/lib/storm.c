/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* storm: clients of every manner, and services that know what to expect of them, on hosts and in
 * guests.
 *
 *   storm serve ADDRESS                            prints `port N` once it listens
 *   storm visit ADDRESS SEED CLIENTS CONNECTIONS   that many clients at once; each makes that many
 *                                                  connections (0: without end), one after another;
 *                                                  after SIGTERM none that is new
 *   storm short MS PID...                          for a while these can open no descriptor more
 *   storm hog MS                                   for a while takes all memory that there is
 *
 * A connection has an id. From it both ends know its manner and the bytes each way (plan_of()), and
 * so each can say whether it got all. The client's stream is that of the id (bytes.h), the
 * service's that of its complement: a byte that is lost, doubled, changed or another connection's
 * is seen by whom it reaches. STALL (environment): seconds without progress that are a hang (35).
 *
 * A line on stdout for each connection, of either end:
 *
 *   storm SIDE MANNER VERDICT id=ID sent=N/N received=N/N at=OFFSET end=KIND errno=N ms=N
 *
 *   whole    all came, and then the end that was meant
 *   wrong    a byte was not the right one, at OFFSET
 *   short    an orderly end before all had come
 *   lost     a reset before all had come that was there before it
 *   hang     no progress
 *   ended    a reset or an error before all had come
 *   refused  no connection was to be had, or it was closed before the first byte
 *   open     it ended before it was known what it was to be */
/* clang-format on */
#define _GNU_SOURCE /* prlimit() */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"

enum { SPAN = 65536, HEAD = 16, SLOW_SPAN = 8192, SLOW_MS = 20, SILENCE = 1500, MUTE_MS = 300 };

/* What a client does, and its service with it. The first ones end in order, with all bytes. */
enum manner {
    BOTH,           /* both send at once, each ends its direction */
    ASK,            /* the service answers after the client's end */
    ANSWER,         /* the client's bytes come after the service's end */
    SLOW_CLIENT,    /* reads little at a time */
    SLOW_SERVICE,   /* the same */
    SILENT,         /* says nothing for a while in the midst */
    KEPT_ABORT,     /* the client resets after all its bytes have been taken from it */
    SERVICE_ABORTS, /* the same, the service */
    ABORT,          /* the client resets in the midst */
    LEAVE,          /* the client closes without reading */
    MUTE,           /* it closes without a byte */
    MANNERS
};

static const char *const manners[] = {"both",         "ask",    "answer",     "slow-client",
                                      "slow-service", "silent", "kept-abort", "service-aborts",
                                      "abort",        "leave",  "mute",       "-"};

struct plan {
    enum manner manner;
    uint64_t up, down;
};

/* One end of a connection. */
static struct talk {
    int fd, client, error;
    const char *end, *verdict;
    struct plan plan; /* a service's: once the first HEAD bytes are there */
    int known;
    uint64_t id, key, other, sent, to_send, received, to_receive;
    int64_t mismatch;
    int shut;
    double start, moved, quiet_until;
    unsigned char data[SPAN];
} talk;

static double stall = 35000;
static volatile sig_atomic_t *stopping;

/* Sizes of all orders, up to a MiB. */
static uint64_t size_of(uint64_t dice) { return HEAD + (dice >> 8) % (1u << dice % 21); }

static struct plan plan_of(uint64_t id) {
    struct plan p = {(enum manner)(word(id, 100) % MANNERS), size_of(word(id, 101)),
                     size_of(word(id, 102))};
    if (p.manner == KEPT_ABORT)
        p.down = 0;
    if (p.manner == SERVICE_ABORTS)
        p.up = HEAD;
    if (p.manner == MUTE)
        p.up = p.down = 0;
    return p;
}

/* ---- bytes ---- */

static void failed(struct talk *t) {
    t->error = errno;
    t->end = errno == ECONNRESET || errno == EPIPE ? "reset" : "error";
}

/* The id is what the service hears first. */
static void learn(struct talk *t) {
    if (t->client || t->known || t->received < HEAD || t->mismatch >= 0)
        return;
    t->known = 1;
    t->id = t->other;
    t->key = ~t->id;
    t->plan = plan_of(t->id);
    t->to_send = t->plan.down;
    t->to_receive = t->plan.up;
}

static void check(struct talk *t, const unsigned char *data, size_t size) {
    static unsigned char wanted[SPAN];
    for (size_t i = 0; !t->client && i < size && t->received + i < 8; i++)
        t->other |= (uint64_t)data[i] << (t->received + i) * 8;
    fill(wanted, size, t->other, t->received);
    if (t->mismatch < 0 && (t->client || t->received + size >= 8) && memcmp(wanted, data, size)) {
        size_t i = 0;
        while (wanted[i] == data[i])
            i++;
        t->mismatch = (int64_t)(t->received + i);
    }
    t->received += size;
    if (t->mismatch < 0 && (t->client || t->known) && t->received > t->to_receive)
        t->mismatch = (int64_t)t->to_receive;
    learn(t);
}

static int is_slow(const struct talk *t) {
    return t->plan.manner == (t->client ? SLOW_CLIENT : SLOW_SERVICE) && (t->client || t->known);
}

static void take(struct talk *t) {
    ssize_t n = recv(t->fd, t->data, is_slow(t) ? SLOW_SPAN : SPAN, 0);
    if (n > 0)
        check(t, t->data, (size_t)n);
    else if (!n)
        t->end = "eof";
    else if (errno != EAGAIN)
        failed(t);
    if (n >= 0)
        t->moved = now();
    if (is_slow(t))
        t->quiet_until = now() + SLOW_MS;
}

/* Up to where it may send now. */
static uint64_t may_send(const struct talk *t) {
    if (!t->client)
        return !t->known || (t->plan.manner == ASK && !t->end) ? 0 : t->to_send;
    if (t->plan.manner == ANSWER && !t->end)
        return HEAD;
    if (t->plan.manner == ABORT || (t->plan.manner == SILENT && now() < t->start + SILENCE))
        return t->to_send / 2;
    return t->to_send;
}

static void give(struct talk *t, uint64_t limit) {
    static unsigned char made[SPAN];
    size_t size = limit - t->sent < SPAN ? (size_t)(limit - t->sent) : SPAN;
    fill(made, size, t->key, t->sent);
    ssize_t n = send(t->fd, made, size, MSG_NOSIGNAL);
    if (n > 0) {
        t->sent += (size_t)n;
        t->moved = now();
    } else if (errno != EAGAIN) {
        failed(t);
    }
}

/* ---- ends ---- */

static int is_client(const struct talk *t, enum manner m) {
    return t->client && t->plan.manner == m;
}

/* It resets once the other end's proxy has taken what it sent; before that, if `at_once`. */
static int aborts(const struct talk *t, int *at_once) {
    *at_once = is_client(t, ABORT);
    return *at_once || is_client(t, KEPT_ABORT) ||
           (!t->client && t->known && t->plan.manner == SERVICE_ABORTS);
}

static int unsent(int fd) {
    int n = 0;
    return ioctl(fd, TIOCOUTQ, &n) ? 0 : n;
}

/* Whether it has done what it had to; then it closes. */
static int is_done(struct talk *t) {
    struct linger abrupt = {.l_onoff = 1, .l_linger = 0};
    int at_once, all = (t->client || t->known) &&
                       t->sent >= (is_client(t, ABORT) ? t->to_send / 2 : t->to_send);
    if (is_client(t, MUTE))
        return now() > t->start + MUTE_MS;
    if (aborts(t, &at_once)) {
        if (!all || (!at_once && unsent(t->fd)))
            return t->error != 0;
        return !setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
    }
    if (is_client(t, LEAVE))
        return all;
    if (all && !t->shut)
        t->shut = !shutdown(t->fd, SHUT_WR) || 1;
    return t->end && (t->shut || t->error || !(t->client || t->known));
}

/* A unix socket's end is the same whether it was meant or not. */
static int has_resets(int fd) {
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof at;
    return !getsockname(fd, (void *)&at, &size) && at.ss_family != AF_UNIX;
}

/* A connection one end of which is a unix socket. */
static int is_soft(uint64_t id) { return id >> 4 & 1; }

static const char *verdict(const struct talk *t) {
    enum manner m = t->plan.manner;
    int all = t->received == t->to_receive;
    if (t->mismatch >= 0)
        return "wrong";
    if (t->verdict)
        return t->verdict;
    if (t->client && !t->received && t->end && t->to_receive)
        return "refused";
    if (!t->client && !t->known)
        return "open";
    if (m == ABORT || m == LEAVE || m == MUTE || (m == KEPT_ABORT && t->client) ||
        (m == SERVICE_ABORTS && !t->client))
        return "whole";
    if (m == KEPT_ABORT || m == SERVICE_ABORTS)
        return all && (t->error == ECONNRESET || is_soft(t->id)) ? "whole"
               : all                                             ? "ended"
               : t->error || !has_resets(t->fd)                  ? "lost"
                                                                 : "short";
    if (!t->error)
        return all ? "whole" : has_resets(t->fd) ? "short" : "ended";
    return "ended";
}

static void report(const struct talk *t) {
    printf("storm %s %s %s id=%016" PRIx64 " sent=%" PRIu64 "/%" PRIu64 " received=%" PRIu64
           "/%" PRIu64 " at=%" PRId64 " end=%s errno=%d ms=%.0f\n",
           t->client ? "client" : "service",
           manners[t->client || t->known ? t->plan.manner : MANNERS], verdict(t), t->id, t->sent,
           t->to_send, t->received, t->to_receive, t->mismatch, t->end ? t->end : "open", t->error,
           now() - t->start);
    fflush(stdout);
}

/* ---- one connection ---- */

/* Of a socket that is neither read nor written any more. After a reset TIOCOUTQ still counts. */
static void look_for_reset(struct talk *t) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &size) || !error)
        return;
    errno = error;
    failed(t);
}

static void turn(struct talk *t) {
    double quiet = t->quiet_until - now();
    uint64_t limit = may_send(t);
    int wr = t->sent < limit, rd = !t->end && quiet <= 0 && !is_client(t, LEAVE);
    struct timeval wait = {.tv_usec = quiet > 0 ? (long)quiet * 1000 + 1000 : 50000};
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    if (rd)
        FD_SET(t->fd, &r);
    if (wr)
        FD_SET(t->fd, &w);
    if (t->end && !wr)
        look_for_reset(t);
    if (select(t->fd + 1, &r, &w, 0, &wait) <= 0)
        return;
    if (FD_ISSET(t->fd, &r))
        take(t);
    if (!t->error && FD_ISSET(t->fd, &w))
        give(t, limit);
}

static void converse(struct talk *t) {
    while (!is_done(t) && !t->error) {
        turn(t);
        if (now() > t->moved + stall) {
            t->verdict = "hang";
            return;
        }
    }
}

static void begin(struct talk *t, int fd, int client, uint64_t id, double start) {
    memset(t, 0, offsetof(struct talk, data));
    t->fd = fd;
    t->client = client;
    t->mismatch = -1;
    t->start = start;
    t->moved = now();
    if (!client)
        return;
    t->id = t->key = id;
    t->other = ~id;
    t->plan = plan_of(id);
    t->to_send = t->plan.up;
    t->to_receive = t->plan.down;
}

static void run(int fd, int client, uint64_t id, double start, int error) {
    begin(&talk, fd, client, id, start);
    if (error) {
        errno = error;
        failed(&talk);
        talk.verdict = "refused";
    } else {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        converse(&talk);
    }
    report(&talk);
    close(fd);
}

static void die(const char *what) {
    fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int serve(const char *where) {
    int listener, port = listen_at(where, &listener);
    if (port < 0)
        die(where);
    printf("port %d\n", port);
    fflush(stdout);
    signal(SIGCHLD, SIG_IGN); /* none stays */
    for (;;) {
        int fd = accept(listener, 0, 0);
        pid_t pid = fd < 0 ? -1 : fork();
        if (pid < 0)
            die("accept or fork");
        if (!pid) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            run(fd, 0, 0, now(), 0);
            _exit(0);
        }
        close(fd);
    }
}

/* ---- clients ---- */

/* The last 5 bits of a seed are those of all ids: whose they are, and is_soft(). */
static uint64_t derived(uint64_t seed, uint64_t i) {
    return (word(seed, i) & ~31ull) | (seed & 31);
}

static void visit(const char *where, uint64_t seed, int count) {
    struct sockaddr_storage at;
    socklen_t size = address(where, &at);
    for (int i = 0; (!count || i < count) && !*stopping; i++) {
        double start = now();
        int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            die("socket");
        run(fd, 1, derived(seed, 1 + (uint64_t)i), start,
            connect(fd, (void *)&at, size) ? errno : 0);
        if (talk.error && !talk.received)
            usleep(100000); /* it is not there: no flood of attempts */
    }
}

static void on_term(int sig) {
    (void)sig;
    *stopping = 1;
}

static int visit_all(char **argv) {
    uint64_t seed = strtoull(argv[3], 0, 0);
    stopping = mmap(0, sizeof *stopping, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stopping == MAP_FAILED)
        die("mmap");
    for (int i = 0; i < atoi(argv[4]); i++) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (!pid) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            visit(argv[2], derived(seed, 1000 + (uint64_t)i), atoi(argv[5]));
            _exit(0);
        }
    }
    signal(SIGTERM, on_term);
    while (waitpid(-1, 0, 0) > 0 || errno == EINTR)
        ;
    return 0;
}

/* ---- what is short ---- */

/* The lowest descriptor that the process does not use is the limit. */
static struct rlimit starve(pid_t pid) {
    char path[64], link[1];
    struct rlimit before, tight;
    int lowest = -1;
    do
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, ++lowest);
    while (readlink(path, link, sizeof link) > 0);
    if (prlimit(pid, RLIMIT_NOFILE, 0, &before))
        die("prlimit");
    tight = before;
    tight.rlim_cur = (rlim_t)lowest;
    prlimit(pid, RLIMIT_NOFILE, &tight, 0);
    return before;
}

static int starve_all(char **argv, int count) {
    struct rlimit before[8];
    for (int i = 0; i < count; i++)
        before[i] = starve(atoi(argv[3 + i]));
    usleep((useconds_t)atoi(argv[2]) * 1000);
    for (int i = 0; i < count; i++)
        prlimit(atoi(argv[3 + i]), RLIMIT_NOFILE, &before[i], 0);
    return 0;
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        die(path);
    close(fd);
}

/* Zeros: a guest's pages of zeros cost nothing when it is moved. The kernel ends this process, and
 * no other, when there is none left. */
static void take_memory(void) {
    enum { PIECE = 1 << 20 };
    write_file("/proc/self/oom_score_adj", "1000");
    for (;;) {
        char *p = mmap(0, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            usleep(1000);
        for (int i = 0; p != MAP_FAILED && i < PIECE; i += 4096)
            ((volatile char *)p)[i] = 0;
    }
}

/* Until there was none left at least once. Prints how often. */
static int hog(const char *ms) {
    double end = now() + atof(ms);
    int times = 0;
    while (now() < end || !times) {
        pid_t pid = fork();
        if (!pid) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            take_memory();
        }
        while (pid > 0 && !waitpid(pid, 0, WNOHANG)) {
            usleep(10000);
            if (now() > end && times)
                kill(pid, SIGKILL);
        }
        times += pid > 0;
    }
    printf("%d\n", times);
    return 0;
}

int main(int argc, char **argv) {
    if (getenv("STALL"))
        stall = atof(getenv("STALL")) * 1000;
    if (argc == 3 && !strcmp(argv[1], "serve"))
        return serve(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "hog"))
        return hog(argv[2]);
    if (argc > 3 && argc <= 11 && !strcmp(argv[1], "short"))
        return starve_all(argv, argc - 3);
    return argc == 6 && !strcmp(argv[1], "visit") ? visit_all(argv) : 1;
}
