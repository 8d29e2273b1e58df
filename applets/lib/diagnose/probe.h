/* SPDX-License-Identifier: Apache-2.0 */
/* probe: opens a channel for a handshake, or goes through a guest's proxy, and says in plain words
 * what became of it. */
#ifndef VIOS_PROBE_H
#define VIOS_PROBE_H

#include <sys/stat.h>

#include "base/net.h"
#include "diagnose/handshake.h"

enum { PROBE_TEXT = 400 };

/* found: its name was, in a directory that others write: if it is that of a socket, it must not
 * be a link. fs, inode: of the channel's file. text: what became of the last handshake, in plain
 * words; next: what to do about it, or NULL. */
struct probe {
    const char *next;
    bool found;
    dev_t fs;
    ino_t inode;
    struct handshake shake;
    char text[PROBE_TEXT];
};

/* Logs, of this name, the text; and what to do next, unless that was said before. */
void probe_tell(const struct probe *p, const char *name);

/* The exit status of a result, and its name in JSON. */
int probe_status(enum probe_result r);
const char *probe_name(enum probe_result r);

/* Opens the character device, or connects to the unix socket, at path. ANSWERED if it is open now.
 */
enum probe_result probe_open(struct probe *p, const char *path);

/* One handshake within so many milliseconds. After any end but ANSWERED and REFUSED the channel is
 * closed. */
enum probe_result probe_run(struct probe *p, long ms);

/* Whether our socket has not been accepted, because QEMU has a client. vios-protocol(7), socket
 * fact 1. */
bool probe_is_waiting(const struct probe *p);

/* Connects to where a proxy listens, within so many milliseconds. */
enum probe_result probe_reach(struct probe *p, const struct net_address *a, long ms);

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
