/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint: one end of a virtio-serial port: its character device in the guest, or QEMU's socket
 * for it on the host: reading, writing, what is owed, alignment. It knows no connection. */
#ifndef VIOS_ENDPOINT_H
#define VIOS_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/frame.h"

enum { ENDPOINT_NOTE = 64 }; /* bytes of a frame that belongs to no connection */

/* fd: -1 while not open. port: a character device, whose host may be absent while fd is open;
 * else a socket; raw: what is no channel, a socket without frames. attached: the other side is
 * there. broken: a read or write has failed for good; only closing helps. aligned: since open()
 * (or the host's last coming) every frame that was begun was finished, and each SYN answered.
 * starved: the last write found no memory, for which nothing can be waited: by time it is tried
 * again. owed, owed_bytes: the part of frames that is still to be written; valid until written or
 * dropped. */
struct endpoint {
    int fd;
    bool port, raw, attached, aligned, broken, starved;
    const unsigned char *owed;
    size_t owed_bytes;
    size_t fresh; /* RENEWED: number of the new host's bytes, which follow those that were read */
    unsigned char note[ENDPOINT_NOTE];
};

enum endpoint_result {
    ENDPOINT_DONE,     /* read: some bytes came. write: nothing is owed any more */
    ENDPOINT_BLOCKED,  /* nothing more now */
    ENDPOINT_DETACHED, /* the port's host is absent */
    ENDPOINT_RENEWED,  /* the port's host was replaced by another one, which has greeted */
    ENDPOINT_LOST,     /* unplugged, or the socket has ended: only closing helps */
};

/* Bytes of room that a read needs: a greeting must not be cut. */
#define ENDPOINT_ROOM(e) ((e)->port ? (size_t)FRAME_HEADER : 1u)

/* Reads until room is full or nothing more is there; *n: bytes read, whatever the result. framed:
 * it belongs to an established connection, so a new host's greeting shows that the old host is
 * gone. */
enum endpoint_result endpoint_read(struct endpoint *e, bool framed, unsigned char *p, size_t room,
                                   size_t *n);

/* Writes n bytes at p, which must stay valid while they are owed. Nothing may be owed before. */
enum endpoint_result endpoint_write(struct endpoint *e, const unsigned char *p, size_t n);

/* Writes what is owed. */
enum endpoint_result endpoint_flush(struct endpoint *e);

/* Writes a whole frame that belongs to no connection, with what fits of text as its payload.
 * Nothing may be owed before. */
enum endpoint_result endpoint_note(struct endpoint *e, enum frame_ctrl ctrl,
                                   const struct frame_tokens *tokens, const char *text);

#endif
