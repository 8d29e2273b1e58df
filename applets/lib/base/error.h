/* SPDX-License-Identifier: Apache-2.0 */
/* error: the system's errors in words. */
#ifndef VIOS_ERROR_H
#define VIOS_ERROR_H

#include <stdbool.h>

/* The text of an errno value, in musl's words. Without Kconfig FEATURE_STRERROR only those that
 * files, sockets and ports give have one, and others are shown as numbers. Valid until the next
 * call. */
const char *error_text(int error);

/* Whether there is nothing of that name, or something else in its place. */
bool error_is_absence(int error);

#endif
