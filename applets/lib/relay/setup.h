/* SPDX-License-Identifier: Apache-2.0 */
/* setup: a proxy's command line: which directory, and where to listen or to connect. */
#ifndef VIOS_SETUP_H
#define VIOS_SETUP_H

#include "base/net.h"
#include "base/opt.h"

/* Rows of the option table. */
#if CONFIG_FEATURE_ADDR
#define SETUP_OPT_ADDR(argument, what) {'a', argument, what, setup_address},
#else
#define SETUP_OPT_ADDR(argument, what)
#endif
#if CONFIG_FEATURE_UNIX
#define SETUP_OPT_UNIX(what) {'u', "PATH", what, setup_unix},
#else
#define SETUP_OPT_UNIX(what)
#endif

#if CONFIG_FEATURE_MODE
#define SETUP_OPT_MODE(what) {'M', "MODE", what, setup_mode},
#else
#define SETUP_OPT_MODE(what)
#endif

void setup_address(const char *literal);
void setup_unix(const char *path);
void setup_mode(const char *octal);

enum { SETUP_MODE = 0600 }; /* of a unix socket that listens, without -M */

/* The default port, in the help. */
#define SETUP_QUOTE(x) #x
#define SETUP_TEXT(x) SETUP_QUOTE(x)
#define SETUP_PORT SETUP_TEXT(CONFIG_SERVICE_PORT)

/* The options and the operands [directory [port [log_level]]]; an empty operand counts as missing.
 * given, directory: whether a directory was given, which one. service: where to listen or to
 * connect; placed: an option says so. mode: of a unix socket that listens. services: 0: there is no
 * default service; none: the operand says so. Bad ones are FATAL with the texts of the 2011 manual.
 */
enum { SETUP_ADDRESSES = CONFIG_FEATURE_ADDR ? 4 : 1 };
struct setup {
    bool given, placed, none;
    unsigned mode;
    const char *directory;
    unsigned services;
    struct net_address service[SETUP_ADDRESSES];
};
/* The default service's address for messages; "services by name" if there is none. */
static inline const char *setup_service(const struct setup *s) {
    return CONFIG_FEATURE_SERVICES && !s->services ? "services by name" : s->service->text;
}

void setup_read(struct setup *setup, const char *default_directory, char **operands, int n);
#endif
