/* SPDX-License-Identifier: Apache-2.0 */
/* sys: system calls as Linux has them since 4.3. musl's functions of these names bring what kernels
 * before 2.6.28 need: 700 bytes. All return what those do, with errno, and all descriptors are
 * closed by exec(). */
#ifndef VIOS_SYS_H
#define VIOS_SYS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/select.h>
#include <sys/socket.h>

/* open(), without O_CREAT. */
int sys_open(const char *path, int flags);

/* openat(), without O_CREAT. */
int sys_open_at(int directory, const char *name, int flags);

/* socket(); type: with SOCK_NONBLOCK where that is wanted. */
int sys_socket(int domain, int type, int protocol);

/* accept(); what it returns does not block. */
int sys_accept(int fd, struct sockaddr *from, socklen_t *n);

/* A new signalfd() that does not block. */
int sys_signalfd(const sigset_t *set);

/* Whether the signal is ignored, as a parent has left it. */
bool sys_ignores(int signal);

/* select() for reading and writing, for at most ms milliseconds; below 0: without limit. */
int sys_select(int top, fd_set *reads, fd_set *writes, long ms);

#endif
