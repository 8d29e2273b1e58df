/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine: any sequence of frames and events leads to a defined state
 * (tests/unit/sessioncheck.h, vios-protocol(7), common rule 4), and the same sequence from the same
 * state to the same one.
 *
 * For longer: make fuzz T=seconds */
#include <stdint.h>

#include "../../applets/lib/wire/frame.c"
#include "../../applets/lib/wire/session.c"
#include "../unit/sessioncheck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct frame_tokens tokens[] = {{"gues", "host"}, {"gues", "????"}, {"xxxx", "host"},
                                             {"RRRR", "RRRR"}, {"gues", "yyyy"}, {"INIT", "INIT"}};

/* '+': it begins, or its service has answered. '*': it begins on a shared channel, or becomes
 * one of such a channel's. False: neither is possible now. */
static unsigned accept_shared(struct session *l) {
    const struct frame syn = {FRAME_SYN, tokens[1], 2};
    unsigned actions = session_frame(l, &syn, "EM", 2);

    session_share(l);
    return actions;
}

static bool begins(struct session *l, uint8_t kind, uint8_t first, unsigned *actions) {
    *actions = 0;
    if (kind == '+' && l->state == SESSION_IDLE && l->role == SESSION_GUEST)
        *actions =
            session_open(l, (const unsigned char *)"gues", first & 2 ? "web" : NULL, first & 1);
    else if (kind == '+' && l->state == SESSION_CONNECTING)
        *actions = session_connected(l, (const unsigned char *)"host");
    else if (kind == '*' && l->state == SESSION_IDLE && l->role == SESSION_GUEST)
        *actions = session_open_shared(l, (const unsigned char *)"gues", first & 2 ? "web" : NULL);
    else if (kind == '*' && l->state == SESSION_IDLE)
        *actions = accept_shared(l);
    else if (kind == '*' && l->state == SESSION_ESTABLISHED && l->many && !l->shared)
        session_share(l);
    else
        return false;
    return true;
}

/* Three bytes an event: what, whose, how long. Returns a sum of all actions and states. */
static unsigned long run(const uint8_t *data, size_t size) {
    struct session l = {.role = data[0] & 1};
    unsigned long sum = 0;

    for (size_t at = 1; at + 3 <= size; at += 3) {
        struct frame f = {data[at], tokens[data[at + 1] % 6], data[at + 2]};
        unsigned actions;

        if (!begins(&l, data[at], data[at + 1], &actions))
            actions = sessioncheck_step(&l, data[at] < ' ' ? NULL : &f,
                                        (enum session_event)(data[at] % (SESSION_STOP + 1)));
        sessioncheck_state(&l);
        sum = sum * 31 + actions + l.state;
        if (l.state == SESSION_OVER)
            l = (struct session){.role = l.role};
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 3 && run(data, size) != run(data, size))
        __builtin_trap();
    return 0;
}
