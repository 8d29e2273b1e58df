/* SPDX-License-Identifier: Apache-2.0 */
/* sysfs: virtio-serial ports by name where no udev makes links: names from
 * /sys/class/virtio-ports, news from kernel uevents. vios-protocol(7), port fact 8. */
#ifndef VIOS_SYSFS_H
#define VIOS_SYSFS_H

#include "watch.h"

#define SYSFS_PORTS "/sys/class/virtio-ports"

/* Tells of all named ports that are there, and from then on of those that come and go. */
void sysfs_start(watch_fn *fn);

/* Tells of all named ports again. */
void sysfs_all(void);

/* The device of the port with this name, as /dev/vportNpM in a static buffer; the node is made if it is missing. NULL: no such
 * port. */
const char *sysfs_path(const char *name);

/* Reads the first line of SYSFS_PORTS/port/file: its length, or -1 with errno. An overlong line is cut. */
int sysfs_read(const char *port, const char *file, char *line, size_t cap);

#endif
