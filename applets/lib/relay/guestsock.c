/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/guestsock.h"

#include <string.h>

#include "base/fmt.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/memory.h"
#include "relay/clients.h"

enum { NAME = 64, SOCKETS = CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CHANNELS : 1 };

static const char *before, *after; /* what stands around the guest's name */
static int before_length;
static unsigned mode;
static long long first_retry;                       /* of all; 0: none */
static MEMORY_BULK struct listeners table[SOCKETS]; /* free: its guest is NULL */

bool guestsock_is_wanted(void) { return before; }

bool guestsock_init(const struct setup *s) {
    const char *p = s->service->text;

    if (s->service->sa.any.sa_family != AF_UNIX)
        return false;
    while (*p && !fmt_begins(p, "%g"))
        p++;
    if (!*p)
        return false;
    before = s->service->text;
    before_length = (int)(p - before);
    after = p + 2;
    mode = s->mode;
    return true;
}

/* The guest's name, which ends before the slash. */
static const char *name_of(const struct guest *g) {
    static char name[GUESTS_NAME];

    fmt_copy(name, g->length, g->name);
    return name;
}

/* As a part of a file's name it leads nowhere else. */
static bool is_name(const char *name) {
    const char *p = name;

    while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
           *p == '.' || *p == '_' || *p == '-')
        p++;
    return *name && !*p && *name != '.' && p - name <= NAME;
}

static const char *path_of(const struct guest *g) {
    static char path[512];

    fmt_print(path, sizeof path, "%.*s%s%s", before_length, before, name_of(g), after);
    return path;
}

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

    if (!listeners_add(l, a, mode, &failure)) {
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
    if (!is_name(name)) {
        leave_out(name, "its name is not 1 to 64 of A-Z a-z 0-9 . _ -, without a leading dot");
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
