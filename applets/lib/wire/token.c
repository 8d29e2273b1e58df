/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/token.h"

#include <sys/random.h>
#include <unistd.h>

#include "base/loop.h"

/* syscalls: getrandom getpid */

static unsigned state;

void token_begin(void) {
    if (getrandom(&state, sizeof state, GRND_NONBLOCK) != sizeof state)
        state = (unsigned)loop_now() ^ (unsigned)getpid() << 20;
}

void token_new(unsigned char token[FRAME_TOKEN]) {
    enum {
        TOKENS = 94 * 94 * 94 * 94,
        STEP = 48252939 /* has no divisor in common with that: all come before one comes again */
    };
    unsigned v = state = (state + STEP) % TOKENS;

    for (int i = 0; i < FRAME_TOKEN; i++, v /= 94)
        token[i] = (unsigned char)('!' + v % 94);
}
