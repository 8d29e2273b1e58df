/* SPDX-License-Identifier: Apache-2.0 */
/* choice: the channel that a client gets. */
#ifndef VIOS_CHOICE_H
#define VIOS_CHOICE_H

#include "relay/listeners.h"
#include "relay/names.h"

/* What the choice can lead to, the best first. */
enum choice {
    CHOICE_SHARED,  /* it is shared, and has a place */
    CHOICE_FREE,    /* this channel is free, and the other side is there, or may be */
    CHOICE_SILENT,  /* (guest) the same, but its host has not answered last time */
    CHOICE_LINGERS, /* it carries a connection that lingers */
    CHOICE_ASKING,  /* it may be shared in a moment: vios-protocol(7), sharing rule 10 */
    CHOICE_BUSY,    /* all that have another side are in use */
    CHOICE_NO_HOST, /* none has another side: no host is attached, no guest's program answers */
};

/* Whether there may be listeners of one guest. */
#define CHOICE_SETS (CONFIG_VIOS_PROXY_HOST && CONFIG_FEATURE_GUEST_SOCKETS)

/* Before all else. names: where channels come from. limit: (host) the most connections of one guest
 * at once; 0: in a guest. */
void choice_init(const struct names *names, unsigned limit);

/* (host) Clients wait until the guest's program is there. */
extern unsigned choice_limit;
#define CHOICE_ON_HOST (CONFIG_VIOS_PROXY_HOST && CONFIG_FEATURE_INWARD && choice_limit)

/* The channel for the next client of these listeners: of those that are shared the one with the
 * fewest connections; the least recently used one that is free; of those that linger, the one that
 * has been quiet longest. */
enum choice choice_make(const struct listeners *l, struct channel **chosen);

/* Why no channel can be used, in a static buffer. */
const char *choice_none(const struct listeners *l);

/* (host) Since the last call a choice was limited by how many connections, or busy channels, there
 * may be at all. */
bool choice_is_fed(void);

#endif
