/* SPDX-License-Identifier: Apache-2.0 */
/* host: the channels of many guests, each connected to the service when its guest asks. */
#ifndef VIOS_HOST_H
#define VIOS_HOST_H

#include "relay/proxy.h"
#include "relay/setup.h"

/* Serves the channels below setup->directory until it is told to stop. limit: the most connections
 * of one guest at once. Returns the exit status. */
int host_run(const struct setup *setup, unsigned limit);

#endif
