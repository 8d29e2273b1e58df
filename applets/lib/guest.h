/* SPDX-License-Identifier: Apache-2.0 */
/* guest: clients and the choice of a channel for each. */
#ifndef VIOS_GUEST_H
#define VIOS_GUEST_H

#include "proxy.h"
#include "setup.h"

/* What the choice can lead to, the best first. */
enum guest_choice {
    GUEST_FREE,    /* this channel is free, and a host is attached */
    GUEST_SILENT,  /* the same, but its host has not answered last time */
    GUEST_LINGERS, /* it carries a connection that lingers */
    GUEST_BUSY,    /* all that have a host are in use */
    GUEST_NO_HOST,
};

/* The channel for the next client: the least recently used one that is free; of those that linger,
 * the one that has been quiet longest. */
enum guest_choice guest_choose(struct channel **chosen);

/* Listens, uses the channels of setup->directory (or of sysfs, if that is the default and missing) until it is told to stop.
 * reject: a client that finds all channels in use is closed at once. wait: milliseconds for which a
 * client waits for a host, or with reject for a channel. Returns the exit status. */
int guest_run(const struct setup *setup, bool reject, long wait);

#endif
