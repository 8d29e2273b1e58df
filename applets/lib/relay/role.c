/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/role.h"

#include "base/loop.h"

const struct role *role;

void role_is_taken(struct channel *ch) {
    log_limited(channel_limit(ch, loop_now()), loop_now(), LOG_WARN,
                "%s: both ends have the same role: give -R to both proxies, or to neither",
                ch->name);
}
