/* SPDX-License-Identifier: Apache-2.0 */
/* crowd: messages about what is new, of which the owner of a directory can cause any number: they are limited by name. */
#ifndef VIOS_CROWD_H
#define VIOS_CROWD_H

#include <stdbool.h>
#include <stddef.h>

#include "log.h"

/* One more message about something of this guest (n bytes of name) that had none before. NULL, or, of the 41st on in LOG_QUIET
 * milliseconds, the limit for all these. */
struct log_limit *crowd_limit(const char *name, size_t n, long long now);

/* Whether this is asked about this name (of a hash of 32 bits) for the first time; false too after 1024 of them. */
bool crowd_is_new(const char *name);

#endif
