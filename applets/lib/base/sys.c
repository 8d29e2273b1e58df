/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sys.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* syscalls: openat socket socketcall pselect6 pselect6_time64 restart_syscall */
/* syscalls (guest host): accept4 */

#ifdef O_LARGEFILE
enum { OPEN_FLAGS = O_CLOEXEC | O_LARGEFILE };
#else
enum { OPEN_FLAGS = O_CLOEXEC };
#endif

int sys_open(const char *path, int flags) { return sys_open_at(AT_FDCWD, path, flags); }

int sys_open_at(int directory, const char *name, int flags) {
    return (int)syscall(SYS_openat, directory, name, flags | OPEN_FLAGS, 0);
}

int sys_socket(int domain, int type, int protocol) {
    return (int)syscall(SYS_socket, domain, type | SOCK_CLOEXEC, protocol);
}

int sys_accept(int fd, struct sockaddr *from, socklen_t *n) {
    return (int)syscall(SYS_accept4, fd, from, n, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int sys_signalfd(const sigset_t *set) {
    return (int)syscall(SYS_signalfd4, -1, set, (size_t)(_NSIG - 1) / 8,
                        SFD_NONBLOCK | SFD_CLOEXEC);
}

#ifdef __mips__
enum { HANDLER = 1 }; /* after the flags */
#else
enum { HANDLER = 0 };
#endif

bool sys_ignores(int signal) {
    unsigned long action[16] = {0}; /* more than the kernel's struct sigaction */

    syscall(SYS_rt_sigaction, signal, NULL, action, (size_t)(_NSIG - 1) / 8);
    return action[HANDLER] == (unsigned long)SIG_IGN;
}

#ifdef SYS_pselect6_time64
enum { PSELECT = SYS_pselect6_time64 };
#else
enum { PSELECT = SYS_pselect6 };
#endif

int sys_select(int top, fd_set *reads, fd_set *writes, long ms) {
    long long t[] = {ms / 1000, ms % 1000 * 1000000LL}; /* seconds, nanoseconds */

    return (int)syscall(PSELECT, top, reads, writes, NULL, ms < 0 ? NULL : t, NULL);
}
