/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/endpoint.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/net.h"

/* syscalls: read readv write */

/* A port's read() takes one buffer of the ring at most; but its readv() does that for each segment,
 * as long as the one before was filled. vios-protocol(7), port fact 2. */
enum { PORT_READ = 4096, SEGMENTS = CONFIG_BUFFER_SIZE / PORT_READ + 1 };

static enum endpoint_result lost(struct endpoint *e) {
    e->broken = true;
    return ENDPOINT_LOST;
}

/* How much of this room a readv() of the port may use: a greeting must fit into its last segment.
 */
static size_t port_room(size_t room) {
    return room % PORT_READ < FRAME_HEADER ? room - room % PORT_READ : room;
}

static ssize_t read_buffers(int fd, unsigned char *p, size_t n) {
    struct iovec v[SEGMENTS];
    int segments = 0;

    for (size_t at = 0; at < n; at += PORT_READ)
        v[segments++] = (struct iovec){p + at, n - at < PORT_READ ? n - at : PORT_READ};
    return readv(fd, v, segments);
}

/* Where in n bytes a buffer of the port (PORT_READ bytes) begins with a greeting; n: nowhere. If
 * the host is replaced while bytes of the old one are unread, the port looks attached all the time,
 * and the new host's greeting would be payload of the frame that was cut off. But no buffer joins
 * bytes from before an attach with bytes from after it, so a buffer that begins with one comes from
 * a new host. (A service that sends these very bytes so ends its own connection.) vios-protocol(7),
 * port fact 7. */
static size_t find_greeting(const unsigned char *p, size_t n) {
    static const unsigned char init[FRAME_HEADER] = "VS1HINITINIT";

    for (size_t at = 0; at + FRAME_HEADER <= n; at += PORT_READ)
        if (!memcmp(p + at, init, FRAME_HEADER))
            return at;
    return n;
}

enum endpoint_result endpoint_read(struct endpoint *e, bool framed, unsigned char *p, size_t room,
                                   size_t *n) {
    bool again = false; /* often one buffer of a port is all there is */

    *n = e->fresh = 0;
    while (*n + ENDPOINT_ROOM(e) <= room) {
        size_t asked = room - *n, took;
        ssize_t got;

        if (e->port)
            asked = again ? port_room(asked) : asked < PORT_READ ? asked : PORT_READ;
        got = again && e->port                     ? read_buffers(e->fd, p + *n, asked)
              : CONFIG_VIOS_PROXY_HOST && !e->port ? net_read(e->fd, p + *n, asked)
                                                   : read(e->fd, p + *n, asked);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return *n ? ENDPOINT_DONE : ENDPOINT_BLOCKED;
        if (got <= 0)
            return e->port && !got ? ENDPOINT_DETACHED : lost(e);
        took = e->port && framed ? find_greeting(p + *n, (size_t)got) : (size_t)got;
        *n += took;
        e->fresh = (size_t)got - took;
        if (e->fresh)
            return ENDPOINT_RENEWED;
        if (took < asked)
            break;
        again = true;
    }
    return ENDPOINT_DONE;
}

enum endpoint_result endpoint_flush(struct endpoint *e) {
    e->starved = false;
    while (e->owed_bytes) {
        ssize_t done = write(e->fd, e->owed, e->owed_bytes);

        if (done < 0 && errno == EINTR)
            continue;
        e->starved = done < 0 && (errno == ENOMEM || errno == ENOBUFS);
        if (!done || e->starved || (done < 0 && errno == EAGAIN))
            return ENDPOINT_BLOCKED;
        if ((CONFIG_VIOS_PROXY_HOST || CONFIG_VIOS_CONNECT) && done < 0 && errno == EPIPE &&
            !e->raw)
            done = (ssize_t)e->owed_bytes; /* QEMU has gone; what it handed over is still to be
                                              read, then its end */
        if (done < 0)
            return lost(e);
        e->owed += done;
        e->owed_bytes -= (size_t)done;
    }
    return ENDPOINT_DONE;
}

enum endpoint_result endpoint_write(struct endpoint *e, const unsigned char *p, size_t n) {
    e->owed = p;
    e->owed_bytes = n;
    return endpoint_flush(e);
}

enum endpoint_result endpoint_note(struct endpoint *e, enum frame_ctrl ctrl,
                                   const struct frame_tokens *tokens, const char *text) {
    return endpoint_write(e, e->note,
                          frame_write(e->note, ctrl, tokens, text, ENDPOINT_NOTE - FRAME_HEADER));
}
