/* SPDX-License-Identifier: Apache-2.0 */
/* conn: one connection between a channel and its TCP side, with its buffers; the table of all; and what the link says, carried out
 * on the TCP side. A frame that is due is only noted (todo): sender writes it. */
#ifndef VIOS_CONN_H
#define VIOS_CONN_H

#include "channel.h"
#include "link.h"

#define CONN_MAX_GUEST (CONFIG_VIOS_PROXY_GUEST ? CONFIG_GUEST_CHANNELS : 1)
#define CONN_MAX_HOST (CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CONNECTIONS : 1)
#define CONN_MAX (CONN_MAX_GUEST > CONN_MAX_HOST ? CONN_MAX_GUEST : CONN_MAX_HOST)

enum { CONN_TEXT = 255, CONN_CLIENT = 48 };

/* Bytes read from a channel at once, and of a frame from a host, at most: the loopback takes the payload as one segment (of at
 * most 65483 bytes), so that the receiver is woken once for it. A guest sends more at once: what two writes of its port take. */
enum { CONN_RX = CONFIG_BUFFER_SIZE < 61440 ? CONFIG_BUFFER_SIZE : 61440 };

/* channel: NULL in a free slot. fd: the TCP side, -1 when there is none (any more). connecting: fd's connect is pending.
 * error: (0: none) why the TCP side takes nothing more; what it has sent before that is still to be read.
 * todo: LINK_SEND_* that are not yet written, nor owed by the channel. filler: bytes of filler to write before the SYN.
 * rx[head..tail) is for the TCP side, rx[raw..filled) not yet looked at; 0 <= head <= tail <= raw <= filled <= CONN_RX.
 * frame, frame_left, text, text_bytes: a SYN, SYNACK or RESET whose payload is still coming (frame_left > 0).
 * shut_due: shutdown(SHUT_WR) when the payload is delivered; shut: done.
 * deadline: see conn_set_deadline(); 0: never. moved: bytes, or the state, since it was set.
 * since, begun: (guest) when the client came, and to this channel: moving it does not give it more time in all.
 * slow: (guest) the time after which the client may be moved is over. greeted: a host has attached since the SYN, which may not have
 * reached it.
 * draining: the RST that ends the connection waits until then for the TCP peer, 0: it does not.
 * spent: (host) a connect was made in this turn. retrying: the service could not take it yet; begun: when the first was made. */
struct conn {
    struct channel *channel;
    unsigned char *tx, *rx; /* CONFIG_BUFFER_SIZE and CONN_RX bytes */
    struct link link;
    int fd, error;
    bool connecting, shut_due, shut, slow, greeted, spent, retrying, moved;
    unsigned todo, filler;
    unsigned head, tail, raw, filled;
    struct frame frame;
    unsigned frame_left, text_bytes;
    long long deadline, since, begun, draining;
    char text[CONN_TEXT + 1];
    char client[CONN_CLIENT];
};

/* What the two ends do differently. refuses: (host) why c's guest may not have one more connection, or NULL. connect: (host) begin
 * to connect to the service, or once more (retrying); ends in relay_connecting(), relay_refused() or retrying. refused: (host) the
 * connect that was pending, or retrying, is over with this errno; ends likewise. changed: this channel has become free, or its
 * host has come or gone. lost: its fd is closed now, and it carries nothing. slow: (guest) this client has waited
 * CONFIG_MOVE_TIMEOUT for an answer. */
struct conn_role {
    enum link_role role;
    const char *(*refuses)(const struct conn *c);
    void (*connect)(struct conn *c);
    void (*refused)(struct conn *c, int reason);
    void (*changed)(struct channel *ch);
    void (*lost)(struct channel *ch);
    void (*slow)(struct conn *c);
};

/* Once, before all else. */
void conn_init(const struct conn_role *role);

/* A slot with buffers for this channel; one that only refuses (conn_is_spare()) when all are in use. Gives it back. */
struct conn *conn_borrow(struct channel *ch);
void conn_release(struct conn *c);
bool conn_is_spare(const struct conn *c);

/* The connection is over and its frames are out: the slot is as just borrowed, but for bytes that wait in rx. */
void conn_recycle(struct conn *c);

/* The i-th slot, 0..conn_top() - 1, or NULL when it is free. Slots that others than c have, of channels whose name begins with the
 * same n bytes: connections, SYNs that are not complete, and bytes that wait for their turn. */
unsigned conn_top(void);
struct conn *conn_at(unsigned i);
unsigned conn_count(const struct conn *c, size_t n);

/* (host) Why c must not get another connection than it may have now, or NULL. */
const char *conn_refusal(const struct conn *c);

/* No slot is in use: gives back the memory of the buffers. */
void conn_rest(void);

/* Four printable bytes that none of this process's last 78 million connections had. */
void conn_token(unsigned char token[FRAME_TOKEN]);

/* Sets when c is to be looked at, if nothing happens: when link_patience() is over, which begins again if something has moved, or
 * sooner. */
void conn_set_deadline(struct conn *c);

/* Carries out a set of enum link_action. */
void conn_apply(struct conn *c, unsigned actions);

/* The TCP side has failed with errno. */
void conn_failed(struct conn *c);

/* errno says: not now. */
bool conn_transient(void);

/* Payload to the TCP side. True if all of it has gone, so that there may be more. */
bool conn_deliver(struct conn *c);

/* Logs, and keeps for the table, how the connection has ended and why (empty: not known). limit: NULL: the channel's. */
void conn_ended(struct conn *c, struct log_limit *limit, const char *how, const char *why);

#endif
