/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/guests.h"

#include <string.h>

#include "base/fmt.h"
#include "base/memory.h"
#include "wire/frame.h"

enum {
    GUESTS = CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CHANNELS : 1,
    SHARE = CONFIG_VIOS_PROXY_HOST ? CONFIG_GUEST_SHARE : 1
};

/* Bytes of junk that may come at once, of a guest and of all, and in a millisecond. A guest's proxy
 * that starts sends 64 KiB of filler on each of its channels; the original's guest sends 3 MB/s of
 * filler at most. A guest with less than FAIR does not pay for others. */
enum {
    BURST = 32 * FRAME_FILLER_BYTES,
    RATE = 4096,
    ALL_BURST = 4 * BURST,
    ALL_RATE = 4 * RATE,
    FAIR = 2 * FRAME_FILLER_BYTES
};

/* Connects at once and per second, of a guest and of all. One that the proxy ends first leaves a
 * local port in TIME_WAIT for 60 s, of which Linux has 28,232 towards one address: 8,000 + 60 * 300
 * are less. A guest with few of late does not pay for others. */
enum { CONNECTS = 8000, CONNECT_RATE = 250, ALL_CONNECT_RATE = 300, FEW_CONNECTS = 200 };

enum { FIRST_NEWS = 40 };

static MEMORY_BULK struct guest table[GUESTS];
static unsigned count; /* slots 0..count-1 have been in use */
static struct bucket all_junk, all_connects;

bool guests_is_name(const char *name, size_t n) {
    enum { MOST = 64 };
    const char *p = name;

    while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
           *p == '.' || *p == '_' || *p == '-')
        p++;
    return n && *name != '.' && (size_t)(p - name) >= n && n <= MOST;
}

const char *guests_part(const char *path) {
    while (*path && !fmt_begins(path, "%g"))
        path++;
    return *path ? path : NULL;
}

const char *guests_path(const struct guest *g, const char *path) {
    static char text[512];
    const char *at = guests_part(path);

    fmt_print(text, sizeof text, "%.*s%.*s%s", (int)(at - path), path, (int)g->length - 1, g->name,
              at + 2);
    return text;
}

static struct guest *find(const char *name) {
    for (unsigned i = 0; i < count; i++)
        if (table[i].channels && !memcmp(table[i].name, name, table[i].length))
            return &table[i];
    return NULL;
}

static struct guest *add(const char *name) {
    struct guest *g = table;

    while (g->channels)
        g++;
    if (g == &table[count])
        count++;
    *g = (struct guest){.length = (size_t)(fmt_find(name, '/') - name) + 1};
    fmt_copy(g->name, sizeof g->name, name);
    return g;
}

struct guest *guests_join(const char *name) {
    struct guest *g = find(name);

    if (!g)
        g = add(name);
    if (g->channels == SHARE)
        return NULL;
    g->channels++;
    return g;
}

void guests_leave(struct guest *g) {
    g->channels--;
    while (count && !table[count - 1].channels)
        count--;
}

long guests_junk(struct guest *g, unsigned n, long long now) {
    unsigned own = bucket_add(&g->junk, now, RATE, n),
             all = bucket_add(&all_junk, now, ALL_RATE, n);

    if (own > BURST)
        return 1 + (own - BURST) / RATE;
    return all > ALL_BURST && own > FAIR ? 1 + (all - ALL_BURST) / ALL_RATE : 0;
}

void guests_forgive(struct guest *g, unsigned n) {
    g->junk.owed -= n < g->junk.owed ? n : g->junk.owed;
}

bool guests_may_connect(struct guest *g, long long now) {
    enum { ONE = 1000 }; /* a millisecond pays for CONNECT_RATE of it */
    unsigned own = bucket_add(&g->connects, now, CONNECT_RATE, ONE),
             all = bucket_add(&all_connects, now, ALL_CONNECT_RATE, ONE);

    if (own <= CONNECTS * ONE && (all <= CONNECTS * ONE || own <= FEW_CONNECTS * ONE))
        return true;
    g->connects.owed -= ONE;
    all_connects.owed -= ONE;
    return false;
}

struct log_limit *guests_news(struct guest *g, long long now) {
    if (now - g->news_since >= LOG_QUIET) {
        g->news_since = now;
        g->news_count = 0;
    }
    return ++g->news_count > FIRST_NEWS ? &g->news : NULL;
}
