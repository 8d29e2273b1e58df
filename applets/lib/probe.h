/* SPDX-License-Identifier: Apache-2.0 */
/* probe: one handshake of the guest's side on a channel, ended as soon as the host has answered. It leaves the host in LISTEN. */
#ifndef VIOS_PROBE_H
#define VIOS_PROBE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "link.h"

/* In the order of the table in probe.c. */
enum probe_result {
    PROBE_ANSWERED,
    PROBE_REFUSED,
    PROBE_NO_CHANNEL,
    PROBE_NO_PERMISSION,
    PROBE_NO_HOST,
    PROBE_HELD,
    PROBE_NO_ANSWER,
    PROBE_WRONG_ANSWER,
    PROBE_WRONG_VERSION,
    PROBE_CUT_OFF,
    PROBE_TIMED_OUT,
    PROBE_STOPPED, /* by SIGINT or SIGTERM */
    PROBE_FAILED,  /* a system call; errno tells */
};

/* What the exit status of a result is, and its name in JSON. */
int probe_status(enum probe_result r);
const char *probe_name(enum probe_result r);

enum { PROBE_TEXT = 400, PROBE_SEEN = 16 };

/* fd: -1 while not open. port: a character device. aligned: as a channel's, channel.h. fs, inode: of the file.
 * From the last handshake: us: microseconds from the SYN to its answer. payload: of the answer, the capabilities or the reason.
 * text: what became of it, in plain words; next: what to do about it, or NULL. */
struct probe {
    int fd;
    bool port, aligned;
    dev_t fs;
    ino_t inode;
    unsigned us;
    char payload[256];
    char text[PROBE_TEXT];
    const char *next;
};

/* Opens the character device, or connects to the unix socket, at path. st: of the file. PROBE_ANSWERED if it is open now. */
enum probe_result probe_open(struct probe *p, const char *path, const struct stat *st);

/* One handshake within so many milliseconds. After any end but ANSWERED and REFUSED the fd is closed. */
enum probe_result probe_run(struct probe *p, long ms);

/* The way through a guest's proxy at this port instead: connects, and sees what becomes of the connection. */
enum probe_result probe_tcp(struct probe *p, unsigned port, long ms);

void probe_close(struct probe *p);

#endif
