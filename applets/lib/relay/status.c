/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/status.h"

#include "base/log.h"
#include "base/loop.h"
#include "relay/channels.h"
#include "relay/conn.h"

/* What a connection of a shared channel waits for, if for anything. */
static const char *waits_for(const struct conn *c) {
    if (c->window.n)
        return c->connecting ? "the service" : "its TCP side to take bytes";
    if (conn_is_apart(c))
        return session_is_asking(&c->session) ? "a channel" : "its end";
    return session_is_asking(&c->session) || c->connecting ? "an answer"
           : !c->session.credit                            ? "credit"
                                                           : "-";
}

/* The service of a connection that is one of many, or its channel's only one. */
static const char *service_of(const struct conn *c) {
    return CONFIG_FEATURE_SERVICES && c && c->session.name ? c->session.name : "-";
}

static void log_connection(const struct conn *c) {
    unsigned ms = (unsigned)(loop_now() - c->begun);

    log_msg(LOG_NOTICE, "  %-22s %-11s %-21s %-10s %6u.%03u %14llu %14llu %7u %s", "",
            session_state_name(&c->session), c->client, service_of(c), ms / 1000, ms % 1000,
            c->received, c->sent, c->session.credit, waits_for(c));
}

static void log_row(const struct channel *ch) {
    const struct conn *c = conn_current(ch);
    const char *state = channel_is_shared(ch) ? "shared"
                        : c                   ? session_state_name(&c->session)
                        : ch->end.fd < 0      ? "not open"
                        : ch->end.attached    ? "free"
                                              : "no host";

    log_msg(LOG_NOTICE, "%-24s %-11s %-21s %-10s %10u %14llu %14llu %7u %s", ch->name, state,
            c && c->fd >= 0 && !channel_is_shared(ch) ? c->client : "-",
            service_of(channel_is_shared(ch) ? NULL : c), ch->connections, ch->received, ch->sent,
            ch->resets, *ch->failure ? ch->failure : "-");
    for (c = CONFIG_FEATURE_MANY ? ch->conns : NULL; c; c = c->next)
        if (session_is_shared(&c->session))
            log_connection(c);
}

void status_log(void) {
    struct channel total = {.name = "total"};
    unsigned busy = 0, channels = 0;

    log_msg(
        LOG_NOTICE,
        "channel                  state       client                service    connections       received           sent  resets "
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
