/* SPDX-License-Identifier: Apache-2.0 */
/* where: an address in one word. */
#ifndef VIOS_WHERE_H
#define VIOS_WHERE_H

#include "base/net.h"

/* For messages. */
#define WHERE_FORMS "PORT, ADDR:PORT or [V6]:PORT, with ports in range 1..65535"

/* From PORT (of 127.0.0.1), ADDR:PORT or [V6]:PORT; where_any(): or from a path, which has a slash.
 * 0, or -1 if text is none of these. */
int where_tcp(struct net_address *a, const char *text);
int where_any(struct net_address *a, const char *text);

#endif
