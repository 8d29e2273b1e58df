/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/tick.h"

#include "base/loop.h"
#include "relay/guests.h"
#include "relay/relay.h"
#include "relay/share.h"

long tick_timeout(void) {
    long long next = 0;

    for (unsigned i = 0; i < channel_busy(); i++) {
        long long when = channel_busy_at(i)->deadline;

        if (when && (!next || when < next))
            next = when;
    }
    if (!next)
        return -1;
    next -= loop_now();
    return next < 0 ? 0 : (long)next;
}

/* A control frame's payload has not come in time. */
static void frame_expired(struct channel *ch) {
    struct conn *c = conn_current(ch);

    channel_skip_input(ch);
    if (channel_is_shared(ch))
        share_end(ch, true, "the rest of a frame did not come");
    else if (c)
        conn_apply(c, session_event(&c->session, SESSION_BAD, NULL));
}

static void expire(struct channel *ch, long long now) {
    ch->spent = false;
    ch->writes = 0;
    if (ch->in && ch->in->deadline && ch->in->deadline <= now)
        frame_expired(ch);
    if (channel_is_shared(ch) && ch->frame_end && ch->frame_end <= now)
        share_end(ch, true, "the rest of a frame did not come");
    for (struct conn *c = ch->conns; c; c = c->next)
        if (c->deadline && c->deadline <= now) {
            c->deadline = 0;
            if (c->wait != CONN_DRAIN)
                role->expired(c);
            else if (c->drained <= now)
                conn_timeout(c);
        }
    relay_pump(ch);
}

static bool is_due(const struct channel *ch) { return ch->deadline && ch->deadline <= loop_now(); }

/* The channel, of those whose next SYN waits for its turn, whose guest has used least. */
static struct channel *next_spent(void) {
    struct channel *best = NULL;

    for (unsigned i = channel_busy(); i-- > 0;) {
        struct channel *ch = channel_busy_at(i);

        if (ch->spent && is_due(ch) && (!best || ch->guest->share.used < best->guest->share.used))
            best = ch;
    }
    return best;
}

/* What others may cause at will is only a part of a round; the rest of it comes in the next one,
 * after what is ready then; but one of them at least has its turn. */
void tick_run(void) {
    struct channel *ch;

    for (unsigned i = channel_busy(); i-- > 0;)
        if (is_due(channel_busy_at(i)) && !channel_is_spent(channel_busy_at(i)))
            expire(channel_busy_at(i), loop_now());
    while (CONFIG_VIOS_PROXY_HOST && (ch = next_spent()) != NULL) {
        expire(ch, loop_now());
        if (loop_is_round_over())
            break;
    }
}
