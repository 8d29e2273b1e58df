/* SPDX-License-Identifier: Apache-2.0 */
/* unixsock: the state of unix sockets, from the kernel's sock_diag: nothing is connected.
 * (/proc/net/unix shows names as they are, so a newline in one can make up a line.) */
#ifndef VIOS_UNIXSOCK_H
#define VIOS_UNIXSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* listens: the socket that accepts, with the number of clients that wait; else one that was
 * accepted. inode: of the socket itself, as in /proc/PID/fd. file, fs: the file that it was bound
 * to; the inode's low 32 bits. */
struct unixsock {
    bool listens;
    unsigned waiting;
    unsigned long inode;
    uint32_t file;
    dev_t fs;
};

/* Calls fn for each stream socket with a file. 0, or -1 if the kernel has no sock_diag. */
typedef void unixsock_fn(const struct unixsock *s, void *arg);
int unixsock_each(unixsock_fn *fn, void *arg);

/* Whether it was bound to this file. */
bool unixsock_is_of(const struct unixsock *s, dev_t fs, ino_t inode);

#endif
