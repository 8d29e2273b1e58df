/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/base/opt.h"

#include <fcntl.h>

#include "unit.h"

static char said[400];

static void set_flag(const char *value) { strcat(said, value ? "bad;" : "r;"); }
static void set_name(const char *value) { strcat(strcat(strcat(said, "n="), value), ";"); }
static void set_path(const char *value) { strcat(strcat(strcat(said, "u="), value), ";"); }

static const struct opt options[] = {{'r', NULL, "a flag", set_flag},
                                     {'n', "NAME...", "a name", set_name},
                                     {'u', "PATH", "a path", set_path},
                                     {0}};
static const struct opt_applet applet = {
    "vios-test", "[-r] [operand]", "About it.\n", "vios-test -r", options, 3, true};

/* What a command line leads to: what was set and the operands, or the exit status and all output.
 */
static const char *parse(const char *line) {
    static char got[2000];
    char *argv[20] = {(char[]){"vios-test"}}, words[200];
    int argc = 1, ends[2], status;
    ssize_t n;
    pid_t child;

    strcpy(words, line);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
        argv[argc++] = strcmp(w, "EMPTY") ? w : w + 5;
    CHECK(!pipe(ends));
    child = fork();
    if (!child) {
        int operands;

        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        operands = opt_parse(&applet, argc, argv, 2);
        dprintf(STDOUT_FILENO, "%s", said);
        for (int i = 1; i <= operands; i++)
            dprintf(STDOUT_FILENO, "[%s]", argv[i]);
        if (argv[operands + 1])
            dprintf(STDOUT_FILENO, "no end");
        _exit(0);
    }
    close(ends[1]);
    for (size_t have = 0;; have += (size_t)n) {
        n = read(ends[0], got + have, sizeof got - 30 - have);
        if (n <= 0) {
            got[have] = '\0';
            break;
        }
    }
    close(ends[0]);
    waitpid(child, &status, 0);
    if (status)
        sprintf(got + strlen(got), "exit %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return got;
}

static void command_lines(void) {
    static const struct {
        const char *line, *got;
    } rows[] = {
        {"", ""},
        {"a b", "[a][b]"},
        {"-r", "r;"},
        {"-r -r x", "r;r;[x]"},
        {"-n glob x", "n=glob;[x]"},
        {"-nglob x", "n=glob;[x]"},
        {"-rnglob", "r;n=glob;"},
        {"-rn glob", "r;n=glob;"},
        {"-n -r", "n=-r;"},
        {"-n a -n b -u c", "n=a;n=b;u=c;"},
        {"-- -r", "[-r]"},
        {"-r -- -r", "r;[-r]"},
        {"-n -- x", "n=--;[x]"},
        {"- x", "[-][x]"},
        {"x -r", "r;[x]"},
        {"x -n glob y -ru path", "n=glob;r;u=path;[x][y]"},
        {"x -r -- -u", "r;[x][-u]"},
        {"-- x -- ", "[x][--]"},
        {"x -n --", "n=--;[x]"},
        {"x - -r", "r;[x][-]"},
        {"EMPTY x", "[][x]"},
    };

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(parse(rows[i].line), rows[i].got))
            FAIL("\"%s\" gives \"%s\", not \"%s\"", rows[i].line, parse(rows[i].line), rows[i].got);
}

static void bad_usage(void) {
    static const char *const lines[] = {"-x",        "-rx",        "-n",       "-rn",  "--nonsense",
                                        "a b c",     "-r a b c",   "a -r b c", "a -x", "a -n",
                                        "-u a -u b", "-ua b -rub", "--versio"};

    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *got = parse(lines[i]);
        size_t n = strlen(got);

        if (strncmp(got, "vios-test: FATAL: ", 18) || !strstr(got, "--help") || n < 6 ||
            strcmp(got + n - 6, "exit 3"))
            FAIL("\"%s\" gives \"%s\"", lines[i], got);
    }
    CHECK(strstr(parse("-x"), "-x"));
    CHECK(strstr(parse("a b c"), "c"));
    CHECK(strstr(parse("-u a -u b"), "given twice: -u"));
}

static void help(void) {
    static const char *const lines[] = {"-h",       "--help",    "-rh",
                                        "-h a b c", "--help -x", "a b --help"};

    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *got = parse(lines[i]);

        CHECK(!strncmp(got, "Usage: vios-test ", 17));
        CHECK(strstr(got, "About it.") && strstr(got, "-n NAME") && strstr(got, "a path") &&
              strstr(got, "--help"));
        CHECK(!strstr(got, "exit "));
    }
}

static void version(void) {
    static const char *const lines[] = {"-V", "--version", "-rV", "a b c -V", "a --version -x"};

    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++)
        SAME_TEXT(parse(lines[i]), OPT_VERSION);
}

static const struct unit_case cases[] = {{"command-lines", command_lines},
                                         {"bad-usage", bad_usage},
                                         {"help", help},
                                         {"version", version}};
UNIT_MAIN("opt", cases)
