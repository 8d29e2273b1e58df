/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "fmt.h"
#include "initiator.h"
#include "log.h"
#include "loop.h"
#include "sysfs.h"
#include "watch.h"

enum { PAUSE = 1000 }; /* ms without accept() when descriptors or memory are short */

static int listeners[PROXY_ADDRESSES];
static unsigned listener_count;
static bool reject_when_busy, from_sysfs;
static bool listening, called; /* select() watches the listeners; it has told of a client */
static long long paused_until;
static struct log_limit no_host, all_busy, accept_failed;

static bool in_sysfs(void) { return CONFIG_FEATURE_SYSFS && from_sysfs; }

/* ---- choosing ---- */

static bool is_free(const struct channel *ch) {
    return *ch->name && ch->fd >= 0 && ch->attached && !ch->gone && !ch->conns;
}

static bool is_better(const struct channel *a, const struct channel *b) {
    return a->silent != b->silent ? b->silent : a->used < b->used;
}

enum guest_choice guest_choose(struct channel **chosen, bool lively) {
    enum guest_choice choice = GUEST_NO_HOST;

    *chosen = NULL;
    for (unsigned i = 0; i < channel_count(); i++) {
        struct channel *ch = channel_at(i);

        if (*ch->name && ch->fd >= 0 && ch->attached && choice == GUEST_NO_HOST)
            choice = GUEST_BUSY;
        if (!is_free(ch) || (lively && ch->silent) || (*chosen && !is_better(ch, *chosen)))
            continue;
        *chosen = ch;
        choice = GUEST_FREE;
    }
    return choice;
}

/* ---- clients ---- */

static void on_listener(void *arg, unsigned ready) {
    (void)arg;
    (void)ready;
    called = true; /* the review takes it */
}

static void watch_listeners(bool on) {
    listening = on;
    for (unsigned i = 0; i < listener_count; i++)
        loop_watch(listeners[i], on ? LOOP_READ : 0, on_listener, NULL);
}

/* From each listener in turn, so that none is kept waiting by another. */
static int accept_any(char client[CONN_CLIENT]) {
    static unsigned turn;
    unsigned left = listener_count;
    int fd;

    do {
        turn = turn ? turn - 1 : listener_count - 1;
        fd = net_accept(listeners[turn], client, CONN_CLIENT);
    } while (fd < 0 && errno == EAGAIN && --left);
    return fd;
}

static void turn_away(int fd, const char *client, enum guest_choice choice) {
    bool busy = choice != GUEST_NO_HOST;
    const char *why = busy              ? "all channels are in use"
                      : channel_count() ? "no host is attached on any channel"
                                        : "there is no channel (vios-list tells why)";

    log_limited(busy ? &all_busy : &no_host, loop_now(), LOG_WARN, "%s: client %s closed", why, client);
    close(fd);
}

/* Takes one client. False: there is none, or it cannot be taken now. */
static bool accept_one(struct channel *ch, enum guest_choice choice) {
    char client[CONN_CLIENT];
    int fd = loop_admit(accept_any(client));

    if (fd < 0 && errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
        return errno == ECONNABORTED || errno == EINTR;
    if (fd < 0 && loop_close_now())
        return true;
    if (fd < 0) {
        log_limited(&accept_failed, loop_now(), LOG_ERROR, "cannot accept a client: %m");
        paused_until = loop_now() + PAUSE;
        return false;
    }
    if (choice == GUEST_FREE)
        initiator_open(ch, fd, client, loop_now());
    else
        turn_away(fd, client, choice);
    return true;
}

/* A client on a silent channel goes to another one that is free, if that has not been silent too.
 * vios-protocol(7), guest rule 6. */
static void move(struct conn *c) {
    struct channel *other;
    char client[CONN_CLIENT];
    long long since = c->since;

    if (guest_choose(&other, true) != GUEST_FREE || other == c->channel)
        return;
    log_msg(LOG_WARN, "%s: no answer: client %s goes to %s", c->channel->name, c->client, other->name);
    fmt_copy(client, sizeof client, c->client);
    initiator_open(other, initiator_take(c), client, since);
}

static void move_waiting(void) {
    for (unsigned i = channel_busy(); i-- > 0;) {
        struct conn *c = channel_busy_at(i)->conns;

        if (c && initiator_is_late(c))
            move(c);
    }
}

/* One client for each time that select() tells of one, all that wait when it was not asked to tell. */
static bool client_waits(void) {
    bool waits = called || !listening;

    called = false;
    return waits;
}

/* Serves whom it can, then listens for more only if they could be dealt with: others wait in the backlog. */
static void review(void) {
    struct channel *ch;
    enum guest_choice choice;
    bool takes = false;

    if (!listener_count)
        return;
    if (loop_stopped()) {
        watch_listeners(false);
        return;
    }
    move_waiting();
    do {
        choice = guest_choose(&ch, false);
        takes = !paused_until && (choice != GUEST_BUSY || (CONFIG_FEATURE_REJECT && reject_when_busy));
    } while (takes && client_waits() && accept_one(ch, choice));
    watch_listeners(takes);
}

static long timer(void) {
    long left = paused_until ? (long)(paused_until - loop_now()) : -1;

    if (paused_until && left <= 0) {
        paused_until = 0;
        left = -1;
    }
    return left;
}

/* ---- names ---- */

static const char *path_of(const char *name) { return in_sysfs() ? sysfs_path(name) : watch_path(name); }

static void tell_again(const char *name) {
    if (in_sysfs())
        sysfs_all();
    else if (name)
        watch_name(name);
    else
        watch_all();
}

/* ---- the applet ---- */

/* vios-protocol(7), port fact 12. */
static void raise_lo(const struct net_address *a) {
    int result;

    if (!CONFIG_FEATURE_LO || a->sa.any.sa_family == AF_UNIX || !net_is_local(a))
        return;
    result = net_raise_lo();
    if (result > 0)
        log_msg(LOG_NOTICE, "interface lo was down: brought it up");
    else if (result < 0)
        log_msg(LOG_WARN, "interface lo cannot be brought up, clients may not reach %s: %m", a->text);
}

static void listen_at(const struct net_address *a) {
    int fd;

    raise_lo(a); /* before: ::1 is there only while lo is up */
    fd = net_listen(a);
    if (!loop_fits(fd))
        log_fatal("Proxy service: descriptor %d is too high for select()", fd);
    if (CONFIG_FEATURE_ADDR && !net_is_local(a))
        log_msg(LOG_WARN, "listening on %s, which is not a loopback address: others can use this service", a->text);
    listeners[listener_count++] = fd;
}

int guest_run(const struct proxy_setup *setup, bool reject) {
    static const struct proxy_names names = {
        CONFIG_GUEST_CHANNELS, "GUEST_CHANNELS", path_of, tell_again, NULL, review,
    };
    const struct net_address *service = setup->service;
    unsigned long long inode; /* of our unix socket: as long as it listens no other file has that number */

    reject_when_busy = reject;
    from_sysfs = CONFIG_FEATURE_SYSFS && !setup->given && access(setup->directory, F_OK);
    if (!in_sysfs())
        watch_check(setup->directory);
    for (unsigned i = 0; i < setup->services; i++)
        listen_at(&service[i]);
    inode = service->sa.any.sa_family == AF_UNIX ? file_inode(service->text, false) : 0;
    relay_init(&initiator);
    proxy_init(&names);
    if (in_sysfs())
        sysfs_start(proxy_name);
    else
        watch_start(setup->directory, false, proxy_name);
    for (unsigned i = 0; i < setup->services; i++)
        log_msg(LOG_INFO, "listening on %s, channels from %s", service[i].text, in_sysfs() ? SYSFS_PORTS : setup->directory);
    proxy_run(timer);
    if (CONFIG_FEATURE_UNIX && inode && file_inode(service->text, false) == inode)
        unlink(service->text);
    return EXIT_SUCCESS;
}
