/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/channels.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/memory.h"

static MEMORY_BULK _Alignas(MEMORY_PAGE) struct channel table[CHANNEL_MAX];
static unsigned count; /* slots 0..count-1 have been in use */

struct channel *channels_at(unsigned i) {
    return &table[i];
}

unsigned channels_count(void) { return count; }

struct channel *channels_find(const char *name) {
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

struct channel *channels_add(const char *name, unsigned limit) {
    struct channel *ch = channels_find("");

    if (!ch && count < limit)
        ch = &table[count++];
    if (!ch)
        return NULL;
    memset(ch, 0, offsetof(struct channel, marked));
    ch->end.fd = ch->visitor = -1;
    fmt_copy(ch->name, sizeof ch->name, name);
    return ch;
}

void channels_forget(struct channel *ch) {
    ch->name[0] = '\0';
    ch->retry = 0;
    while (count && !*table[count - 1].name)
        count--;
}

unsigned channels_open(const struct guest *g) {
    unsigned open = 0;

    for (unsigned i = 0; i < count; i++)
        open += *table[i].name && table[i].guest == g && table[i].end.fd >= 0;
    return open;
}

/* Whether a channel's socket has gone, or another file has taken its place. */
static bool is_missing(const struct channel *ch, int directory) {
    unsigned long long inode;

    if (file_look(directory, fmt_base(ch->name), &inode) < 0)
        return errno == ENOENT;
    return ch->end.fd >= 0 && inode != ch->inode;
}

static bool is_in(const struct channel *ch, const char *directory) {
    size_t n = strlen(directory);

    if (!n)
        return *ch->name && !*fmt_find(ch->name, '/');
    return fmt_begins(ch->name, directory) && ch->name[n] == '/';
}

void channels_missing(const char *below, int directory,
                      bool (*tell)(const char *name, bool there)) {
    for (unsigned i = count; i-- > 0;) {
        const struct channel *ch = &table[i];
        char name[CHANNEL_NAME];

        if (!is_in(ch, below) || !is_missing(ch, directory))
            continue;
        fmt_copy(name, sizeof name, ch->name);
        tell(name, false);
    }
}
