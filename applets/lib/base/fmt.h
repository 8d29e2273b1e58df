/* SPDX-License-Identifier: Apache-2.0 */
/* fmt: text into a caller's buffer, without stdio. */
#ifndef VIOS_FMT_H
#define VIOS_FMT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Formats into dst (cap bytes, cap >= 1), always ends it with NUL, cuts what does not fit, and
 * returns the length without the NUL. Knows %s %.*s %c %d %u %lu %llu %x %m %%, and a width for %s,
 * %u and %x (%-8s left, %8u right, %02x with zeros). */
size_t fmt_print(char *dst, size_t cap, const char *f, ...) __attribute__((format(printf, 3, 4)));
size_t fmt_vprint(char *dst, size_t cap, const char *f, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* Copies text, cut to cap - 1 bytes (cap >= 1), and ends it with NUL. */
void fmt_copy(char *dst, size_t cap, const char *text);

/* The length of the first character of text, which is not empty, if it is safe to print:
 * well-formed UTF-8, no control, none that changes the direction, none that is invisible. Else 0.
 */
unsigned fmt_character(const char *text);

/* Each byte that is not part of such a character becomes a '?'. */
void fmt_printable(char *text);

/* Each byte that is not printable ASCII becomes a '?'. */
void fmt_ascii(char *text, size_t n);

/* The value of a decimal number in low..high that is the whole of s, or -1: no sign, no blanks, no
 * rest. */
long fmt_number(const char *s, long low, long high);

/* The value of decimal seconds, as "2" or "0.25", in milliseconds, or -1. */
long fmt_millis(const char *s, long low, long high);

/* The length of text, or max if it is longer than that. */
size_t fmt_length(const char *text, size_t max);

/* Whether text begins with prefix. */
bool fmt_begins(const char *text, const char *prefix);

/* What follows the last slash of path. */
const char *fmt_base(const char *path);

/* The first place of the character in text, or text's end. */
const char *fmt_find(const char *text, char c);

/* Whether text matches the shell pattern: *, ? (one character of UTF-8), [a-z], [!a-z]. A bracket
 * that is not valid matches nothing. */
bool fmt_glob(const char *pattern, const char *text);

/* Whether any text could match the pattern: it is not empty, its brackets are closed and not
 * reversed, and no [:class:] is in them. */
bool fmt_glob_valid(const char *pattern);

/* What follows name in the first text of the list that begins with it; "" if there is none. NULL
 * ends the list. */
const char *fmt_setting(char **list, const char *name);

#endif
