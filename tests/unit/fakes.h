/* SPDX-License-Identifier: Apache-2.0 */
/* fakes: what surrounds the proxies, for tests that run them without it: names that the test gives,
 * and memory that is zeroed where it would be given back. What includes this defines fake_start()
 * and fake_again(); root_path() is sim/NAME. */
#ifndef VIOS_FAKES_H
#define VIOS_FAKES_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../applets/lib/base/file.h"
#include "../../applets/lib/base/memory.h"
#include "../../applets/lib/base/sys.h"
#include "../../applets/lib/relay/dirwatch.h"
#include "../../applets/lib/relay/root.h"
#include "../../applets/lib/relay/sysfs.h"

/* guests: the names are below directories, one for each guest. */
static void fake_start(bool guests, names_fn *fn);
static void fake_again(const char *name);

static void fake_start_ports(names_fn *fn) { fake_start(false, fn); }
static void fake_start_guests(names_fn *fn) { fake_start(true, fn); }

void root_set(const char *path) { (void)path; }
void root_check_names(void) {}

const char *root_path(const char *name) {
    static char path[ROOT_PATH];

    snprintf(path, sizeof path, "sim/%s", name);
    return path;
}

int root_open(const char *name, int flags) { return sys_open(root_path(name), flags | O_NOFOLLOW); }
int root_mode(const char *name) { return file_mode(root_path(name), false); }
bool root_more_than(const char *name, unsigned n) { return (void)name, (void)n, false; }

const struct names dirwatch_ports = {fake_start_ports, fake_again, root_path, NULL};
const struct names dirwatch_guests = {fake_start_guests, fake_again, root_path, NULL};
const struct names sysfs_ports = {fake_start_ports, fake_again, root_path, NULL};

/* The same for each run of a process: what one has left there, the next one finds. */
void *memory_reserve(size_t n) {
    static void *p;

    if (!p && posix_memalign(&p, MEMORY_PAGE, n))
        abort();
    return p;
}

/* Nothing may be needed of what is given back: the whole pages, as they really are. */
void memory_give_back(void *p, size_t n) {
    uintptr_t begin = ((uintptr_t)p + MEMORY_PAGE - 1) & ~(uintptr_t)(MEMORY_PAGE - 1);
    uintptr_t end = ((uintptr_t)p + n) & ~(uintptr_t)(MEMORY_PAGE - 1);

    if (begin < end)
        memset((void *)begin, 0, end - begin);
}
void memory_trim(void) {}

#endif
