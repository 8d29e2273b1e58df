/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/guestsock.h"

#include <string.h>

#include "base/fmt.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/memory.h"
#include "relay/clients.h"

enum { SOCKETS = CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CHANNELS : 1 };

static const char *template; /* the path, with %g for the guest's name */
static unsigned mode;
static long long first_retry;                       /* of all; 0: none */
static MEMORY_BULK struct listeners table[SOCKETS]; /* free: its guest is NULL */

bool guestsock_is_wanted(void) { return template; }

bool guestsock_init(const struct setup *s) {
    if (s->service->sa.any.sa_family != AF_UNIX || !guests_part(s->service->text))
        return false;
    template = s->service->text;
    mode = s->mode;
    return true;
}

/* The guest's name, which ends before the slash. */
static const char *name_of(const struct guest *g) {
    static char name[GUESTS_NAME];

    fmt_copy(name, g->length, g->name);
    return name;
}

static const char *path_of(const struct guest *g) { return guests_path(g, template); }

static void leave_out(const char *name, const char *why) {
    if (limits_is_new(name))
        log_msg(LOG_WARN, "guest %s gets no socket: %s", name, why);
}

static struct listeners *slot(void) {
    struct listeners *l = table;

    while (l->guest)
        l++;
    return l;
}

static void open_socket(struct listeners *l, const struct net_address *a) {
    const char *failure;

    if (!listeners_add(l, a, mode, &l->inode, &failure)) {
        clients_of(l);
        log_msg(LOG_INFO, "listening on %s", a->text);
        return;
    }
    if (!l->complained)
        log_msg(LOG_ERROR, "%s: %s: %m; trying again", failure, a->text);
    l->complained = true;
    l->retry = loop_now() + CONFIG_RETRY_MAX;
    if (!first_retry)
        first_retry = l->retry;
}

static void retry(struct listeners *l) {
    struct net_address a;

    l->retry = 0;
    net_path(&a, path_of(l->guest));
    open_socket(l, &a);
}

long guestsock_timer(void) {
    long long now = loop_now();

    if (first_retry && first_retry <= now) {
        first_retry = 0;
        for (unsigned i = 0; i < SOCKETS; i++)
            if (table[i].guest && table[i].retry)
                retry(&table[i]);
    }
    return first_retry ? (long)(first_retry - now) : -1;
}

void guestsock_join(struct guest *g) {
    const char *name = name_of(g);
    struct net_address a;

    if (g->listeners)
        return;
    if (!guests_is_name(name, strlen(name))) {
        leave_out(name, "its name is not " GUESTS_NAMES);
    } else if (net_path(&a, path_of(g))) {
        leave_out(name, "the path is too long");
    } else {
        g->listeners = slot();
        *g->listeners = (struct listeners){.guest = g};
        open_socket(g->listeners, &a);
    }
}

void guestsock_leave(struct guest *g) {
    struct listeners *l = g->listeners;

    if (!l)
        return;
    if (l->count)
        clients_none(l, "the guest has gone");
    listeners_close(l, path_of(g));
    l->guest = NULL;
    g->listeners = NULL;
}

void guestsock_end(void) {
    for (unsigned i = 0; i < SOCKETS; i++)
        if (table[i].guest)
            guestsock_leave(table[i].guest);
}
