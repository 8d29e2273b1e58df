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
    CHANNEL_REFUSAL = 64, /* bytes of the reason why a SYN on a shared channel is refused */
    CHANNEL_STALE = 1000, /* ms until a stale pair of tokens is answered once more */
    CHANNEL_TEXT = 255,   /* the most payload of a control frame that is kept */
    /* Bytes read from a channel at once, and of a frame from a host, at most: the loopback takes
     * the payload as one segment (of at most 65483 bytes), so that the receiver is woken once for
     * it. A guest sends more at once: what two writes of its port take. */
    CHANNEL_INPUT = CONFIG_BUFFER_SIZE < 61440 ? CONFIG_BUFFER_SIZE : 61440,
};

/* The most channels that may be busy at once: that have a connection or an input. */
#define CHANNEL_BUSY_GUEST (CONFIG_VIOS_PROXY_GUEST ? CONFIG_GUEST_CHANNELS : 1)
#define CHANNEL_BUSY_HOST \
    (CONFIG_VIOS_PROXY_HOST ? (CONFIG_HOST_CONNECTIONS < 240 ? CONFIG_HOST_CONNECTIONS : 240) : 1)
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
    _Alignas(void *) unsigned char bytes[CONFIG_BUFFER_SIZE];
};

/* Times are milliseconds of loop_now(). A channel is busy while it has a connection or an input.
 * What is used most comes first: an x86 instruction is 3 bytes shorter where the offset is below
 * 128. */
struct channel {
    /* What is under way. */
    struct conn *conns;    /* the connections that it carries; the one of version 1 first */
    struct input *in;      /* what has come; NULL: nothing */
    struct output *out;    /* what goes out; NULL: nothing */
    struct guest *guest;   /* (host) whose it is; NULL: in a guest, where names can be trusted */
    unsigned carried;      /* their number, without those of a sharing that has ended */
    unsigned place;        /* one more than its index among the busy ones; 0: it is idle */
    long long deadline;    /* when it is looked at, if nothing happens; 0: never */
    long long retry;       /* when to open it, or to read it again; 0: no need to */
    struct conn *target;   /* (shared) whose payload comes; NULL: nobody's */
    struct conn *gathered; /* (shared) whose payload waits in the input, or came last */
    struct conn *late;     /* (host, shared) whose bytes wait for the next turn; NULL: nobody's */
    struct conn *wide;     /* (shared) which may have more than a window; NULL: none has */
    unsigned streak;       /* (shared) bytes that have come for `gathered`, and nobody else since */
    struct conn *resting;  /* (shared) whose bytes rest_bytes are */
    unsigned rest, rest_bytes; /* (shared) of the output: payload whose header is yet to be sent */
    unsigned places;           /* connections that it takes at most, as the SYNACK says */
    unsigned since_init;       /* (responder, LISTEN) bytes looked at since the last RESET INIT */
    bool gone;     /* its name has vanished: it is given up as soon as it carries nothing */
    bool shared;   /* many connections may be on it */
    bool services; /* (shared) the SYNACK that began it accepted `S` */
    bool asks;     /* (shared) its turn is over, though it would take more: select() is to tell */
    bool held;     /* (shared) the SYN in the input waits for its turn */
    bool init_due; /* RESET INIT is to be sent, before all else */
    bool silent;   /* (initiator) the last SYN was not answered */
    bool spent;    /* (host) a connect was made in this turn, or many writes */
    unsigned char looks; /* (responder) at stale headers, in this turn */
    struct endpoint end;
    struct frame_decoder decoder; /* where in a frame the input is */

    /* Sharing: vios-protocol(7), MANY CONNECTIONS ON A CHANNEL. */
    unsigned writes;               /* to TCP sides in this turn */
    long long frame_end;           /* when the rest of a frame must have come; 0: none is awaited */
    bool adjacent;                 /* (responder) the SYN in the input followed another SYN */
    struct frame_tokens refused;   /* (responder) of a SYN, whose RESET is due */
    char refusal[CHANNEL_REFUSAL]; /* and why; empty: none is due */

    /* Opening. */
    unsigned backoff;         /* the wait before retry, in ms */
    unsigned failures;        /* in a row */
    int reason;               /* the errno of the last one */
    bool complained;          /* it was logged */
    unsigned long long inode; /* (host) of the socket that is open */
    int visitor;              /* (host) a client before the proxy, see qemu.h; -1: none */
    bool visited;             /* (host) there was one */
    bool crowded;             /* (host) its guest has many channels */
    bool doubtful;            /* (host) QEMU may not read the port */
    bool redone;              /* (host) it was opened again for that, and nothing has come since */
    bool heard;               /* (host) something has come since it was opened */
    bool monitor; /* (host) QEMU's, no channel: left alone as long as it is this socket */
    bool foul;    /* (host) it holds what nobody may close: never opened, nor forgotten */

    /* Of the initiator. */
    unsigned used; /* the turn of its last connection: the least recently used one is next */

    /* Of the responder. */
    struct frame_tokens stale; /* that were last answered by a RESET for no connection */
    long long stale_at;        /* when that was */
    bool charged;              /* the SYN counts as junk, until the guest's ACK has come */
    bool paused;               /* too much junk: it is not read until retry */
    unsigned stale_bytes;      /* of junk that count for nothing: they may be for the host before */

    /* For the table and the log. */
    char name[CHANNEL_NAME]; /* "guest/channel", or the port's name; empty: the slot is free */
    unsigned connections, resets;
    unsigned long long received, sent; /* payload bytes, from and to it */
    char failure[CHANNEL_FAILURE];     /* the last one */
    struct log_limit ends;             /* of messages about its connections */

    /* Of the slot, whoever has it: one that was forgotten may still be to be reviewed. */
    bool marked;
    struct channel *next_marked;
};

/* Whose it is, on a host; NULL in a guest. */
static inline struct guest *channel_guest(const struct channel *ch) {
    return CONFIG_VIOS_PROXY_HOST ? ch->guest : NULL;
}

/* Whether its guest's turn is over, after one connect. A host has no such limit. */
static inline bool channel_is_spent(const struct channel *ch) {
    return CONFIG_VIOS_PROXY_HOST && ch->spent;
}

/* ---- what is under way ---- */

/* The channel's input or output, a new one if it has none. */
struct input *channel_input(struct channel *ch);
struct output *channel_output(struct channel *ch);

/* Whether it is shared. */
static inline bool channel_is_shared(const struct channel *ch) {
    return CONFIG_FEATURE_MANY && ch->shared;
}

/* Bytes of its output are still to be written. */
static inline bool channel_owes(const struct channel *ch) {
    return ch->end.owed_bytes || (CONFIG_FEATURE_MANY && ch->rest_bytes);
}

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

/* Whether it is busy, or may be. */
bool channel_is_room(const struct channel *ch);

/* (host) Other channels of its guest that have no connection, but keep what has come. */
unsigned channel_unread_beside(const struct channel *ch);

/* If nothing is under way: gives the memory back. */
void channel_trim(void);

/* Something has changed that decides what a channel is used for next: it is free, or closed, or its
 * host has come or gone. Nothing is decided at once, in the midst of whatever brought it about: the
 * loop calls channel_review() before it sleeps. */
void channel_mark(struct channel *ch);
bool channel_is_any_marked(void);
void channel_review(void (*decide)(struct channel *ch));

/* ---- messages ---- */

/* The rate limit for the next message about it: its own; or, for a channel that has not logged
 * before, its guest's, if that has had many of these: it could otherwise fill the log. */
struct log_limit *channel_limit(struct channel *ch, long long now);

/* Logs, and keeps for the table, how a connection (or a SYN) of this TCP peer has ended, and why
 * (empty: not known). limit: NULL: the channel's. */
void channel_ended(struct channel *ch, struct log_limit *limit, const char *client, const char *how,
                   const char *why);

/* ---- its other side ---- */

/* Closes the fd; whatever is owed is dropped. */
void channel_close(struct channel *ch);

/* (host) Closes its descriptor. False: that could take as long as the other side likes, so the
 * channel is left alone for good. */
bool channel_release(struct channel *ch, int fd);

/* The port's host is absent; it has come (back), so the old byte stream is gone.
 * vios-protocol(7), guest rule 4. */
void channel_detached(struct channel *ch);
void channel_attached(struct channel *ch);

#endif
