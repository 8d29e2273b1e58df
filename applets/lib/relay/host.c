/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/host.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "relay/dirwatch.h"
#include "relay/guests.h"
#include "relay/qemu.h"
#include "relay/responder.h"
#include "relay/root.h"

static bool join(struct channel *ch) {
    ch->guest = guests_join(ch->name);
    return ch->guest;
}

static void leave(struct channel *ch) {
    qemu_drop(ch);
    if (ch->guest)
        guests_leave(ch->guest);
    ch->guest = NULL;
}

int host_run(const struct setup *setup, unsigned limit) {
    static const struct proxy proxy = {
        .limit = CONFIG_HOST_CHANNELS,
        .option = "HOST_CHANNELS",
        .share = CONFIG_GUEST_SHARE,
        .names = &dirwatch_guests,
        .join = join,
        .leave = leave,
        .opened = responder_greet,
    };

    responder_init(setup->service, limit);
    root_set(setup->directory);
    if (access("/proc/self/fd", F_OK))
        log_fatal("/proc is not mounted: sockets are opened through it");
    relay_init(&responder);
    proxy_start(&proxy);
    log_msg(LOG_INFO, "serving %s from %s", setup->service->text, setup->directory);
    proxy_run();
    return EXIT_SUCCESS;
}
