/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/conn.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/memory.h"
#include "base/net.h"
#include "base/pool.h"
#include "relay/guests.h"

/* syscalls (guest host): recvfrom */

/* Milliseconds that a host which has greeted gets to answer the SYN before that. */
enum { GREETED = CONFIG_MOVE_TIMEOUT / 4 };

static MEMORY_BULK _Alignas(MEMORY_PAGE) struct conn conns[CONN_MAX];
static struct pool pool = POOL(conns);
static unsigned char *windows; /* WINDOW_BYTES for each connection */
static unsigned most;          /* of connections at once */

/* Where address space is counted (vm.overcommit_memory 2), there may be room for fewer. */
void conn_init(unsigned limit) {
    most = limit;
    while (CONFIG_FEATURE_MANY && !windows && most) {
        windows = memory_reserve((size_t)most * WINDOW_BYTES);
        most = windows ? most : most / 2;
    }
    if (!most)
        log_fatal("no memory for a connection: %m");
}

bool conn_is_room(void) { return pool.in_use < most; }

struct conn *conn_find(const struct channel *ch, const unsigned char guest_token[FRAME_TOKEN]) {
    struct conn *c = ch->conns;

    while (c && (conn_is_apart(c) || memcmp(c->session.tokens.guest, guest_token, FRAME_TOKEN)))
        c = c->next;
    return c;
}

struct conn *conn_new(struct channel *ch, enum session_role side) {
    struct conn *c = pool_take(&pool);

    memset(c, 0, offsetof(struct conn, why));
    c->channel = ch;
    c->fd = -1;
    c->session.role = (unsigned char)side;
    if (CONFIG_FEATURE_MANY)
        c->window.bytes = windows + (size_t)(c - conns) * WINDOW_BYTES;
    c->next = ch->conns;
    ch->conns = c;
    ch->carried++;
    if (CONFIG_VIOS_PROXY_HOST && ch->guest)
        ch->guest->connections++;
    channel_occupy(ch);
    return c;
}

void conn_begins(const struct conn *c, unsigned state_before) {
    if (state_before < SESSION_ESTABLISHED && session_is_open(&c->session))
        log_msg(LOG_DEBUG, "%s: %s: begins", c->channel->name, c->client);
}

static void log_end(const struct conn *c) {
    unsigned ms = (unsigned)(loop_now() - c->begun);

    log_msg(LOG_DEBUG, "%s: %s: is over: %llu bytes received, %llu sent, %u.%03u s",
            c->channel->name, c->client, c->received, c->sent, ms / 1000, ms % 1000);
}

void conn_free(struct conn *c) {
    struct conn **at = &c->channel->conns;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->channel->carried -= !conn_is_apart(c);
    if (CONFIG_VIOS_PROXY_HOST && c->channel->guest)
        c->channel->guest->connections--;
    if (CONFIG_FEATURE_MANY && c->channel->target == c)
        c->channel->target = NULL;
    if (CONFIG_FEATURE_MANY && c->channel->gathered == c)
        c->channel->gathered = NULL;
    if (CONFIG_FEATURE_MANY && c->channel->late == c)
        c->channel->late = NULL; /* all are looked at again */
    if (CONFIG_FEATURE_MANY && c->channel->wide == c)
        c->channel->wide = NULL;
    if (CONFIG_FEATURE_MANY)
        window_trim(&c->window);
    log_end(c);
    pool_give(&pool, c);
}

bool conn_is_finished(const struct conn *c) {
    return session_is_over(&c->session) && !c->due &&
           (session_is_shared(&c->session) ? !(c->channel->rest_bytes && c->channel->resting == c)
                                           : !c->channel->end.owed_bytes);
}

void conn_trim(void) {
    for (unsigned i = 0; CONFIG_FEATURE_MANY && i < pool.touched; i++)
        window_trim(&conns[i].window);
    pool_trim(&pool);
}

/* ---- time ---- */

void conn_await(struct conn *c, enum conn_wait what, long ms) {
    c->wait = (unsigned char)what;
    c->deadline = loop_now() + ms;
}

void conn_greeted(struct conn *c) {
    long left = (long)(c->deadline - loop_now());

    conn_await(c, CONN_GREETED, left < GREETED ? left : GREETED);
}

bool conn_is_stuck(const struct conn *c) {
    if (session_is_shared(&c->session))
        return c->window.n;
    return c->channel->in && c->channel->in->head < c->channel->in->tail;
}

void conn_set_deadline(struct conn *c) {
    long patience;

    if (c->wait != CONN_PROGRESS)
        return;
    patience = session_timeout(&c->session, conn_is_stuck(c));
    if (c->progress || !c->deadline || !patience)
        c->deadline = patience ? loop_now() + patience : 0;
    c->progress = false;
}

/* ---- the TCP side ---- */

static void close_tcp(struct conn *c, bool abort) {
    struct input *in = c->channel->in;
    unsigned char rest[512];

    if (session_is_shared(&c->session))
        window_empty(&c->window);
    else if (in)
        in->head = in->tail = in->raw;
    if (c->fd < 0)
        return;
    if (abort)
        net_abort_on_close(c->fd);
    else if (!c->session.sent_eof)
        /* What is unread at close() would turn it into a RST that can overtake our last bytes. */
        for (int i = 0; i < 64 && recv(c->fd, rest, sizeof rest, 0) > 0; i++)
            continue;
    if (CONFIG_VIOS_PROXY_HOST && c->channel->guest && !abort && !c->session.sent_eof)
        net_forget_on_close(c->fd);
    loop_close(c->fd);
    c->fd = -1;
}

void conn_ended(struct conn *c, struct log_limit *limit, const char *how, const char *why) {
    channel_ended(c->channel, limit, c->client, how, why);
}

void conn_apply(struct conn *c, unsigned actions) {
    const struct session *l = &c->session;

    c->progress = true;
    c->shut_due |= (actions & SESSION_SHUT) != 0;
    if (actions & SESSION_SEND_RESET) {
        /* A peer that gets no SYNACK takes any other token for another host's: M rule 7. */
        if (CONFIG_FEATURE_MANY && l->shared && (c->due & SESSION_SEND_SYNACK))
            memcpy(c->session.tokens.host, frame_unknown, FRAME_TOKEN);
        c->due = SESSION_SEND_RESET;
        if (l->why)
            conn_ended(c, NULL, "ended", l->why);
    } else {
        c->due |= actions & SESSION_SENDS;
    }
    if (conn_is_apart(c))
        c->due = 0;
    if (session_is_over(l)) {
        c->wait = CONN_PROGRESS;
        close_tcp(c, actions & SESSION_ABORT);
    }
}

void conn_lost(struct conn *c, const char *why) {
    /* A lost host costs one message, however many connections it had. */
    static struct log_limit losses;

    if (!why)
        why = c->channel->end.port ? "the host has gone" : "the other side has gone";
    if (!session_is_ending(&c->session))
        conn_ended(c, &losses, "ended", why);
    conn_apply(c, session_event(&c->session, SESSION_DETACH, NULL));
}

/* select() shows the end of a TCP side only if it is watched for reading or writing. */
static void look(struct conn *c) {
    if (!net_is_reset(c->fd))
        return;
    errno = ECONNRESET;
    conn_failed(c);
}

void conn_timeout(struct conn *c) {
    if (session_is_open(&c->session) && !c->session.sent_eof && !c->session.got_eof) {
        look(c);
        return;
    }
    conn_apply(c, session_event(&c->session, SESSION_TIMEOUT, NULL));
}

bool conn_transient(void) { return errno == EAGAIN || errno == EINTR; }

void conn_failed(struct conn *c) {
    fmt_copy(c->why, sizeof c->why, error_text(errno));
    conn_apply(c, session_event(&c->session, SESSION_LOCAL_ERROR, c->why));
}

/* ---- of a shared channel ---- */

/* So many bytes in a row for one connection: the others are quiet. */
enum { STREAK = 8 * CONFIG_WINDOW };

/* What may be under way of it: more while nobody has to wait for it. */
static unsigned window_of(const struct conn *c) {
    const struct channel *ch = c->channel;
    bool alone = ch->carried == 1 || (ch->wide == c && ch->gathered == c && ch->streak >= STREAK);

    return alone ? WINDOW_BYTES : CONFIG_WINDOW;
}

/* One at a time: what another one has been granted and not used counts as long as it is more than a
 * window. */
void conn_streak(struct conn *c) {
    struct channel *ch = c->channel;

    if (ch->streak >= STREAK && (!ch->wide || conn_grant(ch->wide)))
        ch->wide = c;
}

unsigned conn_grant(const struct conn *c) {
    unsigned open = c->session.granted + c->coming + c->window.n, all = window_of(c);

    return open < all ? all - open : 0;
}

void conn_took(struct conn *c) {
    c->progress = true;
    if (conn_grant(c) >= window_of(c) / 2 && !c->session.got_eof && !session_is_ending(&c->session))
        c->due |= SESSION_SEND_WINDOW;
}

void conn_share(struct conn *c) {
    session_share(&c->session);
    c->due |= SESSION_SEND_WINDOW;
}

bool conn_is_void(const struct conn *c) {
    return session_is_asking(&c->session) && !c->sent && !c->session.sent_eof;
}
