/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "fmt.h"
#include "log.h"
#include "loop.h"
#include "memory.h"
#include "net.h"

/* Milliseconds that an abort waits for a TCP peer to take what was sent before. */
enum { DRAIN_MAX = 5000 };

/* Milliseconds between two looks at what a TCP peer has not yet taken, before that. */
enum { DRAIN_AGAIN = 20 };
/* Milliseconds that a host which has greeted gets to answer the SYN before that. */
enum { GREETED = CONFIG_MOVE_TIMEOUT / 4 };
/* Milliseconds between two tries to connect to a service that cannot take it yet. */
enum { CONNECT_AGAIN = 50 };

/* One conn more than there may be connections: an idle channel can always be read, if only to refuse its SYN. */
static MEMORY_BULK struct conn conns[CONN_MAX + 1];
static MEMORY_BULK _Alignas(MEMORY_PAGE) unsigned char tx_buffers[CONN_MAX + 1][CONFIG_BUFFER_SIZE];
static MEMORY_BULK _Alignas(MEMORY_PAGE) unsigned char rx_buffers[CONN_MAX + 1][CONN_RX];

static const struct conn_role *role;
static unsigned spare; /* the slot behind those that connections may have */
static unsigned high;  /* slots 0..high-1 may be in use */
static unsigned dirty; /* buffers 0..dirty-1 may have memory */
static unsigned dice;

void conn_init(const struct conn_role *r) {
    role = r;
    spare = r->role == LINK_GUEST ? CONFIG_GUEST_CHANNELS : CONFIG_HOST_CONNECTIONS;
    if (getrandom(&dice, sizeof dice, GRND_NONBLOCK) != sizeof dice)
        dice = (unsigned)loop_now() ^ (unsigned)getpid() << 20;
}

/* ---- slots ---- */

struct conn *conn_borrow(struct channel *ch) {
    unsigned i = 0;
    struct conn *c;

    while (i < spare && conns[i].channel)
        i++;
    c = &conns[i];
    memset(c, 0, offsetof(struct conn, text));
    c->channel = ch;
    c->tx = tx_buffers[i];
    c->rx = rx_buffers[i];
    c->fd = -1;
    c->link.role = (unsigned char)role->role;
    ch->conn = c;
    if (i >= high)
        high = i + 1;
    if (i >= dirty)
        dirty = i + 1;
    return c;
}

void conn_release(struct conn *c) {
    c->channel->conn = NULL;
    c->channel = NULL;
    while (high && !conns[high - 1].channel)
        high--;
}

bool conn_is_spare(const struct conn *c) { return c == &conns[spare]; }

unsigned conn_top(void) { return high; }

struct conn *conn_at(unsigned i) { return conns[i].channel ? &conns[i] : NULL; }

unsigned conn_count(const struct conn *c, size_t n) {
    unsigned count = 0;

    for (unsigned i = 0; i < high; i++)
        if (conns[i].channel && &conns[i] != c && !strncmp(conns[i].channel->name, c->channel->name, n))
            count++;
    return count;
}

const char *conn_refusal(const struct conn *c) {
    return conn_is_spare(c) ? "all connections are in use (HOST_CONNECTIONS)" : role->refuses(c);
}

void conn_rest(void) {
    if (dirty) {
        memory_give_back(tx_buffers, dirty * sizeof *tx_buffers);
        memory_give_back(rx_buffers, dirty * sizeof *rx_buffers);
    }
    dirty = 0;
}

void conn_recycle(struct conn *c) {
    if (link_is_guest(&c->link) && !c->link.answered) {
        c->channel->silent = c->channel->attached;
        c->channel->aligned = false;
    }
    c->link = (struct link){.role = (unsigned char)role->role};
    c->deadline = c->draining = c->error = 0;
    c->connecting = c->shut_due = c->shut = c->slow = c->greeted = c->retrying = false;
    if (link_is_guest(&c->link)) {
        c->channel->decoder = (struct frame_decoder){0};
        c->frame_left = 0;
    }
}

void conn_token(unsigned char token[FRAME_TOKEN]) {
    enum { TOKENS = 94 * 94 * 94 * 94, STEP = 48252939 /* has no divisor in common with that: all come before one comes again */ };
    unsigned v = dice = (dice + STEP) % TOKENS;

    for (int i = 0; i < FRAME_TOKEN; i++, v /= 94)
        token[i] = (unsigned char)('!' + v % 94);
}

/* ---- time ---- */

static long long sooner(long long a, long long b) { return a < b ? a : b; }

void conn_set_deadline(struct conn *c) {
    long patience = link_patience(&c->link, c->head < c->tail);

    if (c->frame_left && !patience)
        patience = CONFIG_HANDSHAKE_TIMEOUT * 1000L;
    if (c->draining)
        c->deadline = loop_now() + DRAIN_AGAIN;
    else if (CONFIG_VIOS_PROXY_HOST && c->retrying && c->link.state == LINK_CONNECTING)
        c->deadline = loop_now() + CONNECT_AGAIN;
    else if (c->greeted && c->link.state == LINK_SYN_SENT)
        c->deadline = sooner(c->deadline, loop_now() + GREETED);
    else if (c->link.state == LINK_SYN_SENT)
        c->deadline = c->slow ? c->since + patience : c->begun + CONFIG_MOVE_TIMEOUT;
    else if (c->moved || !c->deadline || !patience)
        c->deadline = patience ? loop_now() + patience : 0;
    c->moved = false;
}

/* ---- the TCP side ---- */

static void close_tcp(struct conn *c, bool abort) {
    unsigned char rest[512];

    c->head = c->tail = c->raw;
    if (c->fd < 0)
        return;
    if (abort)
        net_abort_on_close(c->fd);
    else if (!c->link.sent_eof)
        /* What is unread at close() would turn it into a RST that can overtake our last bytes. */
        for (int i = 0; i < 64 && recv(c->fd, rest, sizeof rest, 0) > 0; i++)
            continue;
    loop_close(c->fd);
    c->fd = -1;
}

void conn_ended(struct conn *c, struct log_limit *limit, const char *how, const char *why) {
    struct channel *ch = c->channel;
    bool probe = CONFIG_VIOS_PROXY_HOST && !strcmp(why, LINK_PROBE); /* as it says itself: nothing has failed */

    if (CONFIG_FEATURE_STATUS && *why && !probe)
        fmt_copy(ch->failure, sizeof ch->failure, why);
    if (!limit)
        limit = channel_limit(ch, loop_now());
    log_limited(limit, loop_now(), probe ? LOG_INFO : LOG_WARN, "%s: %s: %s%s%s", ch->name, c->client, how, *why ? ": " : "", why);
}

void conn_apply(struct conn *c, unsigned actions) {
    const struct link *l = &c->link;

    c->moved = true;
    c->shut_due |= (actions & LINK_SHUT) != 0;
    if (actions & LINK_SEND_RESET) {
        c->todo = LINK_SEND_RESET;
        if (l->why)
            conn_ended(c, NULL, "ended", l->why);
    } else {
        c->todo |= actions & LINK_SENDS;
    }
    if (CONFIG_VIOS_PROXY_HOST && (actions & LINK_CONNECT)) {
        c->spent = true;
        c->retrying = false;
        c->channel->junk.owed += CHANNEL_SYN;
        role->connect(c);
    }
    if (l->state == LINK_OVER && c->fd >= 0)
        close_tcp(c, actions & LINK_ABORT);
}

bool conn_transient(void) { return errno == EAGAIN || errno == EINTR; }

void conn_failed(struct conn *c) {
    fmt_copy(c->text, sizeof c->text, error_text(errno));
    conn_apply(c, link_event(&c->link, LINK_LOCAL_ERROR, c->text));
}

/* A RST takes from the TCP peer what it has had no window for yet: so that waits for it, for some time. */
static bool drains(struct conn *c) {
    if (!c->link.abort || !net_unsent(c->fd))
        return false;
    if (!c->draining)
        c->draining = loop_now() + DRAIN_MAX;
    return c->draining > loop_now();
}

static void delivered(struct conn *c) {
    if (c->shut_due && !c->shut) {
        shutdown(c->fd, SHUT_WR);
        c->shut = true;
    }
    if (c->link.state == LINK_CLOSING && !drains(c))
        conn_apply(c, link_event(&c->link, LINK_DELIVERED, NULL));
}

bool conn_deliver(struct conn *c) {
    bool any = c->head < c->tail;

    while (c->head < c->tail) {
        ssize_t n = write(c->fd, c->rx + c->head, c->tail - c->head);

        if (n < 0 && conn_transient())
            return false;
        if (n < 0 && !link_reads_local(&c->link)) {
            conn_failed(c);
            return true;
        }
        if (n < 0) {
            c->error = errno;
            n = (ssize_t)(c->tail - c->head);
        }
        c->head += (unsigned)n;
        c->moved = true;
    }
    if (c->raw == c->filled)
        c->head = c->tail = c->raw = c->filled = 0;
    if (c->fd >= 0)
        delivered(c);
    return any;
}
