/* SPDX-License-Identifier: Apache-2.0 */
#include "base/agent.h"

#include <stddef.h>
#include <string.h>

#include "base/fmt.h"

bool agent_is_inward(const char *name) {
    size_t n = strlen(name);

    return (CONFIG_FEATURE_INWARD || CONFIG_VIOS_CONNECT) && n > 3 && !strcmp(name + n - 3, ".in");
}

const char *agent_of(const char *name, int *length) {
    bool found = false;
    char pattern[64];
    const char *end;

    for (const char *p = CONFIG_FOREIGN_PORTS; *p; p = end + (*end != '\0')) {
        const char *mark = fmt_find(p, '=');

        end = fmt_find(p, ' ');
        if (mark > end)
            mark = end;
        fmt_print(pattern, sizeof pattern, "%.*s", (int)(mark - p), p);
        found |= fmt_glob(pattern, name) && *pattern;
        *length = (int)(end - mark) - 1;
        if (found && mark < end)
            return mark + 1;
    }
    *length = sizeof "an agent" - 1;
    return found ? "an agent" : NULL;
}
