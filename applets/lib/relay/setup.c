/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/setup.h"

#include <string.h>

#include "base/fmt.h"
#include "base/log.h"
#include "relay/services.h"

static const char *addresses[SETUP_ADDRESSES] = {"127.0.0.1"}, *unix_path;
static unsigned address_count, mode = SETUP_MODE;

void setup_address(const char *literal) {
    opt_add('a', addresses, &address_count, SETUP_ADDRESSES, literal);
}

void setup_unix(const char *path) { unix_path = path; }

void setup_mode(const char *octal) {
    const char *p = octal;

    for (mode = 0; *p >= '0' && *p <= '7' && mode <= 0777; p++)
        mode = mode * 8 + (unsigned)(*p - '0');
    if (*p || p == octal || mode > 0777)
        log_fatal("-M %s: not an octal number in range 0..777", octal);
}

/* Where to listen or to connect. */
static void set_services(struct setup *s, unsigned port) {
    s->services = CONFIG_FEATURE_ADDR && address_count ? address_count : 1;
    s->placed = address_count || unix_path;
    s->mode = mode;
    if (CONFIG_FEATURE_UNIX && unix_path) {
        if (address_count)
            log_fatal("-a %s: cannot be given with -u", *addresses);
        if (net_path(s->service, unix_path))
            log_fatal("-u %s: a path of 1..%u bytes is needed", unix_path,
                      (unsigned)sizeof s->service->sa.un.sun_path - 1);
        return;
    }
    for (unsigned i = 0; i < s->services; i++) {
        if (net_literal(&s->service[i], addresses[i], port))
            log_fatal("-a %s: not an IPv4 or IPv6 address", addresses[i]);
        s->service[i].v6only = s->services > 1;
    }
}

/* With -l or -s there is a default service only if something says where. */
static void set_default(struct setup *s, bool port) {
    if (s->none && s->placed)
        log_fatal("service_port none: leave out -a and -u");
    if (s->none && !services_are_named())
        log_fatal("service_port none: without -l or -s there is nothing to do");
    if (s->none || (services_are_named() && !port && !s->placed))
        s->services = 0;
}

void setup_read(struct setup *s, const char *directory, char **operands, int n) {
    const char *level = n > 2 && *operands[2] ? operands[2] : CONFIG_LOG_LEVEL;
    long port = n > 1 && *operands[1] ? fmt_number(operands[1], 1, 65535) : CONFIG_SERVICE_PORT;

    if (log_level_set(level))
        log_fatal("Unknown log level %s: use one of " LOG_LEVELS, level);
    s->none = CONFIG_FEATURE_SERVICES && n > 1 && !strcmp(operands[1], "none");
    if (port < 0 && !s->none)
        log_fatal("Specify listen port in range 1..65535: %s", operands[1]);
    s->given = n > 0 && *operands[0];
    s->directory = s->given ? operands[0] : directory;
    set_services(s, (unsigned)port);
    if (CONFIG_FEATURE_SERVICES)
        set_default(s, n > 1 && *operands[1]);
}
