/* SPDX-License-Identifier: Apache-2.0 */
/* unit: checks and cases for the tests of the parts of applets/lib.
 *
 * A test is a table of named cases and a main() that is UNIT_MAIN. Each case runs in a process of
 * its own and costs one line, `ok FILE/CASE` or `not ok FILE/CASE: why`. Arguments choose cases by
 * a part of the name. SEED repeats the random ones. */
#ifndef VIOS_UNIT_H
#define VIOS_UNIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wformat-truncation"
#endif

struct unit_case {
    const char *name;
    void (*run)(void);
};

/* The case has failed: says so in its line, and ends it. */
#define FAIL(...) \
    do { \
        char unit_why[400]; \
        snprintf(unit_why, sizeof unit_why, __VA_ARGS__); \
        unit_fail(__FILE__, __LINE__, unit_why); \
    } while (0)
#define CHECK(condition) \
    do { \
        if (!(condition)) \
            FAIL("%s", #condition); \
    } while (0)
#define EQUAL(got, wanted) \
    do { \
        long long unit_got = (long long)(got), unit_wanted = (long long)(wanted); \
        if (unit_got != unit_wanted) \
            FAIL("%s is %lld, not %lld", #got, unit_got, unit_wanted); \
    } while (0)
#define SAME_TEXT(got, wanted) \
    do { \
        if (strcmp(got, wanted)) \
            FAIL("%s is \"%s\", not \"%s\"", #got, got, wanted); \
    } while (0)

static inline void unit_fail(const char *file, int line, const char *why) {
    const char *base = strrchr(file, '/');

    printf(": %s:%d: %s\n", base ? base + 1 : file, line, why);
    fflush(stdout);
    _exit(1);
}

/* Random numbers 0..n-1, the same for the same SEED. */
static unsigned long long unit_state = 88172645463325252ULL;

static inline void unit_seed(unsigned long long seed) {
    unit_state = (seed + 1) * 0x9E3779B97F4A7C15ULL;
    unit_state ^= unit_state >> 29;
    unit_state += !unit_state;
}

static inline unsigned unit_random(unsigned n) {
    unit_state ^= unit_state << 13;
    unit_state ^= unit_state >> 7;
    unit_state ^= unit_state << 17;
    return (unsigned)((unit_state >> 16) % n);
}

static inline unsigned long long unit_env_seed(void) {
    const char *seed = getenv("SEED");

    return seed ? strtoull(seed, NULL, 10) : 1;
}

/* One case in a child, whose pipe tells why it failed. */
static inline int unit_one(const char *file, const struct unit_case *c) {
    char why[512] = "";
    size_t n = 0;
    ssize_t got;
    int ends[2], status;
    pid_t child;

    fflush(stdout);
    if (pipe(ends))
        abort();
    child = fork();
    if (!child) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        alarm(120);
        unit_seed(unit_env_seed());
        c->run();
        fflush(stdout);
        _exit(0);
    }
    close(ends[1]);
    while (n < sizeof why - 1 && (got = read(ends[0], why + n, sizeof why - 1 - n)) > 0)
        n += (size_t)got;
    close(ends[0]);
    waitpid(child, &status, 0);
    why[n] = '\0';
    why[strcspn(why, "\n")] = '\0';
    if (!status)
        printf("ok %s/%s\n", file, c->name);
    else if (*why)
        printf("not ok %s/%s%s (SEED=%llu)\n", file, c->name, why, unit_env_seed());
    else
        printf("not ok %s/%s: ended with wait status %#x (SEED=%llu)\n", file, c->name, status,
               unit_env_seed());
    return !status;
}

#define UNIT_MAIN(file, cases) \
    int main(int argc, char **argv) { \
        int good = 1; \
        for (size_t i = 0; i < sizeof(cases) / sizeof *(cases); i++) { \
            int wanted = argc < 2; \
            for (int a = 1; a < argc; a++) \
                wanted |= strstr((cases)[i].name, argv[a]) != NULL; \
            if (wanted) \
                good &= unit_one(file, &(cases)[i]); \
        } \
        return !good; \
    }

#endif
