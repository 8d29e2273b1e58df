/* SPDX-License-Identifier: Apache-2.0 */
/* qemu: (host) a client that QEMU has before the proxy itself.
 *
 * QEMU throttles a port for good if it finds out in a write that the client has gone, while the
 * guest has no room for more: it does not read what the guest sends until another client goes (7.2
 * now and then, 10.0 always). So a visitor goes first. It must not end in the same way: it only
 * shuts down its sending side, reads on, and waits until QEMU has hung up. QEMU does not notice
 * while the guest is stopped, has the port closed, or does not read it. Then the visitor closes
 * anyway, and the port is in doubt: if QEMU takes the greeting later, and nothing has come from the
 * guest by then, all of it is done again. vios-protocol(7), socket facts 6 and 7. */
#ifndef VIOS_QEMU_H
#define VIOS_QEMU_H

#include "relay/channel.h"

/* fd, just connected to the channel's socket, is a visitor's: keeps it, with ch->retry set to the
 * time for the proxy's own. False: fd is the proxy's. */
bool qemu_visit(struct channel *ch, int fd, long long now);

/* The visitor's time is over, if there still is one. True: the proxy's has not come: see
 * ch->retry. */
bool qemu_visit_lasts(struct channel *ch, long long now);

/* The channel is forgotten. */
void qemu_drop(struct channel *ch);

/* Whether the channel must be closed and opened again, since its port was in doubt. False, with
 * ch->retry set: not known yet. */
bool qemu_is_deaf(struct channel *ch, long long now);

/* The channel's name has gone. Whether QEMU still has to read, with ch->retry set: what it has not
 * read would be lost. It has until the pauses are at their longest. */
bool qemu_reads_on(struct channel *ch);

/* Whether these are a monitor's first bytes: QMP's greeting, plain or pretty, or the human
 * one's. */
bool qemu_is_monitor(const unsigned char *p, size_t n);

#endif
