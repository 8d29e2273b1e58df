/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/relay/choice.h"
#include "../../applets/lib/relay/channels.h"
#include "../../applets/lib/relay/guests.h"
#include "../../applets/lib/relay/initiator.h"

#include "fakes.h"
#include "unit.h"

static void fake_start(bool guests, names_fn *fn) { (void)guests, (void)fn; }
static void fake_again(const char *name) { (void)name; }

/* The table of channels: one letter each for what it is, and the turn of its last connection. Upper
 * case: silent last time. f free, b busy, d detached, c closed, g gone, - an empty slot. l, m, n:
 * lingers, m has been quiet longest, then l; k: lingers, with bytes for its client. a: asking.
 * Digit: shared, by so many connections of 3; p: its last one is apart, so that the channel is
 * free. */
static struct conn busy = {.session = {.state = SESSION_ESTABLISHED}};
static struct conn asking = {.session = {.state = SESSION_SYN_SENT}};
static struct conn apart = {.session = {.state = SESSION_CLOSING}, .apart = true};
static struct input stuck = {.head = 7, .tail = 8};
static struct conn lingering[] = {
    {.session = {.state = SESSION_ESTABLISHED, .sent_eof = true}, .deadline = 0x180000001},
    {.session = {.state = SESSION_ESTABLISHED, .sent_eof = true}, .deadline = 0x180000002},
    {.session = {.state = SESSION_ESTABLISHED, .sent_eof = true}, .deadline = 0x17fffffff},
    {.session = {.state = SESSION_ESTABLISHED, .sent_eof = true}, .deadline = 0x180000003},
};

static void fill(const char *kinds, const unsigned *used) {
    char name[8];

    while (channels_count())
        channels_forget(channels_at(channels_count() - 1));
    for (unsigned i = 0; kinds[i]; i++) {
        struct channel *ch;
        char kind = (char)(kinds[i] | 0x20);

        snprintf(name, sizeof name, "c%u", i);
        ch = channels_add(name, 64);
        ch->end.fd = kind == 'c' ? -1 : 10;
        ch->end.attached = kind != 'd' && kind != 'c';
        ch->silent = kinds[i] >= 'A' && kinds[i] <= 'Z';
        ch->gone = kind == 'g';
        ch->shared = kinds[i] >= '0' && kinds[i] <= '9';
        ch->carried = ch->shared ? (unsigned)(kinds[i] - '0') : 0;
        ch->places = 3;
        ch->conns = kind == 'b'                  ? &busy
                    : kind == 'a'                ? &asking
                    : kind == 'p'                ? &apart
                    : kind >= 'k' && kind <= 'n' ? &lingering[kind - 'k']
                                                 : NULL;
        if (ch->conns)
            ch->conns->channel = ch;
        ch->in = kind == 'k' ? &stuck : NULL;
        ch->used = used[i];
    }
    for (unsigned i = 0; kinds[i]; i++)
        if (kinds[i] == '-')
            channels_forget(channels_at(i));
}

static const struct listeners all_channels;

static void choice(void) {
    static const struct {
        const char *kinds;
        unsigned used[6];
        int chosen, lively; /* -1: busy, -2: no host, -3: one is asking */
    } rows[] = {
        {"", {0}, -2, -2},        {"f", {0}, 0, 0},         {"F", {0}, 0, -1},
        {"b", {0}, -1, -1},       {"d", {0}, -2, -2},       {"c", {0}, -2, -2},
        {"dc", {0}, -2, -2},      {"db", {0}, -1, -1},      {"g", {0}, -1, -1},
        {"fff", {5, 3, 4}, 1, 1}, {"fff", {3, 3, 3}, 0, 0}, {"Fff", {1, 9, 8}, 2, 2},
        {"FF", {7, 6}, 1, -1},    {"bff", {1, 5, 9}, 1, 1}, {"bFd", {1, 5, 2}, 1, -1},
        {"-bf", {0, 1, 2}, 2, 2}, {"l", {0}, 0, 0},         {"blmnd", {0, 1, 2, 3, 4}, 2, 2},
        {"nkl", {1, 2, 3}, 2, 2}, {"kb", {1, 2}, -1, -1},   {"lmf", {1, 2, 9}, 2, 2},
        {"f-f", {2, 0, 1}, 2, 2}, {"gf", {1, 2}, 1, 1},     {"fdcbGf", {9, 1, 1, 1, 1, 8}, 5, 5},
        {"ff2", {0}, 2, 2},       {"f123", {0}, 1, 1},      {"3f", {0}, 1, 1},
        {"30", {0}, 1, 1},        {"3", {0}, -1, -1},       {"a", {0}, -3, -3},
        {"ab3", {0}, -3, -3},     {"af", {0}, 1, 1},        {"aF", {0}, 1, -3},
        {"al", {0}, 1, 1},        {"21", {9, 10}, 1, 1},    {"p", {0}, 0, 0},
        {"pb", {0}, 0, 0},
    };

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int lively = 0; lively < 2; lively++) {
            int wanted = lively ? rows[i].lively : rows[i].chosen, got;
            struct channel *ch;
            enum choice c;

            fill(rows[i].kinds, rows[i].used);
            c = choice_make(&all_channels, &ch);
            if (lively && c == CHOICE_SILENT)
                c = strchr(rows[i].kinds, 'a') ? CHOICE_ASKING : CHOICE_BUSY;
            got = c < CHOICE_ASKING    ? (int)(ch - channels_at(0))
                  : c == CHOICE_ASKING ? -3
                  : c == CHOICE_BUSY   ? -1
                                       : -2;
            if ((c == CHOICE_LINGERS) != (got >= 0 && strchr("lmn", rows[i].kinds[got]) != NULL))
                FAIL("%s: %d is no channel that lingers", rows[i].kinds, got);
            if (got != wanted)
                FAIL("%s%s: %d, not %d", rows[i].kinds, lively ? " lively" : "", got, wanted);
        }
}

static void all(void) {
    role = &initiator;
    conn_init(CONN_MAX_GUEST);
    choice();
}

/* Guests with channels each, of which the listeners' one counts: nobody is at one that was silent;
 * a guest has its limit, and all together may have so many that are busy. */
static void of_guests(void) {
    static struct guest ours = {.connections = 0}, other = {.connections = 7};
    static const unsigned used[8];
    static const struct {
        const char *kinds, *owners; /* o: ours */
        unsigned connections;
        int chosen; /* as above */
    } rows[] = {
        {"f", "o", 0, 0},  {"F", "o", 0, -2},   {"fF", "xo", 0, -2}, {"ff", "xo", 0, 1},
        {"f", "x", 0, -2}, {"f", "o", 3, -1},   {"1", "o", 2, 0},    {"1", "o", 3, -1},
        {"a", "o", 1, -3}, {"ba", "ox", 1, -1}, {"bf", "oo", 1, 1},  {"Ff", "oo", 0, 1},
    };
    struct listeners l = {.guest = &ours};
    struct channel *ch;

    conn_init(CONN_MAX_GUEST);
    choice_init(NULL, 3);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum choice c;
        int got;

        fill(rows[i].kinds, used);
        for (unsigned k = 0; rows[i].owners[k]; k++)
            channels_at(k)->guest = rows[i].owners[k] == 'o' ? &ours : &other;
        ours.connections = rows[i].connections;
        c = choice_make(&l, &ch);
        got = c < CHOICE_ASKING    ? (int)(ch - channels_at(0))
              : c == CHOICE_ASKING ? -3
              : c == CHOICE_BUSY   ? -1
                                   : -2;
        if (got != rows[i].chosen)
            FAIL("%s of %s, %u: %d, not %d", rows[i].kinds, rows[i].owners, rows[i].connections,
                 got, rows[i].chosen);
    }
    ours.connections = 0;
    fill("f", used);
    channels_at(0)->guest = &ours;
    channel_limit_busy(0);
    CHECK(choice_make(&l, &ch) == CHOICE_BUSY && choice_is_fed() && !choice_is_fed());
    channels_at(0)->place = 1;
    CHECK(choice_make(&l, &ch) == CHOICE_FREE && !choice_is_fed());
    choice_init(NULL, 0);
}

static const struct unit_case cases[] = {{"choice", all}, {"of-guests", of_guests}};
UNIT_MAIN("choice", cases)
