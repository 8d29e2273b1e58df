/* SPDX-License-Identifier: Apache-2.0 */
/* proxy: what both proxies share: the names that they use, opening and giving up channels, readiness, the main loop and its end. */
#ifndef VIOS_PROXY_H
#define VIOS_PROXY_H

#include "opt.h"
#include "relay.h"

/* A row of the option table. */
#if CONFIG_FEATURE_READY_FD
#define PROXY_OPT_READY {'f', "FD", "write a newline to descriptor FD when ready, and close it", proxy_set_ready},
#else
#define PROXY_OPT_READY
#endif

void proxy_set_ready(const char *fd);

/* Where a channel's name comes from and leads to. limit: the most channels that may be used at once. path: what to open, or NULL
 * when it is gone. again: tell of this name, if it is there (NULL: of those for which there was no room). option: the
 * Kconfig option of the limit, for messages. May be NULL: join: a new channel; false: its guest has as many as it may have; leave: its
 * end. opened: it has just been opened. review: decides anew, before the loop sleeps. */
struct proxy_names {
    unsigned limit;
    const char *option;
    const char *(*path)(const char *name);
    void (*again)(const char *name);
    bool (*join)(struct channel *ch);
    void (*leave)(struct channel *ch);
    void (*opened)(struct channel *ch);
    void (*review)(void);
};
/* Names.review() is called before the next wait. It is without this whenever a channel has been marked. */
void proxy_want_review(void);

void proxy_init(const struct proxy_names *names); /* from here on a signal ends it cleanly */

/* A watch_fn: opens what comes, gives up what goes. */
bool proxy_name(const char *name, bool there);

/* Says that it is ready (-f, NOTIFY_SOCKET), relays until SIGINT or SIGTERM, ends all connections, and returns. timer: called in
 * each round, may be NULL; it returns the milliseconds until it wants to be called again, or -1. */
void proxy_run(long (*timer)(void));

#endif
