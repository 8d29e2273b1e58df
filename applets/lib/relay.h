/* SPDX-License-Identifier: Apache-2.0 */
/* relay: moves the bytes of connections between their channel and their TCP side, as link says. It owns all fds of connections and
 * all buffers.
 *
 *               tx: one frame, being written                rx: [delivered | payload | headers | raw]
 *   TCP side  --> read() behind room for a header --> one write() --> channel
 *   TCP side  <-- write() of the payload <-- headers taken out in place <-- read() until empty or full <-- channel
 *
 * An idle channel has no buffers: it borrows a conn while there is something to read, and keeps it if that is a connection. */
#ifndef VIOS_RELAY_H
#define VIOS_RELAY_H

#include "channel.h"
#include "link.h"

#define RELAY_MAX_GUEST (CONFIG_VIOS_PROXY_GUEST ? CONFIG_GUEST_CHANNELS : 1)
#define RELAY_MAX_HOST (CONFIG_VIOS_PROXY_HOST ? CONFIG_HOST_CONNECTIONS : 1)
#define RELAY_MAX (RELAY_MAX_GUEST > RELAY_MAX_HOST ? RELAY_MAX_GUEST : RELAY_MAX_HOST)

enum { RELAY_TEXT = 255, RELAY_CLIENT = 48 };

/* channel: NULL in a free slot. fd: the TCP side, -1 when there is none (any more). connecting: fd's connect is pending.
 * todo: LINK_SEND_* that are not yet written, nor owed by the channel. filler: bytes of filler to write before the SYN.
 * rx[head..tail) is for the TCP side, rx[raw..filled) not yet looked at; 0 <= head <= tail <= raw <= filled <= BUFFER_SIZE.
 * frame, frame_left, text, text_bytes: a SYN, SYNACK or RESET whose payload is still coming (frame_left > 0).
 * shut_due: shutdown(SHUT_WR) when the payload is delivered; shut: done.
 * deadline: when link_patience() is over, 0: never. since, begun: (guest) when the client came, and to this
 * channel: moving it does not give it more time in all.
 * slow: (guest) the time after which the client may be moved is over. greeted: a host has attached
 * since the SYN, which may not have reached it. suspect: the last look found the port's host absent.
 * spent: (host) a connect was made in this turn. */
struct conn {
    struct channel *channel;
    unsigned char *tx, *rx; /* CONFIG_BUFFER_SIZE bytes each */
    struct link link;
    int fd;
    bool connecting, shut_due, shut, slow, greeted, suspect, spent, moved;
    unsigned todo, filler;
    unsigned head, tail, raw, filled;
    struct frame frame;
    unsigned frame_left, text_bytes;
    long long deadline, since, begun;
    char text[RELAY_TEXT + 1];
    char client[RELAY_CLIENT];
};

/* What the two ends do differently. connect: (host) begin to connect to the service; ends in relay_connecting() or
 * relay_refused(). refused: (host) the pending connect has failed with this errno; ends in relay_refused(). changed: this channel has become free, or its host has come or gone. lost: its fd is closed now, and it carries
 * nothing. slow: (guest) this client has waited CONFIG_MOVE_TIMEOUT for an answer. */
struct relay_role {
    enum link_role role;
    void (*connect)(struct conn *c);
    void (*refused)(struct conn *c, int reason);
    void (*changed)(struct channel *ch);
    void (*lost)(struct channel *ch);
    void (*slow)(struct conn *c);
};

/* Once, before all else. */
void relay_init(const struct relay_role *role);

/* A channel has just been opened: reads what waits, so that it is known whether a host is attached. */
void relay_start(struct channel *ch);

/* (guest) Carries the client fd over the free, attached channel. since: loop_now() when the client came. */
void relay_open(struct channel *ch, int fd, const char *client, long long since);

/* (guest) Takes the client away from a connection in SYN_SENT, and gives that up. The client's fd. */
int relay_take(struct conn *c);

/* (host) The service's fd, connected or (pending) on its way; or why there is none. */
void relay_connecting(struct conn *c, int fd, bool pending);
void relay_refused(struct conn *c, const char *why);

/* Closes a channel whose name has gone, if it carries nothing. */
void relay_drop(struct channel *ch);

/* Milliseconds until relay_tick() has work, -1: none. */
long relay_timeout(void);
void relay_tick(void);

/* Before a long wait: gives back the buffers of connections that have ended. False while there are connections. */
bool relay_rest(void);

/* All connections are told to end: true while frames are still owed. Call again when something was ready. */
bool relay_stop(void);

/* Connections of the channels whose name begins with these n bytes; the i-th slot, 0..relay_top() - 1, or NULL when it is free. */
unsigned relay_count(const char *prefix, size_t n);
unsigned relay_top(void);
struct conn *relay_at(unsigned i);

#endif
