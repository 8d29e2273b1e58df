/* SPDX-License-Identifier: Apache-2.0 */
#include "relay.h"

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

/* A lost wake-up of a port, and a host that goes while its port is not read, are found by a look once in this many milliseconds. */
enum { LOOK_AGAIN = 1000 };
/* Bytes that an idle channel is read for in a turn: junk gets no more than its share. */
enum { IDLE_READ = 4096 };
/* Milliseconds that a host which has greeted gets to answer the SYN before that. */
enum { GREETED = CONFIG_MOVE_TIMEOUT / 4 };
/* Buffers that a connection may move one way before it is another one's turn. */
enum { TURNS = 4 };

#define DATA_MAX (CONFIG_BUFFER_SIZE - FRAME_HEADER)

_Static_assert(CONFIG_BUFFER_SIZE >= 2 * FRAME_HEADER + RELAY_TEXT, "a control frame must fit into a buffer");
_Static_assert((int)DATA_MAX <= (int)FRAME_PAYLOAD_MAX, "a buffer's payload must fit into a frame");

/* One conn more than there may be connections: an idle channel can always be read, if only to refuse its SYN. */
static MEMORY_BULK struct conn conns[RELAY_MAX + 1];
static MEMORY_BULK _Alignas(4096) unsigned char tx_buffers[RELAY_MAX + 1][CONFIG_BUFFER_SIZE];
static MEMORY_BULK _Alignas(4096) unsigned char rx_buffers[RELAY_MAX + 1][CONFIG_BUFFER_SIZE];

static const struct relay_role *role;
static unsigned turn;       /* of the last connection */
static unsigned spare;      /* the slot behind those that connections may have */
static unsigned high;       /* slots 0..high-1 may be in use */
static unsigned dirty;      /* buffers 0..dirty-1 may have memory */
static unsigned long long dice;
static struct log_limit losses; /* a lost host costs one message, however many connections it had */

static void settle(struct channel *ch);
static void apply(struct conn *c, unsigned actions);
static void local_failed(struct conn *c);
static void on_local(void *arg, unsigned ready);

/* ---- slots ---- */

static struct conn *borrow(struct channel *ch) {
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

static void release(struct conn *c) {
    c->channel->conn = NULL;
    c->channel = NULL;
    while (high && !conns[high - 1].channel)
        high--;
}

unsigned relay_top(void) { return high; }

struct conn *relay_at(unsigned i) { return conns[i].channel ? &conns[i] : NULL; }

unsigned relay_count(const char *prefix, size_t n) {
    unsigned count = 0;

    for (unsigned i = 0; i < high; i++)
        if (conns[i].channel && conns[i].link.state != LINK_IDLE && !strncmp(conns[i].channel->name, prefix, n))
            count++;
    return count;
}

/* Four printable bytes that no earlier connection of this process had. */
static void new_token(unsigned char token[FRAME_TOKEN]) {
    unsigned long long v;

    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    v = dice >> 16;
    for (int i = 0; i < FRAME_TOKEN; i++, v /= 94)
        token[i] = (unsigned char)('!' + v % 94);
}

void relay_init(const struct relay_role *r) {
    role = r;
    spare = r->role == LINK_GUEST ? CONFIG_GUEST_CHANNELS : CONFIG_HOST_CONNECTIONS;
    if (getrandom(&dice, sizeof dice, GRND_NONBLOCK) != sizeof dice)
        dice = (unsigned long long)loop_now() << 20 ^ (unsigned long long)getpid();
}

/* ---- towards the channel ---- */

static size_t encode(struct conn *c, unsigned char *p, enum frame_ctrl ctrl, const char *text) {
    size_t n = fmt_length(text, RELAY_TEXT);
    struct frame f = {(unsigned char)ctrl, c->link.tokens, (unsigned)n};

    frame_encode(p, &f);
    memcpy(p + FRAME_HEADER, text, n);
    return FRAME_HEADER + n;
}

static const char *explanation(const struct conn *c) {
    return CONFIG_FEATURE_REASON && c->link.why && link_may_explain(&c->link) ? c->link.why : "";
}

static bool transient(void) { return errno == EAGAIN || errno == EINTR; }

/* Reads the TCP side into a DATA frame at tx + at: the frame's length, 0 if there is nothing to send. */
static size_t read_local(struct conn *c, size_t at) {
    ssize_t n = read(c->fd, c->tx + at + FRAME_HEADER, DATA_MAX - at);
    struct frame f = {FRAME_DATA, c->link.tokens, (unsigned)n};

    if (n <= 0) {
        if (!n)
            apply(c, link_event(&c->link, LINK_LOCAL_EOF, NULL));
        else if (!transient())
            local_failed(c);
        return 0;
    }
    frame_encode(c->tx + at, &f);
    c->channel->sent += (size_t)n;
    c->moved = true;
    return FRAME_HEADER + (size_t)n;
}

/* The bytes of the next frame in todo, in tx. Filler goes before a SYN, a bufferful at a time (guest rule 3). The client's first words,
 * which have waited for the SYNACK, go out with the ACK. */
static size_t encode_next(struct conn *c) {
    unsigned due = c->todo & -c->todo;
    unsigned char *tx = c->tx;
    size_t n;

    if (due == LINK_SEND_SYN && c->filler) {
        n = c->filler < CONFIG_BUFFER_SIZE ? c->filler : CONFIG_BUFFER_SIZE;
        memset(tx, FRAME_FILLER, n);
        c->filler -= (unsigned)n;
        return n;
    }
    c->todo -= due;
    switch (due) {
    case LINK_SEND_SYN:
        n = encode(c, tx, FRAME_RESET, "");
        return n + encode(c, tx + n, FRAME_SYN, link_capabilities);
    case LINK_SEND_SYNACK:
        return encode(c, tx, FRAME_SYNACK, c->link.eos ? link_capabilities : "");
    case LINK_SEND_ACK:
        n = encode(c, tx, FRAME_ACK, "");
        return n + (c->fd >= 0 ? read_local(c, n) : 0);
    case LINK_SEND_EOS:
        return encode(c, tx, FRAME_DATA, "");
    default:
        c->channel->resets++;
        return encode(c, tx, FRAME_RESET, explanation(c));
    }
}

/* Writes what is owed and due. True if something was encoded. */
static bool send_due(struct conn *c) {
    struct channel *ch = c->channel;
    bool any = false;

    if (!ch->attached)
        c->todo = 0;
    while (channel_flush(ch) == CHANNEL_DONE && c->todo) {
        any = true;
        channel_write(ch, c->tx, encode_next(c));
    }
    return any;
}

static bool may_send_data(const struct conn *c) {
    const struct channel *ch = c->channel;

    return link_reads_local(&c->link) && ch->attached && !ch->owed_bytes && !c->todo;
}

/* ---- the TCP side ---- */

static void close_local(struct conn *c, bool abort) {
    unsigned char rest[512];

    c->head = c->tail = c->raw;
    if (c->fd < 0)
        return;
    if (abort)
        net_abort_on_close(c->fd);
    else
        /* What is unread at close() would turn it into a RST that can overtake our last bytes. */
        for (int i = 0; i < 64 && recv(c->fd, rest, sizeof rest, 0) > 0; i++)
            continue;
    loop_watch(c->fd, 0, NULL, NULL);
    close(c->fd);
    c->fd = -1;
}

static void log_end(struct conn *c, struct log_limit *limit, const char *how, const char *why) {
    struct channel *ch = c->channel;

    if (CONFIG_FEATURE_STATUS && *why)
        fmt_copy(ch->failure, sizeof ch->failure, why);
    log_limited(limit, loop_now(), LOG_WARN, "%s: %s: %s%s%s", ch->name, c->client, how, *why ? ": " : "", why);
}

static void note_end(struct conn *c, const char *how, const char *why) {
    log_end(c, &c->channel->ends, how, why);
}

/* Carries out what the link says. */
static void apply(struct conn *c, unsigned actions) {
    const struct link *l = &c->link;

    c->moved = true;
    c->shut_due |= (actions & LINK_SHUT) != 0;
    if (actions & LINK_SEND_RESET) {
        c->todo = LINK_SEND_RESET;
        if (l->why)
            note_end(c, "ended", l->why);
    } else {
        c->todo |= actions & LINK_SENDS;
    }
    if (actions & LINK_CONNECT) {
        c->spent = true;
        role->connect(c);
    }
    if (l->state == LINK_OVER && c->fd >= 0)
        close_local(c, actions & LINK_ABORT);
}

static void local_failed(struct conn *c) {
    fmt_copy(c->text, sizeof c->text, error_text(errno));
    apply(c, link_event(&c->link, LINK_LOCAL_ERROR, c->text));
}

static void delivered(struct conn *c) {
    if (c->shut_due && !c->shut) {
        shutdown(c->fd, SHUT_WR);
        c->shut = true;
    }
    if (c->link.state == LINK_CLOSING)
        apply(c, link_event(&c->link, LINK_DELIVERED, NULL));
}

/* Payload to the TCP side. True if all of it has gone, so that there may be more. */
static bool deliver(struct conn *c) {
    bool any = c->head < c->tail;

    while (c->head < c->tail) {
        ssize_t n = write(c->fd, c->rx + c->head, c->tail - c->head);

        if (n < 0 && transient())
            return false;
        if (n < 0) {
            local_failed(c);
            return true;
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

/* ---- from the channel ---- */

/* A DATA or ACK for a connection that this process never had: once for each token pair, a RESET. Host rule 1. A guest that makes up
 * token pairs gets one answer for each read. */
static void answer_stale(struct channel *ch, struct frame *f) {
    if (role->role != LINK_HOST || f->ctrl == FRAME_SYN || ch->answered || frame_same(&f->tokens, &ch->stale))
        return;
    ch->answered = true;
    ch->stale = f->tokens;
    f->ctrl = FRAME_RESET;
    ch->resets++;
    channel_note(ch, f, "");
}

/* No slot is left for this SYN's connection. */
static void refuse_spare(struct conn *c, struct frame *f) {
    f->ctrl = FRAME_RESET;
    note_end(c, "refused", "all connections are in use (Kconfig HOST_CONNECTIONS)");
    channel_note(c->channel, f, CONFIG_FEATURE_REASON && f->length ? "all connections of the host proxy are in use" : "");
}

static void dispatch(struct conn *c, const struct frame *f) {
    struct channel *ch = c->channel;
    unsigned before = c->link.state, actions;

    c->text[c->text_bytes] = '\0';
    for (unsigned i = 0; i < c->text_bytes; i++)
        if (c->text[i] < ' ' || c->text[i] > '~')
            c->text[i] = '?';
    actions = link_frame(&c->link, f, c->text, c->text_bytes);
    if (before == LINK_SYN_SENT && c->link.answered) {
        ch->aligned = true;
        ch->silent = false;
    }
    if (f->ctrl == FRAME_RESET && c->link.state != before) {
        if (before == LINK_SYN_SENT)
            note_end(c, "refused", c->text);
        else if (c->text_bytes || c->link.abort)
            note_end(c, "ended by the other side", c->text);
    }
    apply(c, actions);
}

static void begin(struct conn *c, struct frame *f, bool hunted) {
    struct channel *ch = c->channel;

    c->text_bytes = 0;
    if (hunted && !link_concerns(&c->link, f)) {
        frame_reject(&ch->decoder);
        c->greeted |= link_greeted(&c->link, f);
        answer_stale(ch, f);
    } else if (c == &conns[spare]) {
        frame_skip(&ch->decoder);
        refuse_spare(c, f);
    } else if (f->length && (hunted || f->ctrl == FRAME_RESET)) {
        frame_skip(&ch->decoder);
        c->frame = *f;
        c->frame_left = f->length;
        c->moved = true;
    } else {
        dispatch(c, f);
    }
}

/* The payload of a control frame: as much as fits is kept, all of it is waited for. */
static void collect(struct conn *c) {
    unsigned n = c->filled - c->raw, keep = RELAY_TEXT - c->text_bytes;

    if (n > c->frame_left)
        n = c->frame_left;
    if (keep > n)
        keep = n;
    memcpy(c->text + c->text_bytes, c->rx + c->raw, keep);
    c->text_bytes += keep;
    c->raw += n;
    c->frame_left -= n;
    if (!c->frame_left)
        dispatch(c, &c->frame);
}

static void take_payload(struct conn *c, unsigned n) {
    unsigned char *rx = c->rx;

    if (c->head == c->tail)
        c->head = c->tail = c->raw;
    if (c->tail != c->raw)
        memmove(rx + c->tail, rx + c->raw, n);
    c->tail += n;
    c->channel->received += n;
}

static void step(struct conn *c) {
    const char *prey = link_prey(&c->link);
    const unsigned char *p = c->rx + c->raw;
    size_t n = c->filled - c->raw, used;
    struct frame_decoder *d = &c->channel->decoder;
    enum frame_event event;
    struct frame f;

    event = prey ? frame_hunt(d, p, n, &used, &f, prey) : frame_feed(d, p, n, &used, &f);
    if (event == FRAME_PAYLOAD)
        take_payload(c, (unsigned)used);
    c->raw += (unsigned)used;
    if (event == FRAME_BEGIN)
        begin(c, &f, prey != NULL);
    else if (event == FRAME_BAD)
        apply(c, link_event(&c->link, LINK_BAD, NULL));
}

/* Whether the bytes from the channel may be looked at now. A storm of SYNs gets one connect a turn. */
static bool may_parse(const struct conn *c) {
    return c->link.state < LINK_CLOSING && !(c->link.state == LINK_IDLE && (c->spent || c->channel->owed_bytes));
}

static bool parse(struct conn *c) {
    bool any = false;

    for (; c->raw < c->filled && may_parse(c); any = true) {
        if (c->frame_left)
            collect(c);
        else if (c->link.state == LINK_IDLE && role->role == LINK_GUEST)
            c->raw = c->filled;
        else
            step(c);
    }
    return any;
}

static bool may_read(const struct channel *ch) {
    const struct conn *c = ch->conn;

    if (!c)
        return !ch->owed_bytes;
    return may_parse(c) && c->filled + CHANNEL_ROOM(ch) <= CONFIG_BUFFER_SIZE;
}

/* ---- the whole ---- */

static bool finished(const struct conn *c) {
    return c->link.state == LINK_OVER && !c->todo && !c->channel->owed_bytes;
}

/* The connection is over and its frames are out: the channel is idle again, though bytes may wait in rx. */
static void recycle(struct conn *c) {
    if (c->link.role == LINK_GUEST && !c->link.answered) {
        c->channel->silent = c->channel->attached;
        c->channel->aligned = false;
    }
    c->link = (struct link){.role = (unsigned char)role->role};
    c->deadline = 0;
    c->connecting = c->shut_due = c->shut = c->slow = c->greeted = c->suspect = false;
    if (role->role == LINK_GUEST)
        c->channel->decoder = (struct frame_decoder){0};
}

static void set_deadline(struct conn *c) {
    long patience = link_patience(&c->link, c->head < c->tail);

    if (c->frame_left && !patience)
        patience = CONFIG_HANDSHAKE_TIMEOUT * 1000L;
    if (c->greeted && c->link.state == LINK_SYN_SENT)
        c->deadline = loop_now() + GREETED;
    else if (c->link.state == LINK_SYN_SENT)
        c->deadline = c->slow ? c->since + patience : c->begun + CONFIG_MOVE_TIMEOUT;
    else if (c->moved || !c->deadline || !patience)
        c->deadline = patience ? loop_now() + patience : 0;
    c->moved = false;
}

static void on_channel(void *arg, unsigned ready);

static void watch(struct channel *ch) {
    struct conn *c = ch->conn;
    unsigned want = 0;

    if (ch->fd >= 0) {
        if (!ch->attached || ch->owed_bytes || (c && c->todo))
            want |= LOOP_WRITE;
        if (ch->attached && may_read(ch))
            want |= LOOP_READ;
        loop_watch(ch->fd, want, on_channel, ch);
    }
    if (!c || c->fd < 0)
        return;
    want = c->connecting || c->head < c->tail ? LOOP_WRITE : 0;
    if (!c->connecting && may_send_data(c))
        want |= LOOP_READ;
    loop_watch(c->fd, want, on_local, c);
}

/* The channel's other side is not there any more (renewed: but another one is): nothing of the old stream counts. */
static void lose(struct channel *ch, bool renewed) {
    struct conn *c = ch->conn;

    if (ch->broken)
        channel_close(ch);
    else
        channel_detached(ch);
    if (renewed)
        channel_attached(ch);
    if (!c)
        return;
    c->raw = c->filled;
    c->frame_left = 0;
    if (c->link.state != LINK_IDLE && c->link.state < LINK_CLOSING)
        log_end(c, &losses, "ended", ch->port ? "the host has gone" : "the other side has gone");
    apply(c, link_event(&c->link, LINK_DETACH, NULL));
    role->changed(ch);
}

/* After anything has happened: does all that can be done now, then says what to wait for. */
static void settle(struct channel *ch) {
    struct conn *c = ch->conn;

    while (c) {
        bool again = parse(c);

        again |= deliver(c);
        again |= send_due(c);
        if (ch->broken && ch->fd >= 0) {
            lose(ch, false);
            again = true;
        }
        if (finished(c)) {
            recycle(c);
            again = true;
        }
        if (!again)
            break;
    }
    if (ch->broken && ch->fd >= 0)
        lose(ch, false);
    if (c == &conns[spare])
        c->raw = c->filled; /* others may need it: a guest that is refused and does not read keeps nothing */
    if (c && c->link.state == LINK_IDLE && !c->frame_left && c->raw == c->filled) {
        release(c);
        c = NULL;
    }
    if (c)
        set_deadline(c);
    watch(ch);
    if (!c && ch->fd < 0)
        role->lost(ch);
    else if (!c)
        role->changed(ch);
}

static void read_channel(struct channel *ch) {
    struct conn *c = ch->conn ? ch->conn : borrow(ch);
    size_t n, room = CONFIG_BUFFER_SIZE - c->filled;
    enum channel_result result;

    if (c->link.state == LINK_IDLE && room > IDLE_READ)
        room = IDLE_READ;
    result = channel_read(ch, c->link.state == LINK_ESTABLISHED, c->rx + c->filled, room, &n);
    c->spent = ch->answered = false;
    c->filled += (unsigned)n;
    if (result == CHANNEL_DETACHED || result == CHANNEL_RENEWED) {
        parse(c);
        lose(ch, result == CHANNEL_RENEWED);
    }
}

/* A buffer that was filled and has been delivered: most likely there is more, which select() need not say. */
static void read_on(struct channel *ch) {
    bool full = true;

    for (int i = 0; i < TURNS && full; i++) {
        struct conn *c;

        read_channel(ch);
        c = ch->conn;
        full = c && c->filled == CONFIG_BUFFER_SIZE;
        settle(ch);
        full = full && ch->conn == c && c->link.state == LINK_ESTABLISHED && !c->filled && may_read(ch);
    }
}

static void on_channel(void *arg, unsigned ready) {
    struct channel *ch = arg;

    if (!ch->attached)
        channel_attached(ch);
    if ((ready & LOOP_READ) && may_read(ch)) {
        read_on(ch);
        return;
    }
    if (ready & LOOP_WRITE)
        channel_flush(ch);
    settle(ch);
}

static void send_data(struct conn *c) {
    size_t n = CONFIG_BUFFER_SIZE;

    for (int i = 0; i < TURNS && n == CONFIG_BUFFER_SIZE && may_send_data(c); i++) {
        n = read_local(c, 0);
        channel_write(c->channel, c->tx, n);
    }
}

static void on_local(void *arg, unsigned ready) {
    struct conn *c = arg;

    if (c->connecting) {
        int reason = net_connect_error(c->fd);

        if (reason)
            role->refused(c, reason);
        else
            relay_connecting(c, c->fd, false);
    } else if (ready & LOOP_READ) {
        send_data(c);
    }
    settle(c->channel);
}

void relay_start(struct channel *ch) {
    read_channel(ch);
    settle(ch);
}

void relay_open(struct channel *ch, int fd, const char *client, long long since) {
    struct conn *c = ch->conn ? ch->conn : borrow(ch);
    unsigned char token[FRAME_TOKEN];

    c->fd = fd;
    c->since = since;
    c->begun = loop_now();
    c->text[0] = '\0';
    fmt_copy(c->client, sizeof c->client, client);
    c->filler = ch->aligned ? 0 : FRAME_FILLER_BYTES;
    ch->used = ++turn;
    ch->connections++;
    new_token(token);
    apply(c, link_open(&c->link, token, !ch->silent));
    settle(ch);
}

int relay_take(struct conn *c) {
    struct channel *ch = c->channel;
    int fd = c->fd;

    loop_watch(fd, 0, NULL, NULL);
    c->fd = -1;
    apply(c, link_event(&c->link, LINK_TIMEOUT, NULL));
    settle(ch);
    return fd;
}

void relay_connecting(struct conn *c, int fd, bool pending) {
    unsigned char token[FRAME_TOKEN];

    c->fd = fd;
    c->connecting = pending;
    if (pending)
        return;
    new_token(token);
    apply(c, link_connected(&c->link, token));
}

void relay_refused(struct conn *c, const char *why) {
    c->connecting = false;
    fmt_copy(c->text, sizeof c->text, why);
    apply(c, link_event(&c->link, LINK_REFUSED, c->text));
}

void relay_drop(struct channel *ch) {
    if (ch->conn)
        return;
    channel_close(ch);
    role->lost(ch);
}

/* ---- time ---- */

/* A port whose news may not reach select(): one that is written to, or not read. */
static bool needs_look(const struct conn *c) {
    const struct channel *ch = c->channel;

    return ch->port && ch->attached && (ch->owed_bytes || c->todo || !may_read(ch));
}

static bool timed; /* relay_timeout() has found something to wait for */

long relay_timeout(void) {
    long long next = -1;
    long wait = -1;

    for (unsigned i = 0; i < high; i++) {
        const struct conn *c = &conns[i];

        if (!c->channel)
            continue;
        if (c->deadline && (next < 0 || c->deadline < next))
            next = c->deadline;
        if (needs_look(c) && wait < 0)
            wait = LOOK_AGAIN;
        if (c->spent && c->raw < c->filled && c->link.state == LINK_IDLE)
            wait = 0;
    }
    if (next >= 0) {
        next -= loop_now();
        if (next < 0)
            next = 0;
        if (wait < 0 || next < wait)
            wait = (long)next;
    }
    timed = wait >= 0;
    return wait;
}

/* A host that is attached leaves its port writable or unread; a port that is readable but not writable, with nothing owed, has
 * lost its host or is unplugged, unless its ring is just full: so it takes two looks. virtio-serial.md, "select". */
static void look(struct conn *c) {
    struct channel *ch = c->channel;

    bool absent = !ch->owed_bytes && !c->todo && loop_peek(ch->fd) == LOOP_READ;

    if (absent && c->suspect)
        lose(ch, false);
    c->suspect = absent;
    settle(ch);
}

/* The host that greeted has not answered: its QEMU may have dropped our SYN with the words for the host before. Once more. */
static void syn_again(struct conn *c) {
    unsigned char token[FRAME_TOKEN];

    c->greeted = false;
    new_token(token);
    apply(c, link_open(&c->link, token, c->link.first));
    settle(c->channel);
}

static void expire(struct conn *c) {
    struct channel *ch = c->channel;

    if (c->link.state == LINK_SYN_SENT && c->greeted) {
        syn_again(c);
        return;
    }
    if (c->link.state == LINK_SYN_SENT && !c->slow) {
        c->slow = true;
        set_deadline(c);
        if (role->slow)
            role->slow(c);
        return;
    }
    c->deadline = 0;
    if (c->link.state == LINK_IDLE)
        c->frame_left = 0;
    else if (c->link.state == LINK_CONNECTING)
        role->refused(c, ETIMEDOUT);
    else
        apply(c, link_event(&c->link, LINK_TIMEOUT, NULL));
    settle(ch);
}

void relay_tick(void) {
    static long long looked;
    long long now = timed ? loop_now() : 0;
    bool look_now = now - looked >= LOOK_AGAIN;

    if (!timed)
        return;
    if (look_now)
        looked = now;
    for (unsigned i = 0; i < high; i++) {
        struct conn *c = &conns[i];

        if (c->channel && c->deadline && c->deadline <= now)
            expire(c);
        if (c->channel && look_now && needs_look(c))
            look(c);
        if (c->channel && c->spent) {
            c->spent = false;
            settle(c->channel);
        }
    }
}

bool relay_rest(void) {
    if (high)
        return false;
    if (dirty) {
        memory_give_back(tx_buffers, dirty * sizeof *tx_buffers);
        memory_give_back(rx_buffers, dirty * sizeof *rx_buffers);
    }
    dirty = 0;
    return true;
}

bool relay_stop(void) {
    bool owed = false;

    for (unsigned i = 0; i < high; i++) {
        struct conn *c = &conns[i];

        /* Behind one connection's last words the next SYN may wait. */
        while (c->channel && c->link.state != LINK_IDLE && c->link.state != LINK_OVER) {
            apply(c, link_event(&c->link, LINK_STOP, "the proxy was stopped"));
            settle(c->channel);
        }
        owed |= c->channel && (c->todo || c->channel->owed_bytes);
    }
    return owed;
}
