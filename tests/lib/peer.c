/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* peer: a client or a service that sends and checks streams of bytes, on hosts and in guests.
 *
 *   peer serve ADDRESS [OPTION]...       prints `port N` once it listens; a child process for each
 *                                        connection
 *   peer connect ADDRESS [OPTION]...
 *
 * ADDRESS is a port on 127.0.0.1 (0: any that is free) or, with a slash in it, a unix socket's
 * path.
 *
 *   -s N      send N bytes (default 0), or with -s echo all that is received
 *   -r N      receive N bytes (default 0)
 *   -o both | ask | answer      send and receive at once (default); first send all; first receive
 *                               all
 *   -e close  then close                              (default)
 *   -e half   after sending shut down that direction, read to the end, close
 *   -e wait   read to the end, close
 *   -e hold   then print the result, and neither read nor write until killed
 *   -e reset  then close with a RST
 *   -S SEED   of what is sent (default 1); a service adds the number of its connections so far
 *   -n N      serve N connections, then end (default: any number); make N connections one after
 *             another
 *   -t N      end after N seconds
 *
 * A stream starts with its seed in 8 bytes, so that the receiver can check whatever comes, and say
 * whose it was. For each
 * connection a line on stdout:
 *
 *   result sent=N received=N seed=N mismatch=OFFSET end=KIND errno=N ms=N
 *
 * mismatch is -1 when all bytes were right; end says how the other side ended: eof, reset, error,
 * or open if it had not;
 * errno is that of the failed call; ms goes from before connect() or after accept() to the end.
 * `rate N in N ms` follows -n. */
/* clang-format on */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"

enum { SPAN = 65536 };
enum order { BOTH, ASK, ANSWER };
enum ending { CLOSE, HALF, WAIT, HOLD, ABORT };

static struct {
    uint64_t send, receive, seed;
    int echo, connections;
    enum order order;
    enum ending ending;
} plan = {.seed = 1};

struct talk {
    int fd;
    int error;
    const char *end;
    uint64_t sent, received, seed, other;
    int64_t mismatch;
    double start;
    int shut;
    size_t held; /* echo: bytes in data that wait to go back */
    unsigned char data[SPAN];
};

static struct talk talk;

static void die(const char *what) {
    fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- streams ---- */

static void check(struct talk *t, const unsigned char *data, size_t size) {
    static unsigned char wanted[SPAN];
    for (size_t i = 0; i < size && t->received + i < 8; i++)
        t->other |= (uint64_t)data[i] << (t->received + i) * 8;
    fill(wanted, size, t->other, t->received);
    if (t->mismatch < 0 && t->received + size >= 8 && memcmp(wanted, data, size)) {
        size_t i = 0;
        while (wanted[i] == data[i])
            i++;
        t->mismatch = (int64_t)(t->received + i);
    }
    t->received += size;
}

/* ---- one connection ---- */

static void failed(struct talk *t) {
    t->error = errno;
    t->end = errno == ECONNRESET || errno == EPIPE ? "reset" : "error";
}

static int all_sent(const struct talk *t) {
    return plan.echo ? t->end && !t->held : t->sent >= plan.send;
}

static int all_received(const struct talk *t) { return t->received >= plan.receive && !plan.echo; }

static int wants_write(const struct talk *t) {
    if (plan.order == ANSWER && !all_received(t))
        return 0;
    return plan.echo ? t->held > 0 : !all_sent(t);
}

/* With -e half and wait there is more to read after the bytes that were agreed: the end. */
static int wants_read(const struct talk *t) {
    if ((plan.order == ASK && !all_sent(t)) || (plan.echo && t->held))
        return 0;
    return !all_received(t) || plan.ending == HALF || plan.ending == WAIT;
}

static void take(struct talk *t) {
    uint64_t left = plan.receive - t->received;
    size_t want = all_received(t) || plan.echo || left > SPAN ? SPAN : (size_t)left;
    ssize_t n = recv(t->fd, t->data, want, 0);
    if (n > 0) {
        check(t, t->data, (size_t)n);
        if (plan.echo)
            t->held = (size_t)n;
    } else if (!n) {
        t->end = "eof";
    } else if (errno != EAGAIN) {
        failed(t);
    }
}

static void give(struct talk *t) {
    static unsigned char made[SPAN];
    const unsigned char *from = plan.echo ? t->data : made;
    size_t size = plan.echo                    ? t->held
                  : plan.send - t->sent < SPAN ? (size_t)(plan.send - t->sent)
                                               : SPAN;
    if (!plan.echo)
        fill(made, size, t->seed, t->sent);
    ssize_t n = send(t->fd, from, size, MSG_NOSIGNAL);
    if (n > 0) {
        t->sent += (size_t)n;
        if (plan.echo) {
            t->held -= (size_t)n;
            memmove(t->data, t->data + n, t->held);
        }
    } else if (errno != EAGAIN) {
        failed(t);
    }
}

/* Both directions until nothing is left to do, or the other side has ended. */
static void converse(struct talk *t) {
    while (t->fd >= 0) {
        int wr = wants_write(t), rd = wants_read(t) && !t->end;
        fd_set r, w;
        if (plan.ending == HALF && all_sent(t) && !wr && !t->shut)
            t->shut = !shutdown(t->fd, SHUT_WR);
        if (!wr && !rd)
            return;
        FD_ZERO(&r);
        FD_ZERO(&w);
        if (rd)
            FD_SET(t->fd, &r);
        if (wr)
            FD_SET(t->fd, &w);
        if (select(t->fd + 1, &r, &w, 0, 0) < 0)
            continue;
        if (FD_ISSET(t->fd, &r))
            take(t);
        if (!t->error && FD_ISSET(t->fd, &w))
            give(t);
        if (t->error)
            return;
    }
}

static void report(const struct talk *t) {
    printf("result sent=%" PRIu64 " received=%" PRIu64 " seed=%" PRIu64 " mismatch=%" PRId64
           " end=%s errno=%d ms=%.1f\n",
           t->sent, t->received, t->other, t->mismatch, t->end ? t->end : "open", t->error,
           now() - t->start);
    fflush(stdout);
}

static void run(int fd, int error, uint64_t seed, double start) {
    struct linger abrupt = {.l_onoff = 1, .l_linger = 0};
    memset(&talk, 0, offsetof(struct talk, data));
    talk.fd = fd;
    talk.seed = seed;
    talk.mismatch = -1;
    talk.start = start;
    if (error) {
        errno = error;
        failed(&talk);
    } else {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        converse(&talk);
        if (plan.ending == ABORT)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
    }
    if (plan.ending == HOLD && !error) {
        report(&talk);
        for (;;)
            pause();
    }
    close(fd);
    report(&talk);
}

static void on_alarm(int sig) {
    (void)sig;
    if (talk.start > 0)
        report(&talk); /* the test is over: no care for signal safety */
    _exit(3);
}

/* ---- both ways to begin ---- */

static int serve(const char *where) {
    int listener, port = listen_at(where, &listener);
    if (port < 0)
        die(where);
    printf("port %d\n", port);
    fflush(stdout);
    for (int i = 0; !plan.connections || i < plan.connections; i++) {
        int fd = accept(listener, 0, 0);
        if (fd < 0)
            die("accept");
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (!pid) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            run(fd, 0, plan.seed + (uint64_t)i, now());
            _exit(0);
        }
        close(fd);
        while (waitpid(-1, 0, WNOHANG) > 0)
            ;
    }
    close(listener);
    while (waitpid(-1, 0, 0) > 0)
        ;
    return 0;
}

static int visit(const char *where) {
    struct sockaddr_storage at;
    socklen_t size = address(where, &at);
    int count = plan.connections ? plan.connections : 1;
    double start = now();
    for (int i = 0; i < count; i++) {
        double begin = now();
        int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            die("socket");
        run(fd, connect(fd, (void *)&at, size) ? errno : 0, plan.seed + (uint64_t)i, begin);
    }
    if (plan.connections)
        printf("rate %d in %.1f ms\n", count, now() - start);
    return talk.mismatch >= 0 || talk.error;
}

/* ---- the command line ---- */

static int choose(const char *text, const char *const *names) {
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], text))
            return i;
    fprintf(stderr, "peer: %s: no such thing\n", text);
    exit(1);
}

int main(int argc, char **argv) {
    static const char *const orders[] = {"both", "ask", "answer", 0};
    static const char *const endings[] = {"close", "half", "wait", "hold", "reset", 0};
    int option;
    if (argc < 3)
        return 1;
    optind = 3;
    while ((option = getopt(argc, argv, "s:r:o:e:S:n:t:")) > 0)
        switch (option) {
        case 's':
            plan.echo = !strcmp(optarg, "echo");
            plan.send = strtoull(optarg, 0, 0);
            break;
        case 'r':
            plan.receive = strtoull(optarg, 0, 0);
            break;
        case 'o':
            plan.order = (enum order)choose(optarg, orders);
            break;
        case 'e':
            plan.ending = (enum ending)choose(optarg, endings);
            break;
        case 'S':
            plan.seed = strtoull(optarg, 0, 0);
            break;
        case 'n':
            plan.connections = atoi(optarg);
            break;
        case 't':
            signal(SIGALRM, on_alarm);
            alarm((unsigned)atoi(optarg));
            break;
        default:
            return 1;
        }
    return !strcmp(argv[1], "serve") ? serve(argv[2]) : visit(argv[2]);
}
