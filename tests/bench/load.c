/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* load: what the bench moves, and what it measures with, on hosts and in guests. tests/bench/run
 * starts it.
 *
 * Services and what lies between them and a client:
 *   load serve PORT                  a service (0: any port); prints `port N`
 *   load attach SOCKET               the same on the host's end of a bare port: QEMU's socket
 *   load copy-guest PORT DEVICE      an unframed proxy: 64 KiB buffers, and it drains the port
 *                                    before it writes; one client at a time
 *   load copy-host SOCKET PORT       its other end
 *   load relay SOCKET SOCKET...      instead of QEMU: moves bytes between each pair of sockets on
 *                                    which it listens
 *   load idle SOCKET...              guests that do nothing: listens on each, lets one in, prints
 *                                    `ready`
 *   load flood SOCKET KIND           a hostile guest: lets a host in, prints `flooding`, and
 *                                    writes junk, filler, resets or syns without end
 *
 * Clients; TARGET is a port on 127.0.0.1 or a device:
 *   load move TARGET UP DOWN [N]     bytes each way at once, over N connections at once; prints
 *                                    MB/s, both ways added up, and with N the
 *                                    slowest connection's rate / the fastest's
 *   load echo TARGET SIZE ROUNDS     prints the median, the 99th percentile and the longest in us
 *   load visit TARGET COUNT [N]      N clients at once make COUNT connections each, with one byte
 *                                    each way; prints the median and the
 *                                    99th percentile of connect and first byte in us, and
 *                                    connections/s
 *   load hold TARGET COUNT BYTES     opens COUNT connections, moves BYTES each way on each, prints
 *                                    `held`, waits to be killed
 *
 *   load beside TARGET KIND N WORD... opens N connections of its own, runs `load WORD...` beside
 *                                    them. KIND: up or down (streams without end), or stalled
 *                                    (both ends write and neither reads)
 *   load burst TARGET                opens a connection, prints `ready`, waits for SIGUSR1, and
 *                                    sends until it is killed
 *
 * Others:
 *   load start ROUNDS COMMAND...     median us from fork to COMMAND's newline on descriptor 3;
 *                                    then kills it
 *   load count PID COMMAND...        runs COMMAND, prints the system calls of PID meanwhile, and
 *                                    those of the most common kinds
 *
 * A client asks for each piece of work with a struct request. */
/* clang-format on */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SPAN = 65536, WORKERS = 140, MIB = 1 << 20 };

/* A request of this size: both ends write, and neither reads. */
static const uint32_t STALLED = UINT32_MAX;

/* rounds: echo so many messages of this size. Otherwise the client sends up and the service down
 * bytes, and then, if up, one byte. */
struct request {
    uint64_t up, down;
    uint32_t rounds, size;
};

static unsigned char data[SPAN];

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- descriptors ---- */

static int tcp_address(const char *port, struct sockaddr_in *in) {
    *in = (struct sockaddr_in){.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)atoi(port)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void no_delay(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int tcp_connect(const char *port) {
    struct sockaddr_in in;
    int fd = tcp_address(port, &in);
    if (connect(fd, (void *)&in, sizeof in))
        die("connect");
    no_delay(fd);
    return fd;
}

static int tcp_listen(const char *port) {
    struct sockaddr_in in;
    socklen_t size = sizeof in;
    int one = 1, fd = tcp_address(port, &in);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&in, sizeof in) || listen(fd, 128) || getsockname(fd, (void *)&in, &size))
        die("listen");
    printf("port %d\n", ntohs(in.sin_port));
    fflush(stdout);
    return fd;
}

static int unix_socket(const char *path, int listening) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strncpy(un.sun_path, path, sizeof un.sun_path - 1);
    if (listening ? bind(fd, (void *)&un, sizeof un) || listen(fd, 1)
                  : connect(fd, (void *)&un, sizeof un))
        die(path);
    return fd;
}

static int target(const char *name) {
    struct stat st;
    int fd;
    if (!strchr(name, '/'))
        return tcp_connect(name);
    if (!stat(name, &st) && S_ISSOCK(st.st_mode))
        return unix_socket(name, 0);
    fd = open(name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die(name);
    return fd;
}

static void set_blocking(int fd, int on) { fcntl(fd, F_SETFL, on ? 0 : O_NONBLOCK); }

/* ---- moving ---- */

static int get(int fd, void *to, size_t size) {
    unsigned char *p = to;
    while (size) {
        ssize_t n = read(fd, p, size);
        if (n <= 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

static int put(int fd, const void *from, size_t size) {
    const unsigned char *p = from;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

static int some(int fd, uint64_t *left, int out) {
    size_t size = *left < SPAN ? (size_t)*left : SPAN;
    ssize_t n = out ? write(fd, data, size) : read(fd, data, size);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0 || (!n && !out))
        return -1;
    *left -= (uint64_t)n;
    return 0;
}

static int both_ways(int fd, uint64_t out, uint64_t in) {
    set_blocking(fd, 0);
    while (out || in) {
        fd_set r, w;
        FD_ZERO(&r);
        FD_ZERO(&w);
        if (in)
            FD_SET(fd, &r);
        if (out)
            FD_SET(fd, &w);
        if (select(fd + 1, &r, &w, 0, 0) < 0 || (FD_ISSET(fd, &r) && some(fd, &in, 0)) ||
            (FD_ISSET(fd, &w) && some(fd, &out, 1)))
            return -1;
    }
    set_blocking(fd, 1);
    return 0;
}

static int transfer(int fd, uint64_t out, uint64_t in) {
    if (out && in)
        return both_ways(fd, out, in);
    while (out)
        if (some(fd, &out, 1))
            return -1;
    while (in)
        if (some(fd, &in, 0))
            return -1;
    return 0;
}

/* Small buffers, so that a connection whose end does not read is soon full; and an abort, not an
 * end of stream behind what nobody reads, when this process is killed. */
static void prepare_stall(int fd) {
    struct linger abrupt = {.l_onoff = 1, .l_linger = 0};
    int size = SPAN / 4;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
    set_blocking(fd, 0);
}

/* ---- the service ---- */

/* Returns when the connection has been aborted. */
static void stall(int fd) {
    uint64_t endless = UINT64_MAX;
    fd_set w;
    prepare_stall(fd);
    do {
        FD_ZERO(&w);
        FD_SET(fd, &w);
    } while (select(fd + 1, 0, &w, 0, 0) >= 0 && !some(fd, &endless, 1));
}

static void serve(int fd) {
    struct request q;
    while (!get(fd, &q, sizeof q)) {
        if (q.size == STALLED)
            return stall(fd);
        for (; q.rounds; q.rounds--)
            if (q.size > SPAN || get(fd, data, q.size) || put(fd, data, q.size))
                return;
        if (transfer(fd, q.down, q.up) || (q.up && put(fd, "!", 1)))
            return;
    }
}

static int service(const char *port) {
    int listener = tcp_listen(port);
    for (int i = 0; i < WORKERS; i++)
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (int fd; (fd = accept(listener, 0, 0)) >= 0; close(fd)) {
                no_delay(fd);
                serve(fd);
            }
            _exit(0);
        }
    while (wait(0) > 0)
        ;
    return 0;
}

/* ---- the unframed copy loop ---- */

struct half {
    int from, to;
    size_t head, tail;
    unsigned char buffer[SPAN];
};

/* Reads until the buffer is full or nothing is left. 0: end of file. */
static int fill(struct half *h) {
    if (h->head == h->tail)
        h->head = h->tail = 0;
    while (h->tail < SPAN) {
        ssize_t n = read(h->from, h->buffer + h->tail, SPAN - h->tail);
        if (!n || (n < 0 && errno != EAGAIN))
            return 0;
        if (n < 0)
            break;
        h->tail += (size_t)n;
        if (n < 4096)
            break;
    }
    return 1;
}

static int pour(struct half *h) {
    while (h->head < h->tail) {
        ssize_t n = write(h->to, h->buffer + h->head, h->tail - h->head);
        if (n < 0)
            return errno == EAGAIN;
        h->head += (size_t)n;
    }
    return 1;
}

static void copy(int a, int b) {
    static struct half halves[2];
    int top = (a > b ? a : b) + 1;
    halves[0] = (struct half){.from = a, .to = b};
    halves[1] = (struct half){.from = b, .to = a};
    set_blocking(a, 0);
    set_blocking(b, 0);
    for (;;) {
        fd_set r, w;
        FD_ZERO(&r);
        FD_ZERO(&w);
        for (struct half *h = halves; h < halves + 2; h++)
            if (h->head < h->tail)
                FD_SET(h->to, &w);
            else
                FD_SET(h->from, &r);
        if (select(top, &r, &w, 0, 0) < 0)
            return;
        for (struct half *h = halves; h < halves + 2; h++)
            if ((FD_ISSET(h->from, &r) && h->head == h->tail && !fill(h)) || !pour(h))
                return;
    }
}

static int copy_guest(const char *port, const char *device) {
    int listener = tcp_listen(port), fd = target(device), client;
    while ((client = accept(listener, 0, 0)) >= 0) {
        no_delay(client);
        copy(client, fd);
        close(client);
    }
    return 0;
}

/* ---- QEMU's part ---- */

static void relay(const char *const *paths) {
    int listeners[2] = {unix_socket(paths[0], 1), unix_socket(paths[1], 1)};
    if (fork())
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int a = accept(listeners[0], 0, 0), b = accept(listeners[1], 0, 0);
        copy(a, b);
        close(a);
        close(b);
    }
}

static int relays(char **paths) {
    for (; paths[0] && paths[1]; paths += 2)
        relay((const char *const *)paths);
    puts("ready");
    fflush(stdout);
    while (wait(0) > 0)
        ;
    return 0;
}

/* ---- other guests ---- */

static int idle(char **paths) {
    int n = 0, *listeners;
    while (paths[n])
        n++;
    listeners = calloc((size_t)n, sizeof *listeners);
    for (int i = 0; i < n; i++)
        listeners[i] = unix_socket(paths[i], 1);
    for (int i = 0; i < n; i++) {
        accept(listeners[i], 0, 0);
        close(listeners[i]);
    }
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
    return 0;
}

static int flood(const char *path, const char *kind) {
    static const char reset[] = "VS1HabcdABCD\0\0", syn[] = "VS1Aabcd????\0\0";
    const char *unit = !strcmp(kind, "resets")   ? reset
                       : !strcmp(kind, "syns")   ? syn
                       : !strcmp(kind, "filler") ? "VVVVVVVVVVVVVV"
                                                 : "VS1D VVS1junk.";
    int fd = accept(unix_socket(path, 1), 0, 0);
    for (size_t i = 0; i < SPAN; i++)
        data[i] = (unsigned char)unit[i % 14];
    puts("flooding");
    fflush(stdout);
    if (!fork()) {
        static unsigned char answers[SPAN];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (read(fd, answers, sizeof answers) > 0)
            ;
        _exit(0);
    }
    for (;;)
        if (put(fd, data, SPAN / 14 * 14))
            return 1;
}

/* ---- clients ---- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(double *times, int n) {
    qsort(times, (size_t)n, sizeof *times, ascending);
    printf("median %.2f p99 %.2f longest %.2f", times[n / 2], times[n - 1 - n / 100], times[n - 1]);
}

/* Calls work(i) in n processes at once; us from the start of the first to the end of the last. */
static double together(int n, void (*work)(int)) {
    int go[2], bad = 0, status;
    double start;
    char c;
    if (pipe(go))
        die("pipe");
    for (int i = 0; i < n; i++)
        if (!fork()) {
            close(go[1]);
            (void)!read(go[0], &c, 1);
            work(i);
            _exit(0);
        }
    start = now();
    close(go[0]);
    close(go[1]);
    while (wait(&status) > 0)
        bad |= status;
    if (bad)
        exit(1);
    return now() - start;
}

static struct request wish;
static int *fds;

static void ask(int fd) {
    char c;
    if (put(fd, &wish, sizeof wish) || transfer(fd, wish.up, wish.down) ||
        (wish.up && get(fd, &c, 1)))
        die("move");
}

static double *ended; /* us of each */

static void ask_one(int i) {
    double start = now();
    ask(fds[i]);
    ended[i] = now() - start;
}

static int move(const char *name, int n) {
    double us, bytes = (double)(wish.up + wish.down) * n;
    fds = calloc((size_t)n, sizeof *fds);
    for (int i = 0; i < n; i++)
        fds[i] = target(name);
    ended = mmap(0, (size_t)n * sizeof *ended, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (n == 1) {
        us = now();
        ask(*fds);
        us = now() - us;
    } else {
        us = together(n, ask_one);
        qsort(ended, (size_t)n, sizeof *ended, ascending);
    }
    printf("rate %.3f fair %.4f\n", bytes / us, n > 1 ? ended[0] / ended[n - 1] : 1.0);
    return 0;
}

static int echo(const char *name, unsigned size, unsigned rounds) {
    double *times = calloc(rounds, sizeof *times);
    int fd = target(name);
    wish = (struct request){.rounds = rounds, .size = size};
    if (size > SPAN || put(fd, &wish, sizeof wish))
        die("echo");
    for (unsigned i = 0; i < rounds; i++) {
        double start = now();
        if (put(fd, data, size) || get(fd, data, size))
            die("echo");
        times[i] = now() - start;
    }
    print_times(times, (int)rounds);
    puts("");
    return 0;
}

static const char *visited;
static int visits;
static double *visit_times;

static void visit_often(int unused) {
    struct {
        struct request q;
        char byte;
    } hello = {{.rounds = 1, .size = 1}, 0};
    (void)unused;
    for (int i = 0; i < visits; i++) {
        double start = now();
        int fd = tcp_connect(visited);
        if (put(fd, &hello, sizeof hello.q + 1) || get(fd, &hello.byte, 1))
            die("visit");
        visit_times[i] = now() - start;
        close(fd);
    }
}

static int visit(const char *name, int count, int n) {
    double us;
    visited = name;
    visits = count;
    visit_times = calloc((size_t)count, sizeof *visit_times);
    if (n == 1) {
        us = now();
        visit_often(0);
        us = now() - us;
        print_times(visit_times, count);
    } else {
        us = together(n, visit_often);
    }
    printf(" persec %.2f\n", count * n / us * 1e6);
    return 0;
}

static void hold(const char *name, int n, uint64_t bytes) {
    wish = (struct request){.up = bytes, .down = bytes};
    for (int i = 0; i < n; i++)
        ask(target(name));
    puts("held");
    fflush(stdout);
    for (;;)
        pause();
}

/* ---- beside others ---- */

/* Bytes that have come and are not read. */
static long unread(int n) {
    long all = 0;
    for (int i = 0, bytes; i < n; i++)
        all += ioctl(fds[i], FIONREAD, &bytes) ? 0 : bytes;
    return all;
}

/* Says so at the pipe when the connections are under way: a MiB was moved; or, if they are to
 * stall, none of them has moved a byte for three seconds (a sender asks after its peer's room
 * less and less often). */
static void background(int n, int out, int stalled, int ready) {
    uint64_t moved = 0;
    int said = 0;
    for (;;) {
        struct timeval quiet = {.tv_sec = 3};
        long before = stalled && !said ? unread(n) : 0;
        int top = 0, any;
        fd_set set;
        FD_ZERO(&set);
        for (int i = 0; i < n; i++) {
            FD_SET(fds[i], &set);
            top = fds[i] > top ? fds[i] : top;
        }
        any = select(top + 1, out ? 0 : &set, out ? &set : 0, 0, stalled && !said ? &quiet : 0);
        for (int i = 0; any > 0 && i < n; i++) {
            uint64_t left = UINT64_MAX;
            if (FD_ISSET(fds[i], &set) && some(fds[i], &left, out))
                die("background");
            moved += UINT64_MAX - left;
        }
        if (!said && (stalled ? !any && unread(n) == before : moved >= MIB))
            said = write(ready, "!", 1) == 1;
    }
}

static void start_background(const char *name, const char *kind, int n, int ready) {
    int out = strcmp(kind, "down"), stalled = !strcmp(kind, "stalled");
    struct request q = {.up = out ? UINT64_MAX : 0, .down = out ? 0 : UINT64_MAX};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (stalled)
        q.size = STALLED;
    fds = calloc((size_t)n, sizeof *fds);
    for (int i = 0; i < n; i++) {
        struct linger abrupt = {.l_onoff = 1, .l_linger = 0};
        fds[i] = target(name);
        if (put(fds[i], &q, sizeof q))
            die("background");
        setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
        set_blocking(fds[i], 0);
        if (stalled)
            prepare_stall(fds[i]);
    }
    background(n, out, stalled, ready);
}

static int run(int argc, char **argv);

/* argv: as of main(). */
static int beside(int argc, char **argv) {
    int ready[2], status;
    pid_t others, pid;
    char c;
    if (pipe(ready))
        die("pipe");
    others = fork();
    if (!others)
        start_background(argv[2], argv[3], atoi(argv[4]), ready[1]);
    close(ready[1]);
    if (read(ready[0], &c, 1) != 1)
        die(argv[3]);
    pid = fork(); /* what waits for its children does not wait for the others */
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        status = run(argc - 4, argv + 4);
        fflush(stdout);
        _exit(status);
    }
    waitpid(pid, &status, 0);
    kill(others, SIGKILL);
    waitpid(others, 0, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status);
}

/* The first byte's echo comes back when all is quiet again, the credit of a shared channel too. */
static int burst(const char *name) {
    struct {
        struct request q;
        char byte;
    } hello = {{.rounds = 1, .size = 1}, 0};
    uint64_t endless = UINT64_MAX;
    int fd = target(name), number;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    if (put(fd, &hello, sizeof hello.q + 1) || get(fd, &hello.byte, 1))
        die("burst");
    hello.q = (struct request){.up = UINT64_MAX};
    if (put(fd, &hello.q, sizeof hello.q))
        die("burst");
    puts("ready");
    fflush(stdout);
    sigwait(&set, &number);
    while (!some(fd, &endless, 1))
        ;
    return 1;
}

/* ---- measuring processes ---- */

static pid_t spawn(char **argv, int ready) {
    pid_t pid = vfork();
    if (!pid) {
        if (ready >= 0)
            dup2(ready, 3);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static int start(int rounds, char **argv) {
    double *times = calloc((size_t)rounds, sizeof *times);
    for (int i = 0; i < rounds; i++) {
        int p[2], high;
        double begin;
        pid_t pid;
        char c;
        if (pipe2(p, O_CLOEXEC) || (high = fcntl(p[1], F_DUPFD_CLOEXEC, 10)) < 0)
            die("pipe");
        close(p[1]);
        begin = now();
        pid = spawn(argv, high);
        close(high);
        if (read(p[0], &c, 1) != 1)
            die(argv[0]);
        times[i] = now() - begin;
        close(p[0]);
        kill(pid, SIGKILL);
        waitpid(pid, 0, 0);
    }
    print_times(times, rounds);
    puts("");
    return 0;
}

static int status_of(pid_t pid) {
    int status;
    waitpid(pid, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status);
}

/* The first version of struct perf_event_attr; musl's compiler has no <linux/perf_event.h>. */
struct counter {
    uint32_t type, size;
    unsigned long long config;
    uint64_t unused[6];
};

static int count_event(const char *event, pid_t pid) {
    struct counter attr = {.type = 2 /* PERF_TYPE_TRACEPOINT */, .size = sizeof attr};
    char path[128];
    FILE *f;
    int fd, got;
    snprintf(path, sizeof path, "/sys/kernel/debug/tracing/events/%s/id", event);
    f = fopen(path, "r");
    if (!f)
        return -1;
    got = fscanf(f, "%llu", &attr.config);
    fclose(f);
    fd = got == 1 ? (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, 0) : -1;
    return fd;
}

static int count(pid_t pid, char **argv) {
    static const char *const events[] = {
        "raw_syscalls/sys_enter",    "syscalls/sys_enter_read",     "syscalls/sys_enter_write",
        "syscalls/sys_enter_select", "syscalls/sys_enter_pselect6", "syscalls/sys_enter_recvfrom"};
    enum { EVENTS = sizeof events / sizeof *events };
    int counters[EVENTS], bad;
    for (int i = 0; i < EVENTS; i++)
        counters[i] = count_event(events[i], pid);
    if (*counters < 0)
        die("perf_event_open");
    bad = status_of(spawn(argv, -1));
    for (int i = 0; i < EVENTS; i++) {
        unsigned long long n = 0;
        if (counters[i] >= 0 && read(counters[i], &n, sizeof n) == sizeof n)
            printf("%s %llu ", i ? strrchr(events[i], '_') + 1 : "calls", n);
    }
    puts("");
    return bad;
}

static int run(int argc, char **argv) {
    const char *verb = argc > 2 ? argv[1] : "";
    int more = argc > 3;
    if (!strcmp(verb, "serve"))
        return service(argv[2]);
    if (!strcmp(verb, "attach"))
        return serve(unix_socket(argv[2], 0)), 0;
    if (!strcmp(verb, "copy-guest") && more)
        return copy_guest(argv[2], argv[3]);
    if (!strcmp(verb, "copy-host") && more)
        return copy(unix_socket(argv[2], 0), tcp_connect(argv[3])), 0;
    if (!strcmp(verb, "relay") && more)
        return relays(argv + 2);
    if (!strcmp(verb, "idle"))
        return idle(argv + 2);
    if (!strcmp(verb, "flood") && more)
        return flood(argv[2], argv[3]);
    if (!strcmp(verb, "move") && argc > 4) {
        wish = (struct request){.up = strtoull(argv[3], 0, 0), .down = strtoull(argv[4], 0, 0)};
        return move(argv[2], argc > 5 ? atoi(argv[5]) : 1);
    }
    if (!strcmp(verb, "echo") && argc > 4)
        return echo(argv[2], (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
    if (!strcmp(verb, "visit") && more)
        return visit(argv[2], atoi(argv[3]), argc > 4 ? atoi(argv[4]) : 1);
    if (!strcmp(verb, "hold") && argc > 4)
        hold(argv[2], atoi(argv[3]), strtoull(argv[4], 0, 0));
    if (!strcmp(verb, "beside") && argc > 6)
        return beside(argc, argv);
    if (!strcmp(verb, "burst"))
        return burst(argv[2]);
    if (!strcmp(verb, "start") && more)
        return start(atoi(argv[2]), argv + 3);
    if (!strcmp(verb, "count") && more)
        return count(atoi(argv[2]), argv + 3);
    fprintf(stderr, "load: see its source\n");
    return 1;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    memset(data, 'x', sizeof data);
    return run(argc, argv);
}
