/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/base/fmt.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>

#include "unit.h"

/* The same call to fmt_print() and snprintf() must give the same text, also when it does not fit.
 */
#define LIKE_PRINTF(...) \
    do { \
        char wanted[300], got[300]; \
        for (size_t cap = 1; cap < sizeof got; cap += cap < 40 ? 1 : 37) { \
            memset(got, 'x', sizeof got); \
            snprintf(wanted, cap, __VA_ARGS__); \
            EQUAL(fmt_print(got, cap, __VA_ARGS__), strlen(wanted)); \
            SAME_TEXT(got, wanted); \
            EQUAL(got[cap], 'x'); \
        } \
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
    } rows[] = {{"1", 1},
                {"65535", 65535},
                {"65536", -1},
                {"0", -1},
                {"", -1},
                {"-1", -1},
                {"+1", -1},
                {" 1", -1},
                {"1 ", -1},
                {"80x", -1},
                {"0x50", -1},
                {"0080", 80},
                {"1.0", -1},
                {"99999999999999999999999999999999", -1},
                {"18446744073709551617", -1},
                {"4294967376", -1},
                {"000000000000000000000000000000000080", 80}};

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
    } rows[] = {{"2", 2000},      {"0.25", 250},
                {".5", 500},      {"1.", 1000},
                {"1.0009", 1000}, {"", -1},
                {".", -1},        {"1.2.3", -1},
                {"-1", -1},       {"1e3", -1},
                {"60.001", -1},   {"60", 60000},
                {"0", -1},        {"99999999999999999999999", -1}};

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (fmt_millis(rows[i].text, 1, 60000) != rows[i].value)
            FAIL("\"%s\" is %ld", rows[i].text, fmt_millis(rows[i].text, 1, 60000));
}

static void globs(void) {
    static const struct {
        const char *pattern, *text;
        int match;
    } rows[] = {{"", "", 1},
                {"", "a", 0},
                {"*", "", 1},
                {"*", "abc", 1},
                {"?", "", 0},
                {"?", "a", 1},
                {"a*", "abc", 1},
                {"*c", "abc", 1},
                {"*b*", "abc", 1},
                {"a*b*c", "aXbXbXc", 1},
                {"a?c", "ac", 0},
                {"*.*", "ab", 0},
                {"**a", "ba", 1},
                {"*ab", "aab", 1},
                {"[a]", "a", 1},
                {"com.redhat.*", "com.redhat.spice.0", 1},
                {"com.redhat.*", "com.redhats", 0},
                {"g?/port*", "g1/port22", 1},
                {"[!a]", "a", 0},
                {"[!a]", "b", 1},
                {"[^a]", "b", 1},
                {"[!a]", "", 0},
                {"v[0-9].[a-cx]", "v7.b", 1},
                {"v[0-9].[a-cx]", "v7.d", 0},
                {"[]]", "]", 1},
                {"[!]]", "]", 0},
                {"[a-]", "-", 1},
                {"[-a]", "-", 1},
                {"[a-c]", "-", 0},
                {"*[0-9]", "a1b2", 1},
                {"[a", "[a", 0},
                {"[", "[", 0},
                {"[b-a]", "b", 0},
                {"[[:alpha:]]", "a]", 0},
                {"?", "\xc3\xa4", 1},
                {"??", "\xc3\xa4", 0},
                {"*?", "\xc3\xa4", 1},
                {"*??", "\xf0\x9f\x98\x80", 0},
                {"?\xc3\xa4*", "x\xc3\xa4y", 1},
                {"\xc3?", "\xc3\xa4", 0},
                {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa4", 1},
                {"[\xc3\xa0-\xc3\xbf]", "\xc4\x80", 0},
                {"[!a-z]x", "\xe2\x82\xacx", 1},
                {"[a-\xe2\x82\xac]", "\xc3\xa4", 1},
                {"*\xa4", "\xc3\xa4", 0},
                {"\xff*",
                 "\xff"
                 "a",
                 1}};
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

/* Sets against the C library's: a random pattern that is valid for both. */
static void sets(void) {
    for (int i = 0; i < 300000; i++) {
        char pattern[12], text[8];
        unsigned p = unit_random(sizeof pattern), t = unit_random(sizeof text);

        for (unsigned k = 0; k < p; k++)
            pattern[k] = "abc[]!-*?"[unit_random(9)];
        for (unsigned k = 0; k < t; k++)
            text[k] = "abc]!-"[unit_random(6)];
        pattern[p] = text[t] = '\0';
        if (fmt_glob_valid(pattern) &&
            fmt_glob(pattern, text) != !fnmatch(pattern, text, FNM_NOESCAPE))
            FAIL("%s on %s is %d", pattern, text, fmt_glob(pattern, text));
    }
}

static void patterns_that_match_nothing(void) {
    static const struct {
        const char *pattern;
        bool valid;
    } rows[] = {{"", false},    {"a", true},       {"*", true},
                {"[", false},   {"[a", false},     {"a[", false},
                {"[a]", true},  {"[]", false},     {"[!]", false},
                {"[]]", true},  {"[!]]", true},    {"[a-", false},
                {"[a-]", true}, {"[b-a]", false},  {"[a-a]", true},
                {"]", true},    {"x[a]y[", false}, {"[[:alpha:]]", false},
                {"[:a]", true}, {"[[]", true},     {"?", true}};

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (fmt_glob_valid(rows[i].pattern) != rows[i].valid)
            FAIL("%s", rows[i].pattern);
}

/* Puts the character into text, in UTF-8's form of this many bytes. */
static void encode(char *text, unsigned c, unsigned bytes) {
    static const unsigned leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

    text[bytes] = '\0';
    for (unsigned i = bytes; --i; c >>= 6)
        text[i] = (char)(0x80 | (c & 0x3f));
    text[0] = (char)(leads[bytes] | c);
}

/* What must not reach a terminal or a log: controls, direction, what is not seen, what is no
 * character. */
static bool is_hidden(unsigned c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || (c >= 0xd800 && c <= 0xf8ff) || c == 0xfeff ||
           (c >= 0xfff0 && c <= 0xffff) || c >= 0xe0000;
}

static void characters(void) {
    for (unsigned bytes = 1; bytes <= 4; bytes++) {
        unsigned most = bytes == 1 ? 0x7f : bytes == 2 ? 0x7ff : bytes == 3 ? 0xffff : 0x1fffff;
        unsigned least = bytes == 1 ? 1 : bytes == 2 ? 0x80 : bytes == 3 ? 0x800 : 0x10000;

        for (unsigned c = bytes > 1 ? 0 : 1; c <= most; c++) {
            unsigned wanted = c < least || is_hidden(c) ? 0 : bytes;
            char text[8];

            encode(text, c, bytes);
            if (fmt_character(text) != wanted)
                FAIL("U+%x in %u bytes is %u", c, bytes, fmt_character(text));
        }
    }
}

/* Whatever bytes come: what is left is well-formed, and has none of these; ASCII stays. */
static void printable(void) {
    for (int i = 0; i < 200000; i++) {
        unsigned n = unit_random(12);
        char text[12], before[12];

        for (unsigned k = 0; k < n; k++)
            text[k] = (char)(unit_random(3) ? "\xc3\xe2\x80\xaa\xf0\x9f\xed\xf4"
                                              "a"[unit_random(9)]
                                            : (char)(1 + unit_random(255)));
        text[n] = '\0';
        strcpy(before, text);
        fmt_printable(text);
        EQUAL(strlen(text), n);
        for (unsigned k = 0; k < n;) {
            unsigned length = fmt_character(text + k);

            if (!length)
                FAIL("%02x at %u", (unsigned char)text[k], k);
            if (before[k] >= ' ' && before[k] <= '~')
                EQUAL(text[k], before[k]);
            k += length;
        }
    }
}

static void settings(void) {
    char *list[] = {(char *)"A=1", (char *)"AB=2", (char *)"A=3", NULL};

    SAME_TEXT(fmt_setting(list, "A="), "1");
    SAME_TEXT(fmt_setting(list, "AB="), "2");
    SAME_TEXT(fmt_setting(list, "B="), "");
}

static const struct unit_case cases[] = {
    {"conversions", conversions},
    {"reason-is-errno-at-the-call", reason_is_errno_at_the_call},
    {"copies", copies},
    {"numbers", numbers},
    {"seconds", seconds},
    {"globs", globs},
    {"sets", sets},
    {"patterns-that-match-nothing", patterns_that_match_nothing},
    {"characters", characters},
    {"printable", printable},
    {"settings", settings},
};
UNIT_MAIN("fmt", cases)
