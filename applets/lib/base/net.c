/* SPDX-License-Identifier: Apache-2.0 */
#include "base/net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/sys.h"

/* syscalls: connect getsockopt setsockopt recvmsg read fcntl fcntl64 ioctl close */
/* syscalls (guest host): bind listen umask unlink unlinkat */

static void describe(struct net_address *a) {
    const unsigned char *b = (const unsigned char *)&a->sa.in.sin_addr;
    const unsigned char *w = a->sa.in6.sin6_addr.s6_addr;
    size_t n = 1;

    if (!CONFIG_FEATURE_ADDR || a->sa.any.sa_family == AF_INET) {
        fmt_print(a->text, sizeof a->text, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3],
                  ntohs(a->sa.in.sin_port));
        return;
    }
    a->text[0] = '[';
    for (int i = 0; i < 16; i += 2)
        n += fmt_print(a->text + n, sizeof a->text - n, i ? ":%x" : "%x",
                       (unsigned)(w[i] << 8 | w[i + 1]));
    fmt_print(a->text + n, sizeof a->text - n, "]:%u", ntohs(a->sa.in6.sin6_port));
}

void net_describe(struct net_address *a) {
    if (a->sa.any.sa_family == AF_UNIX)
        fmt_copy(a->text, sizeof a->text, a->sa.un.sun_path);
    else
        describe(a);
}

/* Four decimal numbers of 0..255. */
static bool parse_ipv4(const char *s, unsigned char *out) {
    for (int i = 0; i < 4; i++) {
        unsigned v = 0, digits = 0;

        for (; *s >= '0' && *s <= '9' && v < 256; s++, digits++)
            v = v * 10 + (unsigned)(*s - '0');
        if (!digits || v > 255 || *s != (i < 3 ? '.' : '\0'))
            return false;
        s += i < 3;
        out[i] = (unsigned char)v;
    }
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Eight groups of 1..4 hexadecimal digits; "::" once, for one or more groups of zeros. */
static bool parse_ipv6(const char *s, unsigned char *out) {
    unsigned char groups[16];
    int n = 0, gap = -1;

    if (s[0] == ':' && s[1] == ':')
        s++;
    else if (*s == ':')
        return false;
    while (*s) {
        unsigned v = 0;
        int digits = 0;

        if (*s == ':' && gap >= 0)
            return false;
        if (*s == ':') {
            gap = n;
            s++;
            continue;
        }
        for (; digits < 4 && hex_digit(*s) >= 0; s++, digits++)
            v = v << 4 | (unsigned)hex_digit(*s);
        if (!digits || n == 16 || (*s && *s++ != ':') || (s[-1] == ':' && !*s))
            return false;
        groups[n++] = (unsigned char)(v >> 8);
        groups[n++] = (unsigned char)v;
    }
    if (gap < 0 ? n != 16 : n > 14)
        return false;
    memset(out, 0, 16);
    memcpy(out, groups, (size_t)(gap < 0 ? n : gap));
    if (gap >= 0)
        memcpy(out + 16 - (n - gap), groups + gap, (size_t)(n - gap));
    return true;
}

int net_literal(struct net_address *a, const char *literal, unsigned port) {
    char bare[48];
    size_t n = strlen(literal);

    *a = (struct net_address){0};
    if (CONFIG_FEATURE_ADDR && *literal == '[' && literal[n - 1] == ']' && n < sizeof bare) {
        fmt_copy(bare, n - 1, literal + 1);
        literal = bare;
    } else if (parse_ipv4(literal, (unsigned char *)&a->sa.in.sin_addr)) {
        a->sa.in.sin_family = AF_INET;
        a->sa.in.sin_port = htons((uint16_t)port);
        a->length = sizeof a->sa.in;
        describe(a);
        return 0;
    }
    if (!CONFIG_FEATURE_ADDR || !parse_ipv6(literal, a->sa.in6.sin6_addr.s6_addr))
        return -1;
    a->sa.in6.sin6_family = AF_INET6;
    a->sa.in6.sin6_port = htons((uint16_t)port);
    a->length = sizeof a->sa.in6;
    fmt_print(a->text, sizeof a->text, "[%s]:%u", literal, port);
    return 0;
}

int net_path(struct net_address *a, const char *path) {
    if (!*path || strlen(path) >= sizeof a->sa.un.sun_path)
        return -1;
    *a = (struct net_address){.length = sizeof a->sa.un};
    a->sa.un.sun_family = AF_UNIX;
    fmt_copy(a->sa.un.sun_path, sizeof a->sa.un.sun_path, path);
    fmt_copy(a->text, sizeof a->text, path);
    return 0;
}

bool net_is_local(const struct net_address *a) {
    if (!CONFIG_FEATURE_ADDR)
        return true;
    if (a->sa.any.sa_family == AF_INET)
        return *(const unsigned char *)&a->sa.in.sin_addr == 127;
    return a->sa.any.sa_family == AF_UNIX || IN6_IS_ADDR_LOOPBACK(&a->sa.in6.sin6_addr);
}

/* Removes a unix socket that nobody listens on. */
static void replace_stale(const struct net_address *a) {
    int mode = file_mode(a->text, false), fd;
    bool pending;

    if (mode < 0 || !S_ISSOCK(mode))
        return;
    fd = net_connect(a, &pending);
    if (fd >= 0)
        close(fd);
    else if (errno == ECONNREFUSED)
        unlink(a->text);
}

/* musl's fcntl() takes 400 bytes for commands that are not used here. */
const char *net_set_nonblocking(int fd) {
    long flags = syscall(SYS_fcntl, fd, F_GETFL, 0);

    if (flags < 0)
        return "fcntl(F_GETFL)";
    flags |= O_NONBLOCK;
    return syscall(SYS_fcntl, fd, F_SETFL, flags) ? "fcntl(F_SETFL)" : NULL;
}

static void no_delay(int fd) {
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a unix socket needs none */
}

void net_prepare(int fd) {
    int unsent = 65536;

    no_delay(fd);
    /* More, for each client that does not read, would use up what a guest has for all of TCP. */
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

/* What has failed, in the words of the 2011 manual; NULL: nothing. */
static const char *listen_at(int fd, const struct net_address *a, unsigned mode) {
    int on = 1, failed;
    mode_t mask;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (CONFIG_FEATURE_ADDR && a->v6only)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on); /* fails on an IPv4 socket */
    net_prepare(fd);
    if (CONFIG_FEATURE_UNIX && a->sa.any.sa_family == AF_UNIX)
        replace_stale(a);
    mask = umask(~mode & 0777);
    failed = bind(fd, &a->sa.any, a->length);
    umask(mask);
    if (failed)
        return "Proxy service bind";
    return listen(fd, SOMAXCONN) ? "Proxy service listen" : NULL;
}

int net_listen(const struct net_address *a, unsigned mode, const char **failure) {
    int reason, fd = sys_socket(a->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    *failure = fd < 0 ? "Failed to create proxy service" : listen_at(fd, a, mode);
    if (fd < 0 || !*failure)
        return fd;
    reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

/* A peer may pass a descriptor whose last close, in our read() or close(), takes as long as the
 * peer likes (SO_LINGER). Linux 6.16 can refuse them; before, what comes is looked at first. */
static bool takes_descriptors;

static void take_no_descriptors(int fd) {
    enum { PASSRIGHTS = 83 }; /* SO_PASSRIGHTS, which musl does not name yet */
    int off = 0;

    takes_descriptors |= setsockopt(fd, SOL_SOCKET, PASSRIGHTS, &off, sizeof off) != 0;
}

ssize_t net_read(int fd, void *p, size_t n) {
    struct iovec part = {p, n};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t got;

    if (!takes_descriptors)
        return read(fd, p, n);
    got = syscall(SYS_recvmsg, fd, &message, MSG_PEEK);
    if (got <= 0)
        return got;
    if (message.msg_flags & MSG_CTRUNC) {
        errno = EBADMSG;
        return -1;
    }
    return read(fd, p, (size_t)got); /* what comes meanwhile comes after it */
}

bool net_close(int fd) {
    char rest[4096];
    ssize_t got = 0;

    if (takes_descriptors) {
        shutdown(fd, SHUT_RDWR); /* nothing more comes */
        while ((got = net_read(fd, rest, sizeof rest)) > 0)
            continue;
    }
    if (got < 0 && errno == EBADMSG)
        return false;
    close(fd);
    return true;
}

int net_connect(const struct net_address *a, bool *pending) {
    int saved, fd = sys_socket(a->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    *pending = false;
    if (fd < 0)
        return -1;
    no_delay(fd);
    if (CONFIG_VIOS_PROXY_HOST && a->sa.any.sa_family == AF_UNIX)
        take_no_descriptors(fd);
    if (!connect(fd, &a->sa.any, a->length))
        return fd;
    *pending = errno == EINPROGRESS;
    if (*pending)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int net_connect_error(int fd) {
    int reason = 0;
    socklen_t n = sizeof reason;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &n) ? errno : reason;
}

bool net_peer(int fd, char comm[16]) {
    struct ucred peer;
    socklen_t n = sizeof peer;
    char path[32];

    *comm = '\0';
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n))
        return false;
    fmt_print(path, sizeof path, "/proc/%d/comm", peer.pid);
    file_read(path, comm, 16);
    return true;
}

int net_accept(int listener, char *client, unsigned cap) {
    struct net_address a = {0};
    socklen_t n = sizeof a.sa;
    int fd = sys_accept(listener, &a.sa.any, &n);

    if (fd < 0)
        return -1;
    net_describe(&a);
    fmt_copy(client, cap, *a.text ? a.text : "unix");
    return fd;
}

void net_abort_on_close(int fd) {
    struct linger now = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void net_forget_on_close(int fd) {
    int never = -1;

    setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &never, sizeof never);
}

bool net_unsent(int fd) {
    int bytes = 0;

    /* After a reset the kernel still counts what nobody will read any more. */
    return !ioctl(fd, TIOCOUTQ, &bytes) && bytes && !net_is_reset(fd);
}

bool net_is_reset(int fd) {
    unsigned char state = 0; /* the first byte of struct tcp_info */
    socklen_t n = sizeof state;

    return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &n) && state == TCP_CLOSE;
}

int net_raise_lo(void) {
    struct ifreq lo = {.ifr_name = "lo"};
    int result, fd = sys_socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0)
        return -1;
    result = ioctl(fd, SIOCGIFFLAGS, &lo);
    if (!result && !(lo.ifr_flags & IFF_UP)) {
        lo.ifr_flags |= IFF_UP;
        result = ioctl(fd, SIOCSIFFLAGS, &lo) ? -1 : 1;
    }
    close(fd);
    return result;
}
