/* SPDX-License-Identifier: Apache-2.0 */
/* error: the system's errors in words. */
#ifndef VIOS_ERROR_H
#define VIOS_ERROR_H

/* The text of an errno value, in musl's words. Those that files, sockets and ports give are known;
 * of others the number is named, unless Kconfig FEATURE_STRERROR brings all of them. The text
 * stands until the next call. */
const char *error_text(int error);

#endif
