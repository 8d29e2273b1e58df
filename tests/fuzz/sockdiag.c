/* SPDX-License-Identifier: Apache-2.0 */
/* What sock_diag answers to vios-list. An input is a row of datagrams, each after its length in two
 * bytes; whatever they hold, nothing beyond them is read, and a socket is told only if it was in
 * them.
 *
 * For longer: make fuzz T=seconds */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../applets/lib/diagnose/unixsock.h"
#include "kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ANSWER = 32 /* the least bytes of a socket in an answer */ };

static const uint8_t *input;
static size_t left, received;
static unsigned told;

static ssize_t receive(void *p, size_t cap, unsigned *from) {
    size_t n;

    *from = 0;
    if (left < 2)
        return left ? -EINTR : 0;
    n = (size_t)(input[0] | input[1] << 8);
    input += 2;
    left -= 2;
    n = n < left ? n : left;
    memcpy(p, input, n < cap ? n : cap);
    input += n;
    left -= n;
    received += n;
    return (ssize_t)(n < cap ? n : cap);
}

static void on_socket(const struct unixsock *s, void *arg) {
    kernel_check(arg == &told);
    kernel_check(s->listens || !s->waiting);
    kernel_check(s->inode <= UINT32_MAX);
    unixsock_is_of(s, s->fs, s->file);
    told++;
}

static int run(void) { return unixsock_each(on_socket, &told) < 0; }

static int open_any(const char *path, int flags) { return (void)path, (void)flags, 0; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct kernel_world world = {.open = open_any, .receive = receive};

    input = data;
    left = size;
    received = told = 0;
    kernel_run(&world, run, 0);
    kernel_check(told * ANSWER <= received && !kernel_open_files());
    return 0;
}
