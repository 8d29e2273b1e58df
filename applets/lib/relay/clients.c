/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/clients.h"

#include <errno.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/memory.h"
#include "base/pool.h"
#include "relay/choice.h"
#include "relay/guests.h"
#include "relay/header.h"
#include "relay/initiator.h"

enum { PAUSE = 1000 }; /* ms without accept() when descriptors or memory are short */

enum { WAITS = CONFIG_FEATURE_WAIT || (CONFIG_VIOS_PROXY_HOST && CONFIG_FEATURE_INWARD) };
enum { ANSWER = 30000 /* ms that a host's client waits without -w */ };

/* Number of clients of each set of listeners that may wait. Each takes a descriptor; select() holds
 * 1024. */
enum { WAITING = WAITS ? 64 : 1, WAITING_ALL = CHOICE_SETS ? 1024 : WAITING };

static bool reject_when_busy;
static long patience = -1;     /* -w, in milliseconds; -1: it was not given */
static struct listeners *sets; /* all of them, by their next */
static MEMORY_BULK _Alignas(MEMORY_PAGE) struct waiting slots[WAITING_ALL];
static struct pool pool = POOL(slots);
static long long paused_until;
static long long closes_at; /* when the first of all that wait is closed, or before; 0: never */
static struct log_limit no_host, all_busy, accept_failed;

void clients_set_reject(const char *unused) {
    (void)unused;
    reject_when_busy = true;
}

void clients_set_wait(const char *seconds) { patience = opt_number('w', seconds, 0, 86400) * 1000; }

void clients_check_none(const struct setup *s) {
    if (s->mode != SETUP_MODE || s->services > 1 || reject_when_busy || patience >= 0)
        log_fatal("-M, -r, -w and a second -a are for the side where clients connect");
    if (CONFIG_FEATURE_SERVICES && services_listen_count)
        log_fatal("-l is for the side where clients connect");
}

void clients_check(void) {
    if (header_is_given() || (CONFIG_FEATURE_SERVICES && services_count))
        log_fatal("-%c is for the side where services are", header_is_given() ? 'P' : 's');
}

/* The listeners whose clients this channel carries; NULL: none. */
static struct listeners *set_of(const struct channel *ch) {
    if (CHOICE_SETS && channel_guest(ch) && ch->guest->listeners)
        return ch->guest->listeners;
    return sets && !sets->guest ? sets : NULL;
}

/* A channel for a client that waits: if none is free, a connection that lingers ends for it. */
static enum choice find_channel(const struct listeners *l, struct channel **ch) {
    enum choice choice = choice_make(l, ch);

    if (choice != CHOICE_LINGERS)
        return choice;
    initiator_finish((*ch)->conns);
    return choice_make(l, ch);
}

/* ---- clients that wait for a channel ---- */

static bool rejects(void) { return CONFIG_FEATURE_REJECT && reject_when_busy; }

/* The first one waits no more. */
static void leave(struct listeners *l) {
    struct waiting *w = l->first;

    l->first = w->next;
    l->waiting--;
    pool_give(&pool, w);
}

static void turn_away(struct listeners *l, enum choice choice) {
    struct log_limit *limit = choice == CHOICE_BUSY ? &all_busy : &no_host;
    const char *why = "all channels are in use";

    if (limit == &no_host && limit->next <= loop_now())
        why = choice_none(l);
    log_limited(limit, loop_now(), LOG_WARN, "%s: client %s closed", why, l->first->client);
    close(l->first->fd);
    leave(l);
}

/* When the first one's time began: on a host it is one, for the guest's program to come and to
 * answer. */
static long long since(const struct waiting *w) {
    return CHOICE_ON_HOST && w->until > loop_now() ? w->until - patience : loop_now();
}

/* The first one gets the channel, or its time is over. */
static void dismiss(struct listeners *l, struct channel *ch, enum choice choice) {
    const struct waiting *w = l->first;

    if (choice > CHOICE_SILENT) {
        turn_away(l, choice);
        return;
    }
    initiator_open(ch, w->fd, w->client, w->service, since(w));
    leave(l);
}

/* The first one is closed then. */
static void await(struct listeners *l) {
    if (!closes_at || l->first->until < closes_at)
        closes_at = l->first->until;
}

/* Serves whom it can. Without -r the wait for a channel that is in use has no limit. */
static void serve_waiting(struct listeners *l) {
    while (l->first) {
        struct channel *ch;
        enum choice choice = find_channel(l, &ch);

        if ((choice == CHOICE_ASKING && !CHOICE_ON_HOST) || (choice == CHOICE_BUSY && !rejects()))
            return;
        if (WAITS && choice > CHOICE_SILENT && l->first->until > loop_now()) {
            await(l);
            return;
        }
        dismiss(l, ch, choice);
    }
}

/* ---- clients that come ---- */

static void enqueue(struct listeners *l, struct waiting *w) {
    struct waiting **at = &l->first;

    while (*at)
        at = &(*at)->next;
    *at = w;
    w->next = NULL;
    l->waiting++;
}

/* Whether it takes one of the last descriptors, which are for guests that have none. */
static bool is_greedy(const struct listeners *l, int fd) {
    return CHOICE_SETS && l->guest && loop_is_last(fd) && (l->waiting || l->guest->connections);
}

/* No client can be taken now. */
static void pause_all(void) {
    log_limited(&accept_failed, loop_now(), LOG_ERROR, "cannot accept a client: %m");
    paused_until = loop_now() + PAUSE;
}

/* Takes one client. False: there is none, or it cannot be taken now. */
static bool accept_one(struct listeners *l) {
    struct waiting *w = pool_take(&pool);
    int fd = loop_admit(listeners_accept(l, w->client, &w->service));

    if (fd >= 0 && is_greedy(l, fd)) {
        close(fd);
        errno = EMFILE;
        fd = -1;
    }
    if (fd >= 0) {
        w->fd = fd;
        w->until = loop_now() + (WAITS ? patience : 0);
        enqueue(l, w);
        return true;
    }
    pool_give(&pool, w);
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
        return errno == ECONNABORTED || errno == EINTR;
    if (loop_close_now())
        return true;
    pause_all();
    return false;
}

/* A client whose SYN has no answer begins again on another channel. */
static void begin_anew(struct conn *c, struct channel *other) {
    char client[CONN_CLIENT];
    const char *service = c->session.name;
    long long came = c->since;

    fmt_copy(client, sizeof client, c->client);
    initiator_open(other, initiator_take(c), client, service, came);
}

/* A client on a silent channel goes to another one that is free, if that has not been silent too.
 * vios-protocol(7), guest rule 6. */
static void move(struct conn *c) {
    const struct listeners *l = set_of(c->channel);
    struct channel *other;

    if (!l || choice_make(l, &other) > CHOICE_FREE)
        return;
    log_msg(LOG_WARN, "%s: no answer: client %s goes to %s", c->channel->name, c->client,
            other->name);
    begin_anew(c, other);
}

static void move_waiting(void) {
    for (unsigned i = channel_busy(); i-- > 0;) {
        struct conn *c = conn_current(channel_busy_at(i));

        if (c && initiator_is_late(c))
            move(c);
    }
}

/* A client whose SYN became void when its channel was shared no more, and for which there is a
 * channel now. */
static struct conn *find_void(struct channel **other) {
    for (unsigned i = channel_busy(); i-- > 0;)
        for (struct conn *c = channel_busy_at(i)->conns; c; c = c->next) {
            const struct listeners *l =
                conn_is_apart(c) && conn_is_void(c) ? set_of(c->channel) : NULL;

            if (l && choice_make(l, other) <= CHOICE_SILENT)
                return c;
        }
    return NULL;
}

/* These come before those that wait. */
static void resume_void(void) {
    struct channel *ch;
    struct conn *c;

    while ((c = find_void(&ch)) != NULL)
        begin_anew(c, ch);
}

/* Whether one more client could be dealt with now: others wait in the backlog. */
static bool may_take(const struct listeners *l) {
    struct channel *ch;

    if (paused_until || l->waiting == WAITING)
        return false;
    switch (choice_make(l, &ch)) {
    case CHOICE_ASKING:
        return CHOICE_ON_HOST;
    case CHOICE_BUSY:
        return rejects();
    default:
        return true;
    }
}

/* Serves whom it can, then listens for more only if they could be dealt with. */
static void review_set(struct listeners *l) {
    bool listens = false;

    while (!loop_stopped()) {
        serve_waiting(l);
        listens = may_take(l);
        if (!listens || !listeners_call(l) || !accept_one(l))
            break;
    }
    listeners_watch(l, listens && !loop_stopped());
}

static void review(void) {
    if (!loop_stopped())
        move_waiting();
    if (CONFIG_FEATURE_MANY && !loop_stopped())
        resume_void();
    for (struct listeners *l = sets; l; l = l->next)
        if (l->due || !CHOICE_SETS) {
            l->due = false;
            review_set(l);
        }
}

static void review_all(void) {
    for (struct listeners *l = sets; CHOICE_SETS && l; l = l->next)
        l->due = true;
    proxy_want_review();
}

/* What has happened to a channel matters for those who may use it. */
static void changed(struct channel *ch) {
    struct listeners *l = set_of(ch);

    if (l)
        l->due = true;
    if (choice_is_fed())
        review_all();
}

/* The first of all clients, whose time may be over, makes it be looked at all. */
long clients_timer(void) {
    long long when = closes_at;

    if (paused_until && (!when || paused_until < when))
        when = paused_until;
    if (!when || when > loop_now())
        return when ? (long)(when - loop_now()) : -1;
    if (paused_until <= loop_now())
        paused_until = 0;
    closes_at = 0;
    review_all();
    return 0;
}

static void rest(void) { pool_trim(&pool); }

void clients_init(struct proxy *proxy, unsigned limit) {
    choice_init(proxy->names, limit);
    sets = NULL;
    pool = (struct pool)POOL(slots);
    if (CHOICE_ON_HOST && patience <= 0)
        patience = ANSWER;
    if (CHOICE_ON_HOST)
        initiator_init(patience);
    else if (patience < 0)
        patience = 0;
    if (CHOICE_SETS)
        proxy->changed = changed;
    proxy->review = review;
    proxy->timer = clients_timer;
    proxy->rest = rest;
}

void clients_of(struct listeners *l) {
    l->next = sets;
    sets = l;
    l->due = true;
    proxy_want_review();
}

void clients_none(struct listeners *l, const char *why) {
    struct listeners **at = &sets;

    while (l->first) {
        log_limited(&no_host, loop_now(), LOG_WARN, "%s: client %s closed", why, l->first->client);
        close(l->first->fd);
        leave(l);
    }
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}
