/* SPDX-License-Identifier: Apache-2.0 */
/* channel: one virtio-serial port in the guest, or QEMU's socket for it on the host: fd, alignment, owed bytes, what has come and is not
 * yet dealt with. Of the connections that it carries it knows the list. Also the table of all channels, with the opening and its
 * back-off.
 *
 * An input or an output is there only while something is in it, so that memory follows what is under way:
 *
 *   input:   [ given | payload for the TCP side | headers, taken out in place | not yet decoded | room ]
 *                     head                       tail                          raw               filled
 *   output:  frames that the channel is owed, whole, or the rest of them */
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
    CHANNEL_TEXT = 255, /* the most payload of a control frame that is kept */
    /* Bytes read from a channel at once, and of a frame from a host, at most: the loopback takes the payload as one segment (of at
     * most 65483 bytes), so that the receiver is woken once for it. A guest sends more at once: what two writes of its port take. */
    CHANNEL_INPUT = CONFIG_BUFFER_SIZE < 61440 ? CONFIG_BUFFER_SIZE : 61440,
};

/* The most channels that may be busy at once: that have a connection or an input. */
#define CHANNEL_BUSY_GUEST (CONFIG_VIOS_PROXY_GUEST ? CONFIG_GUEST_CHANNELS : 1)
#define CHANNEL_BUSY_HOST (CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CONNECTIONS : 1)
#define CHANNEL_BUSY (CHANNEL_BUSY_GUEST > CHANNEL_BUSY_HOST ? CHANNEL_BUSY_GUEST : CHANNEL_BUSY_HOST)

struct conn;
struct loop_share;

/* What has come over a channel. 0 <= head <= tail <= raw <= filled <= CHANNEL_INPUT.
 * frame: a SYN, SYNACK or RESET of whose payload `left` bytes are still to come; text: what has come of it. deadline: milliseconds of
 * loop_now() until when the rest must be there; 0: no rest is awaited. */
struct input {
    unsigned head, tail, raw, filled;
    unsigned left, text_bytes;
    struct frame frame;
    long long deadline;
    char text[CHANNEL_TEXT + 1];
    unsigned char bytes[CHANNEL_INPUT];
};

/* What goes out over a channel. */
struct output {
    unsigned char bytes[CONFIG_BUFFER_SIZE];
};

/* name: empty in a free slot. fd: -1 while not open.
 * port: a character device, whose host may be absent while fd is open; else a socket. attached: the other side is there.
 * aligned: since open() (or the host's last coming) every frame that was begun was finished, and each SYN answered.
 * broken: a read or write has failed for good; only channel_close() helps. gone: its name has vanished; it is given up as soon as
 * it carries nothing.
 * reason: why it could not be opened, the errno of the last try.
 * retry: when to try to open it again, milliseconds of loop_now(); 0: no need to. backoff: the wait before that. failures: of open in a row.
 * owed, owed_bytes: the part of a frame that is written but for these bytes. They stay valid until written or dropped.
 * conns: the connections that it carries. in, out: what has come, and what goes; NULL: nothing. place: one more than its index among
 * the busy channels, 0: it is idle. deadline: when it is looked at, if nothing happens, in milliseconds of loop_now(); 0: never.
 * marked, next_marked: it is to be reviewed. share: (host) its guest's, see loop_share(); NULL: nobody counts.
 * (host) stale: the tokens that were last answered by a RESET in LISTEN; looks: at stale headers, in this turn. spent: a connect was made in this
 * turn; charged: and counts as junk, until the guest's ACK has come. junk: bytes without a connection, which are forgiven in time; paused: too many, it is not read until retry.
 * foul: (host) its socket holds what nobody may close; it is neither opened again nor forgotten.
 * visited: (host) QEMU has had a client in advance, see channel_open(). inode: (host) of the socket that is open.
 * heard: something has come since it was opened. monitor: (host) that was QEMU's monitor, no channel: it is left alone as long as it is
 * this socket.
 * used: the turn of its last connection, for least recently used. silent: the last SYN was not answered. */
struct channel {
    int fd;
    bool port, attached, aligned, broken, gone, silent, complained, paused, visited, spent, charged, marked, heard, monitor, foul;
    unsigned char looks;
    struct conn *conns;
    struct input *in;
    struct output *out;
    unsigned place;
    long long deadline;
    struct channel *next_marked;
    struct loop_share *share;
    const unsigned char *owed;
    size_t owed_bytes;
    struct frame_decoder decoder;
    struct frame_tokens stale;
    unsigned backoff, failures, used;
    int reason;
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

/* ---- what is under way ---- */

/* The channel's input or output, a new one if it has none. */
struct input *channel_input(struct channel *ch);
struct output *channel_output(struct channel *ch);

/* It is busy from now on. Gives back what is empty: without an input and a connection the channel is idle. */
void channel_occupy(struct channel *ch);
void channel_tidy(struct channel *ch);

/* What has come and is not yet decoded does not count; nor does the frame whose rest is still to come; what comes next begins a frame. */
void channel_skip_input(struct channel *ch);
void channel_skip_frame(struct channel *ch);
void channel_rewind(struct channel *ch);

/* The last SYN has been answered, or not. vios-protocol(7), guest rules 1 and 6. */
void channel_answered(struct channel *ch);
void channel_unanswered(struct channel *ch);

/* (host) An idle socket is left to SIGIO, see loop_quiet(). */
void channel_hush(struct channel *ch);

/* The i-th busy channel, 0..channel_busy() - 1. Whoever goes through them from the last to the first meets each that stays busy. */
struct channel *channel_busy_at(unsigned i);
unsigned channel_busy(void);

/* The most that may be busy, CHANNEL_BUSY at most. (host) Whether this one is one too many: its guest gets no connection, and nothing
 * that it sends is kept. */
void channel_limit_busy(unsigned limit);
bool channel_is_excess(const struct channel *ch);

/* (host) Other busy channels of whose names the first n bytes are the same. */
unsigned channel_busy_beside(const struct channel *ch, size_t n);

/* If nothing is under way: gives the memory back. */
void channel_trim(void);

/* Something has changed that decides what a channel is used for next: it is free, or closed, or its host has come or gone. Nothing is
 * decided at once, in the midst of whatever brought it about: the loop calls channel_review() before it sleeps. */
void channel_mark(struct channel *ch);
bool channel_is_any_marked(void);
void channel_review(void (*decide)(struct channel *ch));

/* ---- opening ---- */

/* Opens the character device, or connects to the unix socket, at path. 0, or -1 after a message (once for each failure in a row)
 * and with retry set, for a later try; without a message if it is only not yet its turn. */
int channel_open(struct channel *ch, const char *path, long long now);

/* (host) From now on nothing but sockets is opened, which are no symbolic links: guests may own their directories. Needs /proc. */
void channel_distrust(void);

/* (host) Whether what was left alone, as a monitor, is another socket now. */
bool channel_is_another(const struct channel *ch);

/* Why the channel could not be opened, which is (was) at path: in a static buffer. */
const char *channel_why(const struct channel *ch, const char *path);

/* When the first retry of all is due (0: none is wanted), and calls again(ch) for each that is, for some of them in each turn. */
long long channel_retry_at(void);
void channel_retry(long long now, void (*again)(struct channel *ch));

/* The bytes of a channel's name that tell its guest: "guest/", or all of it and its NUL for a channel right below the root. */
size_t channel_guest(const char *name);

/* (host) Tells of the channels in a directory, which is open ("": right in the root), whose sockets have gone, or are others now. */
void channel_missing(const char *below, int directory, bool (*tell)(const char *name, bool there));

/* (host) The channels of the guest of the channel with this name; open: those that are. */
unsigned channel_crowd(const char *name, bool open);

/* The limit for the next message about it: its own; or, of a channel that had none yet, when its guest has had many such, the
 * guest's. Who makes channels at will could fill the log otherwise. */
struct log_limit *channel_limit(struct channel *ch, long long now);

/* Logs, and keeps for the table, how a connection (or a SYN) of this TCP peer has ended, and why (empty: not known). limit: NULL: the
 * channel's. */
void channel_ended(struct channel *ch, struct log_limit *limit, const char *client, const char *how, const char *why);

/* How long to wait after one more failure, in milliseconds. */
unsigned channel_backoff(unsigned before);

/* Wants a retry after the back-off. */
void channel_later(struct channel *ch, long long now);

/* (host) n bytes have come while there was no connection. Who sends more of them than connections need is not read for a while
 * (paused): then channel_retry() tells of the channel. */
void channel_idle_bytes(struct channel *ch, size_t n, long long now);

/* ---- reading and writing ---- */

/* Closes the fd; whatever is owed is dropped. */
void channel_close(struct channel *ch);

/* The port's host is absent; it has come (back), so the old byte stream is gone.
 * vios-protocol(7), guest rule 4. */
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
