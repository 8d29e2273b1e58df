/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder: whatever the bytes and however they are cut, the events are the same; and again the
 * same from a decoder that has been used and is at a frame boundary (left-over state shows).
 *
 * For longer: make fuzz T=seconds */
#include <stdint.h>

#include "../../applets/lib/wire/frame.c"
#include "../unit/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte: whether to begin with a hunt; the second: the seed of the pieces' sizes. */
static void listen_to(struct events *e, struct frame_decoder *d, const uint8_t *data, size_t size,
                      unsigned seed) {
    bool hunting = data[0] & 1;

    e->n = 0;
    for (size_t at = 2; at < size;) {
        size_t n = seed ? (seed = seed * 1103515245 + 12345, 1 + (seed >> 16) % 40) : size;
        uint8_t *piece;

        n = n < size - at ? n : size - at;
        piece = malloc(n);
        memcpy(piece, data + at, n);
        events_feed(e, d, &hunting, "ABCDHW", piece, n);
        free(piece);
        at += n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static unsigned char texts[2][EVENTS_MAX];
    struct events whole = {texts[0], 0}, pieces = {texts[1], 0};
    struct frame_decoder d = {0};

    if (size < 3 || size > 20000)
        return 0;
    listen_to(&whole, &d, data, size, 0);
    for (unsigned seed = data[1] + 1u; seed; seed = seed > 1 ? 1 : 0) {
        struct frame_decoder fresh = {0};

        listen_to(&pieces, &fresh, data, size, seed);
        if (pieces.n != whole.n || memcmp(pieces.text, whole.text, whole.n))
            __builtin_trap();
        if (memcmp(fresh.head, d.head, d.have) || fresh.have != d.have || fresh.left != d.left)
            __builtin_trap();
    }
    if (d.have || d.left)
        return 0;
    listen_to(&pieces, &d, data, size, 0);
    if (pieces.n != whole.n || memcmp(pieces.text, whole.text, whole.n))
        __builtin_trap();
    return 0;
}
