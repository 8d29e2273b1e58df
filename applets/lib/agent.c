/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <stddef.h>

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

bool agent_is_foreign(const char *name) {
    char pattern[64];
    int n;

    for (const char *p = CONFIG_FOREIGN_PORTS; *p; p += n + (p[n] == ' ')) {
        n = (int)(fmt_find(p, ' ') - p);
        fmt_print(pattern, sizeof pattern, "%.*s", n, p);
        if (n && fmt_glob(pattern, name))
            return true;
    }
    return false;
}

const char *agent_of(const char *name) {
    for (unsigned i = 0; i < sizeof agents / sizeof *agents; i++)
        if (fmt_glob(agents[i][0], name))
            return agents[i][1];
    return CONFIG_FEATURE_FOREIGN && agent_is_foreign(name) ? "another agent" : NULL;
}
