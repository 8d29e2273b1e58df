/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/base/limits.h"

#include "unit.h"

/* Each name is new once; after 1024 none is: nobody can fill the log with new ones. */
static void names(void) {
    char name[16];

    for (int i = 0; i < 1024; i++) {
        snprintf(name, sizeof name, "guest%d", i);
        CHECK(limits_is_new(name) && !limits_is_new(name));
    }
    CHECK(!limits_is_new("one more"));
}

/* 40 messages about a guest's new things, then a limit that they share, for LOG_QUIET. */
static void crowds(void) {
    struct log_limit *limit;

    for (int i = 0; i < 40; i++)
        CHECK(!limits_of("guest/a", 5, 10000));
    limit = limits_of("guest/b", 5, 10000);
    CHECK(limit && limits_of("guest/c", 5, 9999 + LOG_QUIET) == limit);
    CHECK(!limits_of("guest/d", 5, 10000 + LOG_QUIET));
}

static const struct unit_case cases[] = {{"names", names}, {"crowds", crowds}};
UNIT_MAIN("limits", cases)
