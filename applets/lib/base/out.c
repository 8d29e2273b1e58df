/* SPDX-License-Identifier: Apache-2.0 */
#include "base/out.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"

static char buffer[2048]; /* NUL-ended by out_flush() */
static size_t used;
static char last; /* the last byte that was put */
static bool failed;

static void put(char c) {
    if (used == sizeof buffer - 1)
        out_flush();
    buffer[used++] = last = c;
}

int out_flush(void) {
    buffer[used] = '\0';
    if (used && log_text(STDOUT_FILENO, buffer))
        failed = true;
    used = 0;
    return failed ? -1 : 0;
}

void out_print(const char *f, ...) {
    char text[1024];
    va_list ap;
    size_t n;

    va_start(ap, f);
    n = fmt_vprint(text, sizeof text, f, ap);
    va_end(ap);
    for (size_t i = 0; i < n; i++)
        put(text[i]);
}

void out_safe(const char *text, unsigned width) {
    for (; *text; width -= width > 0) {
        unsigned n = fmt_character(text);

        if (!n)
            put('?');
        for (const char *end = text + n; text < end; text++)
            put(*text);
        text += !n;
    }
    for (; width; width--)
        put(' ');
}

static void quote(const char *text) {
    put('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < ' ' || c > '~') {
            out_print("\\u%04x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            put('\\');
        put((char)c);
    }
    put('"');
}

static void begin(const char *key) {
    if (last && !*fmt_find("{[\n", last))
        put(',');
    if (key)
        out_print("\"%s\":", key);
}

void out_json_open(const char *key, char bracket) {
    begin(key);
    put(bracket);
}

void out_json_close(char bracket) { put(bracket); }

void out_json_text(const char *key, const char *text) {
    begin(key);
    if (text)
        quote(text);
    else
        out_print("null");
}

void out_json_number(const char *key, long long value) {
    begin(key);
    out_print(value < 0 ? "null" : "%llu", (unsigned long long)value);
}

void out_json_tri(const char *key, int tri) {
    begin(key);
    out_print("%s", tri == 0 ? "false" : tri == 1 ? "true" : "null");
}
