/* SPDX-License-Identifier: Apache-2.0 */
/* host: the host's end: the channels of many guests, for the service that each asks for, or (-R)
 * for clients of the host. */
#ifndef VIOS_HOST_H
#define VIOS_HOST_H

#include "relay/proxy.h"
#include "relay/setup.h"

/* Serves the channels below setup->directory until a signal ends it. limit: the most connections of
 * one guest at once. Returns the exit status. */
int host_run(struct setup *setup, unsigned limit);

#endif
