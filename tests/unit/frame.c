/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"
#include "unit.h"

static void random_frame(struct frame *f) {
    f->ctrl = (unsigned char)unit_random(256);
    for (unsigned i = 0; i < sizeof f->tokens; i++)
        ((unsigned char *)&f->tokens)[i] = (unsigned char)unit_random(256);
    f->length = unit_random(3) ? unit_random(300) : unit_random(65536);
}

static void encodes_as_the_protocol_says(void) {
    static const unsigned char wanted[] = "VS1Dabcdwxyz\x12\x34";
    struct frame f = {FRAME_DATA, {"abcd", "wxyz"}, 0x1234};
    unsigned char out[FRAME_HEADER];

    memcpy(f.tokens.guest, "abcd", 4);
    memcpy(f.tokens.host, "wxyz", 4);
    frame_encode(out, &f);
    CHECK(!memcmp(out, wanted, FRAME_HEADER));
}

static void round_trip(void) {
    for (int i = 0; i < 20000; i++) {
        struct frame_decoder d = {0};
        unsigned char out[FRAME_HEADER];
        struct frame f, g;
        size_t used;

        random_frame(&f);
        frame_encode(out, &f);
        EQUAL(frame_feed(&d, out, sizeof out, &used, &g), FRAME_BEGIN);
        EQUAL(used, FRAME_HEADER);
        CHECK(f.ctrl == g.ctrl && f.length == g.length && frame_same(&f.tokens, &g.tokens));
        EQUAL(d.left, f.length);
        frame_skip(&d);
        EQUAL(d.left, 0);
    }
}

/* A stream of frames and junk, and what all of it says in one piece. */
static unsigned char stream[60000];
static size_t stream_bytes;

static void add(const void *p, size_t n) {
    n = n < sizeof stream - stream_bytes ? n : sizeof stream - stream_bytes;
    memcpy(stream + stream_bytes, p, n);
    stream_bytes += n;
}

static void add_frame(const char *ctrls) {
    unsigned char head[FRAME_HEADER], payload[700];
    struct frame f;

    random_frame(&f);
    f.ctrl = (unsigned char)ctrls[unit_random((unsigned)strlen(ctrls))];
    f.length = unit_random(3) ? 0 : unit_random(sizeof payload);
    if (!unit_random(3))
        f.tokens.guest[0] = '!';
    if (!unit_random(4))
        memcpy(f.tokens.host, "VS1", 3);
    else if (unit_random(3))
        memcpy(f.tokens.host, "????", 4);
    frame_encode(head, &f);
    for (unsigned i = 0; i < f.length; i++)
        payload[i] = (unsigned char)"VS1ACDH\0"[unit_random(8)];
    add(head, sizeof head);
    add(payload, f.length);
}

static void make_stream(size_t size) {
    static const char *const junk[] = {"V",    "VS",   "VVS",     "VSVS1", "VVSVS1", "VS1",
                                       "VS1Z", "VS2A", "VS1VS1A", "\0\0",  "11111",  "S1A"};

    for (stream_bytes = 0; stream_bytes < size;) {
        const char *text = junk[unit_random(sizeof junk / sizeof *junk)];

        if (unit_random(3))
            add_frame("ABCDHZ");
        else
            add(text, *text ? strlen(text) : 2);
    }
    stream_bytes = stream_bytes < size ? stream_bytes : size;
}

static struct events listen_to(bool hunting, unsigned (*piece)(size_t left)) {
    struct events e = {malloc(EVENTS_MAX), 0};
    struct frame_decoder d = {0};

    for (size_t at = 0; at < stream_bytes;) {
        size_t n = piece(stream_bytes - at);
        unsigned char *copy = malloc(n); /* so that a look beyond the piece is found */

        memcpy(copy, stream + at, n);
        events_feed(&e, &d, &hunting, "ACDH", copy, n);
        free(copy);
        at += n;
    }
    return e;
}

static unsigned all_of(size_t left) { return (unsigned)left; }
static unsigned one_of(size_t left) { return left > 0; }
static unsigned some_of(size_t left) { return 1 + unit_random(left < 50 ? (unsigned)left : 50); }

static void same_events(bool hunting, unsigned (*piece)(size_t left)) {
    struct events whole = listen_to(hunting, all_of), pieces = listen_to(hunting, piece);

    EQUAL(pieces.n, whole.n);
    CHECK(!memcmp(pieces.text, whole.text, whole.n));
    free(whole.text);
    free(pieces.text);
}

/* Whether a header that is hunted for begins at p. */
static bool is_wanted(const unsigned char *p, const char *ctrls) {
    return !memcmp(p, "VS1", 3) && p[3] && strchr(ctrls, p[3]) &&
           (p[3] != FRAME_SYN || !memcmp(p + 8, "????", 4));
}

/* The event of the header at p, and of what is there of its payload; the bytes that it takes. */
static size_t expect_frame(struct events *e, const unsigned char *p, size_t n) {
    size_t length = (size_t)p[12] << 8 | p[13];

    events_add(e, 'B', p + 3, 11);
    for (size_t i = FRAME_HEADER; i < n && i < FRAME_HEADER + length; i++)
        events_add(e, 'P', p + i, 1);
    return FRAME_HEADER + length;
}

/* What the stream says, place by place: as events_feed(), from the description of the decoder and
 * not from its code. */
static struct events reference(bool hunting) {
    struct events e = {malloc(EVENTS_MAX), 0};

    for (size_t at = 0; at < stream_bytes;) {
        const unsigned char *p = stream + at;
        size_t n = stream_bytes - at;

        if (!hunting && memcmp(p, "VS1", n < 3 ? n : 3)) {
            events_add(&e, 'X', "", 0);
            hunting = true;
        } else if (n < FRAME_HEADER) {
            break;
        } else if (hunting && !is_wanted(p, "ACDH")) {
            at++;
        } else if (hunting && p[4] == '!') {
            events_add(&e, 'B', p + 3, 11);
            at++;
        } else {
            hunting = false;
            at += expect_frame(&e, p, n);
        }
    }
    return e;
}

static void as_the_reference(bool hunting, unsigned (*piece)(size_t left)) {
    struct events wanted = reference(hunting), got = listen_to(hunting, piece);

    EQUAL(got.n, wanted.n);
    CHECK(!memcmp(got.text, wanted.text, wanted.n));
    free(wanted.text);
    free(got.text);
}

static void any_chunking(void) {
    for (int i = 0; i < 300; i++) {
        make_stream(1 + unit_random(3000));
        as_the_reference(i & 1, all_of);
        same_events(i & 1, one_of);
        same_events(i & 1, some_of);
    }
}

static size_t split;
static unsigned at_split(size_t left) {
    return (unsigned)(left == stream_bytes && split ? split : left);
}

static void split_at_every_offset(void) {
    for (int i = 0; i < 10; i++) {
        make_stream(200);
        for (split = 0; split < stream_bytes; split++) {
            same_events(false, at_split);
            same_events(true, at_split);
        }
    }
}

/* Bytes of which headers are made, so that one begins in another. */
static void make_dense_stream(size_t size) {
    static const char *const parts[] = {"V",    "S", "1",    "VS1",     "VS1A",         "VS1D",
                                        "VS1H", "!", "????", "VS1D!ab", "VS1Aabcd????", "\0\0",
                                        "\0\1"};

    for (stream_bytes = 0; stream_bytes < size;) {
        const char *part = parts[unit_random(sizeof parts / sizeof *parts)];

        add(part, *part ? strlen(part) : 2);
    }
    stream_bytes = size;
}

static size_t cuts[2];
static unsigned at_cuts(size_t left) {
    size_t at = stream_bytes - left;

    return (unsigned)((at < cuts[0] ? cuts[0] : at < cuts[1] ? cuts[1] : stream_bytes) - at);
}

static void hunts_the_same_with_any_two_cuts(void) {
    for (int i = 0; i < 40; i++) {
        make_dense_stream(1 + unit_random(50));
        as_the_reference(true, one_of);
        for (cuts[0] = 0; cuts[0] < stream_bytes; cuts[0]++)
            for (cuts[1] = cuts[0]; cuts[1] < stream_bytes; cuts[1]++)
                as_the_reference(i % 4, at_cuts);
    }
}

/* The hunt against the plainest search there is. */
static void hunt_finds_what_is_planted(void) {
    for (int i = 0; i < 3000; i++) {
        struct frame_decoder d = {0};
        size_t used, at = 0, wanted = 0;
        struct frame f;

        make_stream(1 + unit_random(400));
        while (wanted + FRAME_HEADER <= stream_bytes && !is_wanted(stream + wanted, "AH"))
            wanted++;
        if (frame_hunt(&d, stream, stream_bytes, &used, &f, "AH") == FRAME_BEGIN)
            at = used - FRAME_HEADER;
        else
            at = stream_bytes;
        if (wanted + FRAME_HEADER > stream_bytes)
            EQUAL(at, stream_bytes);
        else
            EQUAL(at, wanted);
    }
}

static void hunt_sees_overlapping_beginnings(void) {
    static const char *const heads[] = {"V",          "VS",           "VVS",
                                        "VSVS1",      "VVSV",         "VS1VS1",
                                        "VS1AVS1VS1", "VS1Aabcdwxyz", "VS1Aabcdwxyz\xff"};

    for (unsigned i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct frame_decoder d = {0};
        unsigned char head[FRAME_HEADER];
        struct frame f = {FRAME_RESET, {{'g', 'g', 'g', 'g'}, {'h', 'h', 'h', 'h'}}, 0}, g;
        size_t used;

        /* A SYN that is cut off swallows what follows up to its 14 bytes; once it is rejected the
         * RESET in it is found. */
        frame_encode(head, &f);
        EQUAL(frame_hunt(&d, (const unsigned char *)heads[i], strlen(heads[i]), &used, &g, "AH"),
              FRAME_MORE);
        for (size_t at = 0; at < sizeof head; at += used) {
            enum frame_event event = frame_hunt(&d, head + at, sizeof head - at, &used, &g, "AH");

            if (event == FRAME_BEGIN && g.ctrl == FRAME_SYN)
                frame_reject(&d);
            else
                EQUAL(event, at + used == sizeof head ? FRAME_BEGIN : FRAME_MORE);
        }
        EQUAL(g.ctrl, FRAME_RESET);
        CHECK(frame_same(&f.tokens, &g.tokens));
    }
}

static void feed_then_bad_then_hunt(void) {
    static const char text[] = "VSVS1Hgggghhhh\0\0";
    struct frame_decoder d = {0};
    struct frame f;
    size_t used, at;

    EQUAL(frame_feed(&d, (const unsigned char *)text, sizeof text - 1, &used, &f), FRAME_BAD);
    EQUAL(used, 3);
    at = used;
    EQUAL(frame_hunt(&d, (const unsigned char *)text + at, sizeof text - 1 - at, &used, &f, "H"),
          FRAME_BEGIN);
    EQUAL(at + used, sizeof text - 1);
    EQUAL(f.ctrl, FRAME_RESET);
}

static void feed_names_the_first_bad_byte(void) {
    for (unsigned at = 0; at < 3; at++)
        for (unsigned byte = 0; byte < 256; byte++) {
            unsigned char text[] = "VS1Dgggghhhh\0\0";
            struct frame_decoder d = {0};
            struct frame f;
            size_t used;

            if (text[at] == byte)
                continue;
            text[at] = (unsigned char)byte;
            EQUAL(frame_feed(&d, text, sizeof text - 1, &used, &f), FRAME_BAD);
            EQUAL(used, at + 1);
        }
}

static void payload_is_cut_through(void) {
    static unsigned char text[FRAME_HEADER + FRAME_PAYLOAD_MAX + 1] = "VS1Dgggghhhh\xff\xff";
    struct frame_decoder d = {0};
    struct frame f;
    size_t used;

    EQUAL(frame_feed(&d, text, sizeof text, &used, &f), FRAME_BEGIN);
    EQUAL(f.length, FRAME_PAYLOAD_MAX);
    EQUAL(frame_feed(&d, text + FRAME_HEADER, 0, &used, &f), FRAME_MORE);
    EQUAL(frame_feed(&d, text + FRAME_HEADER, 10, &used, &f), FRAME_PAYLOAD);
    EQUAL(used, 10);
    EQUAL(frame_feed(&d, text + FRAME_HEADER + 10, FRAME_PAYLOAD_MAX, &used, &f), FRAME_PAYLOAD);
    EQUAL(used, FRAME_PAYLOAD_MAX - 10);
    EQUAL(frame_feed(&d, text, 1, &used, &f), FRAME_MORE);
}

/* A peer that was left in the midst of any frame is out of it after the filler. */
static void filler_ends_any_frame(void) {
    for (unsigned have = 1; have <= FRAME_HEADER; have++) {
        static unsigned char text[FRAME_HEADER + FRAME_FILLER_BYTES + 2 * FRAME_HEADER] =
            "VS1Dgggghhhh\xff\xff";
        struct frame reset = {FRAME_RESET, {{'a', 'a', 'a', 'a'}, {'b', 'b', 'b', 'b'}}, 0};
        struct events e = {malloc(EVENTS_MAX), 0};
        struct frame_decoder d = {0};
        bool hunting = false;

        memset(text + have, FRAME_FILLER, FRAME_FILLER_BYTES);
        frame_encode(text + have + FRAME_FILLER_BYTES, &reset);
        events_feed(&e, &d, &hunting, "AH", text, have + FRAME_FILLER_BYTES + FRAME_HEADER);
        CHECK(!hunting && !d.have && !d.left);
        CHECK(e.n >= 12 && !memcmp(e.text + e.n - 12, "BHaaaabbbb\0\0", 12));
        free(e.text);
        memcpy(text, "VS1Dgggghhhh\xff\xff", FRAME_HEADER);
    }
}

/* vios-protocol(7), sharing rule 9: wherever it is, and whatever is around it. */
static void greeting_is_cut(void) {
    static const char around[] = "xVSTI1";
    enum { LENGTH = 12, MOST = 3 * LENGTH };
    unsigned char text[MOST + LENGTH + 2];

    for (const char *c = around; *c; c++)
        for (unsigned at = 0; at <= MOST; at++) {
            memset(text, *c, sizeof text);
            memcpy(text + at, "VS1HINITINIT", LENGTH);
            for (unsigned n = at; n < at + LENGTH; n++)
                EQUAL(frame_fit(text, n), n);
            for (unsigned n = at + LENGTH; n <= sizeof text; n++)
                CHECK(frame_fit(text, n) > at && frame_fit(text, n) < at + LENGTH);
        }
}

static const struct unit_case cases[] = {
    {"encodes-as-the-protocol-says", encodes_as_the_protocol_says},
    {"round-trip", round_trip},
    {"any-chunking", any_chunking},
    {"split-at-every-offset", split_at_every_offset},
    {"hunts-the-same-with-any-two-cuts", hunts_the_same_with_any_two_cuts},
    {"hunt-finds-what-is-planted", hunt_finds_what_is_planted},
    {"hunt-sees-overlapping-beginnings", hunt_sees_overlapping_beginnings},
    {"feed-then-bad-then-hunt", feed_then_bad_then_hunt},
    {"feed-names-the-first-bad-byte", feed_names_the_first_bad_byte},
    {"payload-is-cut-through", payload_is_cut_through},
    {"filler-ends-any-frame", filler_ends_any_frame},
    {"greeting-is-cut", greeting_is_cut},
};
UNIT_MAIN("frame", cases)
