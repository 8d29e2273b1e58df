/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/sys.h"

enum { SPEAKS_JSON = CONFIG_VIOS_LIST || CONFIG_VIOS_PROBE };

_Noreturn void opt_bad(const struct opt_applet *applet, const char *what, const char *object) {
    log_msg(LOG_FATAL, "%s%s (try %s --help)", what, object, applet->name);
    exit(applet->failure);
}

static _Noreturn void help(const struct opt_applet *applet) {
    char line[160];

    log_failure(EXIT_FAILURE);
    fmt_print(line, sizeof line, "Usage: %s %s\n\n", applet->name, applet->usage);
    log_out(line);
    log_out(applet->about);
    log_out("\nOptions:\n");
    for (const struct opt *o = applet->options; o->letter; o++) {
        fmt_print(line, sizeof line, "  -%c %-8s %s\n", o->letter, o->argument ? o->argument : "",
                  o->help);
        log_out(line);
    }
    log_out("  -h, --help     print this and exit\n"
            "  -V, --version  print the version and exit\n\nExample: ");
    log_out(applet->example);
    log_out("\n");
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

/* A second value would silently replace the first. */
static void check_first(const struct opt_applet *applet, const struct opt *o, const char *letter) {
    static unsigned long long seen; /* a bit for each letter and digit */
    unsigned long long bit = 1ull << (o->letter & 63);

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

#if CONFIG_FEATURE_OPTION_FILE

enum { FILE_MOST = 8192 };

static const struct opt_applet *reader; /* the applet whose options are read */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static char *skip_blanks(char *p) {
    while (is_blank(*p))
        p++;
    return p;
}

/* An option, and its argument, which may have blanks in it, after blanks or none. */
static void take_line(char *line) {
    char *argv[2] = {skip_blanks(line), NULL}, *p = argv[0] + strlen(argv[0]);

    while (p > argv[0] && is_blank(p[-1]))
        *--p = '\0';
    if (!*argv[0] || *argv[0] == '#')
        return;
    if (*argv[0] != '-' || argv[0][1] == '-' || !argv[0][1])
        opt_bad(reader, "-F: not an option: ", argv[0]);
    p = argv[0] + 2;
    if (is_blank(*p)) {
        argv[1] = skip_blanks(p);
        *p = '\0';
    }
    if (!take(reader, argv[1] ? 2 : 1, argv, 0) && argv[1])
        opt_bad(reader, "-F: one option a line: ", argv[1]);
}

/* Reads the whole file: its length. FATAL if it does not fit, so that no option is lost. */
static size_t read_file(const char *path, char *text) {
    int fd = sys_open(path, O_RDONLY);
    ssize_t n = -1;
    size_t have = 0;

    while (fd >= 0 && (n = read(fd, text + have, FILE_MOST - have)) > 0)
        have += (size_t)n;
    if (n < 0)
        log_fatal("-F %s: %m", path);
    if (have == FILE_MOST)
        log_fatal("-F %s: more than %u bytes", path, FILE_MOST - 1u);
    close(fd);
    return have;
}

void opt_file(const char *path) {
    static MEMORY_BULK char text[FILE_MOST]; /* the options' arguments stay in it */
    size_t n = read_file(path, text);

    if (strlen(text) != n)
        log_fatal("-F %s: contains a NUL", path);
    for (char *line = text, *end; line < text + n; line = end + 1) {
        end = line + (fmt_find(line, '\n') - line);
        *end = '\0';
        take_line(line);
    }
}

#endif

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

#if CONFIG_FEATURE_OPTION_FILE
    reader = applet;
#endif
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
