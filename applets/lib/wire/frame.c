/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <stdbool.h>
#include <string.h>

#include "base/fmt.h"

static const unsigned char magic[3] = {'V', 'S', '1'};
const unsigned char frame_unknown[FRAME_TOKEN] = {'?', '?', '?', '?'};

void frame_encode(unsigned char out[FRAME_HEADER], const struct frame *f) {
    memcpy(out, magic, sizeof magic);
    out[3] = f->ctrl;
    memcpy(out + 4, &f->tokens, sizeof f->tokens);
    out[12] = (unsigned char)(f->length >> 8);
    out[13] = (unsigned char)f->length;
}

size_t frame_write(unsigned char *out, enum frame_ctrl ctrl, const struct frame_tokens *tokens,
                   const char *text, size_t most) {
    size_t n = fmt_length(text, most);
    struct frame f = {(unsigned char)ctrl, *tokens, (unsigned)n};

    frame_encode(out, &f);
    memcpy(out + FRAME_HEADER, text, n);
    return FRAME_HEADER + n;
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

enum frame_event frame_feed(struct frame_decoder *d, const unsigned char *p, size_t n, size_t *used,
                            struct frame *f) {
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

/* Whether the n bytes at p are a wanted header, or may become one. */
static bool is_wanted(const unsigned char *p, size_t n, const char *ctrls) {
    for (size_t i = 0; i < sizeof magic && i < n; i++)
        if (p[i] != magic[i])
            return false;
    if (n > sizeof magic && !is_one_of(p[3], ctrls))
        return false;
    if (!(CONFIG_VIOS_PROXY_HOST || CONFIG_FEATURE_INWARD)) /* no SYN comes */
        return true;
    return n < FRAME_HEADER || p[3] != FRAME_SYN || !memcmp(p + 8, frame_unknown, FRAME_TOKEN);
}

/* The first place in the n bytes at p where a wanted header begins, perhaps only a part of one; n:
 * nowhere. The byte where the magic would end says how far the next place is, so junk that looks
 * like headers takes no longer than other junk. */
static size_t skip_junk(const unsigned char *p, size_t n, const char *ctrls) {
    size_t at = 0;

    while (at < n && !is_wanted(p + at, n - at, ctrls))
        if (n - at < sizeof magic || p[at + 2] == magic[1])
            at++;
        else
            at += p[at + 2] == magic[0] ? 2 : sizeof magic;
    return at;
}

/* Puts the first wanted header in the n bytes at p into d, or as much of it as is there. */
static enum frame_event hold(struct frame_decoder *d, const unsigned char *p, size_t n,
                             size_t *used, struct frame *f, const char *ctrls) {
    size_t at = skip_junk(p, n, ctrls), have = n - at < FRAME_HEADER ? n - at : FRAME_HEADER;

    memcpy(d->head, p + at, have);
    d->have = (unsigned char)have;
    *used = at + have;
    return have == FRAME_HEADER ? begin(d, f) : FRAME_MORE;
}

/* A header that begins in what d holds is complete within the next 13 bytes. If none is, the hunt
 * goes on in bulk at the first of these. */
enum frame_event frame_hunt(struct frame_decoder *d, const unsigned char *p, size_t n, size_t *used,
                            struct frame *f, const char *ctrls) {
    unsigned char both[2 * (FRAME_HEADER - 1)];
    size_t had = d->have, more = n < FRAME_HEADER - 1 ? n : FRAME_HEADER - 1;
    enum frame_event event;

    d->left = 0;
    if (had) {
        memcpy(both, d->head, had);
        memcpy(both + had, p, more);
        event = hold(d, both, had + more, used, f, ctrls);
        *used -= had;
        if (event == FRAME_BEGIN || more == n)
            return event;
    }
    return hold(d, p, n, used, f, ctrls);
}

void frame_skip(struct frame_decoder *d) { d->left = 0; }

void frame_reject(struct frame_decoder *d) {
    d->left = 0;
    d->have = FRAME_HEADER - 1;
    memmove(d->head, d->head + 1, FRAME_HEADER - 1);
}

/* The part of a greeting at the end of a frame whose rest would be in the next one. */
enum { HALF_GREETING = 6 };

/* Each twelfth byte that is sent is asked about: one comparison for most, a shift for the rest. */
static bool is_of_greeting(unsigned char c) {
#define LETTER(c) (1ull << ((c) - '1'))
    const unsigned long long letters = LETTER('1') | LETTER('H') | LETTER('I') | LETTER('N') |
                                       LETTER('S') | LETTER('T') | LETTER('V');
    unsigned n = c - (unsigned)'1';

    return n <= 'V' - '1' && (letters >> n & 1);
}

unsigned frame_fit(const unsigned char *p, unsigned n) {
    static const unsigned char greeting[] = "VS1HINITINIT";
    enum { LENGTH = sizeof greeting - 1 };
    unsigned at = LENGTH - 1;

    while (at < n) {
        if (!is_of_greeting(p[at]))
            at += LENGTH; /* no greeting has this byte in it */
        else if (p[at] == 'T' && !memcmp(p + at - (LENGTH - 1), greeting, LENGTH))
            return at - (LENGTH - 1) + HALF_GREETING;
        else
            at++;
    }
    return n;
}

int frame_same(const struct frame_tokens *a, const struct frame_tokens *b) {
    return !memcmp(a, b, sizeof *a);
}
