/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/base/error.h"

#include <errno.h>

#include "unit.h"

/* The first and the last of the table, and some between: each error has its own text. */
static void texts(void) {
    SAME_TEXT(error_text(EPERM), "Operation not permitted");
    SAME_TEXT(error_text(ENOENT), "No such file or directory");
    SAME_TEXT(error_text(EPIPE), "Broken pipe");
    SAME_TEXT(error_text(ECONNREFUSED), "Connection refused");
    SAME_TEXT(error_text(EHOSTUNREACH), "Host is unreachable");
}

/* What is not in the table is shown as its number: nothing is empty, and no two are alike. */
static void numbers(void) {
    char seen[200][64];

    SAME_TEXT(error_text(EKEYREVOKED), "error 128");
    SAME_TEXT(error_text(0), "error 0");
    SAME_TEXT(error_text(2147483647), "error 2147483647");
    for (int i = 1; i < 200; i++) {
        CHECK(*error_text(i) && strlen(error_text(i)) < sizeof *seen);
        strcpy(seen[i], error_text(i));
        for (int j = 1; j < i; j++)
            CHECK(strcmp(seen[i], seen[j]));
    }
}

static const struct unit_case cases[] = {{"texts", texts}, {"numbers", numbers}};

UNIT_MAIN("error", cases)
