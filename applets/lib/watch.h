/* SPDX-License-Identifier: Apache-2.0 */
/* watch: the names of channels in a directory, as they come and go, by inotify. */
#ifndef VIOS_WATCH_H
#define VIOS_WATCH_H

#include <stdbool.h>
#include <stddef.h>

enum { WATCH_PATH = 1024 };

/* A name is there (again), as "channel" or "guest/channel"; or it has gone, with all below it ("": all). Told about names that are
 * known already, too. False: there is no room for it; so it is told again after watch_all(). */
typedef bool watch_fn(const char *name, bool there);

/* FATAL, with the texts of the 2011 manual, unless root is a directory that can be read. */
void watch_check(const char *root);

/* Watches root, which need not exist for ever. nested: its subdirectories too, one level; no symbolic links are followed below root, and
 * what is there now is told by watch_timer(). Without nested it is told at once, and links to devices and sockets are followed (udev
 * makes them). */
void watch_start(const char *root, bool nested, watch_fn *fn);

/* Looks at one name again, or, when there is room, at those for which there was none. */
void watch_name(const char *name);
void watch_all(void);

/* Looks at a part of what is to be looked at. Milliseconds until there is more, or -1. */
long watch_timer(void);

/* (host) Opens a name below the root, no link being followed (see file_open_below()), or the root (""). Its mode. Whether there are more
 * than n names in its directory, or that cannot be read. */
int watch_open(const char *name, int flags);
int watch_mode(const char *name);
bool watch_more_than(const char *name, unsigned n);

/* What an errno value means where inotify is used, whose limits have errors of other things. */
const char *watch_reason(int error);

/* root/name in a static buffer. */
const char *watch_path(const char *name);

#endif
