/* SPDX-License-Identifier: Apache-2.0 */
/* out: what goes to stdout, for people or as JSON, through one static buffer. */
#ifndef VIOS_OUT_H
#define VIOS_OUT_H

/* Text as fmt_print() makes it, cut after 1023 bytes. */
void out_print(const char *f, ...) __attribute__((format(printf, 1, 2)));

/* Text from elsewhere: every unprintable byte as '?', with blanks up to the width. */
void out_safe(const char *text, unsigned width);

/* A part of a JSON document; key: NULL in an array. Commas come by themselves. tri: 0 false, 1
 * true, else null; a negative number and a NULL text are null. A byte of 128..255 in a text is
 * written as \u00XX, since names need not be UTF-8. */
void out_json_open(const char *key, char bracket);
void out_json_close(char bracket);
void out_json_text(const char *key, const char *text);
void out_json_number(const char *key, long long value);
void out_json_tri(const char *key, int tri);

/* Writes what is in the buffer. 0, or -1 if this or an earlier write failed. */
int out_flush(void);

#endif
