/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/base/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit.h"

/* net_literal() against inet_pton(). An IPv6 address that ends in an IPv4 one is not taken. */
static void compare(const char *text) {
    unsigned char bytes[16];
    struct net_address a;
    int family = inet_pton(AF_INET, text, bytes) == 1                          ? AF_INET
                 : !strchr(text, '.') && inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6
                                                                               : 0;
    int result = net_literal(&a, text, 5672);

    if ((result == 0) != (family != 0))
        FAIL("\"%s\" gives %d", text, result);
    if (!family)
        return;
    EQUAL(a.sa.any.sa_family, family);
    if (family == AF_INET)
        CHECK(!memcmp(&a.sa.in.sin_addr, bytes, 4) && a.sa.in.sin_port == htons(5672) &&
              a.length == sizeof a.sa.in);
    else if (memcmp(&a.sa.in6.sin6_addr, bytes, 16) || a.sa.in6.sin6_port != htons(5672) ||
             a.length != sizeof a.sa.in6)
        FAIL("\"%s\" is another address", text);
}

/* Instead of the C library's. */
enum { PASSRIGHTS = 83 };
static bool asked;

int setsockopt(int fd, int level, int name, const void *value, socklen_t n) {
    asked |= level == SOL_SOCKET && name == PASSRIGHTS;
    return (int)syscall(SYS_setsockopt, fd, level, name, value, n);
}

/* Else a kernel that cannot refuse descriptors has each read() of TCP wait for a look before. */
static void only_unix_sockets_pass_descriptors(void) {
    struct net_address a;
    bool pending;

    EQUAL(net_literal(&a, "127.0.0.1", 1), 0);
    close(net_connect(&a, &pending));
    CHECK(!asked);
    EQUAL(net_path(&a, "/nobody/listens"), 0);
    close(net_connect(&a, &pending));
    CHECK(asked);
}

static void literals(void) {
    static const char *const texts[] = {"127.0.0.1",
                                        "0.0.0.0",
                                        "255.255.255.255",
                                        "256.0.0.1",
                                        "1.2.3",
                                        "1.2.3.4.5",
                                        "1.2.3.",
                                        ".1.2.3",
                                        "1..2.3",
                                        "",
                                        "a.b.c.d",
                                        "1.2.3.4 ",
                                        " 1.2.3.4",
                                        "::",
                                        "::1",
                                        "1::",
                                        "1::2",
                                        ":",
                                        ":::",
                                        "1:::2",
                                        ":1",
                                        "1:",
                                        "1:2:3:4:5:6:7:8",
                                        "1:2:3:4:5:6:7",
                                        "1:2:3:4:5:6:7:8:9",
                                        "1:2:3:4:5:6:7::",
                                        "::2:3:4:5:6:7:8",
                                        "1::3:4:5:6:7:8",
                                        "1:2:3:4::5:6:7:8",
                                        "1::2::3",
                                        "fe80::1%eth0",
                                        "12345::",
                                        "ABCD:ef01::",
                                        "g::",
                                        "::1:",
                                        "1:2",
                                        "localhost",
                                        "127.1",
                                        "0x7f.0.0.1",
                                        "1.2.3.0004",
                                        "99999999999.1.1.1"};

    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i], "1.2.3.0004")) /* inet_pton() has its own mind about zeros in front */
            compare(texts[i]);
}

static void random_literals(void) {
    char text[48];

    for (int i = 0; i < 300000; i++) {
        unsigned n = unit_random(unit_random(2) ? 8 : 42);

        for (unsigned k = 0; k < n; k++)
            text[k] = ":::1af0"[unit_random(7)];
        text[n] = '\0';
        compare(text);
    }
    for (int i = 0; i < 100000; i++) {
        unsigned n = unit_random(16), k;

        for (k = 0; k < n; k++)
            text[k] = "..12"[unit_random(4)];
        text[n] = '\0';
        compare(text);
    }
}

static void texts(void) {
    struct net_address a;

    CHECK(!net_literal(&a, "127.0.0.1", 5672));
    SAME_TEXT(a.text, "127.0.0.1:5672");
    CHECK(net_is_local(&a));
    CHECK(!net_literal(&a, "10.0.0.1", 1));
    CHECK(!net_is_local(&a));
    CHECK(!net_literal(&a, "::1", 65535));
    SAME_TEXT(a.text, "[::1]:65535");
    CHECK(net_is_local(&a));
    CHECK(!net_literal(&a, "[::1]", 80)); /* as messages have it */
    SAME_TEXT(a.text, "[::1]:80");
    CHECK(net_is_local(&a));
    CHECK(net_literal(&a, "[::1", 80) && net_literal(&a, "::1]", 80) && net_literal(&a, "[]", 80) &&
          net_literal(&a, "[", 80));
    CHECK(net_literal(&a, "[127.0.0.1]", 80) && net_literal(&a, "[[::1]]", 80));
    CHECK(!net_literal(&a, "::", 80));
    CHECK(!net_is_local(&a));
}

static void paths(void) {
    char text[200];
    struct net_address a;

    memset(text, 'p', sizeof text);
    CHECK(net_path(&a, "") == -1);
    for (size_t n = 1; n < 150; n++) {
        text[n] = '\0';
        EQUAL(net_path(&a, text), n < sizeof a.sa.un.sun_path ? 0 : -1);
        if (n < sizeof a.sa.un.sun_path) {
            SAME_TEXT(a.text, text);
            SAME_TEXT(a.sa.un.sun_path, text);
            CHECK(net_is_local(&a));
        }
        text[n] = 'p';
    }
}

/* On real sockets of this machine: a port that the kernel chooses, and one where nobody listens. */
static void connects_without_waiting(void) {
    static const char bytes[65536];
    struct net_address a;
    socklen_t n = sizeof a.sa.in;
    char client[64];
    bool pending;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd, other;
    fd_set set;

    net_literal(&a, "127.0.0.1", 1);
    a.sa.in.sin_port = 0;
    CHECK(!bind(listener, &a.sa.any, a.length) && !listen(listener, 5));
    CHECK(!getsockname(listener, &a.sa.any, &n));
    CHECK(!net_set_nonblocking(listener));
    EQUAL(net_accept(listener, client, sizeof client), -1);
    fd = net_connect(&a, &pending);
    CHECK(fd >= 0 && fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC);
    FD_ZERO(&set);
    FD_SET(listener, &set);
    EQUAL(select(listener + 1, &set, NULL, NULL, NULL), 1);
    other = net_accept(listener, client, sizeof client);
    CHECK(other >= 0 && fcntl(other, F_GETFL) & O_NONBLOCK && fcntl(other, F_GETFD) & FD_CLOEXEC);
    CHECK(!strncmp(client, "127.0.0.1:", 10));
    EQUAL(net_connect_error(fd), 0);
    while (write(fd, bytes, sizeof bytes) > 0)
        continue;
    CHECK(net_unsent(fd));
    net_abort_on_close(other);
    close(other);
    FD_ZERO(&set);
    FD_SET(fd, &set);
    EQUAL(select(fd + 1, &set, NULL, NULL, NULL), 1);
    EQUAL(read(fd, client, 1), -1);
    EQUAL(errno, ECONNRESET);
    CHECK(!net_unsent(fd)); /* nobody will take it any more */
    close(fd);
    close(listener);
    fd = net_connect(&a, &pending);
    if (fd < 0) {
        EQUAL(errno, ECONNREFUSED);
        return;
    }
    CHECK(pending);
    FD_ZERO(&set);
    FD_SET(fd, &set);
    EQUAL(select(fd + 1, NULL, &set, NULL, NULL), 1);
    EQUAL(net_connect_error(fd), ECONNREFUSED);
}

static const struct unit_case cases[] = {
    {"only-unix-sockets-pass-descriptors", only_unix_sockets_pass_descriptors},
    {"literals", literals},
    {"random-literals", random_literals},
    {"texts", texts},
    {"paths", paths},
    {"connects-without-waiting", connects_without_waiting},
};
UNIT_MAIN("net", cases)
