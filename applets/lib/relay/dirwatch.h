/* SPDX-License-Identifier: Apache-2.0 */
/* dirwatch: the names of channels in the root directory, as they come and go, by inotify. The root
 * need not exist for ever. */
#ifndef VIOS_DIRWATCH_H
#define VIOS_DIRWATCH_H

#include "relay/names.h"

/* (guest) Reports at once what is there now; links to devices and sockets are followed, since udev
 * makes them. */
extern const struct names dirwatch_ports;

/* (host) Subdirectories are guests, one level; no links are followed below the root, and timer()
 * reports what is there now, in pieces, since guests own their directories. */
extern const struct names dirwatch_guests;

#endif
