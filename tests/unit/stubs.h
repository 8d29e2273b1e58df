/* SPDX-License-Identifier: Apache-2.0 */
/* stubs: for tests that link guest.c and need none of what stands around it. */
#include "../../applets/lib/memory.h"
#include "../../applets/lib/sysfs.h"

void watch_check(const char *root) { (void)root; }
void watch_start(const char *root, bool nested, watch_fn *fn) { (void)root, (void)nested, (void)fn; }
void watch_name(const char *name) { (void)name; }
void watch_all(void) {}
long watch_timer(void) { return -1; }
const char *watch_path(const char *name) { return name; }
int watch_open(const char *name, int flags) { return (void)name, (void)flags, -1; }
int watch_mode(const char *name) { return (void)name, -1; }
bool watch_more_than(const char *name, unsigned n) { return (void)name, (void)n, false; }
void sysfs_start(watch_fn *fn) { (void)fn; }
void sysfs_all(void) {}
const char *sysfs_path(const char *name) { return name; }
int sysfs_read(const char *port, const char *file, char *line, size_t cap) {
    return (void)port, (void)file, (void)line, (void)cap, -1;
}
void memory_give_back(void *p, size_t n) { (void)p, (void)n; }
void memory_trim(void) {}
