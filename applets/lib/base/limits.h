/* SPDX-License-Identifier: Apache-2.0 */
/* limits: messages about what is new, of which the owner of a directory can cause any number: they
 * are limited by name. */
#ifndef VIOS_LIMITS_H
#define VIOS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

/* One more message about something of this guest (n bytes of name) that had none before. NULL, or,
 * of the 41st on in LOG_QUIET milliseconds, the limit for all these. */
struct log_limit *limits_of(const char *name, size_t n, long long now);

/* Whether this is asked about this name (of a hash of 32 bits) for the first time; false too after
 * 1024 of them. */
bool limits_is_new(const char *name);

#endif
