/* SPDX-License-Identifier: Apache-2.0 */
/* net: the TCP or unix socket at either end. All sockets are non-blocking and close-on-exec. */
#ifndef VIOS_NET_H
#define VIOS_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

union net_any {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

/* Where to listen or to connect, and its text for messages: "127.0.0.1:5672", "[::1]:5672", or a
 * unix socket's path. v6only: a listener at :: leaves IPv4 to others. */
struct net_address {
    union net_any sa;
    socklen_t length;
    bool v6only;
    char text[sizeof(struct sockaddr_un)];
};

/* From an IPv4 or IPv6 literal, the second also in brackets, and a port 1..65535, or from a unix
 * socket's path. 0, or -1 if the text is neither. */
int net_literal(struct net_address *a, const char *literal, unsigned port);
int net_path(struct net_address *a, const char *path);

/* Sets the text of an address that the kernel gave. */
void net_describe(struct net_address *a);

/* Whether only this machine can reach it. */
bool net_is_local(const struct net_address *a);

/* A socket that listens at a, or -1 with errno and, in the words of the 2011 manual, what has
 * failed. mode: of a unix socket. A stale one is replaced; one on which somebody listens is not. */
int net_listen(const struct net_address *a, unsigned mode, const char **failure);

/* Sets options of a listening socket that its clients inherit. */
void net_prepare(int fd);

/* Makes fd non-blocking: NULL, or the name of the call that failed, with errno. */
const char *net_set_nonblocking(int fd);

/* Begins to connect: the fd (connected, or *pending and writable when decided), or -1 with errno.
 */
int net_connect(const struct net_address *a, bool *pending);

/* (host) read() and close() of a socket whose peer is not trusted: never touch a descriptor that it
 * has passed. read: -1 with EBADMSG if the next bytes bring one. close: false: there is one in it,
 * and it stays open. */
ssize_t net_read(int fd, void *p, size_t n);
bool net_close(int fd);

/* How a pending connect ended: 0, or the errno. */
int net_connect_error(int fd);

/* The program at the other end of a unix socket (who listens, of the one that has connected), up to
 * 15 bytes of its name; empty if it cannot be known: it is hidden, outside this container, or has
 * ended. False: fd is not a socket. */
bool net_peer(int fd, char comm[16]);

/* Accepts a client: fd, or -1 with errno. client: its address as text. */
int net_accept(int listener, char *client, unsigned cap);

/* Makes the next close() of fd send RST and drop what is unsent. */
void net_abort_on_close(int fd);

/* The next close() of fd, whose peer has not ended yet, is over for the kernel too as soon as the
 * peer has acknowledged all that was sent: without the minute of TIME_WAIT, in which a local port
 * cannot be used. */
void net_forget_on_close(int fd);

/* Whether fd's peer has not yet taken all that was written. */
bool net_unsent(int fd);

/* Whether the TCP connection has been reset. (False of a unix socket.) */
bool net_is_reset(int fd);

/* Brings the interface lo up if it is down: 0 it was up, 1 brought up, -1 with errno. */
int net_raise_lo(void);

#endif
