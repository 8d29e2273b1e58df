/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* hostile: a guest's program that means harm to vios-proxy-host.
 *
 *   hostile SEED ROUNDS PORT...
 *
 * On each port (a device, opened anew now and then) a process of its own does so many rounds (0:
 * endless) of what a seed chooses:
 * junk, `V` without end, storms of SYNs and of RESETs, every ctrl byte, wrong versions and tokens,
 * DATA of length 0, frames that are
 * cut off, connections that do not read. Many rounds come after a handshake. Prints `seed N` and,
 * for each port, `port PATH rounds=N
 * handshakes=N sent=N received=N`. Exit status 0 unless a port cannot be opened. */
/* clang-format on */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEADER = 14, BULK = 65536, DEAF = 100 /* ms that it goes on to write without reading */ };

static const char *path;
static int port = -1, deaf;
static uint64_t state, sent, received, handshakes;
static unsigned char guest[4], host[4];
static unsigned char heard[256];
static size_t heard_size;

static uint32_t dice(uint32_t sides) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % sides;
}

static void fill(unsigned char *to, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)dice(256);
}

static void token(unsigned char to[4]) {
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(33 + dice(94));
}

static void open_port(void) {
    if (port >= 0)
        close(port);
    heard_size = 0;
    for (int tries = 0; (port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0; tries++) {
        if (tries == 1000) {
            fprintf(stderr, "hostile: %s: %s\n", path, strerror(errno));
            exit(1);
        }
        usleep(10000); /* between two looks whether the port is there, and free */
    }
}

/* Reads what there is, and keeps the last of it. Whether there was something. */
static int hear(void) {
    static unsigned char data[BULK];
    ssize_t n = read(port, data, sizeof data);
    size_t keep = sizeof heard;
    if (n <= 0)
        return 0;
    received += (uint64_t)n;
    for (ssize_t i = 0; i < n; i++) {
        if (heard_size == keep)
            memmove(heard, heard + 1, --heard_size);
        heard[heard_size++] = data[i];
    }
    return 1;
}

/* Writes it all. A deaf one does not read meanwhile, until nothing moves any more. */
static void put(const void *data, size_t n) {
    const unsigned char *p = data;
    while (n) {
        struct pollfd f = {.fd = port, .events = (short)(POLLOUT | (deaf ? 0 : POLLIN))};
        int ready = poll(&f, 1, deaf ? DEAF : 1000);
        if (!ready)
            deaf = 0;
        if (f.revents & (POLLIN | POLLHUP) && !hear() && f.revents & POLLHUP)
            usleep(10000); /* no host: between two looks for one, which poll() does not wait for */
        if (f.revents & POLLOUT) {
            ssize_t done = write(port, p, n);
            if (done > 0) {
                p += done;
                n -= (size_t)done;
                sent += (uint64_t)done;
            }
        }
    }
}

/* Puts a frame's header together, and some payload when there is any. */
static size_t frame(unsigned char *to, char version, unsigned char ctrl, size_t length) {
    to[0] = 'V';
    to[1] = 'S';
    to[2] = (unsigned char)version;
    to[3] = ctrl;
    memcpy(to + 4, guest, 4);
    memcpy(to + 8, host, 4);
    to[12] = (unsigned char)(length >> 8);
    to[13] = (unsigned char)length;
    fill(to + HEADER, length);
    return HEADER + length;
}

static void put_frame(char version, unsigned char ctrl, size_t length) {
    static unsigned char made[HEADER + 65535];
    put(made, frame(made, version, ctrl, length));
}

static void syn(void) {
    token(guest);
    memcpy(host, "????", 4);
    put_frame('1', 'A', dice(3) ? 0 : dice(40));
}

/* Whether the answer to the SYN has come; its token. */
static int answered(void) {
    for (size_t i = 0; i + HEADER <= heard_size; i++)
        if (!memcmp(heard + i, "VS1C", 4) && !memcmp(heard + i + 4, guest, 4)) {
            memcpy(host, heard + i + 8, 4);
            return 1;
        }
    return 0;
}

/* Goes as far as an established connection, if the host answers soon. */
static void shake(void) {
    static const unsigned char ones[65548] = {[0 ... 65547] = '1'};
    deaf = 0;
    put(ones, sizeof ones); /* whatever was begun before ends with this */
    put_frame('1', 'H', 0);
    token(guest);
    memcpy(host, "????", 4);
    put_frame('1', 'A', 0);
    for (int i = 0; i < 200 && !answered(); i++) {
        struct pollfd f = {.fd = port, .events = POLLIN};
        poll(&f, 1, 10);
        hear();
    }
    if (!answered())
        return;
    handshakes++;
    if (dice(8))
        put_frame('1', 'B', 0);
}

static void junk(void) {
    static unsigned char data[BULK];
    for (uint32_t i = dice(8); i; i--) {
        size_t n = 1 + dice(BULK);
        fill(data, n);
        put(data, n);
    }
}

static void endless_v(void) {
    static unsigned char data[BULK];
    memset(data, 'V', sizeof data);
    for (uint32_t i = 1 + dice(16); i; i--)
        put(data, sizeof data);
}

static void syns(void) {
    for (uint32_t i = dice(100); i; i--)
        syn();
}

static void resets(void) {
    for (uint32_t i = dice(1000); i; i--) {
        if (dice(2))
            fill(guest, 4);
        put_frame('1', 'H', dice(4) ? 0 : dice(300));
    }
}

static void every_ctrl(void) {
    unsigned start = dice(256);
    for (unsigned i = 0; i < 256; i++)
        put_frame('1', (unsigned char)(start + i), dice(10) ? 0 : dice(20));
}

static void wrong_versions(void) {
    for (uint32_t i = dice(50); i; i--)
        put_frame((char)dice(256), "ABCDH"[dice(5)], dice(20));
}

static void wrong_tokens(void) {
    for (uint32_t i = dice(50); i; i--) {
        fill(dice(2) ? guest : host, 4);
        put_frame('1', "ABCDH"[dice(5)], dice(20));
    }
}

static void empty_data(void) {
    for (uint32_t i = 1 + dice(20); i; i--)
        put_frame('1', 'D', 0);
}

static void cut(void) {
    unsigned char made[HEADER + 1000];
    put(made, dice((uint32_t)frame(made, '1', "ABCDH"[dice(5)], dice(1000))));
    open_port();
}

/* What the echo service gives back waits for a reader. */
static void flood(void) {
    deaf = dice(4) > 0;
    for (uint32_t i = 1 + dice(20); i; i--)
        put_frame('1', 'D', 1 + dice(65535));
}

/* The host waits for the rest of a frame, and gets anything else. */
static void never_finished(void) {
    unsigned char made[HEADER + 1000];
    frame(made, '1', 'D', 1000);
    made[12] = 0xff;
    put(made, dice(sizeof made));
}

static void harm(void) {
    static void (*const kinds[])(void) = {junk,       endless_v,      syns,          resets,
                                          every_ctrl, wrong_versions, wrong_tokens,  empty_data,
                                          cut,        flood,          never_finished};
    if (dice(3))
        shake();
    deaf = dice(4) == 0;
    for (uint32_t i = 1 + dice(3); i; i--)
        kinds[dice(sizeof kinds / sizeof *kinds)]();
    if (dice(5) == 0)
        open_port();
}

static int attack(uint64_t seed, unsigned long rounds) {
    unsigned long done = 0;
    state = seed;
    open_port();
    for (; !rounds || done < rounds; done++)
        harm();
    printf("port %s rounds=%lu handshakes=%" PRIu64 " sent=%" PRIu64 " received=%" PRIu64 "\n",
           path, done, handshakes, sent, received);
    return 0;
}

int main(int argc, char **argv) {
    int status, result = 0;
    if (argc < 4)
        return 1;
    setvbuf(stdout, 0, _IOLBF, 0);
    printf("seed %s\n", argv[1]);
    for (int i = 3; i < argc; i++) {
        path = argv[i];
        pid_t pid = fork();
        if (!pid) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            exit(attack(strtoull(argv[1], 0, 0) + (uint64_t)i, strtoul(argv[2], 0, 0)));
        }
        if (pid < 0)
            return 1;
    }
    while (wait(&status) > 0)
        result |= status;
    return result != 0;
}
