/* SPDX-License-Identifier: Apache-2.0 */
/* proxy: what both proxies share: the names that they use, opening and giving up channels,
 * readiness, the main loop and its end. */
#ifndef VIOS_PROXY_H
#define VIOS_PROXY_H

#include "base/opt.h"
#include "relay/names.h"
#include "relay/relay.h"

/* A row of the option table. */
#if CONFIG_FEATURE_READY_FD
#define PROXY_OPT_READY \
    {'f', "FD", "write a newline to descriptor FD when ready, and close it", proxy_set_ready},
#else
#define PROXY_OPT_READY
#endif

#if CONFIG_FEATURE_INWARD
/* vios-protocol(7), direction rule 1. */
#define PROXY_OPT_INWARD(what) {'R', NULL, what, proxy_set_inward},
extern bool proxy_inward; /* -R was given */
#else
#define PROXY_OPT_INWARD(what)
enum { proxy_inward = false };
#endif

void proxy_set_ready(const char *fd);
void proxy_set_inward(const char *unused);

/* limit: the most channels that may be used at once; option: its Kconfig option, for messages.
 * names: where they come from. May be NULL: wants: whether a name may be one of ours; join: a new
 * channel; false: its guest has `share` already (Kconfig GUEST_SHARE); leave: its end. opened: it
 * has just been opened. changed: something has happened to it. review: decides anew, before the
 * loop sleeps. timer: called in each round; the milliseconds until it wants to be called again, or
 * -1. rest: nothing has happened for a while: gives memory back. */
struct proxy {
    unsigned limit, share;
    const char *option;
    const struct names *names;
    bool (*wants)(const char *name);
    bool (*join)(struct channel *ch);
    void (*leave)(struct channel *ch);
    void (*opened)(struct channel *ch);
    void (*changed)(struct channel *ch);
    void (*review)(void);
    long (*timer)(void);
    void (*rest)(void);
};

/* From here on a signal ends it cleanly, and channels are opened. */
void proxy_start(const struct proxy *proxy);

/* All is opened that is opened only at the start: gives up root (-U), and makes no other calls
 * of the kernel from here on than applet (an enum of base/sandbox.h) needs. */
void proxy_settle(unsigned applet);

/* Review() is called before the next wait. It is without this whenever a channel has been marked.
 */
void proxy_want_review(void);

/* Says that it is ready (-f, NOTIFY_SOCKET), relays until SIGINT, SIGTERM or SIGHUP, ends all
 * connections, and returns. */
void proxy_run(void);

#endif
