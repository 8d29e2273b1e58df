/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/offer.h"

#include <stddef.h>

#include "base/fmt.h"

enum { LETTERS = 16 /* that count */ };

bool offer_has(const char *text, unsigned n, char letter) {
    for (unsigned i = 0; i < n && i < LETTERS && text[i] != ' '; i++)
        if (text[i] == letter)
            return true;
    return false;
}

const char *offer_word(const char *text, unsigned n, char letter, unsigned *length) {
    unsigned at = 1, end;

    while (at < n && (text[at - 1] != ' ' || text[at] != letter))
        at++;
    for (end = ++at; end < n && text[end] != ' ';)
        end++;
    *length = end - at;
    return at > n ? NULL : text + at;
}

bool offer_is_name(const char *name, unsigned n) {
    unsigned i = 0;

    while (i < n && ((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
                     name[i] == '.' || name[i] == '_' || name[i] == '-'))
        i++;
    return n && n <= OFFER_NAME && i == n;
}

const char *offer_text(const char *letters, const char *name) {
    static char text[OFFER_TEXT];

    if (!CONFIG_FEATURE_SERVICES || !name)
        return letters;
    fmt_print(text, sizeof text, "%s S%s", letters, name);
    return text;
}
