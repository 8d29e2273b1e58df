/* SPDX-License-Identifier: Apache-2.0 */
/* watch: the names of channels in a directory, as they come and go, by inotify. */
#ifndef VIOS_WATCH_H
#define VIOS_WATCH_H

#include <stdbool.h>
#include <stddef.h>

enum { WATCH_PATH = 1024 };

/* A name is there (again), as "channel" or "guest/channel"; or it has gone, with all below it ("": all). Told about names that are
 * known already, too. */
typedef void watch_fn(const char *name, bool there);

/* FATAL, with the texts of the 2011 manual, unless root is a directory that can be read. */
void watch_check(const char *root);

/* Watches root, which need not exist for ever, and tells of what is there now. nested: its subdirectories too, one level, no
 * symbolic links followed. Without nested links to devices and sockets are followed (udev makes them). */
void watch_start(const char *root, bool nested, watch_fn *fn);

/* Looks at one name again, or (after the table of channels was full) at all of them. */
void watch_name(const char *name);
void watch_all(void);

/* (host) Milliseconds until a directory that changes too often is looked at again, or -1. Looks at those whose time has come. */
long watch_timer(void);

/* root/name in a static buffer. */
const char *watch_path(const char *name);

#endif
