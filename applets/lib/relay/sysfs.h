/* SPDX-License-Identifier: Apache-2.0 */
/* sysfs: virtio-serial ports by name where no udev makes links: names from FILE_PORTS, news from
 * kernel uevents. The path of one is /dev/vportNpM, whose node is made if it is missing.
 * vios-protocol(7), port fact 8. */
#ifndef VIOS_SYSFS_H
#define VIOS_SYSFS_H

#include "relay/names.h"

extern const struct names sysfs_ports;

#endif
