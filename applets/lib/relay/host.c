/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/host.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "relay/clients.h"
#include "relay/dirwatch.h"
#include "relay/guests.h"
#include "relay/guestsock.h"
#include "relay/header.h"
#include "relay/initiator.h"
#include "relay/qemu.h"
#include "relay/responder.h"
#include "relay/root.h"
#include "relay/services.h"

static struct listeners listeners; /* of all channels */
static bool single;                /* (-R) the directory is that of one guest */

/* Whether it matters who a guest is. */
static bool knows_guests(void) {
    return CONFIG_FEATURE_SERVICES && (header_is_given() || services_know_guests());
}

/* Who a guest is is the name of its directory. */
static bool is_known(const char *name) {
    const char *slash = fmt_find(name, '/');
    char guest[GUESTS_NAME];

    if (!*slash)
        return false;
    if (guests_is_name(name, (size_t)(slash - name)))
        return true;
    fmt_copy(guest, (size_t)(slash - name) + 1, name);
    if (limits_is_new(guest))
        log_msg(LOG_WARN, "guest %s is not served: its name is not " GUESTS_NAMES, guest);
    return false;
}

/* The sockets of one guest stand in its directory. */
static bool wants(const char *name) {
    if (proxy_inward)
        return single == !*fmt_find(name, '/');
    return !knows_guests() || is_known(name);
}

static bool join(struct channel *ch) {
    ch->guest = guests_join(single ? "/" : ch->name);
    if (CONFIG_FEATURE_GUEST_SOCKETS && ch->guest && guestsock_is_wanted())
        guestsock_join(ch->guest);
    return ch->guest;
}

static void leave(struct channel *ch) {
    qemu_drop(ch);
    if (CONFIG_FEATURE_GUEST_SOCKETS && ch->guest && ch->guest->channels == 1)
        guestsock_leave(ch->guest);
    if (ch->guest)
        guests_leave(ch->guest);
    ch->guest = NULL;
}

static long timer(void) {
    long clients = clients_timer(), sockets = guestsock_timer();

    return clients < 0 || (sockets >= 0 && sockets < clients) ? sockets : clients;
}

static void serve(struct proxy *proxy, const struct setup *setup, unsigned limit) {
    responder_init(setup->services ? setup->service : NULL, limit);
    if (knows_guests())
        root_check_names();
    if (CONFIG_FEATURE_PROXY_HEADER)
        header_check();
    relay_init(&responder, CHANNEL_BUSY_HOST, CONFIG_HOST_CONNECTIONS);
    proxy_start(proxy);
    log_msg(LOG_INFO, "serving %s from %s (out of guests)", setup_service(setup), setup->directory);
    services_tell(setup->directory);
}

/* A socket for each guest is made for the default service alone. */
static void check_listens(void) {
    for (unsigned i = 0; CONFIG_FEATURE_SERVICES && i < services_listen_count; i++)
        if (!single || guests_part(services_listens[i].at.text))
            log_fatal("-l %s=%s: %%g is for -u, without -l", services_listens[i].at.text,
                      services_listens[i].name);
}

static void take_clients(struct proxy *proxy, struct setup *setup, unsigned limit) {
    clients_init(proxy, limit);
    single = !CONFIG_FEATURE_GUEST_SOCKETS || !guestsock_init(setup);
    check_listens();
    if (single) {
        listeners_open(&listeners, setup);
        clients_of(&listeners);
    } else {
        root_check_names();
        proxy->timer = timer;
    }
    relay_init(&initiator, CHANNEL_BUSY_HOST, CONFIG_HOST_CONNECTIONS);
    proxy_start(proxy);
    for (unsigned i = 0; i < setup->services; i++)
        log_msg(LOG_INFO, "listening on %s, channels from %s (-R: into %s)", setup->service[i].text,
                setup->directory, single ? "the guest" : "guests");
    services_tell(setup->directory);
}

int host_run(struct setup *setup, unsigned limit) {
    static struct proxy proxy = {
        .limit = CONFIG_HOST_CHANNELS,
        .option = "HOST_CHANNELS",
        .share = CONFIG_GUEST_SHARE,
        .names = &dirwatch_guests,
        .wants = wants,
        .join = join,
        .leave = leave,
        .opened = responder_greet,
    };

    root_set(setup->directory);
    if (access("/proc/self/fd", F_OK))
        log_fatal("/proc is not mounted: sockets are opened through it");
    if (proxy_inward)
        take_clients(&proxy, setup, limit);
    else
        serve(&proxy, setup, limit);
    proxy_settle(SANDBOX_HOST);
    proxy_run();
    listeners_close(&listeners, setup->service->text);
    if (CONFIG_FEATURE_GUEST_SOCKETS)
        guestsock_end();
    return EXIT_SUCCESS;
}
