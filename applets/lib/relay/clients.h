/* SPDX-License-Identifier: Apache-2.0 */
/* clients: the TCP side of an initiator's connections: clients, which wait for a channel if need
 * be. */
#ifndef VIOS_CLIENTS_H
#define VIOS_CLIENTS_H

#include "relay/listeners.h"
#include "relay/proxy.h"

/* Rows of the option table. */
#if CONFIG_FEATURE_REJECT
#define CLIENTS_OPT_REJECT(what) {'r', NULL, what, clients_set_reject},
#else
#define CLIENTS_OPT_REJECT(what)
#endif
#if CONFIG_FEATURE_WAIT
#define CLIENTS_OPT_WAIT(what) {'w', "SECONDS", what, clients_set_wait},
#else
#define CLIENTS_OPT_WAIT(what)
#endif

void clients_set_reject(const char *unused);
void clients_set_wait(const char *seconds);

/* What is for clients is FATAL: none come to this proxy. What is for services: clients come. */
void clients_check_none(const struct setup *setup);
void clients_check(void);

/* Before all else. limit: (host) the most connections of one guest at once; 0: in a guest. Sets
 * what the proxy is to call. */
void clients_init(struct proxy *proxy, unsigned limit);

/* Closes clients whose time is over: milliseconds until the next one's is, or -1. */
long clients_timer(void);

/* Clients come to these from now on; no more, and those that wait are closed, for this reason. */
void clients_of(struct listeners *l);
void clients_none(struct listeners *l, const char *why);

#endif
