/* SPDX-License-Identifier: Apache-2.0 */
/* frame: the codec of protocol version 1 (vios-protocol(7), FRAMES), bytes <-> events. It knows no
 * fd, clock or log; payload is handed on as a span of the caller's buffer and never assembled.
 *
 * Two ways of reading. frame_feed() is for a connection: the next byte must begin a header.
 * frame_hunt() is for LISTEN and SYN_SENT: it skips whatever is not a wanted header. Both use
 * the same decoder, so one may follow the other at any byte. */
#ifndef VIOS_FRAME_H
#define VIOS_FRAME_H

#include <stddef.h>

enum { FRAME_HEADER = 14, FRAME_TOKEN = 4, FRAME_PAYLOAD_MAX = 65535 };

/* Filler that ends any half-received frame of a peer, and how much it takes. vios-protocol(7),
 * guest rule 3. */
enum { FRAME_FILLER = '1', FRAME_FILLER_BYTES = FRAME_PAYLOAD_MAX + FRAME_HEADER - 1 };

enum frame_ctrl {
    FRAME_SYN = 'A',
    FRAME_ACK = 'B',
    FRAME_SYNACK = 'C',
    FRAME_DATA = 'D',
    FRAME_RESET = 'H',
    FRAME_WINDOW = 'W', /* with M: its payload is a number, big-endian in 4 bytes */
};

/* Both ends' names of one connection, as on the wire. */
struct frame_tokens {
    unsigned char guest[FRAME_TOKEN], host[FRAME_TOKEN];
};

struct frame {
    unsigned char ctrl;
    struct frame_tokens tokens;
    unsigned length; /* bytes of payload, 0..65535 */
};

/* The host token of a SYN. */
extern const unsigned char frame_unknown[FRAME_TOKEN];

/* have: bytes of a header so far, 0..13. left: bytes of payload still to come; while left > 0, have
 * is 0. head[0..have): after frame_feed(), as much of the magic as have is long (after FRAME_BAD:
 * but for the last byte); after frame_hunt(), the beginning of a wanted header, and none begins
 * before it; after frame_reject(), any bytes. head[0..14): the header, from FRAME_BEGIN until the
 * next call. A zeroed decoder is at a frame boundary. */
struct frame_decoder {
    unsigned char head[FRAME_HEADER];
    unsigned char have;
    unsigned left;
};

enum frame_event {
    FRAME_MORE,    /* all n bytes are used, no event */
    FRAME_BEGIN,   /* *f is a header; its payload comes in FRAME_PAYLOAD events, if f->length > 0 */
    FRAME_PAYLOAD, /* the *used bytes at p are payload */
    FRAME_BAD,     /* not a header of version 1; only frame_hunt() leads on */
};

/* Writes f's 14 header bytes to out. */
void frame_encode(unsigned char out[FRAME_HEADER], const struct frame *f);

/* Writes a whole frame whose payload is text, cut to `most` bytes: the bytes of it. */
size_t frame_write(unsigned char *out, enum frame_ctrl ctrl, const struct frame_tokens *tokens,
                   const char *text, size_t most);

/* The next event in the n bytes at p; *used of them (0..n) belong to it. Call again with the rest
 * until FRAME_MORE. */
enum frame_event frame_feed(struct frame_decoder *d, const unsigned char *p, size_t n, size_t *used,
                            struct frame *f);

/* Skips to the next header whose ctrl is in the string ctrls (of SYNs, whose host token is
 * unknown): FRAME_BEGIN, else FRAME_MORE. After FRAME_BEGIN: frame_skip() if the caller takes the
 * payload itself, frame_reject() if it does not want this frame. Whatever comes costs about a
 * nanosecond a byte, and each FRAME_BEGIN about 50. */
enum frame_event frame_hunt(struct frame_decoder *d, const unsigned char *p, size_t n, size_t *used,
                            struct frame *f, const char *ctrls);

/* The next byte begins a header, or is where the hunt goes on: the caller takes the payload that is
 * still to come. */
void frame_skip(struct frame_decoder *d);

/* The header that was just hunted is junk. The hunt goes on at its second byte, since the wanted
 * one may begin inside it. */
void frame_reject(struct frame_decoder *d);

/* How much of n bytes of payload for a port may be in one frame: a greeting must not be, since the
 * port's end would take it for a new peer's. vios-protocol(7), sharing rule 9. */
unsigned frame_fit(const unsigned char *p, unsigned n);

/* Whether a and b name the same connection. */
int frame_same(const struct frame_tokens *a, const struct frame_tokens *b);

#endif
