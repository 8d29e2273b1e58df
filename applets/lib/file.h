/* SPDX-License-Identifier: Apache-2.0 */
/* file: the small files of /proc and /sys. */
#ifndef VIOS_FILE_H
#define VIOS_FILE_H

#include <stddef.h>

/* The file's contents, cut at cap - 1 bytes, without a newline at the end, NUL-ended: the length, or -1 with errno. */
int file_read(const char *path, char *text, size_t cap);

#endif
