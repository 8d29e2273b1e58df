/* SPDX-License-Identifier: Apache-2.0 */
/* channels: the table of all channels. */
#ifndef VIOS_CHANNELS_H
#define VIOS_CHANNELS_H

#include "relay/channel.h"

/* The slot with this name, or NULL; a new slot for it, or NULL if there are `limit` already; and
 * the i-th slot, 0..channels_count() - 1, free ones included. The name must be shorter than
 * CHANNEL_NAME. */
struct channel *channels_find(const char *name);
struct channel *channels_add(const char *name, unsigned limit);
struct channel *channels_at(unsigned i);
unsigned channels_count(void);

/* Frees the slot. The fd must be closed and no connection left. */
void channels_forget(struct channel *ch);

/* (host) The open ones of a guest. */
unsigned channels_open(const struct guest *g);

/* (host) Tells of the channels in a directory, which is open ("": right in the root), whose sockets
 * have gone, or are others now. */
void channels_missing(const char *below, int directory, bool (*tell)(const char *name, bool there));

#endif
