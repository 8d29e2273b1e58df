/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <stddef.h>
#include <string.h>

#include "fmt.h"

/* The first match counts. */
static const char *const agents[][2] = {
    {"org.qemu.guest_agent.*", "qemu-guest-agent"},
    {"com.redhat.spice.*", "spice-vdagent"},
    {"com.redhat.rhevm.*", "ovirt-guest-agent"},
    {"org.spice-space.webdav.*", "spice-webdavd"},
    {"org.spice-space.stream.*", "spice-streaming-agent"},
    {"org.libguestfs.*", "libguestfs"},
    {"com.redhat.*", "Red Hat"},
    {"org.spice-space.*", "spice"},
};

/* Whether the name matches one of Kconfig's patterns, which blanks divide. */
static int is_foreign(const char *name) {
    char pattern[64];
    size_t n;

    for (const char *p = CONFIG_FOREIGN_PORTS; *p; p += n + (p[n] == ' ')) {
        n = (size_t)(strchrnul(p, ' ') - p);
        fmt_print(pattern, sizeof pattern, "%.*s", (int)n, p);
        if (n && fmt_glob(pattern, name))
            return 1;
    }
    return 0;
}

const char *agent_of(const char *name) {
    for (unsigned i = 0; i < sizeof agents / sizeof *agents; i++)
        if (fmt_glob(agents[i][0], name))
            return agents[i][1];
    return CONFIG_FEATURE_FOREIGN && is_foreign(name) ? "another agent" : NULL;
}
