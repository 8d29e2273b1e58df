/* SPDX-License-Identifier: Apache-2.0 */
/* vios-proxy-guest: a service of the host on a local port of the guest, through virtio-serial
 * ports. */
#include "applets.h"
#include "lib/base/filter.h"
#include "lib/relay/clients.h"

#if CONFIG_FEATURE_REJECT
static bool reject;

static void set_reject(const char *unused) {
    (void)unused;
    reject = true;
}
#else
enum { reject = false };
#endif

#if CONFIG_FEATURE_WAIT
static long seconds;

static void set_wait(const char *value) { seconds = opt_number('w', value, 0, 86400); }
#else
enum { seconds = 0 };
#endif

/* The macros have their commas in them. */
/* clang-format off */
static const struct opt options[] = {
#if CONFIG_FEATURE_REJECT
    {'r', NULL, "close a client at once when no channel has room", set_reject},
#endif
    SETUP_OPT_ADDR("ADDR...", "listen on this IPv4 or IPv6 address instead of 127.0.0.1 (up to 4 times)")
    SETUP_OPT_UNIX("listen on a unix socket instead of a port")
    FILTER_OPT("use the channels with these names (up to 8 times)")
    PROXY_OPT_READY
#if CONFIG_FEATURE_WAIT
    {'w', "SECONDS", "clients wait that long for a host (with -r for a channel too)", set_wait},
#endif
    {0},
};
/* clang-format on */

static const struct opt_applet applet = {
    "vios-proxy-guest",
    "[options] [host_directory [service_port [log_level]]]",
    "Listens on a local port and carries each client over a virtio-serial\n"
    "channel to vios-proxy-host, which connects it to a service on the host.\n"
    "\n"
    "  host_directory  where the channels are (" CONFIG_HOST_DIRECTORY ")\n"
    "  service_port    where to listen, 1..65535 (" SETUP_PORT ")\n"
    "  log_level       " LOG_LEVELS "\n",
    options,
    1,
    true,
};

int vios_proxy_guest_main(int argc, char **argv) {
    int n = opt_parse(&applet, argc, argv, 3);
    struct setup setup;

    setup_read(&setup, CONFIG_HOST_DIRECTORY, argv + 1, n);
    return clients_run(&setup, reject, seconds * 1000L);
}
