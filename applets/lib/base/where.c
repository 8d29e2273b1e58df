/* SPDX-License-Identifier: Apache-2.0 */
#include "base/where.h"

#include <string.h>

#include "base/fmt.h"

int where_tcp(struct net_address *a, const char *text) {
    const char *colon = strrchr(text, ':');
    long port = fmt_number(colon ? colon + 1 : text, 1, 65535);
    char address[64];

    fmt_print(address, sizeof address, "%.*s", colon ? (int)(colon - text) : 64,
              colon ? text : "127.0.0.1");
    /* without brackets it may be that a port was not given */
    if (port < 0 || (*address != '[' && *fmt_find(address, ':')))
        return -1;
    return net_literal(a, address, (unsigned)port);
}

int where_any(struct net_address *a, const char *text) {
    return CONFIG_FEATURE_UNIX && *fmt_find(text, '/') ? net_path(a, text) : where_tcp(a, text);
}
