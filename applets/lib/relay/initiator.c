/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/initiator.h"

#include "base/fmt.h"
#include "base/loop.h"
#include "relay/relay.h"
#include "wire/token.h"

enum { HANDSHAKE = CONFIG_HANDSHAKE_TIMEOUT * 1000 };

static unsigned turn; /* of the last connection */

bool initiator_is_late(const struct conn *c) {
    return session_is_asking(&c->session) && loop_now() - c->begun >= CONFIG_MOVE_TIMEOUT;
}

/* Once it is late, the review may find another channel for the client. */
static void await_answer(struct conn *c) {
    bool late = initiator_is_late(c);
    long long end = late ? c->since + HANDSHAKE : c->begun + CONFIG_MOVE_TIMEOUT;

    conn_await(c, CONN_ANSWER, (long)(end - loop_now()));
    if (late)
        channel_mark(c->channel);
}

static void send_syn(struct conn *c, bool first) {
    unsigned char token[FRAME_TOKEN];

    token_new(token);
    conn_apply(c, session_open(&c->session, token, first));
    await_answer(c);
}

void initiator_open(struct channel *ch, int fd, const char *client, long long since) {
    struct conn *c = conn_new(ch, SESSION_GUEST);

    c->fd = fd;
    c->since = since;
    c->begun = loop_now();
    fmt_copy(c->client, sizeof c->client, client);
    c->filler = ch->end.aligned ? 0 : FRAME_FILLER_BYTES;
    ch->used = ++turn;
    ch->connections++;
    send_syn(c, !ch->silent);
    relay_pump(ch);
}

int initiator_take(struct conn *c) {
    struct channel *ch = c->channel;
    int fd = c->fd;

    loop_watch(fd, 0, NULL, NULL);
    c->fd = -1;
    conn_apply(c, session_event(&c->session, SESSION_REFUSED, NULL));
    relay_pump(ch);
    return fd;
}

void initiator_finish(struct conn *c) {
    conn_timeout(c);
    relay_pump(c->channel);
}

/* What comes without a connection, or after its RESET, is read to see the host go. */
static bool hears(const struct channel *ch) {
    (void)ch;
    return true;
}

/* Another SYN: the one before may not have reached the host that is there now, since QEMU drops
 * what waits when a host goes. vios-protocol(7), guest rule 5. */
static void syn_again(struct conn *c) {
    channel_skip_frame(c->channel);
    c->filler = c->channel->end.aligned ? 0 : c->filler;
    send_syn(c, c->session.first);
}

static void attached(struct conn *c) {
    if (session_is_asking(&c->session))
        syn_again(c);
}

static void expired(struct conn *c) {
    if (c->wait == CONN_GREETED && !c->channel->end.attached)
        conn_lost(c); /* no other host has come */
    else if (c->wait == CONN_GREETED)
        syn_again(c);
    else if (c->wait == CONN_ANSWER && loop_now() - c->since < HANDSHAKE)
        await_answer(c);
    else
        conn_timeout(c);
}

static void finished(struct conn *c) {
    channel_rewind(c->channel);
    if (!c->session.answered)
        channel_unanswered(c->channel);
}

/* Another client may be waiting for a channel whose connection lingers. */
static void pumped(struct channel *ch) {
    if (ch->conns && session_lingers(&ch->conns->session))
        channel_mark(ch);
}

const struct role initiator = {
    .session = SESSION_GUEST,
    .busy = CONFIG_GUEST_CHANNELS,
    .hears = hears,
    .stray = channel_skip_input,
    .attached = attached,
    .expired = expired,
    .finished = finished,
    .pumped = pumped,
};
