/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/retry.h"

#include "relay/channels.h"

static long long first_retry;

void retry_at(struct channel *ch, long long when) {
    ch->retry = when;
    if (!first_retry || when < first_retry)
        first_retry = when;
}

unsigned retry_backoff(unsigned before) {
    unsigned next = before ? before * 2 : CONFIG_RETRY_MIN;

    return next > CONFIG_RETRY_MAX ? CONFIG_RETRY_MAX : next;
}

void retry_later(struct channel *ch, long long now) {
    ch->backoff = retry_backoff(ch->backoff);
    retry_at(ch, now + ch->backoff);
}

long long retry_next(void) { return first_retry; }

void retry_run(long long now, void (*again)(struct channel *ch)) {
    enum { TURN = 64 }; /* that are opened in a turn of the loop */
    unsigned tries = 0;

    if (!first_retry || now < first_retry)
        return;
    first_retry = 0;
    for (unsigned i = 0; i < channels_count(); i++) {
        struct channel *ch = channels_at(i);

        if (ch->retry && ch->retry <= now && (ch->end.fd >= 0 || tries++ < TURN)) {
            ch->retry = 0;
            again(ch);
        }
        if (ch->retry && (!first_retry || ch->retry < first_retry))
            first_retry = ch->retry;
    }
}
