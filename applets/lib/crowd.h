/* SPDX-License-Identifier: Apache-2.0 */
/* crowd: (host) messages about what is new, which who owns a directory can make at will: they are counted for each guest. */
#ifndef VIOS_CROWD_H
#define VIOS_CROWD_H

#include <stddef.h>

#include "log.h"

/* One more message about something of this guest (n bytes of name) that had none before. NULL, or, of the 41st on in LOG_QUIET
 * milliseconds, the limit for all these. */
struct log_limit *crowd_limit(const char *name, size_t n, long long now);

#endif
