/* SPDX-License-Identifier: Apache-2.0 */
#include "base/holder.h"

#include <errno.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"

/* syscalls: getpid access faccessat */

struct search {
    void (*fn)(const struct stat *open, int pid, void *arg);
    void *arg;
    int pid;
    bool complete;
};

static bool look_at_fd(const char *fd, void *arg) {
    struct search *s = arg;
    char path[48];
    struct stat st;

    fmt_print(path, sizeof path, "/proc/%d/fd/%s", s->pid, fd);
    if (!file_stat(path, true, &st) && (S_ISCHR(st.st_mode) || S_ISSOCK(st.st_mode)))
        s->fn(&st, s->pid, s->arg);
    return true;
}

static bool look_at_process(const char *name, void *arg) {
    struct search *s = arg;
    char path[32];

    s->pid = (int)fmt_number(name, 1, 99999999);
    if (s->pid < 0 || s->pid == getpid())
        return true;
    fmt_print(path, sizeof path, "/proc/%d/fd", s->pid);
    if (file_list(path, true, look_at_fd, s) && (errno == EACCES || errno == EPERM))
        s->complete = false;
    return true;
}

bool holder_each(void (*fn)(const struct stat *open, int pid, void *arg), void *arg) {
    struct search s = {fn, arg, 0, true};

    if (file_list("/proc", true, look_at_process, &s) ||
        access("/proc/1", F_OK)) /* with hidepid only our own processes are there */
        return false;
    return s.complete;
}

struct owner {
    dev_t device;
    unsigned long socket; /* 0: the device */
    int pid;
};

static void match(const struct stat *open, int pid, void *arg) {
    struct owner *o = arg;

    if (o->socket ? S_ISSOCK(open->st_mode) && open->st_ino == o->socket
                  : S_ISCHR(open->st_mode) && open->st_rdev == o->device)
        o->pid = pid;
}

int holder_of(dev_t device) {
    struct owner o = {device, 0, 0};

    holder_each(match, &o);
    return o.pid;
}

int holder_of_socket(unsigned long inode) {
    struct owner o = {0, inode, 0};

    if (inode)
        holder_each(match, &o);
    return o.pid;
}

const char *holder_name(int pid) {
    enum { KERNEL_CUTS = 15 };
    static char name[KERNEL_CUTS + 1], program[128];
    char path[32];
    const char *base;

    fmt_print(path, sizeof path, "/proc/%d/comm", pid);
    if (file_read(path, name, sizeof name) <= 0)
        return "?";
    fmt_print(path, sizeof path, "/proc/%d/cmdline", pid);
    if (!name[KERNEL_CUTS - 1] || file_read(path, program, sizeof program) <= 0)
        return name;
    base = fmt_base(program);
    return fmt_begins(base, name) ? base : name;
}

const char *holder_text(int pid) {
    static char text[64];

    if (!pid)
        return "held by another process, which /proc does not show";
    fmt_print(text, sizeof text, "held by %s (pid %d)", holder_name(pid), pid);
    return text;
}

const char *holder_at(const char *path) {
    struct stat st;

    if (!CONFIG_VIOS_LIST && !CONFIG_VIOS_PROBE) /* looking for it takes 1 KiB more */
        return "held by another process";
    return holder_text(file_stat(path, true, &st) ? 0 : holder_of(st.st_rdev));
}
