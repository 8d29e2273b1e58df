/* SPDX-License-Identifier: Apache-2.0 */
/* log: one line a message on stderr, `applet: LEVEL: text`, in one write(2), with '?' for what
 * cannot be printed. For systemd's journal (JOURNAL_STREAM) the priority comes first, as `<6>`. */
#ifndef VIOS_LOG_H
#define VIOS_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_FATAL, LOG_ALERT, LOG_ERROR, LOG_WARN, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

#define LOG_LEVELS "FATAL ALERT ERROR WARN NOTICE INFO DEBUG"

/* Each line begins with the applet's name, and with levels with the message's level. The name must
 * stay valid. */
void log_name(const char *applet, bool levels);

/* Sets the level from its name, in any case. 0, or -1 if it is none of LOG_LEVELS. */
int log_level_set(const char *name);

/* Whether a message of this level would be written. */
int log_wants(enum log_level level);

/* Writes a line, if the level is wanted. %m is errno's text. */
void log_msg(enum log_level level, const char *f, ...) __attribute__((format(printf, 2, 3)));

/* A FATAL line, then exit with the status that log_failure() has set, 1 by default. */
void log_failure(int status);
_Noreturn void log_fatal(const char *f, ...) __attribute__((format(printf, 1, 2)));

/* A message that may repeat: once in LOG_QUIET milliseconds, then with the count of those left out.
 * True if it was written. */
#define LOG_QUIET 5000
struct log_limit {
    long long next;
    unsigned left_out;
};
bool log_limited(struct log_limit *limit, long long now_ms, enum log_level level, const char *f,
                 ...) __attribute__((format(printf, 4, 5)));

/* Writes all of text, through short writes and EINTR. 0, or -1 with errno. */
int log_text(int fd, const char *text);

/* Writes text to stdout; FATAL if that is not possible. */
void log_out(const char *text);

#endif
