/* SPDX-License-Identifier: Apache-2.0 */
/* applets: one line an applet, sorted by name. APPLET(Kconfig symbol, C prefix, name, what it
 * does); the file applets/NAME.c has PREFIX_main(). Whoever includes this without an APPLET of his
 * own gets the prototypes. */
#ifndef APPLET
#define APPLET(symbol, prefix, name, what) int prefix##_main(int argc, char **argv);
#endif

/* clang-format off */
APPLET(VIOS_CONNECT, vios_connect, "vios-connect", "carry stdin and stdout over one connection of a channel")
APPLET(VIOS_LIST, vios_list, "vios-list", "list channels, with their hosts, holders and bytes")
APPLET(VIOS_PROBE, vios_probe, "vios-probe", "probe channels, and say which link of the chain is broken")
APPLET(VIOS_PROXY_GUEST, vios_proxy_guest, "vios-proxy-guest", "carry TCP clients of this guest out over virtio-serial")
APPLET(VIOS_PROXY_HOST, vios_proxy_host, "vios-proxy-host", "connect what guests send over virtio-serial to a service")
/* clang-format on */

#undef APPLET
