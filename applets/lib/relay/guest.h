/* SPDX-License-Identifier: Apache-2.0 */
/* guest: the guest's end: its ports, for clients of the guest or (-R) for a service of it. */
#ifndef VIOS_GUEST_H
#define VIOS_GUEST_H

#include "relay/proxy.h"
#include "relay/setup.h"

/* Uses the channels of setup->directory (or of sysfs, if that is the default and missing) until it
 * is told to stop. Returns the exit status. */
int guest_run(struct setup *setup);

#endif
