/* SPDX-License-Identifier: Apache-2.0 */
/* root: the directory of channels (in a guest), or of guests (on a host), and what is below it. */
#ifndef VIOS_ROOT_H
#define VIOS_ROOT_H

#include <stdbool.h>

#include "relay/channel.h"

enum { ROOT_PATH = 1024 };

/* FATAL, with the texts of the 2011 manual, unless path is a directory that can be read. */
void root_set(const char *path);

/* (host) FATAL if others than root and this user can write to it: then guests' names prove nothing.
 */
void root_check_names(void);

/* root/name in a static buffer; the root for "". */
const char *root_path(const char *name);

/* (host) Opens a name below the root, no link being followed (see file_open_below()), or the root
 * (""). Its mode. Whether there are more than n names in its directory, or that cannot be read. */
int root_open(const char *name, int flags);
int root_mode(const char *name);
bool root_more_than(const char *name, unsigned n);

/* The name of the directory in which this name is. */
const char *root_parent(const char *name, char parent[CHANNEL_NAME]);

#endif
