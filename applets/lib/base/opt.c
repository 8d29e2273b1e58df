/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fmt.h"
#include "base/log.h"

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
        fmt_print(line, sizeof line, "  -%c %-8s %s\n", o->letter, o->argument ? o->argument : "",
                  o->help);
        log_out(line);
    }
    log_out("  -h, --help     print this and exit\n"
            "  -V, --version  print the version and exit\n");
    exit(EXIT_SUCCESS);
}

static _Noreturn void version(void) {
    log_failure(EXIT_FAILURE);
    log_out(OPT_VERSION);
    exit(EXIT_SUCCESS);
}

static const struct opt *find(const struct opt *o, char letter) {
    while (o->letter && o->letter != letter)
        o++;
    return o->letter ? o : NULL;
}

/* A second value would silently take the place of the first. */
static void check_first(const struct opt_applet *applet, const struct opt *o, const char *letter) {
    static unsigned seen; /* a bit for each letter */
    unsigned bit = 1u << (o->letter & 31);

    if (seen & bit && !*fmt_find(o->argument, '.'))
        opt_bad(applet, "given twice: -", letter);
    seen |= bit;
}

/* One argument that begins with '-'. Returns the index of the last argument that it used. */
static int take(const struct opt_applet *applet, int argc, char **argv, int at) {
    for (const char *p = argv[at] + 1; *p; p++) {
        char letter[2] = {*p, '\0'};
        const struct opt *o = find(applet->options, *p);

        if (*p == 'h')
            help(applet);
        if (*p == 'V')
            version();
        if (!o)
            opt_bad(applet, "unknown option -", letter);
        if (!o->argument) {
            o->set(NULL);
            continue;
        }
        check_first(applet, o, letter);
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

/* One argument that begins with "--". False: it ends the options. */
static bool take_long(const struct opt_applet *applet, const char *arg) {
    if (!arg[2])
        return false;
    if (!strcmp(arg, "--help"))
        help(applet);
    if (!strcmp(arg, "--version"))
        version();
    if (!SPEAKS_JSON || strcmp(arg, "--json") || !find(applet->options, 'j'))
        opt_bad(applet, "unknown option ", arg);
    find(applet->options, 'j')->set(NULL);
    return true;
}

int opt_parse(const struct opt_applet *applet, int argc, char **argv, int max) {
    bool options = true;
    int n = 0;

    log_name(applet->name, applet->levels);
    log_failure(applet->failure);
    for (int at = 1; at < argc; at++) {
        if (!options || argv[at][0] != '-' || !argv[at][1])
            argv[++n] = argv[at];
        else if (argv[at][1] == '-')
            options = take_long(applet, argv[at]);
        else
            at = take(applet, argc, argv, at);
    }
    if (n > max)
        opt_bad(applet, "too many operands: ", argv[max + 1]);
    argv[n + 1] = NULL;
    log_failure(EXIT_FAILURE);
    return n;
}

void opt_add(char letter, const char **values, unsigned *count, unsigned most, const char *value) {
    if (*count == most)
        log_fatal("-%c %s: more than %u of these", letter, value, most);
    values[(*count)++] = value;
}

long opt_seconds(char letter, const char *value, int least) {
    long n = fmt_millis(value, least, 3600000);

    if (n < 0)
        log_fatal("-%c %s: seconds in range 0%s..3600 are needed", letter, value,
                  least ? ".001" : "");
    return n;
}

long opt_number(char letter, const char *value, int low, int high) {
    long n = fmt_number(value, low, high);

    if (n < 0)
        log_fatal("-%c %s: a number in range %d..%d is needed", letter, value, low, high);
    return n;
}
