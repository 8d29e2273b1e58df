/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/choice.h"

#include "base/fmt.h"
#include "relay/channels.h"
#include "relay/guests.h"
#include "relay/opener.h"

static const struct names *names;
unsigned choice_limit;
static bool starved; /* a client may wait for what ends on any channel */

void choice_init(const struct names *n, unsigned limit) {
    names = n;
    choice_limit = limit;
}

bool choice_is_fed(void) {
    bool was = starved;

    starved = false;
    return was;
}

static bool is_full(const struct channel *ch) {
    if (conn_is_room() && (!channel_guest(ch) || channel_is_room(ch)))
        return channel_guest(ch) && ch->guest->connections >= choice_limit;
    starved = true;
    return true;
}

static enum choice kind_of(const struct channel *ch) {
    const struct conn *c = conn_current(ch);

    if (!*ch->name || ch->end.fd < 0 || !ch->end.attached)
        return CHOICE_NO_HOST;
    if (ch->gone || is_full(ch))
        return CHOICE_BUSY;
    if (channel_is_shared(ch))
        return ch->carried < ch->places ? CHOICE_SHARED : CHOICE_BUSY;
    if (!c && ch->silent) /* a guest's program says when it comes */
        return CHOICE_ON_HOST ? CHOICE_NO_HOST : CHOICE_SILENT;
    if (!c)
        return CHOICE_FREE;
    if ((CONFIG_FEATURE_MANY || CHOICE_ON_HOST) && session_is_asking(&c->session))
        return CHOICE_ASKING;
    return session_lingers(&c->session) && !conn_is_stuck(c) ? CHOICE_LINGERS : CHOICE_BUSY;
}

/* Whether it may carry a client of these listeners. */
static bool is_for(const struct channel *ch, const struct listeners *l) {
    return !CHOICE_SETS || !l->guest || l->guest == ch->guest;
}

enum choice choice_make(const struct listeners *l, struct channel **chosen) {
    enum choice best = CHOICE_NO_HOST;
    unsigned age = 0; /* of those of one kind the lowest counts */

    *chosen = NULL;
    for (unsigned i = 0; i < channels_count(); i++) {
        struct channel *ch = channels_at(i);
        enum choice kind = kind_of(ch);
        unsigned a = kind == CHOICE_LINGERS  ? (unsigned)ch->conns->deadline
                     : kind == CHOICE_SHARED ? ch->carried
                                             : ch->used;

        if (!is_for(ch, l))
            continue;
        if (kind > best || (kind == best && (int)(a - age) >= 0))
            continue;
        best = kind;
        age = a;
        *chosen = ch;
    }
    return best;
}

/* Why no channel can be used. */
const char *choice_none(const struct listeners *l) {
    static char why[CHANNEL_NAME + 128];
    const struct channel *shut = NULL;

    for (unsigned i = 0; i < channels_count(); i++) {
        const struct channel *ch = channels_at(i);

        if (!is_for(ch, l))
            continue;
        if (ch->end.fd >= 0 || (*ch->name && !ch->reason)) /* or it was, and is opened anew */
            return CHOICE_ON_HOST ? "no vios-proxy-guest -R answers in the guest"
                                  : "no host is attached (try vios-probe)";
        if (*ch->name)
            shut = ch;
    }
    if (!shut)
        return "there is no channel (vios-list says why)";
    fmt_print(why, sizeof why, "no channel can be opened: %s: %s", shut->name,
              opener_why(shut, names->path(shut->name)));
    return why;
}
