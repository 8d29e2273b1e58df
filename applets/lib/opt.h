/* SPDX-License-Identifier: Apache-2.0 */
/* opt: the command line, from one table that is also the --help text. */
#ifndef VIOS_OPT_H
#define VIOS_OPT_H

/* letter: the option, 0 ends the table. argument: its argument's name in the help, or NULL for a flag. help: one line.
 * set: called for each use, with the argument (NULL for a flag). */
struct opt {
    char letter;
    const char *argument, *help;
    void (*set)(const char *value);
};

/* usage: what follows the name in the help's first line. about: what it does, with newlines. failure: the exit status of bad
 * usage. */
struct opt_applet {
    const char *name, *usage, *about;
    const struct opt *options;
    int failure;
};

/* Sets the log's name, takes the options (they may be bundled; "--" ends them), answers -h and --help on stdout with status 0, and
 * bad options on stderr with applet->failure. Returns the index of the first operand; more than max operands are bad usage. */
int opt_parse(const struct opt_applet *applet, int argc, char **argv, int max);

/* One FATAL line, a hint at --help, and applet->failure. */
_Noreturn void opt_bad(const struct opt_applet *applet, const char *what, const char *object);

#endif
