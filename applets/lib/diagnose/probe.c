/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/held.h"
#include "base/holder.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/sys.h"
#include "diagnose/unixsock.h"
#include "wire/offer.h"

static const struct {
    char name[15];
    unsigned char status;
} results[] = {
    [PROBE_ANSWERED] = {"answered", 0},     [PROBE_REFUSED] = {"refused", 1},
    [PROBE_NO_SERVICE] = {"no-service", 1}, [PROBE_NAMELESS] = {"no-names", 1},
    [PROBE_NO_CHANNEL] = {"no-channel", 3}, [PROBE_NO_PERMISSION] = {"no-permission", 3},
    [PROBE_NO_HOST] = {"no-host", 3},       [PROBE_HELD] = {"held", 4},
    [PROBE_NO_ANSWER] = {"no-answer", 5},   [PROBE_WRONG_ANSWER] = {"wrong-answer", 5},
    [PROBE_WRONG_VERSION] = {"version", 5}, [PROBE_CUT_OFF] = {"cut-off", 5},
    [PROBE_TIMED_OUT] = {"timed-out", 5},   [PROBE_STOPPED] = {"stopped", 5},
};

#if CONFIG_FEATURE_SERVICES
const char *probe_service;

void probe_set_service(const char *name) {
    if (!offer_is_name(name, (unsigned)fmt_length(name, OFFER_NAME + 1)))
        log_fatal("-s %s: " OFFER_NAMES, name);
    probe_service = name;
}
#endif

int probe_status(enum probe_result r) { return results[r].status; }

const char *probe_name(enum probe_result r) { return results[r].name; }

void probe_tell(const struct probe *p, const char *name) {
    static const char *said;

    log_msg(LOG_ERROR, "%s: %s", name, p->text);
    if (p->next && p->next != said)
        log_msg(LOG_NOTICE, "next: %s", p->next);
    said = p->next;
}

void probe_close(struct probe *p) {
    if (p->shake.end.fd >= 0)
        close(p->shake.end.fd);
    p->shake.end.fd = -1;
}

/* ---- opening ---- */

static enum probe_result held(struct probe *p, int pid) {
    p->next =
        p->shake.end.port
            ? "stop that process; or, if it is a vios proxy, go through it: tcp:PORT, unix:PATH"
            : "vios-list DIRECTORY shows whose socket it is";
    if (!p->shake.end.port)
        fmt_print(p->text, PROBE_TEXT, "held: the socket serves another client, this one waits");
    else
        fmt_copy(p->text, PROBE_TEXT, holder_text(pid));
    return PROBE_HELD;
}

static enum probe_result open_failed(struct probe *p, const char *path, dev_t device) {
    int reason = errno;

    if (reason == EBUSY || reason == EAGAIN)
        return held(p, reason == EBUSY ? holder_of(device) : 0);
    errno = reason;
    fmt_print(p->text, PROBE_TEXT, "cannot open %s: %m", path);
    p->next = NULL;
    if (reason == EACCES || reason == EPERM) {
        fmt_print(p->text, PROBE_TEXT, "no permission to open %s", path);
        p->next = "run it as root";
        return PROBE_NO_PERMISSION;
    }
    if (reason == ENOENT || reason == ENOTDIR) {
        fmt_copy(p->text, PROBE_TEXT, "no such channel");
        p->next = "vios-list shows those that there are";
    } else if (reason == ENODEV) {
        fmt_copy(p->text, PROBE_TEXT,
                 "no such channel: this is neither a virtio-serial port nor a unix socket");
        p->next = "vios-list shows those that there are";
    } else if (reason == ECONNREFUSED) {
        fmt_print(p->text, PROBE_TEXT, "no such channel: nobody listens on the socket %s", path);
    } else if (reason == ENXIO) {
        fmt_print(p->text, PROBE_TEXT, "no such channel: %s is a console", path);
    }
    return PROBE_NO_CHANNEL;
}

struct clients {
    const struct probe *of;
    unsigned served, waiting;
    unsigned long listener;
};

static void count_client(const struct unixsock *s, void *arg) {
    struct clients *c = arg;

    if (!unixsock_is_of(s, c->of->fs, c->of->inode))
        return;
    if (s->listens) {
        c->listener = s->inode;
        c->waiting = s->waiting;
    } else {
        c->served++;
    }
}

/* A unix socket that is not the guest's end of a channel: what is sent there would reach a guest,
 * or a service, as data. */
static bool is_wrong_end(struct probe *p, const char *program) {
    bool qemu = fmt_begins(program, "qemu");

    if ((qemu && p->shake.connects) || (!qemu && !fmt_begins(program, "vios")))
        return false;
    fmt_print(p->text, PROBE_TEXT, "no such channel: this socket is %s",
              qemu ? "QEMU's, the host's end of one" : "where vios-proxy-guest takes clients");
    p->next =
        qemu ? "run vios-probe in the guest; vios-list DIRECTORY shows who is attached at this end"
             : "vios-list shows the channels";
    return true;
}

/* The program that listens on the socket, found without a connect; "" if /proc does not show it. */
static const char *listener(const struct probe *p) {
    struct clients c = {p, 0, 0, 0};
    int pid;

    unixsock_each(count_client, &c);
    pid = holder_of_socket(c.listener);
    return pid ? holder_name(pid) : "";
}

/* In a guest's directory a name may be a link to another program's socket by now. */
static int open_endpoint(const struct probe *p, const char *path) {
    int follow = p->found ? O_NOFOLLOW : 0;

    return loop_admit(p->shake.end.port ? file_open_port(path)
                                        : held_connect(sys_open(path, O_PATH | follow)));
}

enum probe_result probe_open(struct probe *p, const char *path) {
    char comm[16];
    struct stat st = {0};
    struct endpoint *e = &p->shake.end;

    e->aligned = false;
    if (file_stat(path, true, &st))
        return open_failed(p, path, 0);
    e->port = !S_ISSOCK(st.st_mode);
    p->fs = st.st_dev;
    p->inode = st.st_ino;
    if (!e->port && is_wrong_end(p, listener(p)))
        return PROBE_NO_CHANNEL;
    for (bool visited = false;; visited = true) {
        e->fd = open_endpoint(p, path);
        if (e->fd < 0)
            return open_failed(p, path, st.st_rdev);
        if (e->port || !net_peer(e->fd, comm))
            return PROBE_ANSWERED;
        if (is_wrong_end(p, comm))
            break;
        if (visited || !p->shake.connects || (*comm && !fmt_begins(comm, "qemu")))
            return PROBE_ANSWERED;
        handshake_visit(&p->shake);
        probe_close(p);
    }
    probe_close(p);
    return PROBE_NO_CHANNEL;
}

bool probe_is_waiting(const struct probe *p) {
    struct clients c = {p, 0, 0, 0};

    if (!p->shake.end.port)
        unixsock_each(count_client, &c);
    return c.served && c.waiting;
}

/* ---- plain words ---- */

const char *probe_seconds(long ms) {
    static char text[16];

    fmt_print(text, sizeof text, "%u.%03u s", (unsigned)ms / 1000, (unsigned)ms % 1000);
    return text;
}

void probe_show(struct probe *p, const unsigned char *b, unsigned n) {
    size_t at = fmt_length(p->text, PROBE_TEXT);

    for (unsigned i = 0; i < n; i++)
        at += fmt_print(p->text + at, PROBE_TEXT - at, " %02x", b[i]);
    fmt_print(p->text + at, PROBE_TEXT - at, " \"%.*s\"", (int)n, (const char *)b);
}

/* The payload that came with the answer; what a RESET without one means. */
static const char *answer_text(const struct handshake *h) {
    if (*h->payload)
        return h->payload;
    if (h->answer.ctrl == FRAME_SYNACK)
        return "none";
    return memcmp(h->answer.tokens.guest, h->session.tokens.guest, FRAME_TOKEN)
               ? "its service refused (a program of 2011)"
               : "no reason given";
}

/* What to do next. */
static const char *const next[] = {
    [PROBE_REFUSED] =
        "on the host: start the service, or give vios-proxy-host the right port or address of it",
    [PROBE_NO_SERVICE] =
        "on the host: add it to vios-proxy-host, for this guest (-s); or ask for another one (-s)",
    [PROBE_NAMELESS] = "install the same version of vios in the guest and on the host",
    [PROBE_NO_HOST] =
        "on the host: start vios-proxy-host with the directory of this guest's sockets",
    [PROBE_NO_ANSWER] = "on the host: see that vios-proxy-host runs and serves this channel",
    [PROBE_WRONG_ANSWER] =
        "on the host: see which program has this channel's socket open (vios-list DIRECTORY)",
    [PROBE_WRONG_VERSION] = "install the same version of vios in the guest and on the host",
    [PROBE_CUT_OFF] = "on the host: see in its messages why it ended; then probe again",
    [PROBE_TIMED_OUT] =
        "on the host: see whether it is stopped or hangs; or allow it more time with -t",
    [PROBE_STOPPED] = NULL,
};

static void show_wrong(struct probe *p) {
    const struct handshake *h = &p->shake;

    fmt_print(p->text, PROBE_TEXT, "what is attached %s:",
              h->echo    ? "is no proxy, it sends back what it gets"
              : h->rival ? "begins connections itself, both ends have the same role"
                         : "is no proxy, it sends");
    probe_show(p, h->seen, h->came < HANDSHAKE_SEEN ? h->came : HANDSHAKE_SEEN);
}

static void explain(struct probe *p, enum probe_result r, long ms) {
    const struct handshake *h = &p->shake;
    bool guest = h->connects && !h->end.port; /* is at the other end */
    const char *peer = guest ? "guest" : "host";
    char *to = p->text;

    p->next = guest ? "in the guest: see that vios-proxy-guest -R has this channel, and a service"
                    : next[r];
    switch (r) {
    case PROBE_ANSWERED:
        fmt_print(to, PROBE_TEXT, "answered in %u.%03u ms, capabilities: %s, connections: %u",
                  h->us / 1000, h->us % 1000, answer_text(h), h->places);
        break;
    case PROBE_REFUSED:
        fmt_print(to, PROBE_TEXT, "the %s proxy answers, and refuses: %s", peer, answer_text(h));
        break;
    case PROBE_NO_SERVICE:
        fmt_print(to, PROBE_TEXT, "the %s proxy answers: %s", peer, h->payload);
        break;
    case PROBE_NAMELESS:
        fmt_print(to, PROBE_TEXT, "the %s proxy answers, and knows no services by name", peer);
        break;
    case PROBE_NO_HOST:
        fmt_print(to, PROBE_TEXT, "no host is attached to the port");
        break;
    case PROBE_NO_ANSWER:
        fmt_print(to, PROBE_TEXT,
                  "a %s is attached and reads, but does not answer: timed out after %s", peer,
                  probe_seconds(ms));
        break;
    case PROBE_WRONG_ANSWER:
        show_wrong(p);
        break;
    case PROBE_WRONG_VERSION:
        fmt_print(to, PROBE_TEXT,
                  "version mismatch: the %s speaks version %c of the protocol, this is version 1",
                  peer, h->other);
        break;
    case PROBE_CUT_OFF:
        fmt_print(to, PROBE_TEXT, "cut off by the %s while %s", peer, h->step);
        break;
    case PROBE_TIMED_OUT:
        fmt_print(to, PROBE_TEXT, "timed out after %s while %s", probe_seconds(ms), h->step);
        break;
    default:
        fmt_print(to, PROBE_TEXT, "interrupted while %s", h->step);
        break;
    }
}

enum probe_result probe_run(struct probe *p, long ms) {
    enum probe_result r;

    handshake_begin(&p->shake, ms);
    p->shake.service = probe_service;
    r = handshake_run(&p->shake);
    if ((r == PROBE_NO_ANSWER || r == PROBE_TIMED_OUT) && probe_is_waiting(p))
        r = held(p, 0);
    else
        explain(p, r, ms);
    if (r > PROBE_REFUSED) {
        handshake_retreat(&p->shake);
        probe_close(p);
    }
    return r;
}
