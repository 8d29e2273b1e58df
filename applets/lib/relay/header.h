/* SPDX-License-Identifier: Apache-2.0 */
/* header: (host, -P) the PROXY protocol's header, version 2, by which a service learns which guest
 * speaks. Nothing of it comes from the guest's bytes. */
#ifndef VIOS_HEADER_H
#define VIOS_HEADER_H

#include <stdbool.h>

#include "base/opt.h"
#include "relay/conn.h"

/* The option's row. */
#if CONFIG_FEATURE_PROXY_HEADER
#define HEADER_OPT(what) {'P', "GLOB...", what, header_add},
#else
#define HEADER_OPT(what)
#endif

/* One more pattern of services' names, `-` being the default one; 8 at most. One that can match
 * nothing is FATAL. */
void header_add(const char *pattern);
extern unsigned header_count;

/* -P was given. One that matches no service is FATAL. */
static inline bool header_is_given(void) { return CONFIG_FEATURE_PROXY_HEADER && header_count; }
void header_check(void);

/* Whether its service gets one. Sends it: 0 or the errno. host_token: which the session will have.
 */
bool header_is_due(const struct conn *c);
int header_send(const struct conn *c, const unsigned char host_token[FRAME_TOKEN]);

#endif
