/* SPDX-License-Identifier: Apache-2.0 */
/* retry: when channels are tried again: opened, or read on. */
#ifndef VIOS_RETRY_H
#define VIOS_RETRY_H

#include "relay/channel.h"

/* Wants one at a time, in milliseconds of loop_now(); or after the channel's back-off. */
void retry_at(struct channel *ch, long long when);
void retry_later(struct channel *ch, long long now);

/* How long to wait after one more failure, in milliseconds. */
unsigned retry_backoff(unsigned before);

/* When the first retry of all is due (0: none is wanted), and calls again(ch) for each that is, for
 * some of them in each turn. */
long long retry_next(void);
void retry_run(long long now, void (*again)(struct channel *ch));

#endif
