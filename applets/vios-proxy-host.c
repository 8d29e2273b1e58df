/* SPDX-License-Identifier: Apache-2.0 */
/* vios-proxy-host: connects the virtio-serial channels of many guests, none of them trusted, to a
 * service of the host; or (-R) clients of the host to services of guests. */
#include "applets.h"
#include "lib/base/filter.h"
#include "lib/base/user.h"
#include "lib/relay/clients.h"
#include "lib/relay/header.h"
#include "lib/relay/host.h"
#include "lib/relay/services.h"

/* Of connections of one guest at once: so that one guest cannot have them all. */
enum { DEFAULT_LIMIT = CONFIG_HOST_CONNECTIONS < 4 ? 1 : CONFIG_HOST_CONNECTIONS / 4 };

#if CONFIG_FEATURE_GUEST_LIMIT
static unsigned limit = DEFAULT_LIMIT;

static void set_limit(const char *value) {
    limit = (unsigned)opt_number('m', value, 1, CONFIG_HOST_CONNECTIONS);
}
#else
enum { limit = DEFAULT_LIMIT };
#endif

/* The macros have their commas in them. */
/* clang-format off */
static const struct opt options[] = {
    CLIENTS_OPT_REJECT("(-R) close a client at once when no channel has room")
    PROXY_OPT_INWARD("into the guest: clients here, a service there")
    SETUP_OPT_ADDR("ADDR...", "the service's IPv4 or IPv6 address instead of 127.0.0.1")
    SETUP_OPT_UNIX("the service is this unix socket (%g in it: one for each guest)")
    SETUP_OPT_MODE("(-R) mode of that socket (0600)")
    SERVICES_OPT("(-R) clients of LISTEN get a guest's service NAME (up to 16)",
                 "service NAME is TARGET, GUESTS/NAME for these (up to 32)")
    FILTER_OPT("serve the channels with these names, guest/channel (up to 8)")
#if CONFIG_FEATURE_GUEST_LIMIT
    {'m', "COUNT", "most connections of one guest at once (a quarter of all)", set_limit},
#endif
    HEADER_OPT("services (-: the default one) that get a PROXY header")
    OPT_FILE
    PROXY_OPT_READY
    USER_OPT
    CLIENTS_OPT_WAIT("(-R) clients wait that long for the guest's program (30)")
    {0},
};
/* clang-format on */

static const struct opt_applet applet = {
    "vios-proxy-host",
    "[options] [guest_directory [service_port [log_level]]]",
    "Serves the virtio-serial channels of many guests: connects each to a service\n"
    "on this host when a vios-proxy-guest asks for it.\n"
    "\n"
    "  guest_directory  QEMU's sockets, or a directory of them for each guest\n"
    "                   (" CONFIG_GUEST_DIRECTORY ")\n"
    "  service_port     the service's port, 1..65535 (" SETUP_PORT "), or none (with -s)\n"
    "  log_level        " LOG_LEVELS "\n",
    "vios-proxy-host /run/vios 5672",
    options,
    1,
    true,
};

int vios_proxy_host_main(int argc, char **argv) {
    int n = opt_parse(&applet, argc, argv, 3);
    static struct setup setup;

    setup_read(&setup, CONFIG_GUEST_DIRECTORY, argv + 1, n);
    if (!proxy_inward)
        clients_check_none(&setup);
    else
        clients_check();
    return host_run(&setup, limit);
}
