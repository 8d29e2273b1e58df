/* SPDX-License-Identifier: Apache-2.0 */
/* shorten PID SEED: from now on each read or write of a socket by this process moves fewer bytes
 * than it asked for: a part at random, often one byte. (The call is made with a smaller count, or
 * with fewer pieces.) Prints `attached`; SIGTERM ends it, and it prints how many calls it cut. */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __x86_64__
typedef struct user_regs_struct registers;
#define NUMBER(r) ((r)->orig_rax)
#define FD(r) ((r)->rdi)
#define COUNT(r) ((r)->rdx)
#elif defined __aarch64__
typedef struct {
    unsigned long long regs[31], sp, pc, pstate;
} registers;
#define NUMBER(r) ((r)->regs[8])
#define FD(r) ((r)->regs[0])
#define COUNT(r) ((r)->regs[2])
#else
#define UNKNOWN
#endif

static volatile sig_atomic_t ended;

static void end(int number) {
    (void)number;
    ended = 1;
    alarm(1); /* once more: waitpid() may begin only now */
}

#ifndef UNKNOWN
static int is_cut(unsigned long long call) {
    return call == SYS_read || call == SYS_write || call == SYS_readv || call == SYS_writev ||
           call == SYS_sendto || call == SYS_recvfrom;
}

static int is_socket(pid_t pid, unsigned long long fd) {
    char path[48];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%llu", (int)pid, fd);
    return !stat(path, &st) && S_ISSOCK(st.st_mode);
}

static unsigned long long asked; /* what the call that was cut asked for; 0: it was not */
static unsigned long long calls; /* that were cut */

/* Whether a call begins, and does not end. */
static int is_entry(pid_t pid) {
    enum { GET_SYSCALL_INFO = 0x420e, ENTRY = 1 };
    unsigned char info[128] = {0};
    ptrace(GET_SYSCALL_INFO, pid, sizeof info, info);
    return *info == ENTRY;
}

/* Before each call and after it, when it gets back what it asked for: a program may count on its
 * registers. */
static void at_call(pid_t pid, int entry) {
    registers r;
    struct iovec v = {&r, sizeof r};
    if ((!entry && !asked) || ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &v))
        return;
    if (!entry) {
        COUNT(&r) = asked;
        asked = 0;
    } else if (is_cut(NUMBER(&r)) && COUNT(&r) > 1 && is_socket(pid, FD(&r))) {
        asked = COUNT(&r);
        COUNT(&r) = rand() % 4 ? 1 + (unsigned)rand() % asked : 1;
        calls += COUNT(&r) < asked;
    } else {
        return;
    }
    ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &v);
}
#endif

int main(int argc, char **argv) {
#ifdef UNKNOWN
    (void)argc;
    (void)argv;
    fprintf(stderr, "shorten: not for this processor\n");
    return 77;
#else
    pid_t pid = argc > 2 ? atoi(argv[1]) : 0;
    int status, told = 0;
    srand((unsigned)atoi(argc > 2 ? argv[2] : "0"));
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = end}, 0);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = end}, 0);
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) ||
        ptrace(PTRACE_INTERRUPT, pid, 0, 0)) {
        perror("shorten: ptrace");
        return 1;
    }
    for (;;) {
        int number = 0, at;
        if (ended && !told++)
            ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        at = waitpid(pid, &status, __WALL);
        if (at < 0 && errno == EINTR)
            continue;
        if (at < 0 || !WIFSTOPPED(status))
            break;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            at_call(pid, !ended && is_entry(pid));
        } else if (!(status >> 16)) {
            number = WSTOPSIG(status);
        } else if (!calls) {
            fprintf(stderr, "attached\n");
        }
        if (ended && !asked && !number)
            break;
        ptrace(PTRACE_SYSCALL, pid, 0, number);
    }
    ptrace(PTRACE_DETACH, pid, 0, 0);
    fprintf(stderr, "%llu cut\n", calls);
    return 0;
#endif
}
