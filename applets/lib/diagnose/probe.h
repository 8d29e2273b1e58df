/* SPDX-License-Identifier: Apache-2.0 */
/* probe: opens a channel for a handshake, or goes through a guest's proxy, and says in plain words
 * what became of it. */
#ifndef VIOS_PROBE_H
#define VIOS_PROBE_H

#include <sys/stat.h>

#include "base/net.h"
#include "diagnose/handshake.h"

enum { PROBE_TEXT = 400 };

/* fs, inode: of the channel's file. text: what became of the last handshake, in plain words; next:
 * what to do about it, or NULL. */
struct probe {
    struct handshake shake;
    dev_t fs;
    ino_t inode;
    char text[PROBE_TEXT];
    const char *next;
};

/* The exit status of a result, and its name in JSON. */
int probe_status(enum probe_result r);
const char *probe_name(enum probe_result r);

/* Opens the character device, or connects to the unix socket, at path. ANSWERED if it is open now.
 */
enum probe_result probe_open(struct probe *p, const char *path);

/* One handshake within so many milliseconds. After any end but ANSWERED and REFUSED the channel is
 * closed. */
enum probe_result probe_run(struct probe *p, long ms);

/* The way through the guest's proxy that listens there instead: connects, and sees what becomes of
 * the connection. */
enum probe_result probe_through(struct probe *p, const struct net_address *a, long ms);

/* Closes the channel, if it is open. */
void probe_close(struct probe *p);

/* Adds the first n bytes at b to p->text, as hex and as text. */
void probe_show(struct probe *p, const unsigned char *b, unsigned n);

/* "12.000 s" of milliseconds, in a static buffer. */
const char *probe_seconds(long ms);

#endif
