/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/qemu.h"

#include "relay/channels.h"
#include "base/fmt.h"
#include "base/net.h"

/* When this channel's turn is, of those of its guest that wait: the first ones when the guest has heard all that is under way. */
long long qemu_turn(const struct channel *ch, long long now) {
    enum { FIRST = 200, NEXT = 25 /* ms */, BATCH = 5 };
    unsigned before = 0;

    for (unsigned i = 0; i < channels_count(); i++) {
        const struct channel *other = channels_at(i);

        before += other->visited && other->retry && other->guest == ch->guest;
    }
    return now + FIRST + before / BATCH * NEXT;
}

/* QEMU itself, or a program that cannot be told. */
bool qemu_is_at(int fd) {
    char comm[16];

    return CONFIG_VIOS_PROXY_HOST && net_peer(fd, comm) && (!*comm || fmt_begins(comm, "qemu"));
}
