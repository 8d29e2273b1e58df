/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/channel.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/memory.h"
#include "base/net.h"
#include "base/pool.h"
#include "relay/guests.h"
#include "wire/session.h"

/* One input more than channels may be busy: an idle channel can always be read, if only to refuse
 * its SYN. */
static MEMORY_BULK _Alignas(MEMORY_PAGE) struct input inputs[CHANNEL_BUSY + 1];
static MEMORY_BULK _Alignas(MEMORY_PAGE) struct output outputs[CHANNEL_BUSY];
static struct pool input_pool = POOL(inputs), output_pool = POOL(outputs);
static struct channel *busy[CHANNEL_BUSY + 1];
static unsigned busy_count, busy_limit = CHANNEL_BUSY;
static struct channel *marked;

void channel_occupy(struct channel *ch) {
    if (ch->place)
        return;
    busy[busy_count++] = ch;
    ch->place = busy_count;
}

static void vacate(struct channel *ch) {
    struct channel *last = busy[--busy_count];

    busy[ch->place - 1] = last;
    last->place = ch->place;
    ch->place = 0;
}

struct input *channel_input(struct channel *ch) {
    if (!ch->in) {
        ch->in = pool_take(&input_pool);
        memset(ch->in, 0, offsetof(struct input, text));
        channel_occupy(ch);
    }
    return ch->in;
}

struct output *channel_output(struct channel *ch) {
    if (!ch->out)
        ch->out = pool_take(&output_pool);
    return ch->out;
}

void channel_tidy(struct channel *ch) {
    if (ch->out && !channel_owes(ch)) {
        pool_give(&output_pool, ch->out);
        ch->out = NULL;
    }
    if (ch->in && ch->in->head == ch->in->tail && ch->in->raw == ch->in->filled)
        ch->in->head = ch->in->tail = ch->in->raw = ch->in->filled = 0;
    if (ch->in && !ch->in->filled && !ch->in->left && !ch->held) {
        pool_give(&input_pool, ch->in);
        ch->in = NULL;
    }
    if (!ch->place || ch->in || ch->out || ch->conns)
        return;
    vacate(ch);
    if (ch->gone)
        channel_mark(ch);
}

void channel_skip_frame(struct channel *ch) {
    if (!ch->in)
        return;
    ch->in->left = 0;
    ch->in->deadline = 0;
}

void channel_skip_input(struct channel *ch) {
    channel_skip_frame(ch);
    if (ch->in)
        ch->in->raw = ch->in->filled;
}

void channel_rewind(struct channel *ch) {
    channel_skip_frame(ch);
    ch->decoder = (struct frame_decoder){0};
}

void channel_answered(struct channel *ch) {
    ch->end.aligned = true;
    ch->silent = false;
}

void channel_unanswered(struct channel *ch) {
    ch->silent = ch->end.attached;
    ch->end.aligned = false;
}

void channel_hush(struct channel *ch) {
    if (ch->end.fd >= 0)
        loop_quiet(ch->end.fd, !ch->conns && !ch->in && !ch->end.owed_bytes);
}

struct channel *channel_busy_at(unsigned i) {
    return busy[i];
}

unsigned channel_busy(void) { return busy_count; }

void channel_limit_busy(unsigned limit) { busy_limit = limit; }

bool channel_is_excess(const struct channel *ch) { return busy_count > busy_limit && !ch->conns; }

bool channel_is_room(const struct channel *ch) { return ch->place || busy_count < busy_limit; }

unsigned channel_unread_beside(const struct channel *ch) {
    unsigned found = 0;

    for (unsigned i = 0; i < busy_count; i++)
        found += busy[i] != ch && busy[i]->guest == ch->guest && !busy[i]->conns;
    return found;
}

void channel_trim(void) {
    pool_trim(&input_pool);
    pool_trim(&output_pool);
}

void channel_mark(struct channel *ch) {
    if (ch->marked)
        return;
    ch->marked = true;
    ch->next_marked = marked;
    marked = ch;
}

bool channel_is_any_marked(void) { return marked; }

void channel_review(void (*decide)(struct channel *ch)) {
    while (marked) {
        struct channel *ch = marked;

        marked = ch->next_marked;
        ch->marked = false;
        decide(ch);
    }
}

/* ---- messages ---- */

struct log_limit *channel_limit(struct channel *ch, long long now) {
    struct log_limit *others = NULL;

    if (CONFIG_VIOS_PROXY_HOST && ch->guest && !ch->ends.next)
        others = guests_news(ch->guest, now);
    return others ? others : &ch->ends;
}

void channel_ended(struct channel *ch, struct log_limit *limit, const char *client, const char *how,
                   const char *why) {
    bool probe = !strcmp(why, SESSION_PROBE); /* as it says itself: nothing has failed */

    if (CONFIG_FEATURE_STATUS && *why && !probe)
        fmt_copy(ch->failure, sizeof ch->failure, why);
    if (!limit)
        limit = channel_limit(ch, loop_now());
    log_limited(limit, loop_now(), probe ? LOG_INFO : LOG_WARN, "%s: %s: %s%s%s", ch->name, client,
                how, *why ? ": " : "", why);
}

/* ---- its other side ---- */

/* Closes its descriptor. False: that could take as long as the other side likes, so it is left
 * alone for good. */
bool channel_release(struct channel *ch, int fd) {
    if (!CONFIG_VIOS_PROXY_HOST || !ch->guest) {
        close(fd);
        return true;
    }
    if (net_close(fd))
        return true;
    ch->foul = true;
    log_msg(LOG_ERROR, "%s: passes descriptors, so it is not QEMU: left alone for good", ch->name);
    return false;
}

void channel_close(struct channel *ch) {
    if (ch->end.fd < 0)
        return;
    loop_watch(ch->end.fd, 0, NULL, NULL);
    if (CONFIG_VIOS_PROXY_HOST)
        loop_quiet(ch->end.fd, false);
    channel_release(ch, ch->end.fd);
    ch->end.fd = -1;
    ch->paused = false;
    ch->retry = 0;
    channel_detached(ch);
}

void channel_detached(struct channel *ch) {
    ch->end.attached = ch->shared = ch->init_due = ch->held = false;
    ch->rest_bytes = 0;
    ch->refusal[0] = '\0';
    ch->end.owed_bytes = 0;
    ch->decoder = (struct frame_decoder){0};
}

void channel_attached(struct channel *ch) {
    ch->end.attached = ch->end.aligned = true;
    ch->silent = false;
}
