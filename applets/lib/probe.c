/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fmt.h"
#include "holder.h"
#include "loop.h"
#include "net.h"
#include "socks.h"

enum { GRACE = 500000 /* us for the last frames */, LOOK_AGAIN = 250000, READS = 64 };

/* One handshake. deadline: in microseconds of loop_micros(). step: what is being done. hunting: the SYN is on its way, so what comes
 * may be its answer. owed, owed_bytes: the rest of what was begun to be written. left: bytes of the answer's payload that are still to
 * come, kept: those in payload. done: the answer is complete. echo: our own SYN has come back. other: the version digit of a header
 * that is not version 1. seen: the first bytes since the SYN, of all that came. */
static struct {
    struct link link;
    struct frame_decoder decoder;
    struct frame answer;
    long long deadline, started;
    const char *step;
    const unsigned char *owed;
    size_t owed_bytes;
    unsigned left, kept, came;
    bool hunting, begun, done, echo, retreating;
    unsigned char seen[PROBE_SEEN], last[4], other;
} h;

static const struct {
    char name[15];
    unsigned char status;
} results[] = {
    [PROBE_ANSWERED] = {"answered", 0},       [PROBE_REFUSED] = {"refused", 1},
    [PROBE_NO_CHANNEL] = {"no-channel", 3},   [PROBE_NO_PERMISSION] = {"no-permission", 3},
    [PROBE_NO_HOST] = {"no-host", 3},         [PROBE_HELD] = {"held", 4},
    [PROBE_NO_ANSWER] = {"no-answer", 5},     [PROBE_WRONG_ANSWER] = {"wrong-answer", 5},
    [PROBE_WRONG_VERSION] = {"version", 5},   [PROBE_CUT_OFF] = {"cut-off", 5},
    [PROBE_TIMED_OUT] = {"timed-out", 5},     [PROBE_STOPPED] = {"stopped", 5},
    [PROBE_FAILED] = {"failed", 5},
};

int probe_status(enum probe_result r) { return results[r].status; }

const char *probe_name(enum probe_result r) { return results[r].name; }

/* ---- waiting, reading, writing ---- */

static void on_ready(void *arg, unsigned ready) {
    (void)arg;
    (void)ready;
}

/* Waits until fd is ready, or for a while: the caller tries again. */
static enum probe_result wait_for(const struct probe *p, unsigned want) {
    long long left = h.deadline - loop_micros();

    if (loop_stopped() && !h.retreating)
        return PROBE_STOPPED;
    if (left <= 0)
        return PROBE_TIMED_OUT;
    if ((want & LOOP_WRITE) && left > LOOK_AGAIN)
        left = LOOK_AGAIN; /* a wake-up may be lost, virtio-serial.md */
    loop_watch(p->fd, want, on_ready, NULL);
    loop_wait((long)(left / 1000) + 1);
    loop_watch(p->fd, 0, NULL, NULL);
    return PROBE_ANSWERED;
}

/* Keeps what messages may show of what the host sent. */
static void note(const unsigned char *b, size_t n) {
    for (; n; n--, b++) {
        if (h.came < PROBE_SEEN)
            h.seen[h.came] = *b;
        h.came++;
        memmove(h.last, h.last + 1, sizeof h.last - 1);
        h.last[3] = *b;
        if (h.last[0] == 'V' && h.last[1] == 'S' && h.last[2] >= '0' && h.last[2] <= '9' && h.last[2] != '1' &&
            memchr("ABCDH", *b, 5))
            h.other = h.last[2];
    }
}

static void begin_answer(struct frame *f) {
    frame_skip(&h.decoder);
    if (f->ctrl == FRAME_SYN) {
        h.echo |= !memcmp(f->tokens.guest, h.link.tokens.guest, FRAME_TOKEN);
    } else if (link_concerns(&h.link, f)) {
        h.answer = *f;
        h.left = f->length;
        h.begun = true;
        h.done = !h.left;
    }
}

/* The payload of the answer: as much as fits is kept. */
static size_t collect(struct probe *p, const unsigned char *b, size_t n) {
    if (n > h.left)
        n = h.left;
    for (size_t i = 0; i < n && h.kept < sizeof p->payload - 1; i++)
        p->payload[h.kept++] = (char)(b[i] < ' ' || b[i] > '~' ? '?' : b[i]);
    h.left -= (unsigned)n;
    h.done = !h.left;
    return n;
}

static void hunt(struct probe *p, const unsigned char *b, size_t n) {
    note(b, n);
    while (n && !h.done) {
        size_t used;

        if (h.left) {
            used = collect(p, b, n);
        } else {
            struct frame f;

            if (frame_hunt(&h.decoder, b, n, &used, &f, "ACH") != FRAME_BEGIN)
                return;
            begin_answer(&f);
        }
        b += used;
        n -= used;
    }
}

/* Reads what is there, within bounds. */
static enum probe_result take(struct probe *p) {
    unsigned char b[4096];

    for (int i = 0; i < READS; i++) {
        ssize_t n = read(p->fd, b, sizeof b);

        if (n < 0 && errno == EAGAIN)
            return PROBE_ANSWERED;
        if (n <= 0)
            return PROBE_CUT_OFF;
        if (h.hunting)
            hunt(p, b, (size_t)n);
    }
    return PROBE_ANSWERED;
}

/* Writes what is owed, reading meanwhile: a host that waits for us to read may not read on itself. */
static enum probe_result flush(struct probe *p) {
    while (h.owed_bytes) {
        ssize_t n = write(p->fd, h.owed, h.owed_bytes);
        enum probe_result r;

        if (n < 0 && errno != EAGAIN)
            return PROBE_CUT_OFF;
        if (n > 0) {
            h.owed += n;
            h.owed_bytes -= (size_t)n;
            continue;
        }
        r = take(p);
        if (!r)
            r = wait_for(p, LOOP_READ | LOOP_WRITE);
        if (r)
            return r;
    }
    return PROBE_ANSWERED;
}

static enum probe_result send_all(struct probe *p, const unsigned char *b, size_t n) {
    h.owed = b;
    h.owed_bytes = n;
    return flush(p);
}

/* ---- the handshake ---- */

static size_t encode(unsigned char *b, enum frame_ctrl ctrl, const struct frame_tokens *tokens, const char *payload) {
    struct frame f = {(unsigned char)ctrl, *tokens, (unsigned)strnlen(payload, 16)};

    frame_encode(b, &f);
    memcpy(b + FRAME_HEADER, payload, f.length);
    return FRAME_HEADER + f.length;
}

static enum probe_result align(struct probe *p) {
    static unsigned char filler[4096];

    h.step = "filling up what it may wait for (it does not read)";
    memset(filler, FRAME_FILLER, sizeof filler);
    for (unsigned left = FRAME_FILLER_BYTES; left;) {
        unsigned n = left < sizeof filler ? left : (unsigned)sizeof filler;
        enum probe_result r = send_all(p, filler, n);

        if (r)
            return r;
        left -= n;
    }
    return PROBE_ANSWERED;
}

static void new_token(unsigned char token[FRAME_TOKEN]) {
    unsigned long long now = (unsigned long long)loop_micros();

    if (getrandom(token, FRAME_TOKEN, GRND_NONBLOCK) != FRAME_TOKEN)
        memcpy(token, &now, FRAME_TOKEN);
    for (int i = 0; i < FRAME_TOKEN; i++)
        token[i] = (unsigned char)('!' + token[i] % 94);
}

/* RESET, with tokens that tell its echo from an answer, and SYN. Guest rule 2. */
static enum probe_result send_syn(struct probe *p) {
    static const struct frame_tokens none = {{'P', 'R', 'O', 'B'}, {'P', 'R', 'O', 'B'}};
    static unsigned char b[2 * FRAME_HEADER + 16];
    unsigned char token[FRAME_TOKEN];
    size_t n;

    h.step = "sending the SYN (it does not read)";
    new_token(token);
    link_open(&h.link, token, true);
    n = encode(b, FRAME_RESET, &none, "");
    n += encode(b + n, FRAME_SYN, &h.link.tokens, "E");
    h.hunting = true;
    h.started = loop_micros();
    return send_all(p, b, n);
}

static enum probe_result await_answer(struct probe *p) {
    h.step = "waiting for the answer to the SYN";
    while (!h.done) {
        enum probe_result r = wait_for(p, LOOP_READ);

        if (!r)
            r = take(p);
        if (r && !h.done)
            return r;
        if (h.echo)
            return PROBE_WRONG_ANSWER;
        if (h.other && h.deadline > loop_micros() + GRACE)
            h.deadline = loop_micros() + GRACE;
    }
    p->us = (unsigned)(loop_micros() - h.started);
    p->payload[h.kept] = '\0';
    return PROBE_ANSWERED;
}

/* Leaves the host in LISTEN. */
static enum probe_result finish(struct probe *p) {
    static unsigned char b[2 * FRAME_HEADER];
    size_t n;

    h.step = "ending the connection (it does not read)";
    h.link.tokens = h.answer.tokens;
    n = encode(b, FRAME_ACK, &h.link.tokens, "");
    n += encode(b + n, FRAME_RESET, &h.link.tokens, "");
    return send_all(p, b, n);
}

static enum probe_result handshake(struct probe *p) {
    enum probe_result r = take(p);

    h.step = "opening it";
    if (r)
        return p->port ? PROBE_NO_HOST : PROBE_CUT_OFF;
    if (!p->aligned)
        r = align(p);
    if (!r)
        r = send_syn(p);
    if (!r)
        r = await_answer(p);
    if (r)
        return r;
    p->aligned = true;
    return h.answer.ctrl == FRAME_SYNACK ? finish(p) : PROBE_REFUSED;
}

/* After a failure: the frame that was begun is finished, and a RESET tells a host that answers late. Guest rule 6. */
static void retreat(struct probe *p) {
    static unsigned char b[FRAME_HEADER];

    h.retreating = true;
    h.deadline = loop_micros() + GRACE;
    if (h.hunting && !flush(p))
        send_all(p, b, encode(b, FRAME_RESET, &h.link.tokens, ""));
}

/* Why there was no answer in time. */
static enum probe_result judge(enum probe_result r) {
    if (r != PROBE_TIMED_OUT || !h.hunting || h.owed_bytes || h.done)
        return r;
    if (h.begun || h.decoder.have > 3) {
        h.step = "reading the answer, of which only a part came";
        return r;
    }
    if (h.other)
        return PROBE_WRONG_VERSION;
    return h.came && memcmp(h.seen, "VS1", 3) ? PROBE_WRONG_ANSWER : PROBE_NO_ANSWER;
}

/* ---- plain words ---- */

/* The first bytes that came, as hex and text, at the end of p->text. */
static void show_seen(struct probe *p, const unsigned char *b, unsigned n) {
    size_t at = strnlen(p->text, PROBE_TEXT);

    for (unsigned i = 0; i < n; i++)
        at += fmt_print(p->text + at, PROBE_TEXT - at, " %02x", b[i]);
    fmt_print(p->text + at, PROBE_TEXT - at, " \"%.*s\"", (int)n, (const char *)b);
}

static void explain_refusal(struct probe *p) {
    bool original = h.answer.tokens.guest[0] == 'R' && memcmp(h.answer.tokens.guest, h.link.tokens.guest, FRAME_TOKEN);

    fmt_print(p->text, PROBE_TEXT, "the host proxy answers, and refuses: %s",
              *p->payload ? p->payload : original ? "its service does (it is the original of 2011)" : "it does not say why");
    p->next = "on the host: start the service, or give vios-proxy-host the right port or address of it";
}

static void explain(struct probe *p, enum probe_result r, long ms) {
    static const char *const next[] = {
        [PROBE_NO_HOST] = "on the host: start vios-proxy-host with the directory of this guest's sockets",
        [PROBE_NO_ANSWER] = "on the host: see that a vios-proxy-host has this channel's socket, and runs",
        [PROBE_WRONG_ANSWER] = "on the host: see which program has this channel's socket open (vios-list DIRECTORY)",
        [PROBE_WRONG_VERSION] = "install the same version of vios in the guest and on the host",
        [PROBE_CUT_OFF] = "on the host: see in its messages why it ended; then probe again",
        [PROBE_TIMED_OUT] = "on the host: see whether it is stopped or hangs; or allow it more time with -t",
        [PROBE_FAILED] = NULL,
    };
    unsigned n = h.came < PROBE_SEEN ? h.came : PROBE_SEEN;

    p->next = next[r];
    switch (r) {
    case PROBE_ANSWERED:
        fmt_print(p->text, PROBE_TEXT, "answered in %u.%03u ms, capabilities: %s", p->us / 1000, p->us % 1000,
                  *p->payload ? p->payload : "none");
        break;
    case PROBE_REFUSED:
        explain_refusal(p);
        break;
    case PROBE_NO_HOST:
        fmt_print(p->text, PROBE_TEXT, "no host is attached to the port");
        break;
    case PROBE_NO_ANSWER:
        fmt_print(p->text, PROBE_TEXT, "a host is attached and reads, but does not answer: timed out after %ld.%03ld s", ms / 1000, ms % 1000);
        break;
    case PROBE_WRONG_ANSWER:
        fmt_print(p->text, PROBE_TEXT, h.echo ? "what is attached sends back what it gets, it is no vios-proxy-host:"
                                              : "what is attached answers something else than a vios-proxy-host:");
        show_seen(p, h.seen, n);
        break;
    case PROBE_WRONG_VERSION:
        fmt_print(p->text, PROBE_TEXT, "version mismatch: the host speaks version %c of the protocol, this is version 1", h.other);
        break;
    case PROBE_CUT_OFF:
        fmt_print(p->text, PROBE_TEXT, "cut off by the host while %s", h.step);
        break;
    case PROBE_TIMED_OUT:
        fmt_print(p->text, PROBE_TEXT, "timed out after %ld.%03ld s while %s", ms / 1000, ms % 1000, h.step);
        break;
    default:
        fmt_print(p->text, PROBE_TEXT, "interrupted while %s", h.step);
        break;
    }
}

static enum probe_result held(struct probe *p, int pid) {
    if (!p->port)
        fmt_print(p->text, PROBE_TEXT, "held: the socket serves another client, and lets this one wait");
    else if (pid)
        fmt_print(p->text, PROBE_TEXT, "held by %s (pid %d)", holder_name(pid), pid);
    else
        fmt_print(p->text, PROBE_TEXT, "held by another process, which /proc does not show");
    p->next = "stop that process; or, if it is vios-proxy-guest, go through it: vios-probe tcp:PORT";
    return PROBE_HELD;
}

struct clients {
    const struct probe *of;
    unsigned served, waiting;
};

static void count_client(const struct socks *s, void *arg) {
    struct clients *c = arg;
    struct stat st;

    if (s->listens || stat(s->path, &st) || st.st_dev != c->of->fs || st.st_ino != c->of->inode)
        return;
    *(s->pending ? &c->waiting : &c->served) += 1;
}

/* Whether our socket has not been accepted, because QEMU has a client. */
static bool is_waiting(const struct probe *p) {
    struct clients c = {p, 0, 0};

    if (!p->port)
        socks_each(count_client, &c);
    return c.served && c.waiting;
}

enum probe_result probe_run(struct probe *p, long ms) {
    enum probe_result r;

    memset(&h, 0, sizeof h);
    *p->payload = '\0';
    p->us = 0;
    h.deadline = loop_micros() + ms * 1000LL;
    r = judge(handshake(p));
    if ((r == PROBE_NO_ANSWER || r == PROBE_TIMED_OUT) && is_waiting(p))
        r = held(p, 0);
    else
        explain(p, r, ms);
    if (r > PROBE_REFUSED) {
        retreat(p);
        probe_close(p);
    }
    return r;
}

/* ---- opening ---- */

void probe_close(struct probe *p) {
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static enum probe_result open_failed(struct probe *p, const char *path, const struct stat *st) {
    int reason = errno;

    if (reason == EBUSY || reason == EAGAIN)
        return held(p, reason == EBUSY ? holder_of(st->st_rdev) : 0);
    errno = reason;
    fmt_print(p->text, PROBE_TEXT, "cannot open %s: %m", path);
    p->next = NULL;
    if (reason == EACCES || reason == EPERM) {
        fmt_print(p->text, PROBE_TEXT, "no permission to open %s", path);
        p->next = "run it as root";
        return PROBE_NO_PERMISSION;
    }
    if (reason == ECONNREFUSED)
        fmt_print(p->text, PROBE_TEXT, "no such channel: nobody listens on the socket %s", path);
    else if (reason == ENXIO)
        fmt_print(p->text, PROBE_TEXT, "no such channel: %s is a console", path);
    return PROBE_NO_CHANNEL;
}

enum probe_result probe_open(struct probe *p, const char *path, const struct stat *st) {
    struct net_address a;
    bool pending;

    p->aligned = false;
    p->port = S_ISCHR(st->st_mode);
    p->fs = st->st_dev;
    p->inode = st->st_ino;
    errno = ENAMETOOLONG;
    if (p->port)
        p->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    else
        p->fd = net_path(&a, path) ? -1 : net_connect(&a, &pending);
    return p->fd < 0 ? open_failed(p, path, st) : PROBE_ANSWERED;
}

/* ---- through a guest's proxy ---- */

/* Reads until something has come or the time is over. *came: bytes in h.seen; 0: the end. */
static enum probe_result listen_for(struct probe *p, long long deadline, ssize_t *came) {
    h.deadline = deadline;
    for (;;) {
        enum probe_result r;

        *came = read(p->fd, h.seen, sizeof h.seen);
        if (*came >= 0)
            return PROBE_ANSWERED;
        if (errno != EAGAIN)
            return PROBE_CUT_OFF;
        r = wait_for(p, LOOP_READ);
        if (r)
            return r;
    }
}

static enum probe_result tcp_unconnected(struct probe *p, const char *address, int reason) {
    errno = reason;
    fmt_print(p->text, PROBE_TEXT, "cannot connect to %s: %m", address);
    p->next = "see that 127.0.0.1 can be reached";
    if (reason == ECONNREFUSED) {
        fmt_print(p->text, PROBE_TEXT, "nothing listens on %s", address);
        p->next = "start vios-proxy-guest, or give the port that it listens on";
    } else if (reason == ENETUNREACH) {
        fmt_print(p->text, PROBE_TEXT, "%s cannot be reached: the interface lo is down", address);
        p->next = "ip link set lo up";
    }
    return PROBE_NO_CHANNEL;
}

/* A connection that is open: a service may speak first; if it does not, it may answer the end of our data by its own. */
static enum probe_result tcp_run(struct probe *p, long ms) {
    long long end = h.started + ms * 1000LL;
    ssize_t n;
    enum probe_result r = listen_for(p, h.started + ms * 250LL, &n);
    bool asked = r == PROBE_TIMED_OUT;

    h.step = "waiting for the service";
    if (asked) {
        shutdown(p->fd, SHUT_WR);
        r = listen_for(p, end, &n);
    }
    p->us = (unsigned)(loop_micros() - h.started);
    if (r == PROBE_CUT_OFF || (!r && !n && !asked)) {
        fmt_print(p->text, PROBE_TEXT, "the proxy took the connection and %s it after %u ms: the service refuses, or no host is attached",
                  r ? "reset" : "closed", p->us / 1000);
        p->next = "see the messages of vios-proxy-guest, which tell why";
        return PROBE_REFUSED;
    }
    if (r == PROBE_TIMED_OUT) {
        fmt_print(p->text, PROBE_TEXT, "the connection is open, but in %ld.%03ld s nothing came back: all channels are in use, the host does "
                  "not answer, or the service is silent", ms / 1000, ms % 1000);
        p->next = "kill -USR1 the vios-proxy-guest: its table shows the state of each channel";
        return PROBE_NO_ANSWER;
    }
    if (r) {
        fmt_print(p->text, PROBE_TEXT, "interrupted while %s", h.step);
    } else if (n) {
        fmt_print(p->text, PROBE_TEXT, "answered in %u.%03u ms, the service's first bytes:", p->us / 1000, p->us % 1000);
        show_seen(p, h.seen, (unsigned)n);
    } else {
        fmt_print(p->text, PROBE_TEXT, "answered: the service ended the connection after we did");
    }
    return r;
}

enum probe_result probe_tcp(struct probe *p, unsigned port, long ms) {
    struct net_address a;
    enum probe_result r;
    bool pending;
    int reason;

    memset(&h, 0, sizeof h);
    *p->payload = '\0';
    p->next = NULL;
    h.step = "connecting";
    h.started = loop_micros();
    h.deadline = h.started + ms * 1000LL;
    net_literal(&a, "127.0.0.1", port);
    p->fd = net_connect(&a, &pending);
    if (p->fd < 0)
        return tcp_unconnected(p, a.text, errno);
    for (r = PROBE_ANSWERED; pending && !r; pending = !(loop_peek(p->fd) & LOOP_WRITE))
        r = wait_for(p, LOOP_WRITE);
    reason = r ? 0 : net_connect_error(p->fd);
    if (r) {
        explain(p, r, ms);
        p->next = "see that the interface lo is up: ip link set lo up";
    } else {
        r = reason && reason != ECONNRESET ? tcp_unconnected(p, a.text, reason) : tcp_run(p, ms);
    }
    if (r > PROBE_REFUSED)
        net_abort_on_close(p->fd);
    probe_close(p);
    return r;
}
