/* SPDX-License-Identifier: Apache-2.0 */
/* listeners: the sockets at which clients come: a set for all channels, or (host, -u with %g) one
 * for each guest. */
#ifndef VIOS_LISTENERS_H
#define VIOS_LISTENERS_H

#include "relay/conn.h"
#include "relay/services.h"
#include "relay/setup.h"

struct guest;

/* A client that waits for a channel. */
struct waiting {
    struct waiting *next;
    int fd;
    const char *service; /* that it gets; NULL: the default one */
    long long until;     /* when it is closed if it has no channel; without -w that is at once */
    char client[CONN_CLIENT];
};

/* One socket of a set. called: select() has told of a client of it. */
struct listener {
    struct listeners *set;
    int fd;
    bool called;
};

/* next: of the list of all. guest: whose these are; NULL: all channels'. count: of the sockets, of
 * which the last ones are those of -l, in its order; unnamed: of those before; turn: the last one
 * from which a client was taken. listening: select() watches them; called: it has told of a client.
 * due: what its clients get is to be decided. inode: of the unix socket that was made; 0: none was.
 * retry: when to make it; 0: no need to. complained: that this has failed was logged. first,
 * waiting: the clients that wait, in the order in which they came. */
struct listeners {
    struct listeners *next;
    struct guest *guest;
    unsigned count, unnamed, turn, waiting;
    bool listening, called, due, complained;
    struct listener one[SETUP_ADDRESSES + SERVICES_LISTENS];
    unsigned long long inode; /* as long as it listens no other file has that number */
    long long retry;
    struct waiting *first;
};

/* Listens where setup says, or at the sockets of LISTEN_FDS, to which it then changes the
 * addresses. FATAL if it cannot. */
void listeners_open(struct listeners *l, struct setup *setup);

/* Listens at one more place, of whose unix socket it notes the inode: 0, or -1 with errno and what
 * has failed. */
int listeners_add(struct listeners *l, const struct net_address *a, unsigned mode,
                  unsigned long long *inode, const char **failure);

/* Closes them, and removes the unix socket that was made at this path. */
void listeners_close(struct listeners *l, const char *path);

/* Whether select() is to tell of clients; each of which makes the proxy review. */
void listeners_watch(struct listeners *l, bool on);

/* Whether a client may wait: one for each time that select() tells of one, all of them when it was
 * not asked to tell. */
bool listeners_call(struct listeners *l);

/* A client's fd and the service that it gets, or -1 with errno. From each listener in turn, so that
 * none is kept waiting by another; if select() has told of clients, from those of which it has. */
int listeners_accept(struct listeners *l, char client[CONN_CLIENT], const char **service);

#endif
