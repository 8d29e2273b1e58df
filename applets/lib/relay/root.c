/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/root.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/sys.h"

static const char *root;

void root_set(const char *path) {
    int fd, mode = file_mode(path, true);

    if (strlen(path) > ROOT_PATH / 2)
        log_fatal("Root path too long: %s", path);
    if (mode < 0)
        log_fatal("Root path stat fail: %s: %m%s", path,
                  fmt_number(path, 1, 65535) < 0 ? "" : " (a port is the second operand)");
    if (!S_ISDIR(mode))
        log_fatal("Root path is not a directory: %s", path);
    fd = sys_open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        log_fatal("Root path open error: %s: %m", path);
    close(fd);
    root = path;
}

void root_check_names(void) {
    struct stat st;

    if (file_stat(root, true, &st) || st.st_mode & (S_IWGRP | S_IWOTH) ||
        (st.st_uid && st.st_uid != geteuid()))
        log_fatal("Root path can be written to by others: %s: so a guest's name proves "
                  "nothing",
                  root);
}

const char *root_path(const char *name) {
    static char path[ROOT_PATH];

    fmt_print(path, sizeof path, "%s%s%s", root, *name ? "/" : "", name);
    return path;
}

/* The root is not kept open: inotify would not report its end, nor that of a directory above it. */
int root_open(const char *name, int flags) {
    int fd, held = sys_open(root, (*name ? O_PATH : flags) | O_DIRECTORY);

    if (held < 0 || !*name)
        return held;
    fd = file_open_below(held, name, flags);
    close(held);
    return fd;
}

int root_mode(const char *name) {
    int mode, fd = root_open(name, O_PATH);

    if (fd < 0)
        return -1;
    mode = file_look(fd, "", NULL);
    close(fd);
    return mode;
}

const char *root_parent(const char *name, char parent[CHANNEL_NAME]) {
    const char *base = fmt_base(name);

    fmt_print(parent, CHANNEL_NAME, "%.*s", base == name ? 0 : (int)(base - name - 1), name);
    return parent;
}

bool root_more_than(const char *name, unsigned n) {
    char parent[CHANNEL_NAME];

    return file_more_than(root_open(root_parent(name, parent), O_RDONLY | O_DIRECTORY), n);
}
