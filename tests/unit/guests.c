/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/relay/guests.h"

#include "unit.h"

/* A guest may connect 8000 times at once, then 250 times a second; all together 8000 times, and a
 * guest with few of late all the same. */
static void connects(void) {
    struct guest *greedy = guests_join("greedy/0"), *second = guests_join("second/0"),
                 *modest = guests_join("modest/0");
    unsigned n = 0;

    while (n < 9000 && guests_may_connect(greedy, 1000))
        n++;
    EQUAL(n, 8000);
    CHECK(!guests_may_connect(greedy, 1003));
    CHECK(guests_may_connect(greedy, 1004));
    CHECK(!guests_may_connect(greedy, 1004));
    for (n = 0; n < 9000 && guests_may_connect(modest, 1004); n++)
        continue;
    EQUAL(n, 200);
    for (n = 0; n < 9000 && guests_may_connect(second, 2000); n++)
        continue;
    EQUAL(n, 200);
    CHECK(guests_may_connect(second, 100000)); /* the others have been paid for */
    CHECK(guests_may_connect(greedy, 100000));
}

/* 32 times the filler of a channel at once, of a guest; of all four times that, and a guest with
 * little does not pay. Those beyond are told how long to wait. */
static void junk(void) {
    enum { ONE = 65548 };
    struct guest *g = guests_join("g/0"), *modest = guests_join("modest/0");

    EQUAL(guests_junk(g, 32 * ONE, 1000), 0);
    EQUAL(guests_junk(g, 8192, 1000), 3);
    EQUAL(guests_junk(g, 0, 1001), 2);
    EQUAL(guests_junk(g, 0, 1002), 0);
    guests_forgive(g, 100000);
    EQUAL(guests_junk(g, 96000, 1003), 0);
    for (int i = 0; i < 3; i++)
        guests_junk(g, 32 * ONE, 1003);
    EQUAL(guests_junk(modest, 2 * ONE, 1003), 0);
    CHECK(guests_junk(modest, 1, 1003) > 0);
    EQUAL(guests_junk(modest, 1, 9003), 0);
}

/* Slots are taken anew, and a guest's channels are limited. */
static void shares(void) {
    struct guest *a = guests_join("a/0"), *b = guests_join("b/0");

    CHECK(a != b && guests_join("a/1") == a && a->channels == 2);
    guests_leave(a);
    guests_leave(a);
    CHECK(guests_join("c/0") == a && !memcmp(a->name, "c/", a->length));
    for (int i = 1; i < CONFIG_GUEST_SHARE; i++)
        CHECK(guests_join("b/x") == b);
    CHECK(!guests_join("b/x"));
    guests_leave(b);
    CHECK(guests_join("b/x") == b);
}

/* 40 messages about what is new, then one limit for all, until LOG_QUIET is over. */
static void news(void) {
    struct guest *g = guests_join("g/0");

    for (int i = 0; i < 40; i++)
        CHECK(!guests_news(g, 10000));
    CHECK(guests_news(g, 10000) == &g->news);
    CHECK(guests_news(g, 9999 + LOG_QUIET) == &g->news);
    CHECK(!guests_news(g, 10000 + LOG_QUIET));
}

static void names(void) {
    char name[66];

    memset(name, 'x', 65);
    name[65] = 0;
    CHECK(guests_is_name(name, 64) && !guests_is_name(name, 65) && !guests_is_name(name, 0));
    CHECK(guests_is_name("aZ09-_.", 7) && !guests_is_name(".a", 2) && !guests_is_name("a b", 3));
    CHECK(guests_is_name("ab/c", 2));
}

static const struct unit_case cases[] = {
    {"connects", connects}, {"junk", junk}, {"shares", shares}, {"news", news}, {"names", names}};
UNIT_MAIN("guests", cases)
