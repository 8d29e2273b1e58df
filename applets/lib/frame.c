/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <stdbool.h>
#include <string.h>

static const unsigned char magic[3] = {'V', 'S', '1'};

void frame_encode(unsigned char out[FRAME_HEADER], const struct frame *f) {
    memcpy(out, magic, sizeof magic);
    out[3] = f->ctrl;
    memcpy(out + 4, &f->tokens, sizeof f->tokens);
    out[12] = (unsigned char)(f->length >> 8);
    out[13] = (unsigned char)f->length;
}

/* The header is complete: hands it out, and expects its payload. */
static enum frame_event begin(struct frame_decoder *d, struct frame *f) {
    f->ctrl = d->head[3];
    memcpy(&f->tokens, d->head + 4, sizeof f->tokens);
    f->length = (unsigned)d->head[12] << 8 | d->head[13];
    d->left = f->length;
    d->have = 0;
    return FRAME_BEGIN;
}

static enum frame_event payload(struct frame_decoder *d, size_t n, size_t *used) {
    *used = n < d->left ? n : d->left;
    d->left -= (unsigned)*used;
    return FRAME_PAYLOAD;
}

enum frame_event frame_feed(struct frame_decoder *d, const unsigned char *p, size_t n, size_t *used, struct frame *f) {
    *used = 0;
    if (n && d->left)
        return payload(d, n, used);
    while (*used < n) {
        unsigned at = d->have++;

        d->head[at] = p[(*used)++];
        if (at < sizeof magic && d->head[at] != magic[at])
            return FRAME_BAD;
        if (d->have == FRAME_HEADER)
            return begin(d, f);
    }
    return FRAME_MORE;
}

static bool is_one_of(unsigned char c, const char *set) {
    while (*set && (unsigned char)*set != c)
        set++;
    return *set;
}

/* Whether the bytes so far can begin a wanted header. */
static int promising(const struct frame_decoder *d, const char *ctrls) {
    unsigned n = d->have;

    if (memcmp(d->head, magic, n < sizeof magic ? n : sizeof magic) != 0)
        return 0;
    return n <= sizeof magic || is_one_of(d->head[3], ctrls);
}

/* The first place from at on where a wanted header, or the beginning of one, stands in the n bytes at p; n: nowhere. Junk made to
 * look like headers costs no more than other junk. */
static size_t skip_junk(const unsigned char *p, size_t at, size_t n, const char *ctrls) {
    for (; at + sizeof magic < n; at++)
        if (p[at] == magic[0] && p[at + 1] == magic[1] && p[at + 2] == magic[2] && is_one_of(p[at + 3], ctrls))
            return at;
    while (at < n && p[at] != magic[0])
        at++;
    return at;
}

/* Drops bytes from the front until the rest is promising (or empty). */
static void refit(struct frame_decoder *d, const char *ctrls) {
    while (d->have && !promising(d, ctrls))
        memmove(d->head, d->head + 1, --d->have);
}

enum frame_event frame_hunt(struct frame_decoder *d, const unsigned char *p, size_t n, size_t *used, struct frame *f,
                            const char *ctrls) {
    *used = 0;
    d->left = 0;
    refit(d, ctrls);
    while (*used < n) {
        if (!d->have)
            *used = skip_junk(p, *used, n, ctrls);
        if (*used == n)
            break;
        d->head[d->have++] = p[(*used)++];
        refit(d, ctrls);
        if (d->have == FRAME_HEADER)
            return begin(d, f);
    }
    return FRAME_MORE;
}

void frame_skip(struct frame_decoder *d) { d->left = 0; }

void frame_reject(struct frame_decoder *d) {
    d->left = 0;
    d->have = FRAME_HEADER - 1;
    memmove(d->head, d->head + 1, FRAME_HEADER - 1);
}

int frame_same(const struct frame_tokens *a, const struct frame_tokens *b) { return !memcmp(a, b, sizeof *a); }
