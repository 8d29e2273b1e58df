/* SPDX-License-Identifier: Apache-2.0 */
/* user: root's rights are given up once all is done that needs them. */
#ifndef VIOS_USER_H
#define VIOS_USER_H

#include <stdbool.h>

/* The row of -U. */
#if CONFIG_FEATURE_USER
#define USER_OPT \
    {'U', "USER", "give up root: run as UID[:GID], or a name of /etc/passwd", user_set},
#else
#define USER_OPT
#endif

/* UID, whose group has the same number; UID:GID; or a name of /etc/passwd. Others, and root, are
 * FATAL. */
void user_set(const char *text);

/* From here on the process is of that user and of no group but its own. FATAL if it may not. False:
 * no user was given. */
#if CONFIG_FEATURE_USER
bool user_become(void);
#else
static inline bool user_become(void) { return false; }
#endif

#endif
