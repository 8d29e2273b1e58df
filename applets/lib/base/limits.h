/* SPDX-License-Identifier: Apache-2.0 */
/* limits: rate limit, per guest, for messages about channels that have not logged before: a guest
 * could otherwise fill the log. */
#ifndef VIOS_LIMITS_H
#define VIOS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

/* Counts a message about something of this guest (n bytes of name) that had none before. NULL, or,
 * from the 41st in LOG_QUIET milliseconds on, the limit that these share. */
struct log_limit *limits_of(const char *name, size_t n, long long now);

/* Whether this is the first call for this name, by a hash of 32 bits; false after 1024 names. */
bool limits_is_new(const char *name);

#endif
