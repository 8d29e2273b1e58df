/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* guests: what tests/bench/isolation measures with: guests of a host proxy that speak the protocol
 * on QEMU's sockets themselves.
 *
 *   guests serve                          a service; prints `port N`. A connection that begins
 *                                         with a byte alone gets its bytes
 *                                         back, from a process of its own; others are read, and
 *                                         nothing is answered
 *   guests honest SOCKET                  one connection; for each line `MS` of stdin prints
 *                                         `median N`, the us of an echo of one
 *                                         byte, measured for MS milliseconds, at least three times
 *   guests flood KIND COUNT SOCKET...     COUNT guests, a process each, which share the sockets
 *                                         and write without end; prints
 *                                         `flooding`. KIND: junk (V), stale (DATA, each of another
 *                                         token), syns, syn-reset,
 *                                         capabilities (SYNs with 65535 bytes), bulk (DATA on
 *                                         established connections), many (DATA on 64 of each
 *                                         channel, within their credit), opens (64 of each channel
 *                                         come, with data, and are reset)
 *
 * With `-R CLIENTS` before that, the proxy carries clients into the guests: the sockets that it
 * makes for them are in CLIENTS. honest answers a client of its own; so does bulk, on each channel,
 * and the client reads. */
/* clang-format on */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER = 14,
    SPAN = HEADER + 65535,
    BULK = 32768,
    TIMES = 200000,
    PLACES = 64,
    CREDIT = 4096
};

static unsigned char span[SPAN];
static const char *clients; /* with -R */

static void die(const char *what) {
    fprintf(stderr, "guests: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void say(const char *text) {
    puts(text);
    fflush(stdout);
}

static void get(int fd, void *p, size_t size) {
    if (recv(fd, p, size, MSG_WAITALL) != (ssize_t)size)
        die("recv");
}

static void put(int fd, const void *p, size_t size) {
    if (send(fd, p, size, 0) != (ssize_t)size)
        die("send");
}

/* A child that goes with its parent. */
static int child(void) {
    int pid = fork();

    if (!pid)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

/* ---- the service ---- */

static void give_back(int fd) {
    ssize_t n;
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, 0);
    while ((n = read(fd, span, SPAN)) > 0)
        put(fd, span, (size_t)n);
    _exit(0);
}

/* False: the connection is not ours any more. */
static int swallow(int fd, int is_first) {
    ssize_t n = recv(fd, span, SPAN, is_first ? MSG_PEEK : 0);

    if (n == 1 && is_first && !child())
        give_back(fd);
    return (n > 0 && !(is_first && n == 1)) || (n < 0 && errno == EAGAIN);
}

static void serve(void) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof in;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    fd_set all, ready, seen;

    if (bind(listener, (void *)&in, sizeof in) || listen(listener, 1024) ||
        getsockname(listener, (void *)&in, &size))
        die("listen");
    printf("port %d\n", ntohs(in.sin_port));
    fflush(stdout);
    signal(SIGCHLD, SIG_IGN);
    FD_ZERO(&all);
    FD_ZERO(&seen);
    FD_SET(listener, &all);
    for (;;) {
        ready = all;
        select(FD_SETSIZE, &ready, 0, 0, 0);
        for (int fd = 0; fd < FD_SETSIZE; fd++)
            if (FD_ISSET(fd, &ready) && fd != listener) {
                if (!swallow(fd, !FD_ISSET(fd, &seen))) {
                    FD_CLR(fd, &all);
                    close(fd);
                } else {
                    FD_SET(fd, &seen);
                }
            }
        for (int fd;
             FD_ISSET(listener, &ready) && (fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0;) {
            FD_SET(fd, &all);
            FD_CLR(fd, &seen);
        }
    }
}

/* ---- channels ---- */

static int listen_at(const char *path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strncpy(un.sun_path, path, sizeof un.sun_path - 1);
    if (bind(fd, (void *)&un, sizeof un) || listen(fd, 1))
        die(path);
    return fd;
}

static int attach(int listener) {
    int fd = accept(listener, 0, 0);

    if (fd < 0)
        die("accept");
    close(listener);
    if (clients)
        put(fd, "VS1HINITINIT\0\0", HEADER);
    return fd;
}

/* The next frame with this ctrl, after any filler; its header is left at head, and its payload
 * passed over. */
static void await(int fd, char ctrl, unsigned char head[HEADER]) {
    unsigned char payload[256];

    do {
        get(fd, head, HEADER);
        while (memcmp(head, "VS1", 3)) {
            memmove(head, head + 1, HEADER - 1);
            get(fd, head + HEADER - 1, 1);
        }
        if (head[13])
            get(fd, payload, head[13]);
    } while (head[3] != ctrl);
}

static void call(int fd, unsigned char head[HEADER]) {
    put(fd, "VS1HINITINIT\0\0VS1Aabcd????\0\0", 2 * HEADER);
    await(fd, 'C', head);
    head[3] = 'B';
    put(fd, head, HEADER);
}

/* Without capabilities, too. Any channel of the guest may get a client: all have them, before. */
static void answer(int fd, unsigned char head[HEADER]) {
    await(fd, 'A', head);
    memcpy(head + 3, "C", 1);
    memcpy(head + 8, "wxyz\0\0", 6);
    put(fd, head, HEADER);
    await(fd, 'B', head);
}

/* Handshake without capabilities; DATA's header of `length` is left at head. */
static void establish(int fd, unsigned char head[HEADER], unsigned length) {
    (clients ? answer : call)(fd, head);
    head[3] = 'D';
    head[12] = (unsigned char)(length >> 8);
    head[13] = (unsigned char)length;
}

/* A client of the guest that has this channel: of the socket that the proxy makes for it. */
static int client(const char *channel) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const char *end = strrchr(channel, '/'), *name = end;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    while (name[-1] != '/')
        name--;
    snprintf(un.sun_path, sizeof un.sun_path, "%s/%.*s", clients, (int)(end - name), name);
    while (connect(fd, (void *)&un, sizeof un))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return fd;
}

/* ---- the honest guest ---- */

static double now(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* A byte goes to the service and comes back; or from the client to us, and back. */
static void exchange(int fd, int near, const unsigned char frame[HEADER + 1]) {
    unsigned char answer[HEADER + 1];

    if (near >= 0) {
        put(near, frame + HEADER, 1);
        get(fd, answer, sizeof answer);
        put(fd, frame, sizeof answer);
        get(near, answer, 1);
        return;
    }
    put(fd, frame, sizeof answer);
    get(fd, answer, sizeof answer);
}

static void honest(const char *path) {
    static double times[TIMES];
    unsigned char frame[HEADER + 1] = {[HEADER] = 'e'};
    int fd = attach(listen_at(path)), near = clients ? client(path) : -1;
    unsigned ms;

    establish(fd, frame, 1);
    exchange(fd, near, frame);
    say("ready");
    while (scanf("%u", &ms) == 1) {
        double end = now() + ms * 1e3, before = 0;
        int n = 0;

        for (; n < TIMES && (n < 3 || before < end); n++) {
            before = now();
            exchange(fd, near, frame);
            times[n] = now() - before;
        }
        qsort(times, (size_t)n, sizeof *times, ascending);
        printf("median %.1f\n", times[n / 2]);
        fflush(stdout);
    }
}

/* ---- floods ---- */

struct flood {
    int fd;
    size_t at;
    unsigned char head[HEADER];
};

/* Fills span with what is written again and again; its size. */
static size_t make_unit(const char *kind) {
    static const unsigned char stale[] = "VS1D00cdwxyz\0\0",
                               syn_reset[] = "VS1Aabcd????\0\0VS1Habcd????\0";
    size_t unit = !strcmp(kind, "syn-reset") ? sizeof syn_reset : HEADER;
    size_t size = SPAN / unit * unit;

    memset(span, 'V', SPAN);
    if (!strcmp(kind, "junk"))
        return SPAN;
    if (!strcmp(kind, "bulk"))
        return BULK;
    for (size_t i = 0; i < size; i++)
        span[i] = (unit == HEADER ? stale : syn_reset)[i % unit];
    for (size_t i = 0; i < size; i += unit)
        memcpy(span + i + 4, &(unsigned short){(unsigned short)(i / unit)}, 2);
    if (!strcmp(kind, "stale") || !strcmp(kind, "syn-reset"))
        return size;
    for (size_t i = 0; i < size; i += unit) {
        span[i + 3] = 'A';
        memcpy(span + i + 8, "????", 4);
    }
    if (!strcmp(kind, "syns"))
        return size;
    memset(span + HEADER, 'X', SPAN - HEADER);
    span[12] = span[13] = 0xff;
    return strcmp(kind, "capabilities") ? 0 : SPAN;
}

static void more(struct flood *f, size_t size, int is_bulk) {
    ssize_t n;

    if (is_bulk)
        memcpy(span, f->head, HEADER);
    n = write(f->fd, span + f->at, size - f->at);
    if (n < 0 && errno != EAGAIN)
        exit(1);
    f->at = n < 0 ? f->at : (f->at + (size_t)n) % size;
}

static void flood(struct flood *floods, int count, size_t size, int is_bulk) {
    static unsigned char answers[65536];

    for (;;) {
        fd_set r, w;

        FD_ZERO(&r);
        FD_ZERO(&w);
        for (int i = 0; i < count; i++) {
            FD_SET(floods[i].fd, &r);
            FD_SET(floods[i].fd, &w);
        }
        select(FD_SETSIZE, &r, &w, 0, 0);
        for (int i = 0; i < count; i++) {
            if (FD_ISSET(floods[i].fd, &r) && !read(floods[i].fd, answers, sizeof answers))
                exit(1);
            if (FD_ISSET(floods[i].fd, &w))
                more(&floods[i], size, is_bulk);
        }
    }
}

/* ---- floods of shared channels ---- */

/* What one of them has to say, and to hear: no more than the credit of each connection. */
struct shared {
    int fd;
    unsigned turn, credit[PLACES];
    size_t at, size, heard;
    unsigned char out[2 * HEADER + 8192 + HEADER], in[HEADER + 300];
};

static size_t frame(unsigned char *p, char ctrl, unsigned place, size_t length) {
    const unsigned char head[HEADER] = {'V',
                                        'S',
                                        '1',
                                        (unsigned char)ctrl,
                                        'm',
                                        'a',
                                        'n',
                                        (unsigned char)('0' + place),
                                        '?',
                                        '?',
                                        '?',
                                        '?',
                                        (unsigned char)(length >> 8),
                                        (unsigned char)length};

    memcpy(p, head, HEADER);
    return HEADER + length;
}

static size_t open_one(unsigned char *p, unsigned place) {
    size_t n = frame(p, 'A', place, 2);

    memcpy(p + HEADER, "EM", 2);
    return n;
}

static void share(struct shared *s) {
    unsigned char answer[HEADER + 8];

    memcpy(s->out, "VS1HINITINIT\0\0", HEADER);
    put(s->fd, s->out, HEADER + open_one(s->out + HEADER, 0));
    do
        get(s->fd, answer, HEADER);
    while (answer[3] != 'C');
    get(s->fd, answer + HEADER, answer[13]);
    if (!memchr(answer + HEADER, 'M', answer[13]))
        die("no M");
    answer[3] = 'B';
    answer[12] = answer[13] = 0;
    put(s->fd, answer, HEADER);
    s->credit[0] = CREDIT;
}

static void hear_frame(struct shared *s) {
    unsigned char *p = s->in;
    unsigned place = p[7] - '0';

    if (p[3] == 'W' && place < PLACES)
        s->credit[place] += (unsigned)p[HEADER] << 24 | (unsigned)p[HEADER + 1] << 16 |
                            (unsigned)p[HEADER + 2] << 8 | p[HEADER + 3];
}

static void hear(struct shared *s) {
    static unsigned char answers[65536];
    ssize_t n = read(s->fd, answers, sizeof answers);

    if (!n)
        exit(1);
    for (ssize_t i = 0; i < n; i++) {
        s->in[s->heard++] = answers[i];
        if (s->heard < HEADER || s->heard < HEADER + (size_t)(s->in[12] << 8 | s->in[13]))
            continue;
        hear_frame(s);
        s->heard = 0;
    }
}

/* The next connection's turn: what it may send. */
static void compose(struct shared *s, int opens) {
    unsigned place = s->turn++ % PLACES, length = s->credit[place];

    s->at = s->size = 0;
    if (opens ? place > 0 : s->turn <= PLACES && place > 0) {
        s->size = open_one(s->out, place);
        s->credit[place] = length = CREDIT;
    }
    if (length > 8192)
        length = 8192;
    if (opens && !place)
        length = 0;
    if (length)
        s->size += frame(s->out + s->size, 'D', place, length);
    s->credit[place] -= length;
    if (opens && place)
        s->size += frame(s->out + s->size, 'H', place, 0);
}

static void write_on(struct shared *s, int opens) {
    ssize_t n;

    for (int i = 0; s->at == s->size && i < PLACES; i++)
        compose(s, opens);
    n = write(s->fd, s->out + s->at, s->size - s->at);
    if (n < 0 && errno != EAGAIN)
        exit(1);
    s->at += n < 0 ? 0 : (size_t)n;
}

static int may_write(const struct shared *s, int opens) {
    unsigned most = 0;

    for (int i = 0; i < PLACES; i++)
        most |= s->credit[i];
    return opens || s->at < s->size || most || s->turn < PLACES;
}

static void flood_shared(struct shared *all, int count, int opens) {
    for (;;) {
        fd_set r, w;

        FD_ZERO(&r);
        FD_ZERO(&w);
        for (int i = 0; i < count; i++) {
            FD_SET(all[i].fd, &r);
            if (may_write(&all[i], opens))
                FD_SET(all[i].fd, &w);
        }
        select(FD_SETSIZE, &r, &w, 0, 0);
        for (int i = 0; i < count; i++) {
            if (FD_ISSET(all[i].fd, &r))
                hear(&all[i]);
            if (FD_ISSET(all[i].fd, &w))
                write_on(&all[i], opens);
        }
    }
}

static void flood_many(const char *kind, int guests, char **paths) {
    static struct shared all[1000];
    int count = 0;

    for (; paths[count]; count++)
        all[count].fd = listen_at(paths[count]);
    for (int i = 0; i < count; i++) {
        all[i].fd = attach(all[i].fd);
        share(&all[i]);
        fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
    }
    for (int g = 0; g < guests; g++)
        if (!child())
            flood_shared(all + count / guests * g, count / guests, !strcmp(kind, "opens"));
    say("flooding");
    wait(0);
    die("a guest has lost its host");
}

static void read_all(int fd) {
    if (child())
        return;
    while (read(fd, span, SPAN) > 0)
        continue;
    exit(1);
}

static void flood_all(const char *kind, int guests, char **paths) {
    static struct flood floods[1000];
    size_t size = make_unit(kind);
    int count = 0, is_bulk = !strcmp(kind, "bulk");

    for (; paths[count]; count++)
        floods[count].fd = listen_at(paths[count]);
    for (int i = 0; i < count; i++) {
        floods[i].fd = attach(floods[i].fd);
        if (is_bulk && clients)
            read_all(client(paths[i]));
    }
    for (int i = 0; i < count; i++) {
        if (is_bulk)
            establish(floods[i].fd, floods[i].head, BULK - HEADER);
        fcntl(floods[i].fd, F_SETFL, O_NONBLOCK);
    }
    for (int g = 0; g < guests; g++)
        if (!child())
            flood(floods + count / guests * g, count / guests, size, is_bulk);
    say("flooding");
    wait(0);
    die("a guest has lost its host");
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc > 2 && !strcmp(argv[1], "-R")) {
        clients = argv[2];
        argc -= 2;
        argv += 2;
    }
    if (argc == 2 && !strcmp(argv[1], "serve"))
        serve();
    else if (argc == 3 && !strcmp(argv[1], "honest"))
        honest(argv[2]);
    else if (argc > 4 && !strcmp(argv[1], "flood"))
        (!strcmp(argv[2], "many") || !strcmp(argv[2], "opens") ? flood_many : flood_all)(
            argv[2], atoi(argv[3]), argv + 4);
    else
        fputs("guests: see its source\n", stderr);
    return 1;
}
