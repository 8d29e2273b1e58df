/* SPDX-License-Identifier: Apache-2.0 */
/* notify: tells the supervisor, by the protocol of sd_notify. */
#ifndef VIOS_NOTIFY_H
#define VIOS_NOTIFY_H

#include <stdbool.h>

/* Tells the supervisor at $NOTIFY_SOCKET, if there is one. False: its socket is full, so it has not
 * been told. */
bool notify_supervisor(const char *state);

#endif
