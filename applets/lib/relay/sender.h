/* SPDX-License-Identifier: Apache-2.0 */
/* sender: from a channel's connections to its output: encodes the frames that are due, and what the
 * TCP sides send. */
#ifndef VIOS_SENDER_H
#define VIOS_SENDER_H

#include "relay/conn.h"

/* (a channel that is not shared) Writes what is owed and due. True if that was anything, and
 * nothing is owed any more. */
bool sender_run(struct channel *ch);

/* A connection with a frame that is due, or NULL. Whether anything is due on the channel. */
struct conn *sender_next_due(const struct channel *ch);
bool sender_is_due(const struct channel *ch);

/* The TCP side cannot be read any more: its end, or (failed) errno, if that says so. */
void sender_read_ended(struct conn *c, bool failed);

/* Encodes a frame without payload of the TCP side's, one of SESSION_SEND_*, at p, where there is
 * room for CHANNEL_TEXT: the bytes of it. (Of a shared channel no RESET goes before the SYN.) */
size_t sender_encode(struct conn *c, unsigned char *p, unsigned due);

/* Whether the TCP side may be read now: its bytes have somewhere to go. */
bool sender_may_read(const struct conn *c);

/* The TCP side is readable: carries what it sends to the channel, at most this many buffers. */
void sender_read(struct conn *c, int turns);

/* n bytes have just been delivered. A guest often has one processor: then the client has run
 * meanwhile, and has most likely asked on after a short answer. Carries one buffer of that, which
 * saves every second select() of an exchange of short messages. True if there is anything to be
 * done now. */
bool sender_guess(struct conn *c, unsigned long long n);

#endif
