/* SPDX-License-Identifier: Apache-2.0 */
/* tick: what happens to channels and connections because time has passed. */
#ifndef VIOS_TICK_H
#define VIOS_TICK_H

/* Milliseconds until tick_run() has work, -1: none. */
long tick_timeout(void);
void tick_run(void);

#endif
