/* SPDX-License-Identifier: Apache-2.0 */
/* holder: which process has a device or a socket open, as far as /proc shows it. */
#ifndef VIOS_HOLDER_H
#define VIOS_HOLDER_H

#include <stdbool.h>
#include <sys/stat.h>

/* Calls fn for each character device and socket that another process has open. False if some
 * process could not be looked at. */
bool holder_each(void (*fn)(const struct stat *open, int pid, void *arg), void *arg);

/* The process that has this character device open, or this socket (its inode, as from
 * unixsock_each()); or 0. */
int holder_of(dev_t device);
int holder_of_socket(unsigned long inode);

/* "held by NAME (pid N)" for pid, or for the process that has the character device at path open;
 * in a static buffer. Without the diagnostic applets the second one does not know the process. */
const char *holder_text(int pid);
const char *holder_at(const char *path);

/* A process's name, in a static buffer; "?" if it has gone. */
const char *holder_name(int pid);

#endif
