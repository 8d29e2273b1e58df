/* SPDX-License-Identifier: Apache-2.0 */
/* services: what can be asked for by name: where clients of a name come (-l), and which service a
 * name is, for whom (-s). No byte that comes over a channel becomes a part of an address: a name
 * is only compared. */
#ifndef VIOS_SERVICES_H
#define VIOS_SERVICES_H

#include "base/net.h"
#include "base/opt.h"
#include "relay/channel.h"

enum {
    SERVICES_LISTENS = CONFIG_FEATURE_SERVICES ? 16 : 0,
    SERVICES_MAX = CONFIG_FEATURE_SERVICES ? 32 : 0,
};

/* Of -s: a service, and where it is. guests: a pattern of those that have it; NULL: all have.
 * name: NULL: the default one. Of -l: clients that come at this place get this service. inode:
 * of the unix socket that was made for them; 0: none. */
struct service {
    const char *guests, *name;
    struct net_address at;
    unsigned long long inode;
};

/* Rows of the option table. */
#if CONFIG_FEATURE_SERVICES
#define SERVICES_OPT(listen, service) \
    {'l', "LISTEN=NAME...", listen, services_add_listen}, \
        {'s', "NAME=TARGET...", service, services_add},
#else
#define SERVICES_OPT(listen, service)
#endif

/* LISTEN=NAME; [GUESTS/]NAME=TARGET. Bad ones, and too many, are FATAL. */
void services_add_listen(const char *text);
void services_add(const char *text);

extern struct service services_listens[SERVICES_LISTENS + 1], services[SERVICES_MAX + 1];
#if CONFIG_FEATURE_SERVICES
extern unsigned services_listen_count, services_count;
#else
static const unsigned services_listen_count, services_count;
#endif

/* -l or -s was given. */
static inline bool services_are_named(void) { return services_listen_count || services_count; }

/* (responder) Before all else. at: the default service, NULL: there is none. */
void services_set_default(const struct net_address *at);

/* Logs the services of -s, and for whom they are, or the listeners of -l, and where the channels
 * are. */
void services_tell(const char *from);

/* How many there are, the default one too, which is the last one. */
unsigned services_all(void);

/* (host) Whether guests' names count: with GUESTS/ or %g. */
bool services_know_guests(void);

/* Its address for the guest of this channel, whose name replaces %g. Maybe in a static buffer.
 * NULL: the path is too long. */
const struct net_address *services_expand(const struct service *s, const struct channel *ch);
static inline const struct net_address *services_address(const struct service *s,
                                                         const struct channel *ch) {
    return CONFIG_FEATURE_SERVICES && CONFIG_VIOS_PROXY_HOST ? services_expand(s, ch) : &s->at;
}

/* Whether all are on this machine. */
bool services_are_local(void);

/* Which service of this channel's guest the SYN with this payload, n bytes, asks for. NULL: none:
 * *why, in a static buffer, is the same for one that another guest has. vios-protocol(7), service
 * rule 2. */
const struct service *services_find(const struct channel *ch, const char *text, unsigned n,
                                    const char **why);
static inline const struct service *services_asked(const struct channel *ch, const char *text,
                                                   unsigned n, const char **why) {
    return CONFIG_FEATURE_SERVICES ? services_find(ch, text, n, why) : services;
}

#endif
