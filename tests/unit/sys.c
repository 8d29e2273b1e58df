/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/un.h>

#include "unit.h"

/* Closed by exec(), and never waiting, unless it may block. */
static void check_fd(int fd, bool blocks) {
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    EQUAL(!(fcntl(fd, F_GETFL) & O_NONBLOCK), blocks);
}

static void files(void) {
    check_fd(sys_open("/dev/null", O_RDWR | O_NONBLOCK), false);
    check_fd(sys_open("/", O_RDONLY | O_DIRECTORY), true);
    EQUAL(sys_open("/nowhere/at/all", O_RDONLY), -1);
    EQUAL(errno, ENOENT);
}

static void sockets(void) {
    struct sockaddr_un any = {.sun_family = AF_UNIX}, us, from;
    socklen_t n = sizeof us, m = sizeof from;
    int listener = sys_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0),
        client = sys_socket(AF_UNIX, SOCK_STREAM, 0), fd;
    char c = 0;

    check_fd(listener, false);
    check_fd(client, true);
    CHECK(!bind(listener, (struct sockaddr *)&any, sizeof any.sun_family) &&
          !listen(listener, 1)); /* a name of the kernel's choice */
    EQUAL(sys_accept(listener, (struct sockaddr *)&from, &m), -1);
    EQUAL(errno, EAGAIN);
    CHECK(!getsockname(listener, (struct sockaddr *)&us, &n) &&
          !connect(client, (struct sockaddr *)&us, n));
    m = sizeof from;
    fd = sys_accept(listener, (struct sockaddr *)&from, &m);
    check_fd(fd, false);
    EQUAL(from.sun_family, AF_UNIX);
    CHECK(write(client, "x", 1) == 1 && read(fd, &c, 1) == 1 && c == 'x');
    EQUAL(sys_socket(AF_UNIX, 99, 0), -1);
}

static void signals(void) {
    struct signalfd_siginfo info;
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = sys_signalfd(&set);
    check_fd(fd, false);
    EQUAL(read(fd, &info, sizeof info), -1);
    EQUAL(errno, EAGAIN);
    raise(SIGUSR1);
    EQUAL(read(fd, &info, sizeof info), sizeof info);
    EQUAL(info.ssi_signo, SIGUSR1);
}

static void selecting(void) {
    fd_set r, w;
    int ends[2];

    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    for (int full = 0; full < 2; full++) {
        FD_ZERO(&r);
        FD_ZERO(&w);
        FD_SET(ends[0], &r);
        EQUAL(sys_select(ends[0] + 1, &r, &w, full ? -1 : 20), full);
        EQUAL(FD_ISSET(ends[0], &r) != 0, full);
        CHECK(write(ends[1], "x", 1) == 1);
    }
    FD_ZERO(&r);
    FD_SET(ends[0], &r);
    FD_SET(ends[0], &w);
    EQUAL(sys_select(ends[0] + 1, &r, &w, 0), 2);
    close(ends[0]);
    EQUAL(sys_select(ends[0] + 1, &r, &w, 0), -1);
    EQUAL(errno, EBADF);
}

static const struct unit_case cases[] = {
    {"files", files}, {"sockets", sockets}, {"signals", signals}, {"selecting", selecting}};

UNIT_MAIN("sys", cases)
