/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/base/loop.h"
#include "../../applets/lib/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include "unit.h"

void memory_trim(void) {}

/* A descriptor of this number, or the end. */
static int open_at(int fd) {
    struct rlimit limit = {FD_SETSIZE + 2, FD_SETSIZE + 2};

    if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < FD_SETSIZE + 2) {
        limit.rlim_cur = FD_SETSIZE + 2;
        if (limit.rlim_max < limit.rlim_cur)
            limit.rlim_max = limit.rlim_cur;
        if (setrlimit(RLIMIT_NOFILE, &limit))
            exit(0); /* none can have it */
    }
    EQUAL(dup2(STDOUT_FILENO, fd), fd);
    return fd;
}

static void descriptors_that_select_knows(void) {
    CHECK(!loop_fits(-1) && loop_fits(0) && loop_fits(FD_SETSIZE - 1) && !loop_fits(FD_SETSIZE));
    EQUAL(loop_admit(-1), -1);
    EQUAL(loop_admit(open_at(FD_SETSIZE - 1)), FD_SETSIZE - 1);
    for (int fd = FD_SETSIZE; fd < FD_SETSIZE + 2; fd++) {
        errno = 0;
        EQUAL(loop_admit(open_at(fd)), -1);
        EQUAL(errno, EMFILE);
        EQUAL(fcntl(fd, F_GETFD), -1);
    }
}

static const struct unit_case cases[] = {
    {"descriptors-that-select-knows", descriptors_that_select_knows},
};
UNIT_MAIN("loop", cases)
