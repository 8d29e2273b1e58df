/* SPDX-License-Identifier: Apache-2.0 */
/* channel: a virtio-serial port, or QEMU's socket for one, with what has come over it and is not
 * yet dealt with, what goes out, and the connections that it carries.
 *
 * An input or output is there only while something is in it: memory follows what is under way. */
/* clang-format off */
/*   input:   [ given | payload for the TCP side | headers, taken out | not decoded | room ]
 *                     head                       tail                 raw           filled
 *   output:  frames that the channel is owed, whole, or the rest of them */
/* clang-format on */
#ifndef VIOS_CHANNEL_H
#define VIOS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "wire/endpoint.h"

#define CHANNEL_MAX_GUEST (CONFIG_VIOS_PROXY_GUEST ? CONFIG_GUEST_CHANNELS : 1)
#define CHANNEL_MAX_HOST (CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CHANNELS : 1)
#define CHANNEL_MAX (CHANNEL_MAX_GUEST > CHANNEL_MAX_HOST ? CHANNEL_MAX_GUEST : CHANNEL_MAX_HOST)

enum {
    CHANNEL_NAME = 108,   /* bytes of a name with its NUL: "guest/channel" or the port's name */
    CHANNEL_SYN = 4096,   /* bytes of junk that a SYN counts for until its ACK has come */
    CHANNEL_FAILURE = 64, /* bytes of the last failure's text */
    CHANNEL_TEXT = 255,   /* the most payload of a control frame that is kept */
    /* Bytes read from a channel at once, and of a frame from a host, at most: the loopback takes
     * the payload as one segment (of at most 65483 bytes), so that the receiver is woken once for
     * it. A guest sends more at once: what two writes of its port take. */
    CHANNEL_INPUT = CONFIG_BUFFER_SIZE < 61440 ? CONFIG_BUFFER_SIZE : 61440,
};

/* The most channels that may be busy at once: that have a connection or an input. */
#define CHANNEL_BUSY_GUEST (CONFIG_VIOS_PROXY_GUEST ? CONFIG_GUEST_CHANNELS : 1)
#define CHANNEL_BUSY_HOST (CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CONNECTIONS : 1)
#define CHANNEL_BUSY \
    (CHANNEL_BUSY_GUEST > CHANNEL_BUSY_HOST ? CHANNEL_BUSY_GUEST : CHANNEL_BUSY_HOST)

struct conn;
struct guest;

/* What has come over a channel. 0 <= head <= tail <= raw <= filled <= CHANNEL_INPUT.
 * frame: a SYN, SYNACK or RESET of whose payload `left` bytes are still to come; text: what has
 * come of it. deadline: milliseconds of loop_now() until when the rest must be there; 0: no rest is
 * awaited. */
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

/* name: "guest/channel" or the port's name; empty in a free slot. end: its endpoint. guest: (host)
 * whose it is; NULL: in a guest, where names and sockets can be trusted. gone: its name has
 * vanished; it is given up as soon as it carries nothing.
 *
 * What is under way. conns: the connections that it carries. in, out: what has come, and what goes;
 * NULL: nothing. decoder: where in a frame the input is. place: one more than its index among the
 * busy channels, 0: it is idle. deadline: when it is looked at, if nothing happens, in milliseconds
 * of loop_now(); 0: never. marked, next_marked: it is to be reviewed.
 *
 * Opening. retry: when to try again, in milliseconds of loop_now(); 0: no need to. backoff: the
 * wait before that. failures: in a row. reason: the errno of the last one; complained: it was
 * logged. (host) visited: QEMU has had a visitor before, see qemu.h; visitor: its fd, -1: it has
 * gone; crowded: its guest has many channels; doubtful: QEMU may not read the port. inode: of the
 * socket that is open. heard: something has come since. monitor: that was QEMU's monitor, no
 * channel: left alone as long as it is this socket. foul: the socket holds what nobody may close;
 * it is neither opened again nor forgotten.
 *
 * (initiator) used: the turn of its last connection, for least recently used. silent: the last SYN
 * was not answered. (responder) stale: the tokens that were last answered by a RESET in LISTEN;
 * looks: at stale headers, in this turn. spent: a connect was made in this turn; charged: and
 * counts as junk, until the guest's ACK has come. paused: too much junk, it is not read until
 * retry. stale_bytes: of junk that count for nothing, since they may be meant for the host before.
 *
 * For the table: connections, resets, and payload bytes received from and sent to it; failure: the
 * last one. ends: limits messages about its connections. */
struct channel {
    char name[CHANNEL_NAME];
    struct endpoint end;
    struct guest *guest;
    bool gone;

    struct conn *conns;
    struct input *in;
    struct output *out;
    struct frame_decoder decoder;
    unsigned place;
    bool marked;
    struct channel *next_marked;
    long long deadline;

    long long retry;
    unsigned backoff, failures;
    int reason;
    int visitor;
    bool complained, visited, crowded, doubtful, heard, monitor, foul;
    unsigned long long inode;

    unsigned used;
    bool silent;

    struct frame_tokens stale;
    bool spent, charged, paused;
    unsigned char looks;
    unsigned stale_bytes;

    unsigned connections, resets;
    unsigned long long received, sent;
    char failure[CHANNEL_FAILURE];
    struct log_limit ends;
};

/* ---- what is under way ---- */

/* The channel's input or output, a new one if it has none. */
struct input *channel_input(struct channel *ch);
struct output *channel_output(struct channel *ch);

/* It is busy from now on. Gives back what is empty: without an input and a connection the channel
 * is idle. */
void channel_occupy(struct channel *ch);
void channel_tidy(struct channel *ch);

/* What has come and is not yet decoded does not count; nor does the frame whose rest is still to
 * come; what comes next begins a frame. */
void channel_skip_input(struct channel *ch);
void channel_skip_frame(struct channel *ch);
void channel_rewind(struct channel *ch);

/* The last SYN has been answered, or not. vios-protocol(7), guest rules 1 and 6. */
void channel_answered(struct channel *ch);
void channel_unanswered(struct channel *ch);

/* (host) An idle socket is left to SIGIO, see loop_quiet(). */
void channel_hush(struct channel *ch);

/* The i-th busy channel, 0..channel_busy() - 1. Whoever goes through them from the last to the
 * first meets each that stays busy. */
struct channel *channel_busy_at(unsigned i);
unsigned channel_busy(void);

/* The most that may be busy, CHANNEL_BUSY at most. (host) Whether this one is one too many: its
 * guest gets no connection, and nothing that it sends is kept. */
void channel_limit_busy(unsigned limit);
bool channel_is_excess(const struct channel *ch);

/* (host) Other busy channels of its guest. */
unsigned channel_busy_beside(const struct channel *ch);

/* If nothing is under way: gives the memory back. */
void channel_trim(void);

/* Something has changed that decides what a channel is used for next: it is free, or closed, or its
 * host has come or gone. Nothing is decided at once, in the midst of whatever brought it about: the
 * loop calls channel_review() before it sleeps. */
void channel_mark(struct channel *ch);
bool channel_is_any_marked(void);
void channel_review(void (*decide)(struct channel *ch));

/* ---- messages ---- */

/* The limit for the next message about it: its own; or, of a channel that had none yet, when its
 * guest has had many such, the guest's. Who makes channels at will could fill the log otherwise. */
struct log_limit *channel_limit(struct channel *ch, long long now);

/* Logs, and keeps for the table, how a connection (or a SYN) of this TCP peer has ended, and why
 * (empty: not known). limit: NULL: the channel's. */
void channel_ended(struct channel *ch, struct log_limit *limit, const char *client, const char *how,
                   const char *why);

/* ---- its other side ---- */

/* Closes the fd; whatever is owed is dropped. */
void channel_close(struct channel *ch);

/* (host) Closes its descriptor. False: that could take as long as the other side likes, so nothing
 * is done with it any more. */
bool channel_release(struct channel *ch, int fd);

/* The port's host is absent; it has come (back), so the old byte stream is gone.
 * vios-protocol(7), guest rule 4. */
void channel_detached(struct channel *ch);
void channel_attached(struct channel *ch);

#endif
