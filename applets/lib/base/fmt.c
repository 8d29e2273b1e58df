/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fmt.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

struct field {
    bool left, zero;
    int width, precision; /* precision < 0: none */
};

struct sink {
    char *dst;
    size_t cap, n;
};

static void put(struct sink *s, char c) {
    if (s->n + 1 < s->cap)
        s->dst[s->n++] = c;
}

static void put_field(struct sink *s, const struct field *f, const char *text, size_t n) {
    size_t pad = f->width > 0 && (size_t)f->width > n ? (size_t)f->width - n : 0;

    if (!f->left)
        for (; pad; pad--)
            put(s, f->zero ? '0' : ' ');
    while (n--)
        put(s, *text++);
    for (; pad; pad--)
        put(s, ' ');
}

static void put_number(struct sink *s, const struct field *f, unsigned long long v, bool negative,
                       unsigned base) {
    char digits[24];
    size_t i = sizeof digits;

    do
        digits[--i] = "0123456789abcdef"[v % base];
    while ((v /= base) != 0);
    if (negative)
        digits[--i] = '-';
    put_field(s, f, digits + i, sizeof digits - i);
}

static void put_text(struct sink *s, const struct field *f, const char *text) {
    size_t n = f->precision >= 0 ? fmt_length(text, (size_t)f->precision) : strlen(text);

    put_field(s, f, text, n);
}

/* Reads flags, width and precision after a '%'; returns where the conversion is. */
static const char *read_field(const char *f, struct field *out, va_list *ap) {
    *out = (struct field){.precision = -1};
    for (; *f == '-' || *f == '0'; f++)
        *(*f == '-' ? &out->left : &out->zero) = true;
    if (*f == '*') {
        out->width = va_arg(*ap, int);
        f++;
    }
    for (; *f >= '0' && *f <= '9'; f++)
        out->width = out->width * 10 + (*f - '0');
    if (f[0] == '.' && f[1] == '*') {
        out->precision = va_arg(*ap, int);
        f += 2;
    }
    return f;
}

static unsigned long long read_unsigned(int longs, va_list *ap) {
    if (longs == 0)
        return va_arg(*ap, unsigned);
    return longs == 1 ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned long long);
}

size_t fmt_vprint(char *dst, size_t cap, const char *f, va_list args) {
    struct sink s = {dst, cap, 0};
    int reason = errno;
    va_list ap;

    va_copy(ap, args);
    for (; *f; f++) {
        struct field field;
        int longs = 0;

        if (*f != '%') {
            put(&s, *f);
            continue;
        }
        for (f = read_field(f + 1, &field, &ap); *f == 'l'; f++)
            longs++;
        if (*f == 's') {
            put_text(&s, &field, va_arg(ap, const char *));
        } else if (*f == 'm') {
            put_text(&s, &field, error_text(reason));
        } else if (*f == 'c') {
            put(&s, (char)va_arg(ap, int));
        } else if (*f == 'd') {
            int v = va_arg(ap, int);
            put_number(&s, &field, v < 0 ? -(unsigned long long)v : (unsigned long long)v, v < 0,
                       10);
        } else if (*f == 'u' || *f == 'x') {
            put_number(&s, &field, read_unsigned(longs, &ap), false, *f == 'u' ? 10 : 16);
        } else {
            put(&s, '%');
        }
    }
    va_end(ap);
    dst[s.n] = '\0';
    return s.n;
}

size_t fmt_print(char *dst, size_t cap, const char *f, ...) {
    va_list ap;
    size_t n;

    va_start(ap, f);
    n = fmt_vprint(dst, cap, f, ap);
    va_end(ap);
    return n;
}

void fmt_copy(char *dst, size_t cap, const char *text) {
    size_t n = fmt_length(text, cap - 1);

    memmove(dst, text, n);
    dst[n] = '\0';
}

/* The bytes of the next character of UTF-8 as a number, in the order of characters, and *s, which
 * is not empty, moves past it. What is not well-formed gives a number that no character has. */
static unsigned next(const char **s) {
    unsigned c = (unsigned char)*(*s)++;

    if (c >= 0xc0)
        while ((**s & 0xc0) == 0x80)
            c = c << 8 | (unsigned char)*(*s)++;
    return c;
}

unsigned fmt_character(const char *text) {
    /* Where characters that can be printed begin and end, in turn. Between: controls, soft hyphen,
     * what changes the direction or is not seen, surrogates, private use, planes without
     * characters; what is too long or too short for its number. */
    static const unsigned bounds[] = {
        0x20,     0x7f,     0xc2a0,   0xc2ad,   0xc2ae,   0xd89c,   0xd89d,     0xdfc0,
        0xe0a080, 0xe1a08e, 0xe1a08f, 0xe2808b, 0xe28090, 0xe280a8, 0xe280af,   0xe281a0,
        0xe281b0, 0xeda080, 0xefa480, 0xefbbbf, 0xefbc80, 0xefbfb0, 0xf0908080, 0xf3a08080};
    const char *end = text;
    unsigned c = next(&end), i = 0;

    while (i < sizeof bounds / sizeof *bounds && c >= bounds[i])
        i++;
    return i % 2 ? (unsigned)(end - text) : 0;
}

void fmt_printable(char *text) {
    while (*text) {
        unsigned n = fmt_character(text);

        if (!n)
            *text = '?';
        text += n + !n;
    }
}

void fmt_ascii(char *text, size_t n) {
    for (; n; n--, text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

long fmt_number(const char *s, long low, long high) {
    long v = 0;

    if (!*s)
        return -1;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > high)
            return -1;
        v = v * 10 + (*s - '0');
    }
    return v < low || v > high ? -1 : v;
}

long fmt_millis(const char *s, long low, long high) {
    long v = 0, unit = 1000; /* of the next digit */
    bool point = false, digits = false;

    for (; *s; s++) {
        if (point)
            unit /= 10;
        if (*s == '.' && !point) {
            point = true;
            continue;
        }
        if (*s < '0' || *s > '9' || v > high)
            return -1;
        v = (point ? v : v * 10) + (*s - '0') * unit;
        digits = true;
    }
    return !digits || v < low || v > high ? -1 : v;
}

size_t fmt_length(const char *text, size_t max) {
    size_t n = 0;

    while (n < max && text[n])
        n++;
    return n;
}

bool fmt_begins(const char *text, const char *prefix) {
    while (*prefix && *text == *prefix) {
        text++;
        prefix++;
    }
    return !*prefix;
}

const char *fmt_base(const char *path) {
    const char *base = path;

    for (; *path; path++)
        if (*path == '/')
            base = path + 1;
    return base;
}

const char *fmt_find(const char *text, char c) {
    while (*text && *text != c)
        text++;
    return text;
}

/* A set, from after its '[' on. Returns where it ends, or NULL if it is not valid; *has: whether
 * the character c is in it. */
static const char *read_set(const char *p, unsigned c, bool *has) {
    bool negated = *p == '!' || *p == '^';
    const char *first = p += negated;

    for (*has = negated; *p != ']' || p == first;) {
        unsigned low, high;

        if (!*p || (*p == '[' && p[1] == ':'))
            return NULL;
        low = high = next(&p);
        if (*p == '-' && p[1] && p[1] != ']') {
            p++;
            high = next(&p);
        }
        if (low > high)
            return NULL;
        if (c >= low && c <= high)
            *has = !negated;
    }
    return p + 1;
}

/* As read_set(), for one element of a pattern, which is not empty. */
static const char *read_element(const char *p, unsigned c, bool *has) {
    unsigned own = next(&p);

    *has = own == '?' || own == c;
    return own == '[' ? read_set(p, c, has) : p;
}

bool fmt_glob(const char *pattern, const char *text) {
    const char *star = NULL, *mark = NULL;

    while (*text) {
        bool has = false;

        if (*pattern == '*') {
            star = ++pattern;
            mark = text;
            continue;
        }
        if (*pattern)
            pattern = read_element(pattern, next(&text), &has);
        if (has && pattern)
            continue;
        if (!star)
            return false;
        next(&mark);
        pattern = star;
        text = mark;
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

bool fmt_glob_valid(const char *pattern) {
    const char *p = pattern;
    bool has;

    while (p && *p)
        p = read_element(p, 0, &has);
    return p && p != pattern;
}

const char *fmt_setting(char **list, const char *name) {
    for (; *list; list++)
        if (fmt_begins(*list, name))
            return *list + strlen(name);
    return "";
}
