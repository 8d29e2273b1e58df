/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fmt.h"
#include "base/loop.h"
#include "base/memory.h"
#include "base/sys.h"
#include "relay/retry.h"

/* syscalls (guest host): inotify_add_watch inotify_rm_watch */

enum { DIRECTORIES = 1 + (CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CHANNELS : 1) };
enum { PAUSE = 1000 }; /* ms between two looks at a directory */

static MEMORY_BULK struct directory table[DIRECTORIES];
static unsigned count = 1; /* slots 0..count-1 have been in use; the first one is the root's */
static int inotify = -1;
static long long first; /* when the first one is due, or sooner; 0: none is */

struct directory *directory_root(void) {
    return table;
}

struct directory *directory_find(const char *name) {
    for (unsigned i = 0; i < count; i++)
        if (table[i].used && !strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

struct directory *directory_of(int wd) {
    for (unsigned i = 1; i < count; i++)
        if (table[i].used && table[i].wd == wd)
            return &table[i];
    return NULL;
}

struct directory *directory_add(const char *name) {
    unsigned at = 1;
    struct directory *d;

    while (at < count && table[at].used)
        at++;
    if (at == DIRECTORIES)
        return NULL;
    if (at == count)
        count++;
    d = &table[at];
    memset(d, 0, sizeof *d);
    d->used = true;
    d->wd = -1;
    fmt_copy(d->name, CHANNEL_NAME, name);
    directory_note(d);
    return d;
}

void directory_forget(struct directory *d) {
    if (d->wd >= 0)
        inotify_rm_watch(inotify, d->wd);
    d->used = false;
    d->next = 0;
    if (table->waits) /* perhaps for this slot */
        directory_note(table);
}

/* ---- watches ---- */

void directory_init(int fd) {
    inotify = fd;
    table->used = true;
}

void directory_forget_all(void) {
    for (unsigned i = 1; i < count; i++)
        if (table[i].used)
            directory_forget(&table[i]);
    table->unheard = table->waits = false;
    table->looked = 0;
}

/* The watch is on what is open, whatever has its name by now. One directory under two names, as
 * after a rename that is not known yet, is the last one's. */
int directory_watch(struct directory *d, int fd) {
    struct directory *other;
    int old = d->wd, wd;
    char path[32];

    fmt_print(path, sizeof path, "/proc/self/fd/%d", fd);
    wd = inotify_add_watch(inotify, path, DIRECTORY_EVENTS);
    if (wd < 0 || wd == old)
        return wd < 0 ? -1 : 0;
    other = directory_of(wd);
    if (wd == table->wd) { /* a mount of the root in itself */
        errno = ELOOP;
        return -1;
    }
    if (other) {
        other->wd = -1;
        directory_note(other);
    }
    d->wd = wd;
    if (old >= 0)
        inotify_rm_watch(inotify, old);
    return 0;
}

/* ---- when ---- */

static void look_at(struct directory *d, long long when) {
    d->next = when;
    if (!first || when < first)
        first = when;
}

void directory_note(struct directory *d) {
    long long now = loop_now(),
              when = d->looked && d->looked + PAUSE > now ? d->looked + PAUSE : now;

    if (!d->next || d->next > when)
        look_at(d, when);
}

void directory_note_all(bool waiting) {
    for (unsigned i = 0; i < count; i++)
        if (table[i].used && (!waiting || table[i].waits))
            directory_note(&table[i]);
}

void directory_later(struct directory *d) {
    d->backoff = retry_backoff(d->backoff);
    look_at(d, loop_now() + d->backoff);
}

long directory_wait(void) {
    long long left = first - loop_now();

    return !first ? -1 : left < 0 ? 0 : (long)left;
}

struct directory *directory_due(void) {
    struct directory *d = NULL;

    for (unsigned i = 0; i < count; i++)
        if (table[i].next && (!d || table[i].next < d->next))
            d = &table[i];
    first = d ? d->next : 0;
    return d && !directory_wait() ? d : NULL;
}

/* ---- messages ---- */

const char *directory_reason(int full) {
    int fd = full == EMFILE ? sys_open("/", O_RDONLY) : -1;

    if (fd >= 0) { /* descriptors there are */
        close(fd);
        return "fs.inotify.max_user_instances is too low";
    }
    return full == ENOSPC ? "fs.inotify.max_user_watches is too low" : error_text(full);
}
