/* SPDX-License-Identifier: Apache-2.0 */
/* events: what a frame_decoder says about a byte string that comes in pieces, in a form in which
 * the pieces do not show. */
#ifndef VIOS_EVENTS_H
#define VIOS_EVENTS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../applets/lib/wire/frame.h"

enum { EVENTS_MAX = 400000 };

/* Text of events: B and a header's 11 bytes; P and each payload byte; X for a bad header, after
 * which a hunt for prey begins. */
struct events {
    unsigned char *text;
    size_t n;
};

static inline void events_add(struct events *e, unsigned char kind, const void *p, size_t n) {
    if (e->n + n + 1 > EVENTS_MAX)
        abort();
    if (kind)
        e->text[e->n++] = kind;
    memcpy(e->text + e->n, p, n);
    e->n += n;
}

/* One piece of at most n bytes. hunting: by frame_hunt() for prey; a header that is found ends the
 * hunt, unless its guest token begins with '!', which makes it junk; after a bad header it begins.
 */
static inline void events_feed(struct events *e, struct frame_decoder *d, bool *hunting,
                               const char *prey, const unsigned char *p, size_t n) {
    size_t at = 0, used;
    struct frame f;

    for (;;) {
        enum frame_event event = *hunting ? frame_hunt(d, p + at, n - at, &used, &f, prey)
                                          : frame_feed(d, p + at, n - at, &used, &f);

        if (used > n - at)
            abort();
        if (event == FRAME_PAYLOAD)
            for (size_t i = 0; i < used; i++)
                events_add(e, 'P', p + at + i, 1);
        at += used;
        if (event == FRAME_MORE) {
            if (at != n)
                abort();
            return;
        }
        if (event == FRAME_BAD)
            events_add(e, 'X', "", 0);
        if (event == FRAME_BAD)
            *hunting = true;
        if (event == FRAME_BEGIN) {
            unsigned char head[11] = {f.ctrl};

            if (*hunting && !strchr(prey, f.ctrl))
                abort();
            memcpy(head + 1, &f.tokens, 8);
            head[9] = (unsigned char)(f.length >> 8);
            head[10] = (unsigned char)f.length;
            events_add(e, 'B', head, sizeof head);
            if (*hunting && f.tokens.guest[0] == '!')
                frame_reject(d);
            else
                *hunting = false;
        }
    }
}

#endif
