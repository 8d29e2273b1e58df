/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/status.h"

#include "base/log.h"
#include "relay/channels.h"
#include "relay/conn.h"

static void log_row(const struct channel *ch) {
    const struct conn *c = ch->conns;
    const char *state = c                  ? session_state_name(&c->session)
                        : ch->end.fd < 0   ? "not open"
                        : ch->end.attached ? "free"
                                           : "no host";

    log_msg(LOG_NOTICE, "%-24s %-11s %-21s %10u %14llu %14llu %7u %s", ch->name, state,
            c && c->fd >= 0 ? c->client : "-", ch->connections, ch->received, ch->sent, ch->resets,
            *ch->failure ? ch->failure : "-");
}

void status_log(void) {
    struct channel total = {.name = "total"};
    unsigned busy = 0, channels = 0;

    log_msg(
        LOG_NOTICE,
        "channel                  state       client                connections       received           sent  resets "
        "last failure");
    for (unsigned i = 0; i < channels_count(); i++) {
        const struct channel *ch = channels_at(i);

        if (!*ch->name)
            continue;
        log_row(ch);
        channels++;
        busy += ch->conns != NULL;
        total.connections += ch->connections;
        total.resets += ch->resets;
        total.received += ch->received;
        total.sent += ch->sent;
    }
    log_msg(
        LOG_NOTICE,
        "total: %u channels, %u in use, %u connections so far, %llu bytes received, %llu sent, %u resets",
        channels, busy, total.connections, total.received, total.sent, total.resets);
}
