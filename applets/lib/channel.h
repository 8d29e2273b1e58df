/* SPDX-License-Identifier: Apache-2.0 */
/* channel: one virtio-serial port in the guest, or QEMU's socket for it on the host: fd, frame codec, alignment, owed bytes. It
 * knows nothing of the connection that it carries. Also the table of all channels, with the opening and its back-off. */
#ifndef VIOS_CHANNEL_H
#define VIOS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "debt.h"
#include "frame.h"
#include "log.h"

#define CHANNEL_MAX_GUEST (CONFIG_VIOS_PROXY_GUEST ? CONFIG_GUEST_CHANNELS : 1)
#define CHANNEL_MAX_HOST (CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CHANNELS : 1)
#define CHANNEL_MAX (CHANNEL_MAX_GUEST > CHANNEL_MAX_HOST ? CHANNEL_MAX_GUEST : CHANNEL_MAX_HOST)

enum {
    CHANNEL_NAME = 108, /* bytes of a name with its NUL: "guest/channel" or the port's name */
    CHANNEL_SYN = 4096, /* bytes of junk that a SYN counts for until its ACK has come */
    CHANNEL_NOTE = 64,  /* bytes of a frame that needs no connection, and of the last failure's text */
};

struct conn;

/* name: empty in a free slot. fd: -1 while not open.
 * port: a character device, whose host may be absent while fd is open; else a socket. attached: the other side is there.
 * aligned: since open() (or the host's last coming) every frame that was begun was finished, and each SYN answered.
 * broken: a read or write has failed for good; only channel_close() helps. gone: its name has vanished; it is given up as soon as
 * it carries nothing.
 * retry: when to try to open it again, milliseconds of loop_now(); 0: no need to. backoff: the wait before that. failures: of open in a row.
 * owed, owed_bytes: the part of a frame that is written but for these bytes. They stay valid until written or dropped.
 * stale: the tokens that were last answered by a RESET in LISTEN; answered: in this turn. conn: what it carries, or NULL.
 * junk: bytes without a connection, which are forgiven in time; paused: too many, it is not read until retry.
 * visited: (host) QEMU has had a client in advance, see channel_open(). inode: (host) of the socket that is open.
 * used: the turn of its last connection, for least recently used. silent: the last SYN was not answered. */
struct channel {
    int fd;
    bool port, attached, aligned, broken, gone, silent, answered, complained, paused, visited;
    struct conn *conn;
    const unsigned char *owed;
    size_t owed_bytes;
    struct frame_decoder decoder;
    struct frame_tokens stale;
    unsigned backoff, failures, used;
    long long retry;
    struct debt junk;
    unsigned long long inode;
    unsigned connections, resets;
    unsigned long long received, sent; /* payload bytes from and to the channel */
    struct log_limit ends;             /* of messages about its connections */
    char name[CHANNEL_NAME];
    char failure[CHANNEL_NOTE];
    unsigned char note[CHANNEL_NOTE];
};

enum channel_result {
    CHANNEL_DONE,     /* read: some bytes came. write: nothing is owed any more */
    CHANNEL_BLOCKED,  /* nothing more now */
    CHANNEL_DETACHED, /* the port's host is absent */
    CHANNEL_RENEWED,  /* the port's host was replaced by another one, which has greeted */
    CHANNEL_LOST,     /* unplugged, or the socket has ended: only channel_close() helps */
};

/* Bytes of room that a read needs: a greeting must not be cut. */
#define CHANNEL_ROOM(ch) ((ch)->port ? (size_t)FRAME_HEADER : 1u)

/* The slot with this name, or NULL; a new slot for it, or NULL when the table is full (limit: at most so many); and the i-th slot,
 * 0..channel_count() - 1, free ones included. The name must be shorter than CHANNEL_NAME. */
struct channel *channel_find(const char *name);
struct channel *channel_add(const char *name, unsigned limit);
struct channel *channel_at(unsigned i);
unsigned channel_count(void);

/* Frees the slot. The fd must be closed and no connection left. */
void channel_forget(struct channel *ch);

/* Opens the character device, or connects to the unix socket, at path. 0, or -1 after a message (once for each failure in a row)
 * and with retry set, for a later try; without a message if it is only not yet its turn. */
int channel_open(struct channel *ch, const char *path, long long now);

/* (host) From now on nothing but sockets is opened, which are no symbolic links: guests may own their directories. Needs /proc. */
void channel_distrust(void);

/* When the first retry of all is due (0: none is wanted), and calls again(ch) for each that is. */
long long channel_retry_at(void);
void channel_retry(long long now, void (*again)(struct channel *ch));

/* The bytes of a channel's name that tell its guest: "guest/", or all of it and its NUL for a channel right below the root. */
size_t channel_guest(const char *name);

/* (host) Tells of the channels below a directory ("": of all) whose sockets have gone, or are others now. */
void channel_missing(const char *below, void (*tell)(const char *name, bool there));

/* The limit for the next message about it: its own; or, of a channel that had none yet, when its guest has had many such, the
 * guest's. Who makes channels at will could fill the log otherwise. */
struct log_limit *channel_limit(struct channel *ch, long long now);

/* Wants a retry after the back-off. */
void channel_later(struct channel *ch, long long now);

/* (host) n bytes have come while there was no connection. Who sends more of them than connections need is not read for a while
 * (paused): then channel_retry() tells of the channel. */
void channel_idle_bytes(struct channel *ch, size_t n, long long now);

/* Closes the fd; whatever is owed is dropped. */
void channel_close(struct channel *ch);

/* The port's host is absent; it has come (back), so the old byte stream is gone. Guest rule 4. */
void channel_detached(struct channel *ch);
void channel_attached(struct channel *ch);

/* Reads until room is full or nothing more is there; *n: bytes read, also when the result is not CHANNEL_DONE. framed: what comes
 * belongs to an established connection, so that a new host's greeting means that the old host is gone. */
enum channel_result channel_read(struct channel *ch, bool framed, unsigned char *p, size_t room, size_t *n);

/* Writes n bytes at p that must stay valid while they are owed; nothing may be owed before. */
enum channel_result channel_write(struct channel *ch, const unsigned char *p, size_t n);

/* Writes what is owed. */
enum channel_result channel_flush(struct channel *ch);

/* Writes a whole frame that belongs to no connection, with what fits of text as its payload. Nothing may be owed before. */
enum channel_result channel_note(struct channel *ch, struct frame *f, const char *text);

#endif
