/* SPDX-License-Identifier: Apache-2.0 */
/* clients: clients and the choice of a channel for each. */
#ifndef VIOS_CLIENTS_H
#define VIOS_CLIENTS_H

#include "relay/proxy.h"
#include "relay/setup.h"

/* What the choice can lead to, the best first. */
enum clients_choice {
    CLIENTS_SHARED,  /* it is shared, and has a place */
    CLIENTS_FREE,    /* this channel is free, and a host is attached */
    CLIENTS_SILENT,  /* the same, but its host has not answered last time */
    CLIENTS_LINGERS, /* it carries a connection that lingers */
    CLIENTS_ASKING,  /* it may be shared in a moment: vios-protocol(7), sharing rule 10 */
    CLIENTS_BUSY,    /* all that have a host are in use */
    CLIENTS_NO_HOST,
};

/* The channel for the next client: of those that are shared the one with the fewest connections;
 * the least recently used one that is free; of those that linger, the one that has been quiet
 * longest. */
enum clients_choice clients_choose(struct channel **chosen);

/* Listens, uses the channels of setup->directory (or of sysfs, if that is the default and missing)
 * until it is told to stop. reject: a client that finds all channels in use is closed at once.
 * wait: milliseconds for which a client waits for a host, or with reject for a channel. Returns the
 * exit status. */
int clients_run(const struct setup *setup, bool reject, long wait);

#endif
