/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/header.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/net.h"
#include "relay/guests.h"
#include "relay/services.h"

/* syscalls (host): getsockname */

enum { PATTERNS = 8 };

/* As the PROXY protocol has them: a header that says who connects, to a stream of this family; what
 * follows the addresses. */
enum {
    COMMAND = 0x21,
    TCP4 = 0x11,
    TCP6 = 0x21,
    UNIX = 0x31,
    AUTHORITY = 2,
    UNIQUE_ID = 5,
    FIXED = 16,
    UNIX_PATH = 108,
};
static const unsigned char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* Both addresses, and a value of each kind, of a channel's name at most. */
enum { MOST = FIXED + 2 * UNIX_PATH + 2 * (3 + CHANNEL_NAME + 1 + FRAME_TOKEN) };

static const char *patterns[PATTERNS];
unsigned header_count;

void header_add(const char *pattern) {
    if (!fmt_glob_valid(pattern))
        log_fatal("-P %s: this pattern matches nothing", pattern);
    opt_add('P', patterns, &header_count, PATTERNS, pattern);
}

static bool matches(const char *pattern, const struct service *s) {
    return fmt_glob(pattern, s->name ? s->name : "-");
}

void header_check(void) {
    for (unsigned i = 0; i < header_count; i++) {
        unsigned n = 0, all = services_all();

        while (n < all && !matches(patterns[i], &services[n]))
            n++;
        if (n == all)
            log_fatal("-P %s: there is no such service (see -s)", patterns[i]);
    }
}

bool header_is_due(const struct conn *c) {
    for (unsigned i = 0; i < header_count; i++)
        if (matches(patterns[i], c->service))
            return true;
    return false;
}

static unsigned char *put(unsigned char *p, const void *from, size_t n) {
    memcpy(p, from, n);
    return p + n;
}

/* From the proxy's own end of the connection, to the service's. */
static unsigned char *put_tcp(unsigned char *p, int fd, const struct net_address *to) {
    union net_any from = {0};
    socklen_t n = sizeof from;

    getsockname(fd, &from.any, &n);
    if (CONFIG_FEATURE_ADDR && to->sa.any.sa_family == AF_INET6) {
        p = put(p, &from.in6.sin6_addr, 16);
        p = put(p, &to->sa.in6.sin6_addr, 16);
    } else {
        p = put(p, &from.in.sin_addr, 4);
        p = put(p, &to->sa.in.sin_addr, 4);
    }
    p = put(p, &from.in.sin_port, 2); /* both families have it in the same place */
    return put(p, &to->sa.in.sin_port, 2);
}

static unsigned char *put_unix(unsigned char *p, const struct net_address *to) {
    memset(p, 0, UNIX_PATH);
    return put(p + UNIX_PATH, to->sa.un.sun_path, UNIX_PATH);
}

static unsigned char *put_value(unsigned char *p, unsigned char type, const char *text, size_t n) {
    *p++ = type;
    *p++ = 0;
    *p++ = (unsigned char)n;
    return put(p, text, n);
}

int header_send(const struct conn *c, const unsigned char host_token[FRAME_TOKEN]) {
    unsigned char b[MOST], *p = put(b, signature, sizeof signature);
    const struct channel *ch = c->channel;
    const struct net_address *to = services_address(c->service, ch);
    int family = to->sa.any.sa_family;
    char id[CHANNEL_NAME + 1 + FRAME_TOKEN];
    size_t n = fmt_print(id, sizeof id, "%s/%.*s", ch->name, FRAME_TOKEN, (const char *)host_token);
    ssize_t sent;

    *p++ = COMMAND;
    *p++ = family == AF_INET ? TCP4 : family == AF_UNIX ? UNIX : TCP6;
    p = family == AF_UNIX ? put_unix(p + 2, to) : put_tcp(p + 2, c->fd, to);
    p = put_value(p, AUTHORITY, ch->name, ch->guest->length - 1);
    p = put_value(p, UNIQUE_ID, id, n);
    b[FIXED - 2] = (unsigned char)((p - b - FIXED) >> 8);
    b[FIXED - 1] = (unsigned char)(p - b - FIXED);
    sent = write(c->fd, b, (size_t)(p - b));
    return sent == p - b ? 0 : sent < 0 ? errno : EIO;
}
