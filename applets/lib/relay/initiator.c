/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/initiator.h"

#include <unistd.h>

#include "base/fmt.h"
#include "base/loop.h"
#include "relay/guard.h"
#include "relay/relay.h"
#include "relay/share.h"
#include "wire/token.h"

enum { HANDSHAKE = CONFIG_HANDSHAKE_TIMEOUT * 1000 };

static unsigned turn; /* of the last connection */
static long ms_of_host = HANDSHAKE;

/* How long a client waits for the answer to its SYN. Only a host, which never sees whether the
 * guest's program is there, has an option for it. */
#define PATIENCE (CONFIG_VIOS_PROXY_HOST && CONFIG_FEATURE_INWARD ? ms_of_host : HANDSHAKE)

void initiator_init(long patience) { ms_of_host = patience; }

void initiator_greet(struct channel *ch) {
    if (ch->end.port)
        endpoint_note(&ch->end, FRAME_RESET, &session_greeting, "");
}

bool initiator_is_late(const struct conn *c) {
    return session_is_asking(&c->session) && !session_is_shared(&c->session) &&
           loop_now() - c->begun >= CONFIG_MOVE_TIMEOUT;
}

/* Once it is late, the review may find another channel for the client. */
static void await_answer(struct conn *c) {
    bool late = initiator_is_late(c);
    long long end = c->since + PATIENCE;

    if (!late && end > c->begun + CONFIG_MOVE_TIMEOUT)
        end = c->begun + CONFIG_MOVE_TIMEOUT;
    conn_await(c, CONN_ANSWER, (long)(end - loop_now()));
    if (late)
        channel_mark(c->channel);
}

static void send_syn(struct conn *c, bool first) {
    unsigned char token[FRAME_TOKEN];

    token_new(token);
    conn_apply(c, session_open(&c->session, token, c->session.name, first));
    await_answer(c);
}

/* One more of a shared channel: its first bytes go with the SYN. vios-protocol(7), sharing rule 2.
 */
static void send_syn_shared(struct conn *c) {
    unsigned char token[FRAME_TOKEN];

    token_new(token);
    conn_apply(c, session_open_shared(&c->session, token, c->session.name));
    conn_share(c);
    c->readable = true;
    conn_await(c, CONN_ANSWER, PATIENCE < HANDSHAKE ? PATIENCE : HANDSHAKE);
}

/* On a shared channel its data goes with the SYN. vios-protocol(7), service rule 4. */
static bool is_unknown(const struct channel *ch, const char *name) {
    return CONFIG_FEATURE_SERVICES && name && channel_is_shared(ch) && !ch->services;
}

void initiator_open(struct channel *ch, int fd, const char *client, const char *name,
                    long long since) {
    struct conn *c;

    if (is_unknown(ch, name)) {
        channel_ended(ch, NULL, client, "refused", session_nameless);
        close(fd);
        return;
    }
    c = conn_new(ch, SESSION_GUEST);
    c->fd = fd;
    c->session.name = name;
    c->since = since;
    c->begun = loop_now();
    fmt_copy(c->client, sizeof c->client, client);
    ch->used = ++turn;
    ch->connections++;
    if (channel_is_shared(ch)) {
        send_syn_shared(c);
    } else {
        c->filler = ch->end.aligned ? 0 : FRAME_FILLER_BYTES;
        send_syn(c, !ch->silent);
    }
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

/* What comes without a connection, or after its RESET, is read to see the host go, or the other
 * side's program come. */
static bool hears(const struct channel *ch) {
    (void)ch;
    return true;
}

/* Whatever it says, it is there. vios-protocol(7), direction rule 2. */
static void note_presence(struct channel *ch) {
    if (!ch->silent)
        return;
    ch->silent = false;
    channel_mark(ch);
}

/* Headers that are looked at of what is read at once. Once the other side is known to be there, one
 * will do. */
enum { LOOKS = 64 };

static void stray(struct channel *ch) {
    struct input *in = ch->in;
    enum frame_event event;
    struct frame f;
    size_t used;

    if (ch->looks >= (ch->silent ? LOOKS : 1)) {
        channel_skip_input(ch);
        return;
    }
    channel_skip_frame(ch);
    event = frame_hunt(&ch->decoder, in->bytes + in->raw, in->filled - in->raw, &used, &f, "ACH");
    in->raw += (unsigned)used;
    if (event != FRAME_BEGIN)
        return;
    frame_reject(&ch->decoder);
    ch->looks++;
    if (f.ctrl == FRAME_SYN)
        role_is_taken(ch);
    else
        note_presence(ch);
}

/* Another SYN: the one before may not have reached the host that is there now, since QEMU drops
 * what waits when a host goes. vios-protocol(7), guest rule 5. */
static void syn_again(struct conn *c) {
    channel_skip_frame(c->channel);
    c->filler = c->channel->end.aligned ? 0 : c->filler;
    send_syn(c, c->session.first);
}

static void attached(struct channel *ch) {
    struct conn *c = conn_current(ch);

    if (c && session_is_asking(&c->session))
        syn_again(c);
}

/* The SYN of a shared channel has had no answer: vios-protocol(7), sharing rule 7. One that is not
 * even written says nothing of the others. Or it was void, and the client has found no place. */
static void expired_shared(struct conn *c) {
    struct channel *ch = c->channel;
    long left = (long)(c->since + PATIENCE - loop_now());
    bool written = !(c->due & SESSION_SEND_SYN);

    if (!conn_is_apart(c)) {
        conn_timeout(c);
        if (!written || PATIENCE < HANDSHAKE) /* a slow service may yet answer others */
            return;
        channel_unanswered(ch);
        share_end(ch, true, "no answer to another client");
    } else if (ch->end.attached && left > 0) {
        conn_await(c, CONN_GREETED, left);
    } else {
        conn_lost(c, NULL);
    }
}

static void expired(struct conn *c) {
    if (session_is_shared(&c->session) && session_is_asking(&c->session))
        expired_shared(c);
    else if (c->wait == CONN_GREETED && !c->channel->end.attached)
        conn_lost(c, NULL); /* no other host has come */
    else if (c->wait == CONN_GREETED)
        syn_again(c);
    else if (c->wait == CONN_ANSWER && loop_now() - c->since < PATIENCE)
        await_answer(c);
    else
        conn_timeout(c);
}

static void finished(struct conn *c) {
    if (session_is_shared(&c->session))
        return;
    channel_rewind(c->channel);
    if (!c->session.answered)
        channel_unanswered(c->channel);
}

static void came(struct channel *ch, size_t n) {
    if (!channel_guest(ch))
        return;
    guard_came(ch, n);
    ch->spent = false;
}

static void junk(struct channel *ch, size_t n) {
    if (channel_guest(ch))
        guard_junk(ch, n);
}

/* Another client may be waiting for a channel whose connection lingers. */
static void pumped(struct channel *ch) {
    if (conn_current(ch) && session_lingers(&conn_current(ch)->session))
        channel_mark(ch);
    if (channel_guest(ch))
        channel_hush(ch);
}

const struct role initiator = {
    .session = SESSION_GUEST,
    .hears = hears,
    .stray = CONFIG_FEATURE_INWARD ? stray : channel_skip_input,
    .came = came,
    .junk = junk,
    .attached = attached,
    .expired = expired,
    .finished = finished,
    .pumped = pumped,
};
