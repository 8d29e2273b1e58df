/* SPDX-License-Identifier: Apache-2.0 */
/* proxy: what both proxies share: their operands, the names that they use, opening and giving up channels, readiness, the status
 * table, the main loop and its end. */
#ifndef VIOS_PROXY_H
#define VIOS_PROXY_H

#include "net.h"
#include "opt.h"
#include "relay.h"

/* The rows of the option table that both have. */
#if CONFIG_FEATURE_ADDR
#define PROXY_OPT_ADDR(argument, what) {'a', argument, what, proxy_set_address},
#else
#define PROXY_OPT_ADDR(argument, what)
#endif
#if CONFIG_FEATURE_UNIX
#define PROXY_OPT_UNIX(what) {'u', "PATH", what, proxy_set_unix},
#else
#define PROXY_OPT_UNIX(what)
#endif
#if CONFIG_FEATURE_GLOB
#define PROXY_OPT_GLOB(what) {'n', "GLOB...", what, proxy_set_glob},
#else
#define PROXY_OPT_GLOB(what)
#endif
#if CONFIG_FEATURE_READY_FD
#define PROXY_OPT_READY {'f', "FD", "write a newline to descriptor FD when ready, and close it", proxy_set_ready},
#else
#define PROXY_OPT_READY
#endif

void proxy_set_address(const char *literal);
void proxy_set_unix(const char *path);
void proxy_set_glob(const char *pattern);
void proxy_set_ready(const char *fd);

/* The number that is an option's value; one that is not in range is FATAL. */
long proxy_number(char option, const char *value, int low, int high);

/* The default port, in the help. */
#define PROXY_QUOTE(x) #x
#define PROXY_TEXT(x) PROXY_QUOTE(x)
#define PROXY_PORT PROXY_TEXT(CONFIG_SERVICE_PORT)

/* From the options and the operands [directory [port [log_level]]], of which an empty one is as if it were not there: whether a
 * directory was given, which one, and where to listen, or (the first) to connect. Bad ones are FATAL with the texts of the 2011
 * manual. */
enum { PROXY_ADDRESSES = CONFIG_FEATURE_ADDR ? 4 : 1 };
struct proxy_setup {
    bool given;
    const char *directory;
    unsigned services;
    struct net_address service[PROXY_ADDRESSES];
};
void proxy_setup(struct proxy_setup *setup, const char *default_directory, char **operands, int n);

/* -n was given / the name matches one of its patterns. */
bool proxy_has_globs(void);
bool proxy_glob(const char *name);

/* Where a channel's name comes from and leads to. limit: the most channels that may be used at once. path: what to open, or NULL
 * when it is gone. again: tell of this name, if it is there (NULL: of all names). opened: the channel has just been opened; may be
 * NULL. option: the Kconfig option of the limit, for messages. review: decides anew, before the loop sleeps; may be NULL. */
struct proxy_names {
    unsigned limit;
    const char *option;
    const char *(*path)(const char *name);
    void (*again)(const char *name);
    void (*opened)(struct channel *ch);
    void (*review)(void);
};
/* Names.review() is called before the next wait. It is without this whenever a channel has been marked. */
void proxy_want_review(void);

void proxy_init(const struct proxy_names *names); /* from here on a signal ends it cleanly */

/* A watch_fn: opens what comes, gives up what goes. */
void proxy_name(const char *name, bool there);

/* Says that it is ready (-f, NOTIFY_SOCKET), relays until SIGINT or SIGTERM, ends all connections, and returns. timer: called in
 * each round, may be NULL; it returns the milliseconds until it wants to be called again, or -1. */
void proxy_run(long (*timer)(void));

#endif
