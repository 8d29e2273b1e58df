/* SPDX-License-Identifier: Apache-2.0 */
/* listeners: the sockets at which clients come. */
#ifndef VIOS_LISTENERS_H
#define VIOS_LISTENERS_H

#include "relay/conn.h"
#include "relay/setup.h"

/* Listens at the addresses of setup. FATAL if it cannot. */
void listeners_open(const struct setup *setup);
bool listeners_are_open(void);

/* Whether select() is to tell of clients; each of which makes the proxy review. */
void listeners_watch(bool on);

/* Whether a client may wait: one for each time that select() tells of one, all of them when it
 * was not asked to tell. */
bool listeners_call(void);

/* A client's fd, or -1 with errno. From each listener in turn, so that none is kept waiting by
 * another. */
int listeners_accept(char client[CONN_CLIENT]);

#endif
