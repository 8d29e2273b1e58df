/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/memory.h"
#include "relay/channels.h"
#include "relay/dirwatch.h"
#include "relay/initiator.h"
#include "relay/listeners.h"
#include "relay/opener.h"
#include "relay/root.h"
#include "relay/sysfs.h"

enum { PAUSE = 1000 }; /* ms without accept() when descriptors or memory are short */

static bool reject_when_busy;
static const struct names *names;
static long long paused_until;
static long patience; /* -w, in milliseconds */
static struct log_limit no_host, all_busy, accept_failed;

/* ---- choosing ---- */

static enum clients_choice kind_of(const struct channel *ch) {
    const struct conn *c = conn_current(ch);

    if (!*ch->name || ch->end.fd < 0 || !ch->end.attached)
        return CLIENTS_NO_HOST;
    if (ch->gone || !conn_is_room())
        return CLIENTS_BUSY;
    if (channel_is_shared(ch))
        return ch->carried < ch->places ? CLIENTS_SHARED : CLIENTS_BUSY;
    if (!c)
        return ch->silent ? CLIENTS_SILENT : CLIENTS_FREE;
    if (CONFIG_FEATURE_MANY && session_is_asking(&c->session))
        return CLIENTS_ASKING;
    return session_lingers(&c->session) && !conn_is_stuck(c) ? CLIENTS_LINGERS : CLIENTS_BUSY;
}

enum clients_choice clients_choose(struct channel **chosen) {
    enum clients_choice best = CLIENTS_NO_HOST;
    unsigned age = 0; /* of those of one kind the lowest counts */

    *chosen = NULL;
    for (unsigned i = 0; i < channels_count(); i++) {
        struct channel *ch = channels_at(i);
        enum clients_choice kind = kind_of(ch);
        unsigned a = kind == CLIENTS_LINGERS  ? (unsigned)ch->conns->deadline
                     : kind == CLIENTS_SHARED ? ch->carried
                                              : ch->used;

        if (kind > best || (kind == best && (int)(a - age) >= 0))
            continue;
        best = kind;
        age = a;
        *chosen = ch;
    }
    return best;
}

/* A channel for a client that waits: if none is free, a connection that lingers ends for it. */
static enum clients_choice find_channel(struct channel **ch) {
    enum clients_choice choice = clients_choose(ch);

    if (choice != CLIENTS_LINGERS)
        return choice;
    initiator_finish((*ch)->conns);
    return clients_choose(ch);
}

/* ---- clients ---- */

static bool rejects(void) { return CONFIG_FEATURE_REJECT && reject_when_busy; }

/* Why no channel can be used. */
static const char *why_none(void) {
    static char why[CHANNEL_NAME + 128];
    const struct channel *shut = NULL;

    for (unsigned i = 0; i < channels_count(); i++) {
        const struct channel *ch = channels_at(i);

        if (ch->end.fd >= 0)
            return "no host is attached on any channel";
        if (*ch->name)
            shut = ch;
    }
    if (!shut)
        return "there is no channel (vios-list tells why)";
    fmt_print(why, sizeof why, "no channel can be opened: %s: %s", shut->name,
              opener_why(shut, names->path(shut->name)));
    return why;
}

static void turn_away(int fd, const char *client, enum clients_choice choice) {
    struct log_limit *limit = choice == CLIENTS_NO_HOST ? &no_host : &all_busy;
    const char *why = "all channels are in use";

    if (limit == &no_host && limit->next <= loop_now())
        why = why_none();
    log_limited(limit, loop_now(), LOG_WARN, "%s: client %s closed", why, client);
    close(fd);
}

/* ---- clients that wait for a channel ---- */

enum { WAITING = CONFIG_FEATURE_WAIT ? 64 : 1 };

/* In the order in which they came. */
static MEMORY_BULK struct waiting {
    int fd;
    long long until; /* when it is closed if it has no channel; without -w that is at once */
    char client[CONN_CLIENT];
} waiting[WAITING];
static unsigned count;
static long long closes_at; /* that of the first, 0: never */

/* The first one gets the channel, or its time is over. */
static void dismiss(struct channel *ch, enum clients_choice choice) {
    if (choice <= CLIENTS_SILENT)
        initiator_open(ch, waiting->fd, waiting->client, loop_now());
    else
        turn_away(waiting->fd, waiting->client, choice);
    memmove(waiting, waiting + 1, --count * sizeof *waiting);
}

/* Serves whom it can. Without -r the wait for a channel that is in use has no limit. */
static void serve_waiting(void) {
    closes_at = 0;
    while (count) {
        struct channel *ch;
        enum clients_choice choice = find_channel(&ch);

        if (choice == CLIENTS_ASKING || (choice == CLIENTS_BUSY && !rejects()))
            return;
        if (CONFIG_FEATURE_WAIT && choice > CLIENTS_SILENT && waiting->until > loop_now()) {
            closes_at = waiting->until;
            return;
        }
        dismiss(ch, choice);
    }
}

/* ---- clients that come ---- */

/* Takes one client. False: there is none, or it cannot be taken now. */
static bool accept_one(void) {
    struct waiting *w = &waiting[count];
    int fd = loop_admit(listeners_accept(w->client));

    if (fd < 0 && errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
        return errno == ECONNABORTED || errno == EINTR;
    if (fd < 0 && loop_close_now())
        return true;
    if (fd < 0) {
        log_limited(&accept_failed, loop_now(), LOG_ERROR, "cannot accept a client: %m");
        paused_until = loop_now() + PAUSE;
        return false;
    }
    w->fd = fd;
    if (CONFIG_FEATURE_WAIT)
        w->until = loop_now() + patience;
    count++;
    return true;
}

/* A client whose SYN has no answer begins anew on another channel. */
static void begin_anew(struct conn *c, struct channel *other) {
    char client[CONN_CLIENT];
    long long since = c->since;

    fmt_copy(client, sizeof client, c->client);
    initiator_open(other, initiator_take(c), client, since);
}

/* A client on a silent channel goes to another one that is free, if that has not been silent too.
 * vios-protocol(7), guest rule 6. */
static void move(struct conn *c) {
    struct channel *other;

    if (clients_choose(&other) > CLIENTS_FREE)
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

/* A client whose SYN became void when its channel was shared no more. */
static struct conn *find_void(void) {
    for (unsigned i = channel_busy(); i-- > 0;)
        for (struct conn *c = channel_busy_at(i)->conns; c; c = c->next)
            if (conn_is_apart(c) && conn_is_void(c))
                return c;
    return NULL;
}

/* These come before those that wait. */
static void resume_void(void) {
    struct channel *ch;
    struct conn *c;

    while ((c = find_void()) != NULL && clients_choose(&ch) <= CLIENTS_SILENT)
        begin_anew(c, ch);
}

/* Whether one more client could be dealt with now: others wait in the backlog. */
static bool may_take(void) {
    struct channel *ch;

    if (paused_until || count == WAITING)
        return false;
    switch (clients_choose(&ch)) {
    case CLIENTS_ASKING:
        return false;
    case CLIENTS_BUSY:
        return rejects();
    default:
        return true;
    }
}

/* Serves whom it can, then listens for more only if they could be dealt with. */
static void review(void) {
    bool listens = false;

    if (!listeners_are_open())
        return;
    if (!loop_stopped())
        move_waiting();
    if (CONFIG_FEATURE_MANY && !loop_stopped())
        resume_void();
    while (!loop_stopped()) {
        serve_waiting();
        listens = may_take();
        if (!listens || !listeners_call() || !accept_one())
            break;
    }
    listeners_watch(listens && !loop_stopped());
}

static long timer(void) {
    long long when = paused_until;
    long left;

    if (closes_at && (!when || closes_at < when))
        when = closes_at;
    left = when ? (long)(when - loop_now()) : -1;
    if (!when || left > 0)
        return left;
    paused_until = 0;
    proxy_want_review();
    return 0;
}

/* ---- the applet ---- */

int clients_run(const struct setup *setup, bool reject, long wait) {
    static struct proxy proxy = {
        .limit = CONFIG_GUEST_CHANNELS,
        .option = "GUEST_CHANNELS",
        .review = review,
        .timer = timer,
    };
    const struct net_address *service = setup->service;
    bool in_sysfs = CONFIG_FEATURE_SYSFS && !setup->given && access(setup->directory, F_OK);
    unsigned long long
        inode; /* of our unix socket: as long as it listens no other file has that number */

    reject_when_busy = reject;
    patience = wait;
    count = 0;
    names = in_sysfs ? &sysfs_ports : &dirwatch_ports;
    proxy.names = names;
    if (!in_sysfs)
        root_set(setup->directory);
    listeners_open(setup);
    inode = service->sa.any.sa_family == AF_UNIX ? file_inode(service->text, false) : 0;
    relay_init(&initiator);
    proxy_start(&proxy);
    for (unsigned i = 0; i < setup->services; i++)
        log_msg(LOG_INFO, "listening on %s, channels from %s", service[i].text,
                in_sysfs ? FILE_PORTS : setup->directory);
    proxy_run();
    if (CONFIG_FEATURE_UNIX && inode && file_inode(service->text, false) == inode)
        unlink(service->text);
    return EXIT_SUCCESS;
}
