/* SPDX-License-Identifier: Apache-2.0 */
/* offer: the payload of a SYN or SYNACK: the letters of capabilities, and words after them, each
 * after a blank and beginning with its letter. vios-protocol(7), extension rule 2, service rule
 * 1. */
#ifndef VIOS_OFFER_H
#define VIOS_OFFER_H

#include <stdbool.h>

enum { OFFER_NAME = 32 /* the most bytes of a service's name */, OFFER_TEXT = 64 };

/* Whether the letter is one of the capabilities in the n bytes at text. */
bool offer_has(const char *text, unsigned n, char letter);

/* What follows the letter in the first word that begins with it, and its length; NULL: no word
 * does. */
const char *offer_word(const char *text, unsigned n, char letter, unsigned *length);

/* Whether these n bytes are a service's name. */
#define OFFER_NAMES "a service's name is 1 to 32 of a-z 0-9 . _ -"
bool offer_is_name(const char *name, unsigned n);

/* The payload of a SYN with these letters and this service's name (NULL: none), in a static buffer.
 */
const char *offer_text(const char *letters, const char *name);

#endif
