/* SPDX-License-Identifier: Apache-2.0 */
/* qemu: (host) what QEMU's sockets need. */
#ifndef VIOS_QEMU_H
#define VIOS_QEMU_H

#include "relay/channel.h"

bool qemu_is_at(int fd);
long long qemu_turn(const struct channel *ch, long long now);

#endif
