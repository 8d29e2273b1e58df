/* SPDX-License-Identifier: Apache-2.0 */
/* What reads texts: addresses, patterns, numbers, offers, and what makes them safe to print. Each
 * is compared with another implementation: libc's, or a slow one here.
 *
 * For longer: make fuzz T=seconds */
#include <arpa/inet.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../applets/lib/base/agent.h"
#include "../../applets/lib/base/fmt.h"
#include "../../applets/lib/base/net.h"
#include "../../applets/lib/base/where.h"
#include "../../applets/lib/wire/offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds)
        __builtin_trap();
}

/* ---- addresses ---- */

/* libc takes an IPv4 address as the end of an IPv6 one, and no zeros before a decimal number. */
static void check_literal(const char *text) {
    unsigned char v4[4], v6[16];
    struct net_address a, b;
    bool is4 = inet_pton(AF_INET, text, v4) > 0, is6 = inet_pton(AF_INET6, text, v6) > 0;
    bool ok = !net_literal(&a, text, 5672);

    check(!is4 || (ok && a.sa.any.sa_family == AF_INET && !memcmp(&a.sa.in.sin_addr, v4, 4)));
    check(!is6 || *fmt_find(text, '.') ||
          (ok && a.sa.any.sa_family == AF_INET6 && !memcmp(&a.sa.in6.sin6_addr, v6, 16)));
    if (!ok)
        return;
    check(is4 || is6 || *text == '[' || *text == '0' || strstr(text, ".0"));
    check(memchr(a.text, '\0', sizeof a.text));
    check(!where_any(&b, a.text) && b.length == a.length && !memcmp(&a.sa, &b.sa, a.length));
    net_describe(&b);
    check(!where_any(&a, b.text) && b.length == a.length && !memcmp(&a.sa, &b.sa, a.length));
}

static void check_where(const char *text) {
    struct net_address a, b;

    if (where_any(&a, text))
        return;
    check(memchr(a.text, '\0', sizeof a.text));
    check(!*fmt_find(text, '/') || !strcmp(a.text, text));
    check(!where_any(&b, a.text) && !memcmp(&a.sa, &b.sa, a.length));
}

/* ---- patterns ---- */

/* Whether libc reads the pattern as vios does, in reasonable time. */
static bool is_comparable(const char *pattern, const char *text) {
    unsigned stars = 0;

    for (const char *p = pattern; *p; p++) {
        stars += *p == '*';
        if (*p & 0x80 || (*p == '[' && *fmt_find(".=:", p[1])))
            return false;
    }
    while (*text && !(*text & 0x80))
        text++;
    return !*text && stars < 4;
}

static void check_glob(const char *pattern, const char *text) {
    bool valid = fmt_glob_valid(pattern), matches = fmt_glob(pattern, text);
    int length;

    check(!fmt_glob("", text) || !*text);
    check(fmt_glob("*", text));
    if (valid && is_comparable(pattern, text))
        check(matches == !fnmatch(pattern, text, FNM_NOESCAPE));
    if (!strpbrk(pattern, "*?["))
        check(matches == !strcmp(pattern, text));
    if (agent_of(text, &length))
        check(length > 0);
}

/* ---- numbers ---- */

static void check_number(const char *text) {
    size_t n = strlen(text), digits = strspn(text, "0123456789"), before = digits;
    long v = fmt_number(text, 1, 65535), ms = fmt_millis(text, 1, 3600000), wanted;
    char decimals[4] = "000";

    if (n > 15) /* more than libc's long may hold */
        return;
    wanted = n && digits == n ? atol(text) : 0;
    check(v == (wanted >= 1 && wanted <= 65535 ? wanted : -1));
    if (text[digits] == '.') {
        size_t more = strspn(text + digits + 1, "0123456789");

        memcpy(decimals, text + digits + 1, more < 3 ? more : 3);
        before += more;
        digits += 1 + more;
    }
    wanted = atol(text) * 1000 + atol(decimals);
    check(ms == (digits == n && before && wanted >= 1 && wanted <= 3600000 ? wanted : -1));
}

/* ---- output ---- */

/* The next character's number; -1: it is not well-formed UTF-8. */
static long decode(const char **text) {
    const unsigned char *p = (const unsigned char *)*text;
    unsigned n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    long c = n < 2 ? *p : *p & (0x7f >> n);

    for (unsigned i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (p[i] & 0x3f);
    }
    *text += n;
    return !n || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? -1 : c;
}

static void check_printable(char *text, size_t n) {
    char *copy = strdup(text);

    fmt_printable(text);
    check(strlen(text) == strlen(copy));
    for (const char *p = text; *p;) {
        long c = decode(&p);

        check(c >= 0x20 && (c < 0x7f || c > 0x9f) && c != 0xad && c != 0x61c && c != 0xfeff);
        check((c < 0x200b || c > 0x200f) && (c < 0x2028 || c > 0x202e) &&
              (c < 0x2060 || c > 0x206f) && (c < 0xe0000 || c > 0xe0fff));
    }
    strcpy(copy, text);
    fmt_printable(text);
    check(!strcmp(copy, text));
    free(copy);
    fmt_ascii(text, n);
    for (; *text; text++)
        check(*text >= ' ' && *text <= '~');
}

static void check_print(const char *text, unsigned cap, unsigned width) {
    char got[80], wanted[80];
    long long v = (long long)(width * 0x9E3779B97F4A7C15ULL);
    int n;

    cap = 1 + cap % sizeof got;
    width %= 40;
    n = snprintf(wanted, cap, "<%-8s|%*u|%.*s|%02x|%d|%lu|%llu|%c%%", text, (int)width, (unsigned)v,
                 (int)width, text, (unsigned)(v >> 33) & 0xfff, (int)v, (unsigned long)v,
                 (unsigned long long)v, *text ? *text : '-');
    if (n >= (int)cap)
        n = (int)cap - 1;
    check((int)fmt_print(got, cap, "<%-8s|%*u|%.*s|%02x|%d|%lu|%llu|%c%%", text, (int)width,
                         (unsigned)v, (int)width, text, (unsigned)(v >> 33) & 0xfff, (int)v,
                         (unsigned long)v, (unsigned long long)v, *text ? *text : '-') == n);
    check(!memcmp(got, wanted, (size_t)n + 1));
}

/* ---- offers ---- */

/* n bytes, not NUL-ended, that a peer has sent. */
static void check_offer(const char *text, unsigned n) {
    unsigned length = 0;
    const char *word = offer_word(text, n, 'S', &length);

    offer_has(text, n, 'M');
    if (!word)
        return;
    check(word >= text + 2 && word + length <= text + n);
    check(word[-1] == 'S' && word[-2] == ' ' && !memchr(word, ' ', length));
    if (offer_is_name(word, length)) {
        char name[OFFER_NAME + 1];

        check(length && length <= OFFER_NAME);
        fmt_print(name, sizeof name, "%.*s", (int)length, word);
        check(strlen(name) == length &&
              fmt_length(offer_text("EM", name), OFFER_TEXT) == length + 4);
    }
}

/* The first byte says what for, and where the text is cut in two. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text;
    size_t n = size - 1, half;

    if (size < 2)
        return 0;
    text = malloc(n + 1);
    memcpy(text, data + 1, n);
    text[n] = '\0';
    half = strcspn(text, "\n");
    switch (data[0] % 8) {
    case 0:
        check_literal(text);
        break;
    case 1:
        check_where(text);
        break;
    case 2:
    case 3:
        text[half] = '\0';
        check_glob(text, half < n ? text + half + 1 : text);
        break;
    case 4:
        check_number(text);
        break;
    case 5:
        check_printable(text, n);
        break;
    case 6:
        check_print(text, data[0], data[1]);
        break;
    default:
        check_offer((const char *)data + 1, (unsigned)n);
    }
    free(text);
    return 0;
}
