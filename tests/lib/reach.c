/* SPDX-License-Identifier: Apache-2.0 */
/* For tests/mutants: notes which blocks of a program run, even of one that is killed. The program
 * is compiled with -fsanitize-coverage=trace-pc. A byte for each address of its code, in a file of
 * the directory REACHED, named as the program. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern char __executable_start[], etext[];
void __sanitizer_cov_trace_pc(void);

static unsigned char *seen;

__attribute__((constructor)) static void reach_start(void) {
    const char *dir = getenv("REACHED");
    char exe[1000] = "", path[2200];
    int fd;

    if (!dir || readlink("/proc/self/exe", exe, sizeof exe - 1) < 0)
        return;
    for (char *p = exe; *p; p++)
        *p = *p == '/' ? '|' : *p;
    snprintf(path, sizeof path, "%s/%s", dir, exe);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    (void)!fchmod(fd, 0666);
    if (!ftruncate(fd, etext - __executable_start)) {
        void *p = mmap(NULL, (size_t)(etext - __executable_start), PROT_READ | PROT_WRITE,
                       MAP_SHARED, fd, 0);

        seen = p == MAP_FAILED ? NULL : p;
    }
    close(fd);
}

void __sanitizer_cov_trace_pc(void) {
    if (seen)
        seen[(char *)__builtin_return_address(0) - __executable_start] = 1;
}
