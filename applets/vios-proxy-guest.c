/* SPDX-License-Identifier: Apache-2.0 */
/* vios-proxy-guest: a service of the host on a local port of the guest, through virtio-serial
 * ports; or (-R) a service of the guest for clients of the host. */
#include "applets.h"
#include "lib/base/filter.h"
#include "lib/base/user.h"
#include "lib/relay/clients.h"
#include "lib/relay/guest.h"
#include "lib/relay/services.h"

/* The macros have their commas in them. */
/* clang-format off */
static const struct opt options[] = {
    CLIENTS_OPT_REJECT("close a client at once when no channel has room")
    PROXY_OPT_INWARD("into the guest: clients on the host, a service here")
    SETUP_OPT_ADDR("ADDR...", "listen on this IPv4 or IPv6 address, not 127.0.0.1 (up to 4)")
    SETUP_OPT_UNIX("listen on a unix socket instead of a port")
    SETUP_OPT_MODE("mode of that socket (0600)")
    SERVICES_OPT("clients of LISTEN get the host's service NAME (up to 16)",
                 "(-R) the service NAME is TARGET (up to 32)")
    FILTER_OPT("use the channels with these names (up to 8)")
    OPT_FILE
    PROXY_OPT_READY
    USER_OPT
    CLIENTS_OPT_WAIT("clients wait that long for a host (with -r for a channel too)")
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
    "  service_port    where to listen, 1..65535 (" SETUP_PORT "), or none (with -l)\n"
    "  log_level       " LOG_LEVELS "\n",
    "vios-proxy-guest \"\" 5672",
    options,
    1,
    true,
};

int vios_proxy_guest_main(int argc, char **argv) {
    int n = opt_parse(&applet, argc, argv, 3);
    static struct setup setup;

    setup_read(&setup, CONFIG_HOST_DIRECTORY, argv + 1, n);
    if (proxy_inward)
        clients_check_none(&setup);
    else
        clients_check();
    return guest_run(&setup);
}
