/* SPDX-License-Identifier: Apache-2.0 */
/* relay: moves the bytes of connections between their channel and their TCP side, as link says. It owns all fds of connections.
 *
 *               tx: one frame, being written                rx: [delivered | payload | headers | raw]
 *   TCP side  --> read() behind room for a header --> one write() --> channel
 *   TCP side  <-- write() of the payload <-- headers taken out in place <-- read() until empty or full <-- channel
 *
 * An idle channel has no buffers: it borrows a conn while there is something to read, and keeps it if that is a connection. */
#ifndef VIOS_RELAY_H
#define VIOS_RELAY_H

#include "conn.h"

/* Once, before all else. */
void relay_init(const struct conn_role *role);

/* A channel has just been opened: reads what waits, so that it is known whether a host is attached. */
void relay_start(struct channel *ch);

/* (guest) Carries the client fd over the free, attached channel. since: loop_now() when the client came. */
void relay_open(struct channel *ch, int fd, const char *client, long long since);

/* (guest) Takes the client away from a connection in SYN_SENT, and gives that up. The client's fd. */
int relay_take(struct conn *c);

/* (host) The service's fd, connected or (pending) on its way; or why there is none. */
void relay_connecting(struct conn *c, int fd, bool pending);
void relay_refused(struct conn *c, const char *why);

/* Closes a channel whose name has gone, if it carries nothing. */
void relay_drop(struct channel *ch);

/* Whether the channel's port has been unplugged; then it is closed, and what it carries ends, whatever its TCP peer does. */
bool relay_check(struct channel *ch);

/* (host) The channel's pause is over. */
void relay_resume(struct channel *ch);

/* Milliseconds until relay_tick() has work, -1: none. */
long relay_timeout(void);
void relay_tick(void);

/* All connections are told to end: true while frames are still owed. Call again when something was ready. */
bool relay_stop(void);

#endif
