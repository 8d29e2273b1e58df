/* SPDX-License-Identifier: Apache-2.0 */
/* guests: (host) the table of guests. Whatever a guest may cost is counted here, however many
 * channels it spreads it over.
 *
 * What is no connection (hunting, stale frames, SYNs until their ACK has come) fills a leaky bucket
 * of its guest, and one of all; while one of them is over its brim, the channel that added to it is
 * not read. */
#ifndef VIOS_GUESTS_H
#define VIOS_GUESTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bucket.h"
#include "base/log.h"
#include "base/loop.h"

struct listeners;

enum { GUESTS_NAME = 108 }; /* as a channel's */

struct guest {
    unsigned channels;           /* 0: the slot is free; at most GUEST_SHARE */
    unsigned connections;        /* of all its channels */
    struct loop_share share;     /* its part of the loop's time */
    struct bucket junk;          /* bytes without a connection */
    struct bucket connects;      /* to a service of another machine, in thousandths */
    struct log_limit news;       /* of messages about what had none before */
    unsigned news_count;         /* of these since news_since */
    long long news_since;        /* milliseconds of loop_now() */
    struct listeners *listeners; /* (-R) where its clients come; NULL: nowhere of its own */
    size_t length;               /* bytes of name with which all its channels' names begin */
    char name[GUESTS_NAME]; /* "guest/..."; a channel right below the root is a guest of its own */
};

/* Whether these n bytes may be a guest's name where a guest has a name: 1 to 64 of A-Z a-z 0-9 . _
 * -, without a leading dot. As a part of a path it leads nowhere else. */
bool guests_is_name(const char *name, size_t n);
#define GUESTS_NAMES "1 to 64 of A-Z a-z 0-9 . _ -, without a leading dot"

/* The place of %g in a path; NULL: none. The path with the guest's name instead, in a static
 * buffer. */
const char *guests_part(const char *path);
const char *guests_path(const struct guest *g, const char *path);

/* The guest of one more channel, with this name in GUESTS_NAME bytes; NULL: it has as many
 * channels as it may have (Kconfig GUEST_SHARE). And a channel's end. */
struct guest *guests_join(const char *name);
void guests_leave(struct guest *g);

/* Adds n bytes of junk. Milliseconds for which the channel must not be read; 0: it may be. Takes n
 * bytes back. */
long guests_junk(struct guest *g, unsigned n, long long now);
void guests_forgive(struct guest *g, unsigned n);

/* Counts a connect to another machine, where each may keep a local port from use for a minute.
 * False: too many for now. */
bool guests_may_connect(struct guest *g, long long now);

/* One more message about something of this guest that had none before. NULL or, from the 41st on in
 * LOG_QUIET milliseconds, the limit for all these. */
struct log_limit *guests_news(struct guest *g, long long now);

#endif
