/* SPDX-License-Identifier: Apache-2.0 */
/* file: what kind a file is, what a directory holds, the small files of /proc and /sys. */
#ifndef VIOS_FILE_H
#define VIOS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* The file's contents, cut at cap - 1 bytes, without a newline at the end, NUL-ended: the length,
 * or -1 with errno. */
int file_read(const char *path, char *text, size_t cap);

/* Calls fn for each name but "." and ".." in the directory, on a small buffer, for as long as it
 * returns true; 0, or -1 with errno. follow: it may be a link. */
typedef bool file_list_fn(const char *name, void *arg);
int file_list(const char *directory, bool follow, file_list_fn *fn, void *arg);

/* The same for a directory that is open (-1: none is). Closes it. */
int file_list_all(int fd, file_list_fn *fn, void *arg);

/* The same for the next names of an open directory, at most some tens: 1 if there may be more, 0
 * after the last one or when fn has returned false, -1 with errno. */
int file_list_on(int fd, file_list_fn *fn, void *arg);

/* (host) Opens a name of one or two components below a directory. A symbolic link is not followed,
 * in either of them; with O_PATH the last one itself may be opened. */
int file_open_below(int directory, const char *name, int flags);

/* (host) What a name in a directory is, or what an open descriptor is (name: ""): its mode, or -1
 * with errno. Links are not followed. inode: may be NULL. */
int file_look(int directory, const char *name, unsigned long long *inode);

/* Whether there are more than n names in the open directory, or it cannot be read, as with -1.
 * Closes it. */
bool file_more_than(int fd, unsigned n);

/* As stat(), or if not follow lstat(), of Linux 4.11; but only st_mode, st_uid, st_ino,
 * st_dev and st_rdev. */
int file_stat(const char *path, bool follow, struct stat *st);

/* The file's mode, or -1 with errno; follow: that of a symbolic link's target. */
int file_mode(const char *path, bool follow);

/* Its inode number, or 0 with errno. */
unsigned long long file_inode(const char *path, bool follow);

/* The target of a symbolic link, in a static buffer; "" if it cannot be read. */
const char *file_link(const char *path);

/* A directory for each virtio-serial port. */
#define FILE_PORTS "/sys/class/virtio-ports"

/* The name of a character device in sysfs, such as "vport1p1", in a static buffer; "" if sysfs does
 * not have it. */
const char *file_device(unsigned major, unsigned minor);

/* Whether this character device, or what is at path, is known to be a virtio-serial port: by sysfs
 * or, where that does not know the device, by the major number in /proc/devices. Another device may
 * do harm when it is opened: a watchdog reboots. vios-protocol(7), port fact 11. */
bool file_is_port_number(unsigned major, unsigned minor);
bool file_is_port(const char *path);

/* Opens the port at path, without blocking; ENODEV: it is not known to be one. If /proc is mounted,
 * the file that was checked is the file that is opened. */
int file_open_port(const char *path);

/* Whether both paths exist and are hard links to one file; symbolic links are not followed. */
bool file_same(const char *a, const char *b);

#endif
