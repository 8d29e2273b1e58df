/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs that tests run at both ends have in common: streams of bytes that carry their
 * own check, and addresses. */
#ifndef BYTES_H
#define BYTES_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A stream begins with its seed; each word after that follows from the seed and its place. */
static uint64_t word(uint64_t seed, uint64_t index) {
    uint64_t x = seed + index * 0x9e3779b97f4a7c15u;
    if (!index)
        return seed;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The bytes of the stream from offset on. */
static void fill(unsigned char *to, size_t size, uint64_t seed, uint64_t offset) {
    while (size) {
        uint64_t w = word(seed, offset / 8);
        size_t skip = offset % 8, n = 8 - skip;
        if (n > size)
            n = size;
        memcpy(to, (unsigned char *)&w + skip, n);
        to += n;
        size -= n;
        offset += n;
    }
}

/* A port on 127.0.0.1 (0: any that is free) or, with a slash in it, a unix socket's path. */
static socklen_t address(const char *text, struct sockaddr_storage *to) {
    memset(to, 0, sizeof *to);
    if (strchr(text, '/')) {
        struct sockaddr_un *un = (void *)to;
        un->sun_family = AF_UNIX;
        strncpy(un->sun_path, text, sizeof un->sun_path - 1);
        return sizeof *un;
    }
    struct sockaddr_in *in = (void *)to;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)atoi(text));
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof *in;
}

/* Listens there; the port, or 0. */
static int listen_at(const char *where, int *listener) {
    struct sockaddr_storage at;
    socklen_t size = address(where, &at);
    int one = 1;
    *listener = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(*listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at.ss_family == AF_UNIX)
        unlink(where);
    if (bind(*listener, (void *)&at, size) || listen(*listener, 128) ||
        getsockname(*listener, (void *)&at, &size))
        return -1;
    return at.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&at)->sin_port) : 0;
}

#endif
