/* SPDX-License-Identifier: Apache-2.0 */
/* conn: a connection: a session over a channel, and its TCP side. It exists from the SYN until its
 * last frame is out: a channel without one is free. */
/* clang-format off */
/*            initiator                             responder
 *   begins   a client was accepted: SYN            a SYN has come: connect to the service
 *   open     SYNACK: ACK, and bytes both ways      SYNACK, ACK: bytes both ways
 *   closing  nothing more is read from the channel; what has come goes to the TCP side
 *   over     the TCP side is closed; frames that are due still go out
 *   freed    they are out
 *
 * A frame that is due is only noted: sender writes it. vios-protocol(7), sharing rule 5. */
/* clang-format on */
#ifndef VIOS_CONN_H
#define VIOS_CONN_H

#include "relay/channel.h"
#include "relay/window.h"
#include "wire/session.h"

enum { CONN_CLIENT = 48 };

/* The most connections at once. */
#define CONN_MAX_GUEST \
    (CONFIG_VIOS_PROXY_GUEST ? (CONFIG_FEATURE_MANY ? 960 : CONFIG_GUEST_CHANNELS) : 1)
#define CONN_MAX_HOST (CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CONNECTIONS : 1)
#define CONN_MAX (CONN_MAX_GUEST > CONN_MAX_HOST ? CONN_MAX_GUEST : CONN_MAX_HOST)

/* What it waits for, if nothing else happens. */
enum conn_wait {
    CONN_PROGRESS, /* the session's patience, which begins again whenever something has moved */
    CONN_ANSWER,   /* (initiator) the answer to the SYN */
    CONN_GREETED,  /* (initiator) the same; another host has come since, or may come, which the SYN
                      has not reached: then a SYN again */
    CONN_SERVICE,  /* (responder) a service that could not take the connect: soon tried again */
    CONN_DRAIN,    /* the TCP peer, which has yet to take what was sent before an abort */
};

/* Times are milliseconds of loop_now(). Payload from the channel waits in the channel's input; of a
 * shared channel in the connection's window. */
struct conn {
    struct channel *channel; /* which carries it */
    struct conn *next;       /* of the same channel */
    struct session session;
    const struct service *service; /* (responder) to which it is connected */
    int fd;                        /* the TCP side; -1: there is none (any more) */
    int error;          /* errno: why the TCP side takes nothing more; what it sent before is still
                                to be read; 0: it does */
    bool connecting;    /* fd's connect is pending */
    bool shut_due;      /* shutdown(SHUT_WR) when all payload is delivered */
    bool shut;          /* that is done */
    bool progress;      /* bytes have moved, or the state, since the deadline was set */
    unsigned char wait; /* an enum conn_wait */
    unsigned due;       /* SESSION_SEND_* that are not yet written, nor owed by the channel */
    unsigned filler;    /* bytes of filler to write before the SYN, 0..FRAME_FILLER_BYTES */
    bool apart;         /* its channel is shared no more: what it holds goes to the TCP side */
    bool writable;      /* (shared) select() says that the TCP side takes something */
    bool readable;      /* (shared) the TCP side has something to read, or may have */
    unsigned coming;    /* (shared) bytes of begun frames that deliver_now() has yet to get */
    struct window window;
    long long deadline; /* when it is looked at, whatever happens; 0: never */
    long long since;   /* (initiator) when the client came: another channel gives it no more time */
    long long begun;   /* (initiator) when this channel got it; (responder) of the first connect */
    long long drained; /* when an abort goes on, whatever the TCP peer has taken; 0: none waits */
    unsigned long long received, sent; /* payload bytes from and to the channel */
    char why[CHANNEL_TEXT + 1];        /* the text of a reason that the session gives */
    char client[CONN_CLIENT];          /* the TCP peer, for messages */
};

/* Once, before all else. limit: how many there may be at once. */
void conn_init(unsigned limit);

/* Whether there is room for one more; how many there are. */
bool conn_is_room(void);

static inline bool conn_is_apart(const struct conn *c) { return CONFIG_FEATURE_MANY && c->apart; }

/* (version 1) The connection that the channel carries, or NULL. */
static inline struct conn *conn_current(const struct channel *ch) {
    return ch->conns && !conn_is_apart(ch->conns) ? ch->conns : NULL;
}

/* (shared) The connection with this token, or NULL. */
struct conn *conn_find(const struct channel *ch, const unsigned char guest_token[FRAME_TOKEN]);

/* A new connection of the channel, and the end of one. */
struct conn *conn_new(struct channel *ch, enum session_role role);
void conn_free(struct conn *c);

/* Its frames are out, and its TCP side is done with. */
bool conn_is_finished(const struct conn *c);

/* If there is no connection: gives the memory back. */
void conn_trim(void);

/* From now on it waits for this, at most ms milliseconds. */
void conn_await(struct conn *c, enum conn_wait what, long ms);

/* (initiator) A host has attached since the SYN, or the host has gone: the deadline is soon. */
void conn_greeted(struct conn *c);

/* After anything has happened: the deadline of one that waits for progress. */
void conn_set_deadline(struct conn *c);

/* Carries out a set of enum session_action, but for SESSION_CONNECT. */
void conn_apply(struct conn *c, unsigned actions);

/* The peer is not there any more (why: NULL: it has gone). The session's patience is over. The
 * TCP side has failed with errno. errno says: not now. */
void conn_lost(struct conn *c, const char *why);
void conn_timeout(struct conn *c);
void conn_failed(struct conn *c);
bool conn_transient(void);

/* (shared) From now on it is one of a shared channel's: the peer is to learn what it may send. What
 * it may send more now. Whether nothing of the client's has gone. */
void conn_share(struct conn *c);
unsigned conn_grant(const struct conn *c);
bool conn_is_void(const struct conn *c);

/* (shared) More of the channel's streak has come for it. */
void conn_streak(struct conn *c);

/* (shared) The TCP side has taken something, or never will: the peer may send as much more, as soon
 * as that is half a window. */
void conn_took(struct conn *c);

/* Logs that its session is open, if it is, and was not before. */
void conn_begins(const struct conn *c, unsigned state_before);

/* Whether payload waits for the TCP side to take it. */
bool conn_is_stuck(const struct conn *c);

/* Logs, and keeps for the table, how the connection has ended and why (empty: not known). limit:
 * NULL: the channel's. */
void conn_ended(struct conn *c, struct log_limit *limit, const char *how, const char *why);

#endif
