/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/guard.h"

#include "base/log.h"
#include "base/loop.h"
#include "relay/guests.h"
#include "relay/qemu.h"
#include "relay/retry.h"

/* The first bytes since the socket was opened. A guest that begins with these shuts out its own
 * channel, and no other. */
static void meet(struct channel *ch, const unsigned char *p, size_t n) {
    ch->heard = n > 0;
    ch->monitor = qemu_is_monitor(p, n);
    if (!ch->monitor)
        return;
    log_limited(channel_limit(ch, loop_now()), loop_now(), LOG_WARN,
                "%s: QEMU's monitor, not a channel: left alone", ch->name);
    ch->end.broken = true;
}

/* Who sends more without a connection than connections need is not read for a while. */
void guard_junk(struct channel *ch, size_t n) {
    long long now = loop_now();
    unsigned stale = n < ch->stale_bytes ? (unsigned)n : ch->stale_bytes;
    long pause = guests_junk(ch->guest, (unsigned)n - stale, now);

    ch->stale_bytes -= stale;

    if (!pause)
        return;
    log_limited(channel_limit(ch, now), now, LOG_WARN,
                "%s: floods without a connection, so it is read slowly", ch->name);
    ch->paused = true;
    retry_at(ch, now + pause);
}

/* Nothing that comes belongs to a connection, or may. */
static bool is_idle(const struct channel *ch) {
    const struct conn *c = conn_current(ch);

    return !channel_is_shared(ch) && (!c || session_is_asking(&c->session));
}

void guard_came(struct channel *ch, size_t n) {
    if (!ch->heard)
        meet(ch, ch->in->bytes + ch->in->filled - n, n);
    if (n)
        ch->doubtful = ch->redone = false;
    if (is_idle(ch))
        guard_junk(ch, n);
}
