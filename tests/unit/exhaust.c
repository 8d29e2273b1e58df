/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* exhaust: both proxies' relays (all of relay/ and wire/ that a channel needs) at the two ends of
 * one channel, through every order of events of a small scenario: two clients and their services,
 * credit for 2 bytes, a port that takes few writes, a socket that takes part of a frame, and
 * faults: the host or the guest is killed and another one comes, seen or unseen, ours, ours without
 * M or without S, or the original.
 *
 *     exhaust CLIENTS FAULTS [LIMIT]      0: no fault at all
 *
 * CLIENTS is their number, and c: each ends with its last byte; q: and says all at once; n: every
 * other client, the first one too, asks for a service by name.
 *
 * Depth first. All that the programs and this test have is static, and lies in .data (see
 * unit.test): a state is a copy of it. States that are alike are looked at once. Where nothing
 * more happens by itself, time passes; at the end of each path all must be over: every byte of a
 * client whose host stayed has come, every end too, no connection or buffer is left, and new
 * clients are served. */
/* clang-format on */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../../applets/lib/base/loop.h"
#include "../../applets/lib/base/memory.h"
#include "../../applets/lib/base/net.h"
#include "../../applets/lib/base/opt.h"
#include "../../applets/lib/base/pool.h"
#include "../../applets/lib/base/where.h"
#include "../../applets/lib/relay/guests.h"
#include "../../applets/lib/relay/initiator.h"
#include "../../applets/lib/relay/qemu.h"
#include "../../applets/lib/relay/receiver.h"
#include "../../applets/lib/relay/relay.h"
#include "../../applets/lib/relay/responder.h"
#include "../../applets/lib/relay/sender.h"
#include "../../applets/lib/relay/services.h"
#include "../../applets/lib/relay/tick.h"

enum {
    CLIENTS = 5,  /* the last three come only when all else is over */
    SERVICES = 8, /* that may ever be connected to */
    SLOTS = 7,    /* of each pool */
    PORT = 100,
    SOCKET = 101,
    FIRST = 110, /* the first client's descriptor, then the services' */
    FDS = FIRST + CLIENTS + SERVICES,
    BYTES = 3,      /* that a client or service says; every other one says 1 */
    WRITES = 3,     /* that the port takes until the host reads */
    SOCKET_CAP = 33 /* bytes that the socket takes until the guest reads */
};

enum kind { OURS, WITHOUT_M, WITHOUT_S, ORIGINAL, NOBODY };
static const char *const kinds[] = {"ours", "ours without M", "ours without S", "the original",
                                    "nobody"};

/* A TCP peer. in: what the program may read; room: how much it may write. */
struct app {
    bool there, open, said, ended, in_eof, dead, mute, pending, out_eof, out_reset, slow, counts,
        named;
    unsigned in, got, room;
    int other; /* whose bytes came; -1: nobody's yet */
};

static struct watched {
    unsigned want;
    loop_fn *fn;
    void *arg;
} watched[FDS];
static struct app apps[CLIENTS + SERVICES];
static struct pipe {
    unsigned char bytes[3000];
    unsigned n, writes;
    int fence; /* bytes of a host before the one that is there; 0: none */
} up, down;
static struct channel guest, host;
static struct guest the_guest;
static enum kind kind = NOBODY;
static unsigned services_used, tokens, faults_left, client_count;
static long long now = 1000;
static bool idle;                  /* time brings nothing */
static bool faulty, coarse, quick; /* who says something ends at once; says it at once */
static bool naming;                /* clients ask for a service by name */
static struct original {
    int state; /* 0 LISTEN, 1 SYN_RCVD, 2 ESTABLISHED */
    unsigned char tokens[8];
    int service;
} original;
static unsigned char window_bytes[SLOTS * WINDOW_BYTES];

/* What is not a part of the state. */
static struct common {
    struct pool *pools[8];
    unsigned pool_count, depth, depth_most;
    unsigned long long states, ends, events, limit, seen[32];
    uint64_t *visited;
    size_t size;
    char path[400][24];
} * common;

static _Noreturn void fail(const char *format, ...) {
    va_list ap;

    printf("not ok exhaust: ");
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf(" (after");
    for (unsigned i = 0; i < common->depth; i++)
        printf(" %s", common->path[i]);
    printf(")\n");
    exit(1);
}

/* ---- what the programs stand on ---- */

void loop_watch(int fd, unsigned want, loop_fn *fn, void *arg) {
    watched[fd] = (struct watched){want, want ? fn : NULL, want ? arg : NULL};
}
void loop_close(int fd) {
    loop_watch(fd, 0, NULL, NULL);
    close(fd);
}
bool loop_close_now(void) { return false; }
int loop_admit(int fd) { return fd; }
bool loop_fits(int fd) { return fd >= 0; }
bool loop_is_last(int fd) { return (void)fd, false; }
unsigned loop_take(int fd) { return (void)fd, 0; } /* each event is one of its own */
bool loop_is_alone(void) { return true; }
bool loop_is_round_over(void) { return false; }
void loop_quiet(int fd, bool on) { (void)fd, (void)on; }
void loop_share(int fd, struct loop_share *share) { (void)fd, (void)share; }
void loop_charge(struct loop_share *share, unsigned cost) { (void)share, (void)cost; }
long long loop_now(void) { return now; }

static bool verbose;
void log_msg(enum log_level level, const char *f, ...) {
    va_list ap;

    (void)level;
    if (!verbose)
        return;
    va_start(ap, f);
    printf("#   ");
    vprintf(f, ap);
    printf("\n");
    va_end(ap);
}
void log_fatal(const char *f, ...) { fail("%s", f); }
bool log_limited(struct log_limit *limit, long long ms, enum log_level level, const char *f, ...) {
    (void)limit, (void)ms, (void)level, (void)f;
    return true;
}

void *memory_reserve(size_t n) { return (void)n, window_bytes; }
void memory_give_back(void *p, size_t n) { (void)p, (void)n; }

void *__real_pool_take(struct pool *p);
void *__wrap_pool_take(struct pool *p);
void *__wrap_pool_take(struct pool *p) {
    unsigned i = 0;

    while (i < common->pool_count && common->pools[i] != p)
        i++;
    if (i == common->pool_count)
        common->pools[common->pool_count++] = p;
    if (p->in_use >= SLOTS)
        fail("a pool of more than %d", SLOTS);
    return __real_pool_take(p);
}

void __wrap_token_begin(void);
void __wrap_token_begin(void) {}
void __wrap_token_new(unsigned char token[FRAME_TOKEN]);
void __wrap_token_new(unsigned char token[FRAME_TOKEN]) {
    memcpy(token, "tok!", FRAME_TOKEN);
    token[3] = (unsigned char)('!' + tokens++);
}

static unsigned bytes_of(int app) { return (app < CLIENTS ? app : app - CLIENTS) % 2 ? 1 : BYTES; }

static struct app *app_of(int fd) { return &apps[fd - FIRST]; }

static ssize_t none(int reason) {
    errno = reason;
    return -1;
}

/* What a client or service says: its number, again and again. */
static ssize_t app_read(struct app *a, unsigned char *p, size_t n) {
    if (a->dead)
        return none(ECONNRESET);
    if (!a->in)
        return a->in_eof ? 0 : none(EAGAIN);
    n = n < a->in ? n : a->in;
    memset(p, 'a' + (int)(a - apps), n);
    a->in -= (unsigned)n;
    return (ssize_t)n;
}

static ssize_t app_write(struct app *a, const unsigned char *p, size_t n) {
    if (a->dead)
        return none(EPIPE);
    if (a->out_eof || a->pending)
        fail("a write to app %d, which is %s", (int)(a - apps), a->pending ? "pending" : "shut");
    n = n < a->room ? n : a->room;
    for (size_t i = 0; i < n; i++) {
        int whose = p[i] - 'a';

        if (a->other >= 0 && a->other != whose)
            fail("app %d gets bytes of %d and of %d", (int)(a - apps), a->other, whose);
        if (whose < 0 || whose >= CLIENTS + SERVICES || (whose < CLIENTS) == (a - apps < CLIENTS))
            fail("app %d gets byte %#x", (int)(a - apps), p[i]);
        if (apps[whose].other >= 0 && apps[whose].other != a - apps)
            fail("app %d gets bytes of %d, which has %d", (int)(a - apps), whose,
                 apps[whose].other);
        if (apps[whose].named != a->named)
            fail("app %d, of another service, gets bytes of %d", (int)(a - apps), whose);
        a->other = whose;
    }
    a->got += (unsigned)n;
    if (a->got > bytes_of(a->other))
        fail("app %d has %u bytes", (int)(a - apps), a->got);
    if (a->slow)
        a->room -= (unsigned)n;
    return n ? (ssize_t)n : none(EAGAIN);
}

static void pipe_put(struct pipe *p, const void *bytes, size_t n) {
    if (p->n + n > sizeof p->bytes)
        fail("a pipe is too small");
    memcpy(p->bytes + p->n, bytes, n);
    p->n += (unsigned)n;
    p->writes++;
}

static size_t pipe_get(struct pipe *p, void *bytes, size_t n) {
    unsigned most = p->fence ? (unsigned)p->fence : p->n;

    n = n < most ? n : most;
    memcpy(bytes, p->bytes, n);
    memmove(p->bytes, p->bytes + n, p->n - n);
    p->n -= (unsigned)n;
    if (p->fence)
        p->fence -= (int)n;
    if (!p->n)
        p->writes = 0;
    return n;
}

static ssize_t port_read(void *p, size_t n) {
    if (!n)
        return 0;
    if (down.n)
        return (ssize_t)pipe_get(&down, p, n);
    return kind == NOBODY ? 0 : none(EAGAIN);
}

static ssize_t port_write(const unsigned char *p, size_t n) {
    if (kind == NOBODY || up.writes >= WRITES)
        return none(EAGAIN);
    if (*p == '1' && p[n - 1] == '1')
        pipe_put(&up, "1", !up.n || up.bytes[up.n - 1] != '1'); /* filler: one is as good */
    else
        pipe_put(&up, p, n);
    if (*p == '1')
        up.writes--;
    return (ssize_t)n;
}

/* A host without M, or without S, does not see the letter. */
static ssize_t socket_read(unsigned char *p, size_t n) {
    unsigned at = kind == WITHOUT_M ? 1 : 2;

    if (!up.n)
        return none(EAGAIN);
    n = pipe_get(&up, p, n);
    for (size_t i = 0; kind != OURS && i + FRAME_HEADER + at < n; i++)
        if (!memcmp(p + i, "VS1A", 4))
            p[i + FRAME_HEADER + at] = 'x';
    return (ssize_t)n;
}

static ssize_t socket_write(const void *p, size_t n) {
    size_t room = down.n < SOCKET_CAP ? SOCKET_CAP - down.n : 0;

    n = n < room ? n : room;
    pipe_put(&down, p, n);
    return n ? (ssize_t)n : none(EAGAIN);
}

ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n) {
    if (fd == PORT)
        return port_read(p, n);
    if (fd == SOCKET)
        return socket_read(p, n);
    return fd >= FIRST ? app_read(app_of(fd), p, n) : __real_read(fd, p, n);
}
ssize_t net_read(int fd, void *p, size_t n) { return __wrap_read(fd, p, n); }
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags) {
    return (void)flags, __wrap_read(fd, p, n);
}
ssize_t __wrap_readv(int fd, const struct iovec *v, int count);
ssize_t __wrap_readv(int fd, const struct iovec *v, int count) {
    ssize_t all = 0, n;

    for (int i = 0; i < count; i++) {
        n = v[i].iov_len ? __wrap_read(fd, v[i].iov_base, v[i].iov_len) : 0;
        if (n <= 0)
            return all ? all : n;
        all += n;
        if (n < (ssize_t)v[i].iov_len)
            break;
    }
    return all;
}
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n) {
    if (fd == PORT)
        return port_write(p, n);
    if (fd == SOCKET)
        return socket_write(p, n);
    return fd >= FIRST ? app_write(app_of(fd), p, n) : __real_write(fd, p, n);
}
ssize_t __wrap_writev(int fd, const struct iovec *v, int count);
ssize_t __wrap_writev(int fd, const struct iovec *v, int count) {
    ssize_t n = __wrap_write(fd, v[0].iov_base, v[0].iov_len), more;

    if (n < (ssize_t)v[0].iov_len || count < 2 || !v[1].iov_len)
        return n;
    more = __wrap_write(fd, v[1].iov_base, v[1].iov_len);
    return more > 0 ? n + more : n;
}
int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how) {
    (void)how;
    app_of(fd)->out_eof = true;
    return 0;
}
int __wrap_close(int fd);
int __wrap_close(int fd) {
    struct app *a;

    if (fd < FIRST)
        return 0;
    a = app_of(fd);
    if (!a->open)
        fail("descriptor %d is closed twice", fd);
    a->open = a->pending = false;
    if (!a->out_reset)
        a->out_eof = true;
    return 0;
}

bool net_close(int fd) { return !__wrap_close(fd); }
void net_abort_on_close(int fd) { app_of(fd)->out_reset = !app_of(fd)->out_eof; }
void net_forget_on_close(int fd) { (void)fd; }
bool net_unsent(int fd) { return (void)fd, false; }
bool qemu_is_monitor(const unsigned char *p, size_t n) { return (void)p, (void)n, false; }
bool net_is_reset(int fd) { return app_of(fd)->dead; }
bool net_is_local(const struct net_address *a) { return (void)a, true; }
int net_path(struct net_address *a, const char *path) { return (void)a, (void)path, -1; }
int where_any(struct net_address *a, const char *text) { return (void)a, (void)text, -1; }
void opt_add(char letter, const char **values, unsigned *count, unsigned most, const char *value) {
    (void)letter, (void)values, (void)count, (void)most, (void)value;
}
int net_connect(const struct net_address *a, bool *pending) {
    int fd = FIRST + CLIENTS + (int)services_used;

    if (services_used == SERVICES)
        fail("the test needs more services");
    apps[CLIENTS + services_used++] = (struct app){.there = true,
                                                   .open = true,
                                                   .pending = true,
                                                   .room = services_used == 1 ? 1 : 9,
                                                   .slow = services_used == 1,
                                                   .other = -1,
                                                   .counts = true,
                                                   .named = naming && a == &services->at};
    *pending = true;
    return fd;
}
int net_connect_error(int fd) { return app_of(fd)->dead ? ECONNREFUSED : 0; }

/* ---- the original's host ---- */

static void original_says(char ctrl, const unsigned char *t, const char *text) {
    unsigned char frame[40] = {'V', 'S', '1', (unsigned char)ctrl};

    (void)text;
    memcpy(frame + 4, t, 8);
    pipe_put(&down, frame, FRAME_HEADER);
}

static void original_drops(bool tell) {
    if (tell)
        original_says('H', original.tokens, "");
    if (original.state) {
        apps[original.service].out_eof = true;
        apps[original.service].open = false;
    }
    original.state = 0;
}

static void original_connects(const unsigned char *head) {
    bool pending;

    memcpy(original.tokens, head + 4, 4);
    __wrap_token_new(original.tokens + 4);
    original.service = net_connect(NULL, &pending) - FIRST;
    apps[original.service].pending = false;
    apps[original.service].slow = false;
    apps[original.service].room = 9;
    original.state = 1;
    original_says('C', original.tokens, "");
}

static void original_hears(const unsigned char *head, const unsigned char *payload, unsigned n) {
    bool own = !memcmp(head + 4, original.tokens, 8);

    if (!original.state && head[3] == 'A')
        original_connects(head);
    else if (!original.state)
        return;
    else if (head[3] == 'H')
        original_drops(false);
    else if (original.state == 1 && head[3] == 'B' && own)
        original.state = 2;
    else if (original.state == 2 && head[3] == 'D' && own && n)
        app_write(&apps[original.service], payload, n);
    else
        original_drops(true);
}

/* All that has come. An end of stream would make it abort; what is no frame ends a connection. */
static void original_run(void) {
    unsigned at = 0, n;

    while (at < up.n) {
        if (up.n - at < FRAME_HEADER || memcmp(up.bytes + at, "VS1", 3)) {
            if (original.state)
                original_drops(true);
            at++;
            continue;
        }
        n = (unsigned)up.bytes[at + 12] << 8 | up.bytes[at + 13];
        original_hears(up.bytes + at, up.bytes + at + FRAME_HEADER, n);
        at += FRAME_HEADER + (original.state || up.bytes[at + 3] == 'A' ? n : 0);
    }
    up.n = up.writes = 0;
}

/* ---- the two programs ---- */

static void settle(void);

static void open_guest(void) {
    role = &initiator;
    memset(&guest, 0, sizeof guest);
    memcpy(guest.name, "port", 5);
    guest.end.fd = PORT;
    guest.end.port = guest.end.attached = true;
    guest.visitor = -1;
    guest.since_init = FRAME_HEADER + 1;
    initiator_greet(&guest);
    relay_start(&guest);
    settle();
}

static void open_host(enum kind k) {
    kind = k;
    down.fence = (int)down.n;
    if (k == ORIGINAL)
        memset(&original, 0, sizeof original);
    if (k == ORIGINAL || k == NOBODY)
        return;
    role = &responder;
    memset(&host, 0, sizeof host);
    memset(&the_guest, 0, sizeof the_guest);
    memcpy(host.name, "g/port", 7);
    host.guest = &the_guest;
    host.end.fd = SOCKET;
    host.end.attached = true;
    host.heard = true;
    host.visitor = -1;
    host.since_init = FRAME_HEADER + 1;
    responder_greet(&host);
    relay_start(&host);
}

/* A program ends at once: nothing of it is seen any more but by those whom it served. */
static void kill_program(struct channel *ch, const struct role *r, unsigned first, unsigned count) {
    struct conn *c;

    role = r;
    for (unsigned i = first; i < first + count; i++) {
        apps[i].dead |= apps[i].open;
        apps[i].counts &= !apps[i].open && (!apps[i].there || apps[i].out_eof);
    }
    ch->end.broken = true;
    relay_pump(ch);
    for (unsigned i = 0; i < 20 && (c = ch->conns) != NULL; i++) {
        if (!session_is_over(&c->session))
            conn_apply(c, session_event(&c->session, SESSION_STOP, NULL));
        c->due = 0;
        relay_pump(ch);
    }
    if (ch->conns || ch->in || ch->out || ch->place)
        fail("a program that was killed leaves a connection");
    memset(watched + FIRST + first, 0, count * sizeof *watched);
}

static void kill_host(void) {
    for (unsigned i = 0; i < CLIENTS; i++)
        apps[i].counts &= !apps[i].open;
    for (unsigned i = CLIENTS; i < CLIENTS + SERVICES; i++)
        apps[i].counts = false;
    if (kind == ORIGINAL && original.state)
        original_drops(false);
    if (kind < ORIGINAL)
        kill_program(&host, &responder, CLIENTS, SERVICES);
    up.n = up.writes = 0;
    kind = NOBODY;
}

static void kill_guest(void) {
    for (unsigned i = 0; i < CLIENTS + SERVICES; i++)
        apps[i].counts &= i < CLIENTS && !apps[i].open;
    kill_program(&guest, &initiator, 0, CLIENTS);
    open_guest();
}

/* As clients.c chooses. */
static bool may_open(void) {
    if (!guest.end.attached || !conn_is_room())
        return false;
    return channel_is_shared(&guest) ? guest.carried < guest.places : !conn_current(&guest);
}

static struct conn *find_void(void) {
    for (struct conn *c = guest.conns; c; c = c->next)
        if (c->apart && conn_is_void(c))
            return c;
    return NULL;
}

/* After each event of the guest's: the review. */
static void settle(void) {
    struct conn *c;

    role = &initiator;
    while ((c = find_void()) != NULL && may_open()) {
        const char *name = c->session.name;
        long long since = c->since;

        initiator_open(&guest, initiator_take(c), "client", name, since);
    }
    c = conn_current(&guest);
    if (c && session_lingers(&c->session) && !conn_is_stuck(c))
        for (unsigned i = 0; i < CLIENTS; i++)
            if (apps[i].there && !apps[i].open && !apps[i].out_eof && !apps[i].out_reset) {
                initiator_finish(c);
                return;
            }
}

static void tick(void) {
    long long other = host.deadline;

    host.deadline = 0;
    role = &initiator;
    tick_run();
    host.deadline = other;
    settle();
    other = guest.deadline;
    guest.deadline = 0;
    role = &responder;
    tick_run();
    guest.deadline = other;
}

static long long next_time(void) {
    long long next = guest.deadline;

    if (kind < ORIGINAL && host.deadline && (!next || host.deadline < next))
        next = host.deadline;
    return next;
}

/* ---- events ---- */

enum what {
    FD,
    DECIDE,
    REFUSE,
    IGNORE,
    COME,
    SAY,
    END,
    DRAIN,
    REPLACE,
    KILL,
    ATTACH,
    RESTART,
    THINK,
    TIME
};
static const char *const names[] = {"fd",       "connects",  "refused",  "ignored",  "comes",
                                    "says",     "ends",      "takes",    "replaced", "killed",
                                    "attached", "restarted", "original", "time"};

struct event {
    enum what what;
    int arg;
};

static unsigned ready_of(int fd) {
    const struct app *a;
    unsigned ready = 0;

    if (fd == PORT)
        return (down.n || kind == NOBODY ? LOOP_READ : 0u) |
               (kind != NOBODY && up.writes < WRITES ? LOOP_WRITE : 0u);
    if (fd == SOCKET)
        return (up.n ? LOOP_READ : 0u) | (down.n < SOCKET_CAP ? LOOP_WRITE : 0u);
    a = app_of(fd);
    if (a->pending)
        return 0;
    ready |= a->in || a->in_eof || a->dead ? LOOP_READ : 0u;
    return ready | (a->room || a->dead ? LOOP_WRITE : 0u);
}

static unsigned add_faults(struct event *e, unsigned n) {
    if (!faults_left)
        return n;
    for (int k = OURS; kind != NOBODY && k <= ORIGINAL; k++)
        e[n++] = (struct event){REPLACE, k};
    if (kind != NOBODY) {
        e[n++] = (struct event){KILL, 0};
        e[n++] = (struct event){RESTART, 0};
    }
    return n;
}

static bool all_over(void) {
    for (unsigned i = 0; i < client_count; i++)
        if (!apps[i].there || apps[i].open || (!apps[i].out_eof && !apps[i].out_reset))
            return false;
    return !guest.conns;
}

/* A client that came late, when all else was over. */
static bool is_served(unsigned i) {
    const struct app *a = &apps[i];

    return i >= client_count && a->there &&
           (a->other >= 0 || (kind == ORIGINAL && a->out_eof && !a->out_reset));
}

/* A SYN is to be sent anew: half a second may be over whatever happens. */
static bool is_greeted(void) {
    for (const struct conn *c = guest.conns; c; c = c->next)
        if (c->wait == CONN_GREETED && session_is_asking(&c->session))
            return true;
    return false;
}

/* What may take its time happens: services that connect, clients that come, faults; and, beside a
 * service that never answers, what the others have to say. */
static bool may_wait(const struct event *e, unsigned n) {
    bool mute = apps[CLIENTS + 1].mute && apps[CLIENTS + 1].open;

    for (unsigned i = 0; i < n; i++)
        if (e[i].what == FD || e[i].what == DRAIN || e[i].what == THINK ||
            (!mute && (e[i].what == SAY || e[i].what == END)))
            return false;
    return n && (faulty || mute);
}

static unsigned list(struct event *e) {
    unsigned n = 0, late = client_count;

    for (int fd = PORT; fd < FDS; fd++)
        if (watched[fd].want & ready_of(fd))
            e[n++] = (struct event){FD, fd};
    for (int i = 0; i < CLIENTS + SERVICES; i++) {
        const struct app *a = &apps[i];

        if (a->pending && a->open && !a->mute) {
            e[n++] = (struct event){DECIDE, i};
            if (i == CLIENTS + 1)
                e[n++] = (struct event){REFUSE, i};
            if (i == CLIENTS + 1)
                e[n++] = (struct event){IGNORE, i};
        }
        if (!a->there || a->pending || a->dead || !a->open)
            continue;
        if (!a->said)
            e[n++] = (struct event){SAY, i};
        else if (!a->ended)
            e[n++] = (struct event){END, i};
        if (a->slow && !a->room)
            e[n++] = (struct event){DRAIN, i};
    }
    for (unsigned i = 0; i < client_count; i++)
        if (!apps[i].there && may_open())
            e[n++] = (struct event){COME, (int)i};
    if (kind == ORIGINAL && up.n)
        e[n++] = (struct event){THINK, 0};
    for (int k = OURS; kind == NOBODY && k <= ORIGINAL; k++)
        e[n++] = (struct event){ATTACH, k};
    if (kind != NOBODY && !all_over())
        n = add_faults(e, n);
    if (!idle && next_time() && n && (is_greeted() || may_wait(e, n)))
        e[n++] = (struct event){TIME, 0};
    if (n) /* of the late ones one order will do */
        return late < CLIENTS && apps[late].there ? 1 : n;
    if (!idle && next_time())
        e[n++] = (struct event){TIME, 0};
    for (; !n && late < CLIENTS && !is_served(late - (late > client_count)); late++)
        if (!apps[late].there && may_open()) {
            e[n++] = (struct event){COME, (int)late};
            break;
        }
    return n;
}

/* Until something comes of it: what is only looked at now and then is no event. */
static void pass_time(void) {
    unsigned before = guest.carried + host.carried + up.n + down.n, ready = 0;

    for (int i = 0; i < 9000 && !ready && next_time(); i++) {
        now = next_time();
        tick();
        for (int fd = PORT; fd < FDS; fd++)
            ready |= watched[fd].want & ready_of(fd);
        if (before != guest.carried + host.carried + up.n + down.n)
            return;
    }
    idle = !ready;
}

static void say(struct app *a, bool now_already) {
    if (!now_already)
        return;
    a->said = true;
    a->in = bytes_of((int)(a - apps));
    a->ended = a->in_eof = coarse;
}

static void happen(struct event e) {
    struct app *a = &apps[e.arg >= 0 && e.arg < CLIENTS + SERVICES ? e.arg : 0];

    idle = false;
    switch (e.what) {
    case FD:
        role =
            e.arg == PORT || (e.arg >= FIRST && e.arg < FIRST + CLIENTS) ? &initiator : &responder;
        watched[e.arg].fn(watched[e.arg].arg, watched[e.arg].want & ready_of(e.arg));
        settle();
        break;
    case IGNORE:
        a->mute = true;
        a->counts = false;
        break;
    case REFUSE:
        a->dead = true;
        a->counts = false;
        /* fall through */
    case DECIDE:
        a->pending = false;
        say(a, quick && !a->dead);
        break;
    case COME:
        *a = (struct app){.there = true,
                          .open = true,
                          .room = 9,
                          .other = -1,
                          .counts = true,
                          .named = naming && e.arg % 2 == 0};
        say(a, quick);
        role = &initiator;
        initiator_open(&guest, FIRST + e.arg, "client", a->named ? "web" : NULL, now);
        settle();
        break;
    case SAY:
        say(a, true);
        break;
    case END:
        a->ended = a->in_eof = true;
        break;
    case DRAIN:
        a->room = 1;
        break;
    case REPLACE:
        faults_left--;
        kill_host();
        open_host((enum kind)e.arg);
        break;
    case KILL:
        faults_left--;
        kill_host();
        break;
    case ATTACH:
        open_host((enum kind)e.arg);
        break;
    case RESTART:
        faults_left--;
        kill_guest();
        break;
    case THINK:
        original_run();
        break;
    case TIME:
        pass_time();
        break;
    }
}

/* ---- states ---- */

static uint64_t sum;

static void add(const void *p, size_t n) {
    for (const unsigned char *c = p; n--; c++)
        sum = (sum ^ *c) * 0x100000001b3ULL;
    sum ^= sum >> 29;
}
static void number(unsigned long long n) { add(&n, sizeof n); }

static long long ahead(long long when) { return when ? when - now : -1; }

static void add_conn(const struct conn *c) {
    const struct session *l = &c->session;

    add(&l->tokens, sizeof l->tokens);
    number(l->state | l->eos << 8 | l->sent_eof << 9 | l->got_eof << 10 | l->first << 11 |
           l->answered << 12 | l->abort << 13 | l->many << 14 | l->shared << 15 | l->offered << 16 |
           c->connecting << 17 | c->shut_due << 18 | c->shut << 19 | c->apart << 20 |
           c->writable << 21 | c->readable << 22 | (c->error != 0) << 23 | c->progress << 24 |
           l->services << 25 | (l->name != NULL) << 26);
    number((unsigned long long)l->credit << 32 | l->granted);
    number((unsigned long long)(unsigned)c->fd << 32 | c->due);
    number((unsigned long long)c->coming << 32 | c->window.n);
    number(c->wait | (unsigned)(c->sent != 0) << 8 | c->filler << 9);
    number((unsigned long long)ahead(c->deadline));
    number((unsigned long long)ahead(c->since));
    number((unsigned long long)ahead(c->begun));
    for (unsigned i = 0; i < c->window.n; i++)
        add(&c->window.bytes[(c->window.head + i) % WINDOW_BYTES], 1);
}

static unsigned index_of(const struct channel *ch, const struct conn *which) {
    unsigned i = 1;

    for (const struct conn *c = ch->conns; c && c != which; c = c->next)
        i++;
    return which ? i : 0;
}

static void add_channel(const struct channel *ch) {
    const struct input *in = ch->in;

    number((unsigned)ch->end.attached | ch->end.aligned << 1 | ch->end.broken << 2 |
           ch->shared << 3 | ch->init_due << 4 | ch->held << 5 | ch->adjacent << 6 |
           (*ch->refusal != 0) << 7 | ch->silent << 8 | ch->spent << 9 | ch->paused << 10 |
           ch->services << 11 | (ch->since_init < 15 ? ch->since_init : 15) << 12);
    number(index_of(ch, ch->target) << 16 | index_of(ch, ch->gathered) << 8 |
           index_of(ch, ch->resting));
    number((unsigned long long)ch->rest_bytes << 32 | ch->places);
    add(&ch->stale, sizeof ch->stale);
    add(&ch->refused, sizeof ch->refused);
    number((unsigned long long)ahead(ch->deadline));
    number((unsigned long long)ahead(ch->frame_end));
    number(ch->stale_at + CHANNEL_STALE > now ? (unsigned long long)(now - ch->stale_at) : 9999);
    number(ch->decoder.have | ch->decoder.left << 8);
    add(ch->decoder.head, ch->decoder.have);
    add(ch->end.owed, ch->end.owed_bytes);
    number(ch->end.owed_bytes);
    if (in) {
        number((unsigned long long)(in->tail - in->head) << 32 | in->left);
        add(in->bytes + in->head, in->tail - in->head);
        add(in->bytes + in->raw, in->filled - in->raw);
        add(in->text, in->text_bytes);
    }
    for (const struct conn *c = ch->conns; c; c = c->next)
        add_conn(c);
}

static uint64_t state(void) {
    sum = 0xcbf29ce484222325ULL;
    add(apps, sizeof apps);
    add(up.bytes, up.n);
    number(up.n << 8 | up.writes);
    add(down.bytes, down.n);
    number(down.n << 8 | (unsigned)down.fence);
    number(kind | services_used << 4 | tokens << 8 | faults_left << 16 | idle << 24);
    if (kind == ORIGINAL)
        add(&original, sizeof original);
    add_channel(&guest);
    if (kind < ORIGINAL)
        add_channel(&host);
    return sum ? sum : 1;
}

/* True: it is new. */
static bool visit(uint64_t s) {
    size_t at = s % common->size;

    for (; common->visited[at]; at = (at + 1) % common->size)
        if (common->visited[at] == s)
            return false;
    common->visited[at] = s;
    common->states++;
    if (common->states > common->size / 4 * 3)
        fail("more states than fit");
    return true;
}

/* Of sections that unit.test names so: .data, and .bss but for what is MEMORY_BULK. */
extern char __start_state[], __stop_state[], __data_start[], edata[];

static size_t copy(void *p, size_t n, char *at, bool back) {
    if (at)
        memcpy(back ? p : at, back ? at : p, n);
    return n;
}

/* A copy of all that is static, and of the pools' first slots. */
static size_t snapshot(char *to, bool back) {
    size_t n = copy(__data_start, (size_t)(edata - __data_start), to, back);

    n += copy(__start_state, (size_t)(__stop_state - __start_state), to ? to + n : NULL, back);
    for (unsigned i = 0; i < common->pool_count; i++) {
        struct pool *p = common->pools[i];
        size_t bytes = SLOTS * p->size < p->all ? SLOTS * p->size : p->all;

        n += copy(p->base, bytes, to ? to + n : NULL, back);
    }
    return n;
}

/* ---- what must hold ---- */

static void check_app(unsigned i, bool strict) {
    const struct app *a = &apps[i];

    if (!a->there)
        return;
    if (a->open)
        fail("app %u is still connected", i);
    if (!strict || !a->counts)
        return;
    if (a->other < 0 && i >= CLIENTS && a->dead)
        return;
    if (a->out_reset || a->other < 0 || a->got != bytes_of(a->other) || !a->out_eof)
        fail("app %u has %u bytes of %d%s", i, a->got, a->other,
             a->out_reset ? ", and a reset" : "");
}

static void check_end(bool faultless) {
    unsigned refused =
        apps[CLIENTS + 1].dead || apps[CLIENTS + 1].mute; /* its client gets nothing */
    bool served = false;

    common->ends++;
    for (unsigned i = 0; i < CLIENTS + SERVICES; i++)
        if (refused && apps[i].counts && apps[i].other < 0)
            refused--;
        else
            check_app(i, faultless && i != CLIENTS + 1);
    if (guest.conns || guest.in || guest.out || guest.end.owed_bytes)
        fail("the guest's channel is not idle");
    if (kind < ORIGINAL && (host.conns || host.in || host.out || host.end.owed_bytes))
        fail("the host's channel is not idle");
    for (unsigned i = 0; i < common->pool_count; i++)
        if (common->pools[i]->in_use)
            fail("%u slots of a pool are in use", common->pools[i]->in_use);
    for (unsigned i = client_count; i < CLIENTS; i++)
        served |= is_served(i);
    if (!served)
        fail("new clients are not served by %s", kinds[kind]);
    if (kind == OURS && !guest.shared)
        fail("the channel is not shared any more");
    common->seen[kind]++;
}

static void explore(bool faultless, unsigned depth) {
    struct event e[64];
    unsigned n = list(e);
    char *saved;

    common->depth_most = depth > common->depth_most ? depth : common->depth_most;
    if (!n) {
        check_end(faultless);
        return;
    }
    saved = malloc(snapshot(NULL, false));
    snapshot(saved, false);
    for (unsigned i = 0; i < n; i++) {
        common->depth = depth + 1;
        if (depth >= 399)
            fail("a path without end");
        snprintf(common->path[depth], sizeof common->path[depth], "%s:%d", names[e[i].what],
                 e[i].arg);
        happen(e[i]);
        common->events++;
        if (visit(state()))
            explore(faultless, depth + 1);
        if (common->limit && common->states > common->limit)
            break;
        snapshot(saved, true);
    }
    free(saved);
}

/* One path, as fail() has shown it. */
static void replay(char **path, int n) {
    verbose = true;
    for (int i = 0; i < n; i++) {
        struct event e = {FD, atoi(strchr(path[i], ':') + 1)};

        while (strncmp(path[i], names[e.what], strlen(names[e.what])) ||
               path[i][strlen(names[e.what])] != ':')
            e.what++;
        printf("# %s\n", path[i]);
        happen(e);
        printf("#     up %u in %u, down %u; guest %s, host %s\n", up.n, up.writes, down.n,
               guest.shared ? "shared" : "-", kind < ORIGINAL && host.shared ? "shared" : "-");
    }
}

/* Each pool is used once, so that it is known. */
static void know_pools(void) {
    host.guest = &the_guest;
    channel_input(&host);
    channel_output(&host);
    conn_free(conn_new(&host, SESSION_HOST));
    channel_tidy(&host);
}

int main(int argc, char **argv) {
    static const struct net_address service;
    struct timespec begin, end;
    unsigned faults;

    common = calloc(1, sizeof *common);
    common->size = (size_t)1 << (argc > 3 && atoi(argv[3]) > 3000000 ? 26 : 23);
    common->visited = calloc(common->size, sizeof *common->visited);
    quick = argc > 1 && strchr(argv[1], 'q');
    naming = argc > 1 && strchr(argv[1], 'n');
    coarse = quick || (argc > 1 && strchr(argv[1], 'c'));
    client_count = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
    faults_left = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    faulty = faults_left;
    common->limit = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    relay_init(&initiator, CHANNEL_BUSY_GUEST, CONN_MAX);
    if (naming)
        services[services_count++].name = "web";
    responder_init(&service, 100);
    channel_limit_busy(4); /* both ends are in one process */
    know_pools();
    open_host(OURS);
    open_guest();
    if (argc > 4)
        replay(argv + 4, argc - 4);
    faults = faults_left;
    explore(!faults, 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("# %s clients, %u faults: %llu states, %llu events, %llu ends, %u deep, %.1f s\n",
           argc > 1 ? argv[1] : "2", faults, common->states, common->events, common->ends,
           common->depth_most,
           (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    printf("ok exhaust/%s-clients-%u-faults\n", argc > 1 ? argv[1] : "2", faults);
    return 0;
}
