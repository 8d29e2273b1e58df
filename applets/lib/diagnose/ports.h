/* SPDX-License-Identifier: Apache-2.0 */
/* ports: the channels, and what can be seen of each from outside: nothing is opened, nothing
 * connected. */
#ifndef VIOS_PORTS_H
#define VIOS_PORTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/agent.h"

enum { PORTS_NAME = 256, PORTS_NODE = 32, PORTS_PATH = 1024 };

/* name: the port's, or the file's below the directory. node: the port's, "vport1p1", or empty when
 * unknown. is_socket: a unix socket, else a character device. agent: whose it is, if it is not for
 * vios; else empty. What ports_look() finds out; -1 is unknown, and for a truth 0 is no, 1 yes:
 * host: the host is attached (of a socket: somebody listens). held: a process holds the port (of a
 * socket: a client is attached). unlinked: the default directory is there, but nothing in it leads
 * to the port. pid: the process that holds the port (of a socket: that listens), or 0. sent,
 * received: bytes, from the guest's view. waiting: clients that are not yet accepted. */
struct port {
    bool is_socket, unlinked;
    int host, held, pid, waiting;
    dev_t device, fs;
    ino_t inode;
    unsigned long listener;
    int64_t sent, received;
    char name[PORTS_NAME], node[PORTS_NODE], agent[AGENT_OWNER];
};

/* Takes stock of a directory and its subdirectories (one level), or (NULL) of the named ports in
 * sysfs, and if that has none of the default directory. 0, or -1 with errno if the directory cannot
 * be read. */
int ports_scan(const char *directory);

/* Whether permission was missing to see all; a warning has named what. */
bool ports_hidden(void);

/* The number of channels found; the i-th, sorted by name; and what to open for it, in a static
 * buffer. */
unsigned ports_count(void);
struct port *ports_at(unsigned i);
const char *ports_path(const struct port *p);

/* The node of a character device, "" if sysfs does not know it. False if it is not known to be a
 * port. */
bool ports_node(dev_t device, char node[PORTS_NODE]);

/* Keeps the channels for which keep() is true. */
void ports_filter(bool (*keep)(const struct port *p));

/* The channel with this name, node ("vport1p1") or path, or NULL. */
struct port *ports_find(const char *what);

/* Looks at debugfs, /proc/PID/fd and sock_diag for all of them. Returns a hint on how to see more,
 * or NULL. */
const char *ports_look(void);

#endif
