/* SPDX-License-Identifier: Apache-2.0 */
#include "opt.h"

#include <stdlib.h>
#include <string.h>

#include "fmt.h"
#include "log.h"

enum { SPEAKS_JSON = CONFIG_VIOS_LIST || CONFIG_VIOS_PROBE };

_Noreturn void opt_bad(const struct opt_applet *applet, const char *what, const char *object) {
    log_msg(LOG_FATAL, "%s%s (try %s --help)", what, object, applet->name);
    exit(applet->failure);
}

static _Noreturn void help(const struct opt_applet *applet) {
    char line[160];

    log_failure(EXIT_FAILURE);
    fmt_print(line, sizeof line, "Usage: %s [-h] %s\n\n", applet->name, applet->usage);
    log_out(line);
    log_out(applet->about);
    log_out("\nOptions:\n");
    for (const struct opt *o = applet->options; o->letter; o++) {
        fmt_print(line, sizeof line, "  -%c %-8s %s\n", o->letter, o->argument ? o->argument : "", o->help);
        log_out(line);
    }
    log_out("  -h, --help  print this and exit\n");
    exit(EXIT_SUCCESS);
}

static const struct opt *find(const struct opt *o, char letter) {
    while (o->letter && o->letter != letter)
        o++;
    return o->letter ? o : NULL;
}

/* One argument that begins with '-'. Returns the index of the last argument that it used. */
static int take(const struct opt_applet *applet, int argc, char **argv, int at) {
    for (const char *p = argv[at] + 1; *p; p++) {
        char letter[2] = {*p, '\0'};
        const struct opt *o = find(applet->options, *p);

        if (*p == 'h')
            help(applet);
        if (!o)
            opt_bad(applet, "unknown option -", letter);
        if (!o->argument) {
            o->set(NULL);
            continue;
        }
        if (p[1])
            o->set(p + 1);
        else if (++at < argc)
            o->set(argv[at]);
        else
            opt_bad(applet, "no argument for option -", letter);
        break;
    }
    return at;
}

int opt_parse(const struct opt_applet *applet, int argc, char **argv, int max) {
    int at = 1;

    log_name(applet->name);
    log_failure(applet->failure);
    for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
        if (!strcmp(argv[at], "--")) {
            at++;
            break;
        }
        if (!strcmp(argv[at], "--help"))
            help(applet);
        if (SPEAKS_JSON && !strcmp(argv[at], "--json") && find(applet->options, 'j')) {
            find(applet->options, 'j')->set(NULL);
            continue;
        }
        if (argv[at][1] == '-')
            opt_bad(applet, "unknown option ", argv[at]);
        at = take(applet, argc, argv, at);
    }
    if (argc - at > max)
        opt_bad(applet, "too many operands: ", argv[at + max]);
    log_failure(EXIT_FAILURE);
    return at;
}
