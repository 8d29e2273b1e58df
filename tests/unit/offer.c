/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of SYNs and SYNACKs: letters, words, names. */
#include "unit.h"

#include "../../applets/lib/wire/offer.h"

static void letters(void) {
    CHECK(offer_has("EMS Sweb", 8, 'S') && offer_has("EMS", 3, 'E'));
    CHECK(!offer_has("EM Sweb", 7, 'S') && !offer_has("", 0, 'S') && !offer_has("EMS", 2, 'S'));
    CHECK(offer_has("0123456789abcdeS", 16, 'S') && !offer_has("0123456789abcdefS", 17, 'S'));
}

/* The first word of a letter; nothing behind the end is looked at. */
static void words(void) {
    static const struct {
        const char *text, *word;
        unsigned n;
    } texts[] = {{"EMS Sweb", "web", 8},  {"EMS M64 Sweb x", "web", 14},
                 {"EMS Sa Sb", "a", 9},   {"EMS S", "", 5},
                 {"EMS  Sweb", "web", 9}, {" Sx", "x", 3},
                 {"EMS Sweb", "we", 7},   {"EMS S S", "", 7},
                 {"EMS", NULL, 3},        {"Sweb", NULL, 4},
                 {"EMS sweb", NULL, 8},   {"", NULL, 0},
                 {"EMS ", NULL, 4},       {"EMS xSweb", NULL, 9},
                 {"EMS S", NULL, 4},      {" ", NULL, 1}};

    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        unsigned n = 99;
        const char *word = offer_word(texts[i].text, texts[i].n, 'S', &n);

        CHECK(!word == !texts[i].word);
        if (word)
            CHECK(n == strlen(texts[i].word) && !memcmp(word, texts[i].word, n));
    }
}

static void names(void) {
    char name[40];

    CHECK(offer_is_name("a.b_c-9", 7) && offer_is_name("-", 1) && !offer_is_name("", 0));
    memset(name, 'x', sizeof name);
    CHECK(offer_is_name(name, OFFER_NAME) && !offer_is_name(name, OFFER_NAME + 1));
    for (unsigned c = 0; c < 256; c++) {
        name[1] = (char)c;
        EQUAL(offer_is_name(name, 3),
              c && strchr("abcdefghijklmnopqrstuvwxyz0123456789._-", (int)c) != NULL);
    }
}

static void text(void) {
    SAME_TEXT(offer_text("EMS", NULL), "EMS");
    SAME_TEXT(offer_text("EMS", "web"), "EMS Sweb");
    EQUAL(strlen(offer_text("EMS", "01234567890123456789012345678901")), 37);
}

static const struct unit_case cases[] = {
    {"letters", letters},
    {"words", words},
    {"names", names},
    {"text", text},
};
UNIT_MAIN("offer", cases)
