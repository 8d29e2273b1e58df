/* SPDX-License-Identifier: Apache-2.0 */
/* socks: the state of unix sockets, from the kernel's sock_diag: nothing is connected. (/proc/net/unix shows names as they are, so that
 * with a newline in one anybody can make up a line.) */
#ifndef VIOS_SOCKS_H
#define VIOS_SOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* listens: the socket that accepts, for which as many clients wait; else one that was accepted. inode: of the socket itself, as in
 * /proc/PID/fd. file, fs: the file that it was bound to; the inode's low 32 bits. */
struct socks {
    bool listens;
    unsigned waiting;
    unsigned long inode;
    uint32_t file;
    dev_t fs;
};

/* Calls fn for each stream socket with a file. 0, or -1 if the kernel does not tell. */
typedef void socks_fn(const struct socks *s, void *arg);
int socks_each(socks_fn *fn, void *arg);

/* Whether it was bound to this file. */
bool socks_is_of(const struct socks *s, dev_t fs, ino_t inode);

#endif
