/* SPDX-License-Identifier: Apache-2.0 */
/* vios: runs the applet that it is called as, or that its first argument names. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "applets/applets.h"
#include "applets/lib/base/file.h"
#include "applets/lib/base/fmt.h"
#include "applets/lib/base/log.h"
#include "applets/lib/base/opt.h"
#include "applets/lib/base/sys.h"

#define PREFIX "vios-"

enum { UNKNOWN_APPLET = 127 };

struct applet {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *what;
};

/* APPLET_0 and APPLET_1: the line of an applet that is off, or on, in Kconfig. */
#define APPLET_0(prefix, name, what)
#define APPLET_1(prefix, name, what) {name, prefix##_main, what},
#define APPLET_IF(on, ...) APPLET_##on(__VA_ARGS__)
#define APPLET_LINE(on, ...) APPLET_IF(on, __VA_ARGS__)
#define APPLET(symbol, prefix, name, what) APPLET_LINE(CONFIG_##symbol, prefix, name, what)

static const struct applet applets[] = {
#include "applets/applets.h"
};

enum { APPLETS = sizeof applets / sizeof *applets };

_Static_assert(APPLETS > 0, "at least one applet must be on");

/* The applet with this name, or NULL. */
static const struct applet *find(const char *name) {
    for (unsigned i = 0; i < APPLETS; i++)
        if (!strcmp(name, applets[i].name))
            return &applets[i];
    return NULL;
}

/* The same, also for a name without its prefix. */
static const struct applet *find_short(const char *name) {
    for (unsigned i = 0; i < APPLETS; i++)
        if (!strcmp(name, applets[i].name + strlen(PREFIX)))
            return &applets[i];
    return find(name);
}

static int unknown(const char *name) {
    log_msg(LOG_ERROR,
            *name == '-' ? "unknown option %s (try vios --help)"
                         : "%s: applet not found (try vios --list)",
            name);
    return UNKNOWN_APPLET;
}

static int list(void) {
    for (unsigned i = 0; i < APPLETS; i++) {
        log_out(applets[i].name);
        log_out("\n");
    }
    return EXIT_SUCCESS;
}

static int usage(void) {
    log_out("Usage: vios APPLET [ARGUMENT]...\n"
            "       vios --list | --help [APPLET] | --version\n"
            "       vios --install [-s] DIRECTORY   link all applets there (-s: symbolic links)\n"
            "       APPLET [ARGUMENT]...            by a link of that name\n"
            "\napplets:\n");

    for (unsigned i = 0; i < APPLETS; i++) {
        char line[128];

        fmt_print(line, sizeof line, "    %-18s%s\n", applets[i].name, applets[i].what);
        log_out(line);
    }
    return EXIT_SUCCESS;
}

static int run(const struct applet *applet, int argc, char **argv) {
    argv[0] = (char *)applet->name;
    return applet->main(argc, argv);
}

static int help(const char *name) {
    const struct applet *applet = find_short(name);

    return applet ? run(applet, 2, (char *[]){NULL, (char *)"--help", NULL}) : unknown(name);
}

/* Whether path is already what it is to become. */
static bool is_link(const char *path, const char *self, bool symbolic) {
    char target[PATH_MAX];
    ssize_t n;

    if (!symbolic)
        return file_same(path, self);
    n = readlink(path, target, sizeof target);
    return n == (ssize_t)strlen(self) && !memcmp(target, self, (size_t)n);
}

static int install_one(const char *directory, const char *name, const char *self, bool symbolic) {
    char path[PATH_MAX];
    int reason = 0;

    if (fmt_print(path, sizeof path, "%s/%s", directory, name) == sizeof path - 1)
        reason = ENAMETOOLONG;
    else if (symbolic ? symlink(self, path) : link(self, path))
        reason = errno;
    if (!reason || (reason == EEXIST && is_link(path, self, symbolic)))
        return EXIT_SUCCESS;
    errno = reason;
    log_msg(LOG_ERROR, "install %s: %m", path);
    return EXIT_FAILURE;
}

static int install(const char *directory, bool symbolic) {
    char self[PATH_MAX];
    int status = EXIT_SUCCESS;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n < 0) {
        log_msg(LOG_ERROR, "/proc/self/exe: %m");
        return EXIT_FAILURE;
    }
    self[n] = '\0';
    for (unsigned i = 0; i < APPLETS; i++)
        status |= install_one(directory, applets[i].name, self, symbolic);
    return status;
}

/* vios with arguments: argv[0] is the option or the applet. */
static int dispatch(int argc, char **argv) {
    const struct applet *applet = find_short(argv[0]);
    bool symbolic = argc == 3 && !strcmp(argv[1], "-s");

    if (applet)
        return run(applet, argc, argv);
    if (!strcmp(argv[0], "--list"))
        return list();
    if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V")) {
        log_out(OPT_VERSION);
        return EXIT_SUCCESS;
    }
    if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))
        return argc > 1 ? help(argv[1]) : usage();
    if (strcmp(argv[0], "--install"))
        return unknown(argv[0]);
    if (((argc == 2 && *argv[1] != '-') || symbolic) && *argv[argc - 1])
        return install(argv[argc - 1], symbolic);
    log_msg(LOG_ERROR, "usage: vios --install [-s] DIRECTORY");
    return EXIT_FAILURE;
}

/* Nothing that is opened later must become the log's descriptor: the log would go to a guest, or to
 * the service. */
static void hold_standard_fds(void) {
    int fd;

    do
        fd = sys_open(
            "/", O_RDONLY); /* there is always one; it cannot be written to, as if it were closed */
    while (fd >= 0 && fd < STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv) {
    const char *name = argc && *argv[0] ? fmt_base(argv[0]) : "vios";
    const struct applet *applet;

    hold_standard_fds();
    if (*name == '-' ||
        *name == '@') /* a login shell's name; what systemd keeps over switch-root */
        name++;
    applet = find(name);
    if (applet)
        return run(applet, argc, argv);
    if (!fmt_begins(name, "vios") || fmt_begins(name, PREFIX))
        return unknown(name);
    return argc > 1 ? dispatch(argc - 1, argv + 1) : usage();
}
