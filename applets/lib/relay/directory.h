/* SPDX-License-Identifier: Apache-2.0 */
/* directory: the table of the directories whose names are watched, and when each is to be looked at
 * as a whole. */
#ifndef VIOS_DIRECTORY_H
#define VIOS_DIRECTORY_H

#include <stdbool.h>
#include <sys/inotify.h>

#include "base/bucket.h"
#include "relay/channel.h"

/* The root is always there, with the empty name. wd: its inotify watch; -1: it has none (yet).
 * debt: what its events have cost. unheard: it owes too much, and events are passed over until it
 * is looked at. waits: names in it have found no room. complained: an error at the last look has
 * been logged. next: when to look at it, milliseconds of loop_now(); 0: no need to. looked: when
 * that was done last. backoff: since it failed. */
struct directory {
    bool used, unheard, waits, complained;
    int wd;
    unsigned backoff;
    long long next, looked;
    struct bucket debt;
    char name[CHANNEL_NAME];
};

struct directory *directory_root(void);
struct directory *directory_find(const char *name);
struct directory *directory_of(int wd); /* but the root */

/* A new one, which is to be looked at; NULL: there is no room. And its end. */
struct directory *directory_add(const char *name);
void directory_forget(struct directory *d);

void directory_forget_all(void); /* but the root */

/* (host) From now on this is the inotify descriptor. */
void directory_init(int inotify);

/* IN_ATTRIB: what may not be read yet may be later. */
enum {
    DIRECTORY_EVENTS = IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM |
                       IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
};

/* Watches a guest's directory, which is open. 0, or -1 with errno. */
int directory_watch(struct directory *d, int fd);

/* It is to be looked at: at once, but once a second at most; all of them (waiting: in which names
 * wait for room); after a back-off. */
void directory_note(struct directory *d);
void directory_note_all(bool waiting);
void directory_later(struct directory *d);

/* Milliseconds until one is to be looked at, or -1. Which one it is; NULL: none yet. */
long directory_wait(void);
struct directory *directory_due(void);

/* What an errno value means where inotify is used, whose limits have errors of other things. */
const char *directory_reason(int error);

#endif
