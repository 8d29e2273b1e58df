/* SPDX-License-Identifier: Apache-2.0 */
/* socks: the state of unix sockets, from /proc/net/unix: nothing is connected. */
#ifndef VIOS_SOCKS_H
#define VIOS_SOCKS_H

#include <sys/stat.h>

/* listens: the socket that accepts; pending: a client waits for its accept(); else one that was accepted. inode: of the socket itself, as
 * in /proc/PID/fd, 0 for a pending one. */
struct socks {
    int listens, pending;
    unsigned long inode;
    const char *path;
};

/* Calls fn for each stream socket with a path. 0, or -1 with errno. */
int socks_each(void (*fn)(const struct socks *s, void *arg), void *arg);

/* The file at its path. A relative path counts from its process's directory. 0, or -1. */
int socks_stat(const struct socks *s, struct stat *st);

#endif
