/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/input.h"

#include <string.h>

#include "base/fmt.h"
#include "base/loop.h"

/* All payload of the frame has come. */
static void complete(struct input *in) {
    in->deadline = 0;
    in->text[in->text_bytes] = '\0';
    if (in->frame.ctrl != FRAME_WINDOW)
        fmt_ascii(in->text, in->text_bytes);
}

bool input_begin(struct channel *ch, const struct frame *f) {
    struct input *in = ch->in;

    frame_skip(&ch->decoder);
    if (CONFIG_FEATURE_MANY && SESSION_RESPONDS)
        ch->since_init = session_is_greeting(f) ? 0 : FRAME_HEADER + 1;
    in->frame = *f;
    in->left = f->length;
    in->text_bytes = 0;
    if (in->left)
        in->deadline = loop_now() + CONFIG_HANDSHAKE_TIMEOUT * 1000L;
    else
        complete(in);
    return !in->left;
}

bool input_collect(struct input *in) {
    unsigned n = in->filled - in->raw, keep = CHANNEL_TEXT - in->text_bytes;

    if (n > in->left)
        n = in->left;
    if (keep > n)
        keep = n;
    memcpy(in->text + in->text_bytes, in->bytes + in->raw, keep);
    in->text_bytes += keep;
    in->raw += n;
    in->left -= n;
    if (!in->left)
        complete(in);
    return !in->left;
}

void input_take(struct channel *ch, struct conn *c, unsigned n) {
    struct input *in = ch->in;

    if (in->head == in->tail)
        in->head = in->tail = in->raw;
    if (in->tail != in->raw)
        memmove(in->bytes + in->tail, in->bytes + in->raw, n);
    in->tail += n;
    c->progress = true;
    c->received += n;
    ch->received += n;
}
