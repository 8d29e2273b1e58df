/* SPDX-License-Identifier: Apache-2.0 */
/* probe: opens a channel for a handshake, or goes through a guest's proxy, and says in plain words
 * how it went. */
#ifndef VIOS_PROBE_H
#define VIOS_PROBE_H

#include <sys/stat.h>

#include "base/net.h"
#include "diagnose/handshake.h"

enum { PROBE_TEXT = 400 };

/* -s: the name of the service; NULL: the default one. */
#if CONFIG_FEATURE_SERVICES
#define PROBE_OPT_SERVICE(what) {'s', "NAME", what, probe_set_service},
extern const char *probe_service;
#else
#define PROBE_OPT_SERVICE(what)
#define probe_service NULL
#endif
void probe_set_service(const char *name);

/* found: its name was found in a directory that others may write to, so if it is a socket it must
 * not be a link. fs, inode: of the channel's file. text: how the last handshake went, in plain
 * words; next: what to do about it, or NULL. */
struct probe {
    const char *next;
    bool found;
    dev_t fs;
    ino_t inode;
    struct handshake shake;
    char text[PROBE_TEXT];
};

/* Logs the text under this name; and what to do next, unless that was said before. */
void probe_tell(const struct probe *p, const char *name);

/* The exit status of a result, and its name in JSON. */
int probe_status(enum probe_result r);
const char *probe_name(enum probe_result r);

/* Opens the character device, or connects to the unix socket, at path. ANSWERED if it is open now.
 */
enum probe_result probe_open(struct probe *p, const char *path);

/* One handshake within ms milliseconds. Unless it is ANSWERED or REFUSED, the channel is closed
 * then. */
enum probe_result probe_run(struct probe *p, long ms);

/* Whether our socket has not been accepted, because QEMU has a client. vios-protocol(7), socket
 * fact 1. */
bool probe_is_waiting(const struct probe *p);

/* Connects to where a proxy listens, within ms milliseconds. */
enum probe_result probe_reach(struct probe *p, const struct net_address *a, long ms);

/* Goes through the guest's proxy that listens there instead: connects, and sees how the connection
 * ends. */
enum probe_result probe_through(struct probe *p, const struct net_address *a, long ms);

/* Closes the channel, if it is open. */
void probe_close(struct probe *p);

/* Adds the first n bytes at b to p->text, as hex and as text. */
void probe_show(struct probe *p, const unsigned char *b, unsigned n);

/* "12.000 s" of milliseconds, in a static buffer. */
const char *probe_seconds(long ms);

#endif
