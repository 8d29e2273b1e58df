/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/guest.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "relay/clients.h"
#include "relay/dirwatch.h"
#include "relay/initiator.h"
#include "relay/responder.h"
#include "relay/root.h"
#include "relay/services.h"
#include "relay/sysfs.h"

static struct listeners listeners;

static void serve(struct proxy *proxy, const struct setup *setup, const char *from) {
    proxy->opened = responder_greet;
    responder_init(setup->services ? setup->service : NULL, CONN_MAX_GUEST);
    if (CONFIG_FEATURE_SERVICES && services_know_guests())
        log_fatal("-s, -u: GUESTS/ and %%g are for vios-proxy-host");
    relay_init(&responder, CHANNEL_BUSY_GUEST, CONN_MAX_GUEST);
    proxy_start(proxy);
    log_msg(LOG_INFO, "serving %s from %s (-R: into this guest)", setup_service(setup), from);
    services_tell(from);
}

static void take_clients(struct proxy *proxy, struct setup *setup, const char *from) {
    clients_init(proxy, 0);
    listeners = (struct listeners){0};
    listeners_open(&listeners, setup);
    if (CONFIG_FEATURE_MANY)
        proxy->opened = initiator_greet;
    clients_of(&listeners);
    relay_init(&initiator, CHANNEL_BUSY_GUEST, CONN_MAX_GUEST);
    proxy_start(proxy);
    for (unsigned i = 0; i < setup->services; i++)
        log_msg(LOG_INFO, "listening on %s, channels from %s (out of this guest)",
                setup->service[i].text, from);
    services_tell(from);
}

int guest_run(struct setup *setup) {
    static struct proxy proxy = {.limit = CONFIG_GUEST_CHANNELS, .option = "GUEST_CHANNELS"};
    bool in_sysfs = CONFIG_FEATURE_SYSFS && !setup->given && access(setup->directory, F_OK);
    const char *from = in_sysfs ? FILE_PORTS : setup->directory;

    proxy.names = in_sysfs ? &sysfs_ports : &dirwatch_ports;
    if (!in_sysfs)
        root_set(setup->directory);
    if (proxy_inward)
        serve(&proxy, setup, from);
    else
        take_clients(&proxy, setup, from);
    proxy_settle(SANDBOX_GUEST);
    proxy_run();
    listeners_close(&listeners, setup->service->text);
    return EXIT_SUCCESS;
}
