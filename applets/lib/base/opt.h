/* SPDX-License-Identifier: Apache-2.0 */
/* opt: the command line, from one table that is also the --help text. */
#ifndef VIOS_OPT_H
#define VIOS_OPT_H

#include <stdbool.h>

/* What --version prints. */
#define OPT_VERSION "vios " VIOS_VERSION "\n"

/* letter: the option, 0 ends the table. argument: its argument's name in the help, or NULL for a
 * flag. help: one line. set: called for each use, with the argument (NULL for a flag). More than
 * once may be given: a flag, and what has dots after the argument's name. */
struct opt {
    char letter;
    const char *argument, *help;
    void (*set)(const char *value);
};

/* The row of -F. */
#if CONFIG_FEATURE_OPTION_FILE
#define OPT_FILE {'F', "FILE", "options of FILE: one a line, # begins a comment", opt_file},
#else
#define OPT_FILE
#endif
void opt_file(const char *path);

/* usage: what follows the name in the help's first line. about: what it does, with newlines.
 * example: a command. failure: the exit status of bad usage. levels: its messages have them
 * (log_name()). */
struct opt_applet {
    const char *name, *usage, *about, *example;
    const struct opt *options;
    int failure;
    bool levels;
};

/* Sets the log's name and takes the options, wherever they are; they may be bundled, and "--" ends
 * them. Answers -h, --help, -V and --version on stdout with status 0, and bad options on stderr
 * with applet->failure. Moves the operands to argv[1] and on, with NULL after them, and returns
 * their number; more than max are bad usage. */
int opt_parse(const struct opt_applet *applet, int argc, char **argv, int max);

/* One FATAL line, a hint at --help, and applet->failure. */
_Noreturn void opt_bad(const struct opt_applet *applet, const char *what, const char *object);

/* One more value of an option that may be given `most` times; more are FATAL. */
void opt_add(char letter, const char **values, unsigned *count, unsigned most, const char *value);

/* The number that is an option's value; one that is not in range is FATAL. */
long opt_number(char letter, const char *value, int low, int high);

/* The same of seconds, from 0 or from 0.001 (least: 1) to 3600, in milliseconds. */
long opt_seconds(char letter, const char *value, int least);

#endif
