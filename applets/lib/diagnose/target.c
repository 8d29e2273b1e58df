/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/target.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/filter.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/node.h"
#include "base/where.h"
#include "diagnose/advice.h"
#include "diagnose/probe.h"

static target_fn *call;

static bool fail(const char *name, const char *text) {
    return call(&(struct target){name, NULL, text, NULL}, false);
}

static void say(const char *reason) { log_msg(LOG_ERROR, "no channel: %s", reason); }

/* A device whose node is missing gets one. */
static bool take_port(const struct port *port, bool each) {
    char path[PORTS_PATH];

    fmt_copy(path, sizeof path, ports_path(port));
    if (*port->node)
        node_make(path, port->node);
    return call(&(struct target){port->name, path, NULL, NULL}, each);
}

/* Says why none of this number of channels is wanted. */
static void explain_none(const char *directory, unsigned all) {
    if (all)
        say(filter_is_given()
                ? "no name matches -n"
                : "there are only those of other agents or directions: -n NAME takes one anyway");
    else if (ports_hidden())
        say("not everything can be seen");
    else
        why_none(directory, say);
}

static bool take_directory(const char *directory, bool (*wanted)(const struct port *)) {
    unsigned all;

    if (ports_scan(directory)) {
        char text[64];

        fmt_print(text, sizeof text, "the directory cannot be read: %m");
        fail(directory, text);
        return true;
    }
    all = ports_count();
    ports_filter(wanted);
    for (unsigned i = 0; i < ports_count(); i++)
        if (!take_port(ports_at(i), true))
            break;
    if (!ports_count())
        explain_none(directory, all);
    return ports_count();
}

/* Whether it is where a proxy listens, and not a channel. */
static bool is_through(const struct opt_applet *applet, struct net_address *a, const char *what) {
    bool tcp = fmt_begins(what, "tcp:");

    if (!tcp && !fmt_begins(what, "unix:"))
        return false;
    if (probe_service)
        opt_bad(applet, "tcp: and unix: lead to one service each, leave out -s: ", what);
    if (tcp && where_tcp(a, what + 4))
        opt_bad(applet, "not " WHERE_FORMS ": ", what + 4);
    if (!tcp && net_path(a, what + 5))
        opt_bad(applet, "not a path that a socket can have: ", what + 5);
    return true;
}

bool target_each(const struct opt_applet *applet, const char *what,
                 bool (*wanted)(const struct port *), target_fn *fn) {
    struct port *port = NULL;
    struct net_address a;
    int mode;

    call = fn;
    if (!what || !*what || !strcmp(what, CONFIG_HOST_DIRECTORY))
        return take_directory(NULL, wanted);
    if (is_through(applet, &a, what))
        return call(&(struct target){what, NULL, NULL, &a}, false), true;
    if (!*fmt_find(what, '/') && !ports_scan(NULL))
        port = ports_find(what);
    if (port)
        return take_port(port, false), true;
    mode = file_mode(what, true);
    if (mode >= 0 && S_ISDIR(mode))
        return take_directory(what, wanted);
    call(&(struct target){what, what, NULL, NULL}, false);
    return true;
}
