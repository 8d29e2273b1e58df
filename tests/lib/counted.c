/* SPDX-License-Identifier: Apache-2.0 */
/* For tests/coverage: how gcov's counts outlive processes that do not end by exit(). */
#include <fcntl.h>
#include <gcov.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef COUNTERS

/* Of the binary: the counters lie in a file that all its processes share. So they outlive SIGKILL,
 * and nothing is written when a process ends, which the sandbox would not let it do. */

extern char counters_start[], counters_end[];                                    /* layout.ld */
extern const struct gcov_info *const __start_counted[], *const __stop_counted[]; /* the linker */

/* What each source refers to, and nothing calls. */
void __gcov_merge_add(void);
void __gcov_merge_add(void) {}

static void begin(const char *name, void *arg) {
    FILE **out = arg;

    *out = fopen(name, "w");
    if (!*out)
        _exit(1);
}

static void add(const void *data, unsigned length, void *arg) {
    FILE **out = arg;

    fwrite(data, 1, length, *out);
}

static void *allocate(unsigned length, void *arg) {
    (void)arg;
    return calloc(1, length);
}

/* Writes a .gcda file for each source. */
static void dump(void) {
    for (const struct gcov_info *const *info = __start_counted; info < __stop_counted; info++) {
        FILE *out = NULL;

        __gcov_info_to_gcda(*info, begin, add, allocate, &out);
        if (out && fclose(out))
            _exit(1);
    }
    _exit(0);
}

static int open_counters(size_t length) {
    mode_t mask = umask(0); /* other users count too */
    int fd = (int)syscall(SYS_openat, AT_FDCWD, COUNTERS, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

    umask(mask);
    if (fd >= 0 && lseek(fd, 0, SEEK_END) < (off_t)length &&
        (lseek(fd, (off_t)length, SEEK_SET) < 0 || write(fd, "", 1) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* By calls that the program itself makes, or tests of its calls would see them; and whatever fails,
 * it goes on. */
__attribute__((constructor)) static void share(void) {
    size_t length = (size_t)(counters_end - counters_start);
    int fd = open_counters(length);

    if (fd >= 0) {
        mmap(counters_start, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
        close(fd);
    }
    if (getenv("DUMP_COUNTERS"))
        dump();
}

#else

/* Of a unit test: each case ends by _exit(). */
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
_Noreturn void __wrap__exit(int status) {
    __gcov_dump();
    __real__exit(status);
}

#endif
