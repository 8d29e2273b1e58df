/* SPDX-License-Identifier: Apache-2.0 */
/* many: the half of a peer (ends.h) that knows M: dialogs beside each other on a shared channel,
 * their credit, and what a peer may do there that is not polite. */
#ifndef VIOS_MANY_H
#define VIOS_MANY_H

#include "ends.h"

/* The channel is shared, and the peer's dialog is the first one on it. It is not any more: told:
 * the peer has said so, and hears nothing until the program knows it. */
void many_begin(struct peer *p);
void many_end(struct peer *p, bool told);

/* A frame has come, of DATA its header; payload of DATA. */
void many_frame(struct peer *p);
void many_payload(struct peer *p, const unsigned char *bytes, unsigned n);

/* Something that the peer can do now. False: nothing. When time brings something. */
bool many_step(struct peer *p);
long long many_next(const struct peer *p);

/* How many dialogs are on the channel; whether one of them lacks its end. */
unsigned many_count(const struct peer *p);
const struct dialog *many_unended(const struct peer *p, bool open_only);

/* The dialog with these tokens, for what must hold between the program and it; NULL: there is
 * none. */
const struct dialog *many_find(const struct peer *p, const void *guest_token);

/* ---- of ends.c, for many.c ---- */

void peer_send(struct peer *p, char ctrl, const struct tokens *t, const void *payload, unsigned n);
void peer_send_bytes(struct peer *p, const void *bytes, unsigned n);
void peer_token(unsigned char *token);
struct dialog *peer_dialog(struct peer *p);
bool peer_is_late(const struct peer *p);
unsigned peer_reason(char *text); /* at most 600 bytes of it */
unsigned ends_some(unsigned n);
void ends_fill(unsigned char *p, const struct dialog *s, unsigned n);
void ends_take(struct dialog *s, const unsigned char *p, unsigned n, const char *whose);
long long ends_sooner(long long a, long long b);

#endif
