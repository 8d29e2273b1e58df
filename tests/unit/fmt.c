/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/fmt.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>

#include "unit.h"

/* The same call to fmt_print() and snprintf() must give the same text, also when it does not fit. */
#define LIKE_PRINTF(...)                                                                                                         \
    do {                                                                                                                         \
        char wanted[300], got[300];                                                                                              \
        for (size_t cap = 1; cap < sizeof got; cap += cap < 40 ? 1 : 37) {                                                       \
            memset(got, 'x', sizeof got);                                                                                        \
            snprintf(wanted, cap, __VA_ARGS__);                                                                                  \
            EQUAL(fmt_print(got, cap, __VA_ARGS__), strlen(wanted));                                                             \
            SAME_TEXT(got, wanted);                                                                                              \
            EQUAL(got[cap], 'x');                                                                                                \
        }                                                                                                                        \
    } while (0)

static void conversions(void) {
    errno = ENOENT;
    LIKE_PRINTF("plain");
    LIKE_PRINTF("%s and %s.", "one", "two");
    LIKE_PRINTF("%.*s|%.*s|%.*s", 3, "abcdef", 0, "abc", 9, "abc");
    LIKE_PRINTF("%c%c", 'x', '%');
    LIKE_PRINTF("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
    LIKE_PRINTF("%u %u", 0u, UINT_MAX);
    LIKE_PRINTF("%lu %llu", ULONG_MAX, ULLONG_MAX);
    LIKE_PRINTF("%x %x", 0u, 0xdeadbeefu);
    LIKE_PRINTF("%-8s|%8s|%-2s|", "left", "right", "long");
    LIKE_PRINTF("%8u|%-8u|%02x|%08x|%14llu", 42u, 42u, 7u, 0xabcu, 12345678901ULL);
    LIKE_PRINTF("%*s|%-*s|", 6, "a", 6, "b");
    LIKE_PRINTF("100%%");
}

static void reason_is_errno_at_the_call(void) {
    char got[200], wanted[200];

    errno = ECONNREFUSED;
    snprintf(wanted, sizeof wanted, "service: %s", strerror(ECONNREFUSED));
    fmt_print(got, sizeof got, "service: %m");
    SAME_TEXT(got, wanted);
}

static void copies(void) {
    char dst[8] = "1234567";

    fmt_copy(dst, sizeof dst, "abc");
    SAME_TEXT(dst, "abc");
    fmt_copy(dst, sizeof dst, "abcdefghij");
    SAME_TEXT(dst, "abcdefg");
    fmt_copy(dst, 1, "abc");
    SAME_TEXT(dst, "");
    strcpy(dst, "abcdef");
    fmt_copy(dst, sizeof dst, dst + 2);
    SAME_TEXT(dst, "cdef");
}

static void numbers(void) {
    static const struct {
        const char *text;
        long value;
    } rows[] = {{"1", 1},   {"65535", 65535}, {"65536", -1}, {"0", -1},  {"", -1},       {"-1", -1},  {"+1", -1},
                {" 1", -1}, {"1 ", -1},       {"80x", -1},   {"0x50", -1}, {"0080", 80}, {"1.0", -1}, {"99999999999999999999999999999999", -1},
                {"18446744073709551617", -1}, {"4294967376", -1}, {"000000000000000000000000000000000080", 80}};

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (fmt_number(rows[i].text, 1, 65535) != rows[i].value)
            FAIL("\"%s\" is %ld", rows[i].text, fmt_number(rows[i].text, 1, 65535));
    EQUAL(fmt_number("0", 0, 0), 0);
    EQUAL(fmt_number("5", 6, 9), -1);
}

static void seconds(void) {
    static const struct {
        const char *text;
        long value;
    } rows[] = {{"2", 2000}, {"0.25", 250}, {".5", 500}, {"1.", 1000}, {"1.0009", 1000}, {"", -1}, {".", -1}, {"1.2.3", -1}, {"-1", -1},
                {"1e3", -1}, {"60.001", -1}, {"60", 60000}, {"0", -1}, {"99999999999999999999999", -1}};

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (fmt_millis(rows[i].text, 1, 60000) != rows[i].value)
            FAIL("\"%s\" is %ld", rows[i].text, fmt_millis(rows[i].text, 1, 60000));
}

static void globs(void) {
    static const struct {
        const char *pattern, *text;
        int match;
    } rows[] = {{"", "", 1},     {"", "a", 0},      {"*", "", 1},         {"*", "abc", 1},      {"?", "", 0},
                {"?", "a", 1},   {"a*", "abc", 1},  {"*c", "abc", 1},     {"*b*", "abc", 1},    {"a*b*c", "aXbXbXc", 1},
                {"a?c", "ac", 0}, {"*.*", "ab", 0}, {"**a", "ba", 1},     {"*ab", "aab", 1},    {"[a]", "a", 0},
                {"com.redhat.*", "com.redhat.spice.0", 1}, {"com.redhat.*", "com.redhats", 0}, {"g?/port*", "g1/port22", 1}};
    char pattern[12], text[16];

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (fmt_glob(rows[i].pattern, rows[i].text) != rows[i].match)
            FAIL("%s on %s", rows[i].pattern, rows[i].text);
    for (int i = 0; i < 100000; i++) {
        unsigned p = unit_random(sizeof pattern), t = unit_random(sizeof text);

        for (unsigned k = 0; k < p; k++)
            pattern[k] = "ab*?"[unit_random(4)];
        for (unsigned k = 0; k < t; k++)
            text[k] = "ab"[unit_random(2)];
        pattern[p] = text[t] = '\0';
        if (fmt_glob(pattern, text) != !fnmatch(pattern, text, FNM_NOESCAPE))
            FAIL("%s on %s is %d", pattern, text, fmt_glob(pattern, text));
    }
}

static const struct unit_case cases[] = {
    {"conversions", conversions}, {"reason-is-errno-at-the-call", reason_is_errno_at_the_call},
    {"copies", copies},           {"numbers", numbers},
    {"seconds", seconds},         {"globs", globs},
};
UNIT_MAIN("fmt", cases)
