/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "../../applets/lib/base/fmt.h"
#include "unit.h"

static int tap; /* what comes out of stderr; each write is a datagram */

static void tap_stderr(void) {
    int ends[2];

    CHECK(!pipe2(ends, O_DIRECT | O_NONBLOCK));
    dup2(ends[1], STDERR_FILENO);
    tap = ends[0];
    log_name("vios-test", true);
}

/* The next write, or "". */
static const char *next_line(void) {
    static char line[4096];
    ssize_t n = read(tap, line, sizeof line - 1);

    line[n > 0 ? n : 0] = '\0';
    return line;
}

static void one_line_one_write(void) {
    tap_stderr();
    log_msg(LOG_WARN, "channel %s: %d", "org.x", 7);
    SAME_TEXT(next_line(), "vios-test: WARN: channel org.x: 7\n");
    SAME_TEXT(next_line(), "");
}

static void levels(void) {
    static const char *const names[] = {"FATAL",  "ALERT", "ERROR", "WARN",
                                        "NOTICE", "INFO",  "DEBUG"};
    static const char *const odd[] = {"", "WARNING", "DEBU", "DEBUGG", "3", " INFO", "FATAL "};

    tap_stderr();
    for (unsigned i = 0; i < 7; i++) {
        char lower[16];

        for (unsigned k = 0; k <= strlen(names[i]); k++)
            lower[k] = (char)(k % 2 ? names[i][k] | (names[i][k] ? 0x20 : 0) : names[i][k]);
        EQUAL(log_level_set(lower), 0);
        for (unsigned k = 0; k < 7; k++) {
            char wanted[60];

            EQUAL(log_wants((enum log_level)k) != 0, k <= i);
            log_msg((enum log_level)k, "text");
            snprintf(wanted, sizeof wanted, "vios-test: %s: text\n", names[k]);
            SAME_TEXT(next_line(), k <= i ? wanted : "");
        }
        for (unsigned k = 0; k < sizeof odd / sizeof *odd; k++)
            EQUAL(log_level_set(odd[k]), -1);
        CHECK(log_wants((enum log_level)i) && !log_wants((enum log_level)(i + 1)));
    }
}

static void bytes_that_do_not_print(void) {
    char text[257], wanted[300] = "vios-test: INFO: ";
    size_t n = strlen(wanted);

    tap_stderr();
    for (unsigned i = 1; i < 256; i++) {
        text[i - 1] = (char)i;
        wanted[n++] = i >= 32 && i < 127 ? (char)i : '?';
    }
    text[255] = '\0';
    strcpy(wanted + n, "\n");
    log_msg(LOG_INFO, "%s", text);
    SAME_TEXT(next_line(), wanted);
}

static void utf8_is_shown(void) {
    tap_stderr();
    log_msg(LOG_INFO, "%s", "k\xc3\xa4se \xe2\x80\x94 \xf0\x9f\x98\x80 \xe2\x80\xae.");
    SAME_TEXT(next_line(), "vios-test: INFO: k\xc3\xa4se \xe2\x80\x94 \xf0\x9f\x98\x80 ???.\n");
}

static void without_levels(void) {
    tap_stderr();
    log_name("vios-tool", false);
    log_msg(LOG_WARN, "text");
    SAME_TEXT(next_line(), "vios-tool: text\n");
}

/* The priority stands before a line if, and only if, stderr is the socket that systemd names. */
static void journal(void) {
    int ends[2];
    struct stat st;
    char name[40], wanted[40];

    CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends));
    dup2(ends[1], STDERR_FILENO);
    tap = ends[0];
    log_name("vios-test", true);
    log_level_set("DEBUG");
    CHECK(!fstat(ends[1], &st));
    snprintf(name, sizeof name, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", name, 1);
    for (unsigned i = 0; i < 7; i++) {
        static const char *const names[] = {"FATAL",  "ALERT", "ERROR", "WARN",
                                            "NOTICE", "INFO",  "DEBUG"};

        log_msg((enum log_level)i, "text");
        snprintf(wanted, sizeof wanted, "<%c>vios-test: %s: text\n", "2134567"[i], names[i]);
        SAME_TEXT(next_line(), wanted);
    }
    strcat(name, "1");
    setenv("JOURNAL_STREAM", name, 1);
    log_msg(LOG_INFO, "text");
    SAME_TEXT(next_line(), "vios-test: INFO: text\n");
    setenv("JOURNAL_STREAM", "", 1);
    log_msg(LOG_INFO, "text");
    SAME_TEXT(next_line(), "vios-test: INFO: text\n");
}

static void long_lines_are_cut(void) {
    char text[3000];
    const char *line;

    tap_stderr();
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    log_msg(LOG_INFO, "%s", text);
    line = next_line();
    CHECK(strlen(line) > 400 && strlen(line) < 1000);
    EQUAL(line[strlen(line) - 1], '\n');
    SAME_TEXT(next_line(), "");
}

static void errno_is_kept(void) {
    char wanted[100];

    tap_stderr();
    errno = EPIPE;
    log_msg(LOG_INFO, "x: %m");
    EQUAL(errno, EPIPE);
    snprintf(wanted, sizeof wanted, "vios-test: INFO: x: %s\n", strerror(EPIPE));
    SAME_TEXT(next_line(), wanted);
}

static void repeats_are_counted(void) {
    struct log_limit limit = {0}, other = {0};

    tap_stderr();
    for (int i = 0; i < 10; i++)
        log_limited(&limit, 1000 + i, LOG_WARN, "again");
    SAME_TEXT(next_line(), "vios-test: WARN: again\n");
    SAME_TEXT(next_line(), "");
    log_limited(&other, 1010, LOG_WARN, "other");
    SAME_TEXT(next_line(), "vios-test: WARN: other\n");
    log_limited(&limit, 1000 + LOG_QUIET, LOG_WARN, "again");
    SAME_TEXT(next_line(), "vios-test: WARN: again (and 9 more)\n");
    log_limited(&limit, 1000 + 3 * LOG_QUIET, LOG_WARN, "again");
    SAME_TEXT(next_line(), "vios-test: WARN: again\n");
    log_limited(&limit, 1000 + 3 * LOG_QUIET, LOG_DEBUG, "unwanted");
    log_limited(&limit, 1000 + 5 * LOG_QUIET, LOG_WARN, "again");
    SAME_TEXT(next_line(), "vios-test: WARN: again\n");
}

static void fatal_ends(void) {
    int status;
    pid_t child;

    tap_stderr();
    for (int wanted = 1; wanted < 4; wanted += 2) {
        child = fork();
        if (!child) {
            if (wanted > 1)
                log_failure(wanted);
            log_fatal("no %s", "more");
        }
        waitpid(child, &status, 0);
        CHECK(WIFEXITED(status));
        EQUAL(WEXITSTATUS(status), wanted);
        SAME_TEXT(next_line(), "vios-test: FATAL: no more\n");
    }
}

static const struct unit_case cases[] = {
    {"one-line-one-write", one_line_one_write},
    {"levels", levels},
    {"bytes-that-do-not-print", bytes_that_do_not_print},
    {"utf8-is-shown", utf8_is_shown},
    {"without-levels", without_levels},
    {"journal", journal},
    {"long-lines-are-cut", long_lines_are_cut},
    {"errno-is-kept", errno_is_kept},
    {"repeats-are-counted", repeats_are_counted},
    {"fatal-ends", fatal_ends},
};
UNIT_MAIN("log", cases)
