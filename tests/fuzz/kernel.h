/* SPDX-License-Identifier: Apache-2.0 */
/* kernel: the kernel as an input says, for parts that read files, directories and options. Linked
 * with -Wl,--wrap=CALL. */
#ifndef VIOS_FUZZ_KERNEL_H
#define VIOS_FUZZ_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { KERNEL_FD = 600, KERNEL_FILES = 32, KERNEL_PATH = 1200 };

/* An open file: what it was opened as, and how far it was read. */
struct kernel_file {
    bool open;
    char path[KERNEL_PATH];
    size_t at;
};

/* What kind of file a path is, or -errno. */
struct kernel_kind {
    int mode;
    uint64_t inode;
    unsigned rdev_major, rdev_minor;
};

/* What the world of a target gives; NULL: fails with ENOSYS. open: 0 or -errno. read: the bytes
 * left from f->at on. list: the name with this number, "" if there is none, NULL after the last one. text: written to a
 * descriptor. */
struct kernel_world {
    int (*open)(const char *path, int flags);
    size_t (*contents)(const struct kernel_file *f, const uint8_t **bytes);
    const char *(*list)(const struct kernel_file *f, unsigned i);
    int (*kind)(const char *path, bool follow, struct kernel_kind *k);
    const char *(*link)(const char *path);
    ssize_t (*receive)(void *p, size_t n, unsigned *from);
    int (*node)(const char *path, unsigned mode, dev_t device);
    void (*text)(int fd, const char *p, size_t n);
};

/* Puts all state back (state.h), and runs fn on that world: its result, or the status with which it
 * ended. Whatever it left open but `left` descriptors is a failure. */
int kernel_run(const struct kernel_world *world, int (*fn)(void), unsigned left);

/* What an open file was opened as. */
const char *kernel_path(int fd);

/* Files that are open. */
unsigned kernel_open_files(void);

/* The input holds what should be. */
void kernel_check(bool holds);

/* A line of the log is one: printable, and ended. */
void kernel_check_line(const char *p, size_t n);

#endif
