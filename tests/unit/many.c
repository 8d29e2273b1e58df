/* SPDX-License-Identifier: Apache-2.0 */
#include "many.h"

#include <stdio.h>
#include <string.h>

#include "../../applets/lib/relay/window.h"

enum { FIRST_CREDIT = 4096, QUEUE_FULL = 70000, TOKEN = 4, FRAME_MAX = 65535 };

static bool is_on(const struct dialog *d, const struct peer *p) {
    return d->peer == p && d->many != MANY_NOT;
}

unsigned many_count(const struct peer *p) {
    unsigned n = 0;

    for (unsigned i = 0; i < session_count; i++)
        n += is_on(&sessions[i], p);
    return n;
}

static struct dialog *find(const struct peer *p, const void *guest_token) {
    for (unsigned i = 0; i < session_count; i++)
        if (is_on(&sessions[i], p) && !memcmp(sessions[i].tokens.guest, guest_token, TOKEN))
            return &sessions[i];
    return NULL;
}

const struct dialog *many_find(const struct peer *p, const void *guest_token) {
    return find(p, guest_token);
}

static struct dialog *first(const struct peer *p, bool open_only) {
    for (unsigned i = 0; i < session_count; i++)
        if (is_on(&sessions[i], p) && (!open_only || sessions[i].many == MANY_OPEN))
            return &sessions[i];
    return NULL;
}

const struct dialog *many_unended(const struct peer *p, bool open_only) {
    return first(p, open_only);
}

static void join(struct dialog *d, enum many state) {
    d->many = state;
    d->credit = d->granted = FIRST_CREDIT;
    d->opened = state == MANY_OPEN;
    d->last_byte_at = sim_now();
}

void many_begin(struct peer *p) {
    sim_note("%s: shared", p->name);
    p->shared = true;
    p->provoked = false;
    join(p->s, MANY_OPEN);
    p->s->first = true;
    p->s = NULL;
    p->state = PEER_IDLE;
}

/* All that is still wanted of it has been said. */
static void leave(struct peer *p, struct dialog *d) {
    sim_note("%s: session %u is over", p->name, d->id);
    d->said_at = p->q.total;
    d->many = MANY_NOT;
    p->act_at = sim_now() + sim_random(40);
}

void many_end(struct peer *p, bool told) {
    struct dialog *d;

    sim_note("%s: not shared any more", p->name);
    p->shared = false;
    p->mistakes += p->shared_syns; /* the program may have left the sharing before it saw them */
    p->shared_syns = 0;
    p->deaf = told;
    p->must_fill = false;
    p->may_fill = true;
    while ((d = first(p, false)) != NULL) {
        d->lost = true;
        leave(p, d);
    }
}

/* ---- what the peer says ---- */

static void send_reset(struct peer *p, struct dialog *d) {
    char text[600];

    peer_send(p, 'H', &d->tokens, text, peer_reason(text));
    d->sent_reset = true;
    d->reset_at = sim_now();
    leave(p, d);
}

static void send_init(struct peer *p) {
    peer_send(p, 'H', &(struct tokens){"INIT", "INIT"}, "", 0);
    many_end(p, true);
    p->renewed = p->is_host; /* as the program sees it: filler ends the frame that it has begun */
}

static void grant(struct peer *p, struct dialog *d, unsigned more) {
    unsigned char n[4] = {(unsigned char)(more >> 24), (unsigned char)(more >> 16),
                          (unsigned char)(more >> 8), (unsigned char)more};

    peer_send(p, 'W', &d->tokens, n, sizeof n);
    d->granted += more;
}

/* (guest) One more, without a RESET before it. */
static void start(struct peer *p) {
    struct dialog *d = peer_dialog(p);
    bool with = sim_random(5) != 0;

    p->sessions_left--;
    peer_token(d->tokens.guest);
    memset(d->tokens.host, '?', TOKEN);
    p->shared_syns += with;
    peer_send(p, 'A', &d->tokens, with ? "EM Z" : "Ex", with ? 2 + 2 * sim_random(2) : 2);
    join(d, MANY_ASKING);
    d->offered = d->eos = true;
    d->plain = !with;
    if (!with)
        d->plan = PLAN_MUTE;
    d->at = with ? d->at : 0;
    p->act_at = sim_now() + sim_random(30);
}

/* (host) The answer to a SYN. */
static void reply(struct peer *p, struct dialog *d) {
    char text[16];

    if (d->plan == PLAN_REFUSE) {
        send_reset(p, d);
        return;
    }
    peer_token(d->tokens.host);
    snprintf(text, sizeof text, "EM M%u", p->places);
    peer_send(p, 'C', &d->tokens, text, sim_random(2) ? 2 : (unsigned)strlen(text));
    d->many = MANY_OPEN;
    d->opened = true;
}

/* Frames for nobody: the program may answer each with one RESET, and does nothing else. */
static void send_stranger(struct peer *p, struct dialog *d) {
    struct tokens t = d->tokens;

    peer_token(sim_random(2) ? t.guest : t.host);
    if (sim_random(2))
        peer_token(t.guest);
    peer_send(p, "DWCHB"[sim_random(5)], &t, "\0\0\1\1", 4);
    p->stale[p->stale_count++ % 16] = t;
}

/* What ends this connection, and no other. */
static void violate_one(struct peer *p, struct dialog *d) {
    static unsigned char much[FRAME_MAX];
    struct tokens t = d->tokens;

    d->plan = PLAN_MUTE;
    switch (sim_random(p->is_host ? 4 : 5)) {
    case 0:
        peer_send(p, 'W', &d->tokens, "\0\0\0", 4);
        break;
    case 1:
        peer_send(p, 'W', &d->tokens, "\200\0\0", 4);
        break;
    case 2:
        peer_send(p, 'W', &d->tokens, "\0\0\0\1\0", sim_random(2) ? 3 : 5);
        break;
    case 3:
        if ((unsigned)WINDOW_BYTES < FRAME_MAX && d->many == MANY_OPEN)
            peer_send(p, 'D', &d->tokens, much, WINDOW_BYTES + 1);
        else
            peer_send(p, p->is_host ? 'C' : 'B', &d->tokens, "", 0);
        break;
    default:
        memset(t.host, '?', TOKEN);
        d->again = true;
        p->shared_syns++;
        peer_send(p, 'A', &t, "EM", 2);
    }
}

static void violate(struct peer *p, struct dialog *d) {
    char skipped[400];
    unsigned n = 1 + sim_random(sizeof skipped);

    sim_note("%s violates, session %u", p->name, d->id);
    switch (sim_random(8)) {
    case 0:
        send_init(p);
        return;
    case 1:
        memset(skipped, 'x', sizeof skipped);
        peer_send_bytes(p, skipped, n);
        p->provoked = true;
        many_end(p, true);
        return;
    case 2:
    case 3:
        send_stranger(p, d);
        break;
    case 4:
        memset(skipped, 'V', sizeof skipped);
        peer_send(p, sim_random(2) ? 'Z' : 'a', &d->tokens, skipped, n);
        break;
    default:
        violate_one(p, d);
        return;
    }
    d->plan = PLAN_CLEAN;
}

/* The next DATA of it, or its end. */
static bool speak(struct peer *p, struct dialog *d) {
    unsigned char bytes[FRAME_MAX];
    unsigned n = d->total - d->sent;

    if (d->sent_eos || p->q.n > QUEUE_FULL)
        return false;
    if (d->plan != PLAN_CLEAN && d->plan != PLAN_WRONG && d->sent >= d->at) {
        if (d->plan == PLAN_VIOLATE)
            violate(p, d);
        else if (d->plan == PLAN_RESET || d->plan == PLAN_REFUSE)
            send_reset(p, d);
        else
            return false;
        return true;
    }
    if (!n) {
        peer_send(p, 'D', &d->tokens, "", 0);
        d->sent_eos = true;
        if (d->got_eos)
            leave(p, d);
        return true;
    }
    if (d->plan != PLAN_CLEAN && d->plan != PLAN_WRONG)
        n = d->at - d->sent;
    n = n < d->credit ? n : d->credit;
    if (!n)
        return false;
    n = ends_some(n);
    n = n < FRAME_MAX ? n : FRAME_MAX;
    ends_fill(bytes, d, n);
    peer_send(p, 'D', &d->tokens, bytes, n);
    d->sent += n;
    d->credit -= n;
    return true;
}

/* Credit for the program: at the latest when it has none. */
static bool grant_some(struct peer *p, struct dialog *d) {
    if (d->got_eos || d->many == MANY_ANSWERING || (d->granted && sim_random(4)) ||
        d->granted > 300000)
        return false;
    grant(p, d, ends_some(sim_random(2) ? 100 : 200000));
    return true;
}

static bool step(struct peer *p, struct dialog *d) {
    if (d->give_up_at <= sim_now()) {
        d->impatient = true;
        send_reset(p, d);
        return true;
    }
    if (d->many == MANY_ANSWERING) {
        if (d->plan == PLAN_SILENT || d->answer_at > sim_now())
            return false;
        reply(p, d);
        return true;
    }
    return grant_some(p, d) || speak(p, d);
}

bool many_step(struct peer *p) {
    unsigned first = session_count ? sim_random(session_count) : 0;

    if (!p->is_host && p->sessions_left && p->act_at <= sim_now() && p->q.n < 1000 &&
        many_count(p) < MANY_AT_ONCE) {
        start(p);
        return true;
    }
    for (unsigned i = 0; i < session_count; i++) {
        struct dialog *d = &sessions[(first + i) % session_count];

        if (is_on(d, p) && step(p, d))
            return true;
    }
    return false;
}

long long many_next(const struct peer *p) {
    long long next = -1;

    for (unsigned i = 0; i < session_count; i++) {
        const struct dialog *d = &sessions[i];

        if (!is_on(d, p))
            continue;
        next = ends_sooner(next, d->give_up_at);
        if (d->many == MANY_ANSWERING && d->plan != PLAN_SILENT && d->answer_at > sim_now())
            next = ends_sooner(next, d->answer_at);
    }
    if (!p->is_host && p->sessions_left && p->act_at > sim_now())
        next = ends_sooner(next, p->act_at);
    return next;
}

/* ---- what the peer hears ---- */

static void take_syn(struct peer *p) {
    struct dialog *d;

    if (!p->is_host || memcmp(p->tokens.host, "????", TOKEN))
        sim_fail("%s: a SYN with host token %.4s", p->name, (const char *)p->tokens.host);
    for (unsigned i = 0; i < session_count; i++)
        if (!memcmp(sessions[i].tokens.guest, p->tokens.guest, TOKEN))
            sim_fail("%s: a guest token is used again", p->name);
    if (p->length != 3 || memcmp(p->text, "EMS", 3))
        sim_fail("%s: a SYN without M on a shared channel", p->name);
    if (many_count(p) >= p->places)
        sim_fail("%s: more than %u connections", p->name, p->places);
    d = peer_dialog(p);
    d->tokens = p->tokens;
    join(d, MANY_ANSWERING);
    d->offered = d->eos = true;
    d->answer_at = sim_now() + sim_random(sim_random(12) ? 100 : 19000);
}

/* (guest) Whether it may get a RESET as on a channel that is not shared: nothing was, perhaps. */
static bool is_alone(const struct peer *p, const struct dialog *d) {
    return p->provoked && d->plain && d->many == MANY_ASKING;
}

static void take_synack(struct peer *p, struct dialog *d) {
    if (p->is_host || d->many != MANY_ASKING || p->length < 5 || memcmp(p->text, "EM M", 4))
        sim_fail("%s: unexpected SYNACK", p->name);
    d->tokens = p->tokens;
    d->many = MANY_OPEN;
    d->opened = true;
}

static void take_data(struct peer *p, struct dialog *d) {
    if (d->got_eos || (!p->is_host && d->many != MANY_OPEN))
        sim_fail("%s: DATA of session %u after its end, or before its SYNACK", p->name, d->id);
    if (p->length > d->granted)
        sim_fail("%s: %u bytes of session %u, which has credit for %u", p->name, p->length, d->id,
                 d->granted);
    d->granted -= p->length;
    if (p->length)
        return;
    d->got_eos = true;
    sim_note("%s got the end of stream of session %u", p->name, d->id);
    if (d->sent_eos)
        leave(p, d);
}

static void take_window(struct peer *p, struct dialog *d) {
    unsigned more = (unsigned)p->text[0] << 24 | (unsigned)p->text[1] << 16 |
                    (unsigned)p->text[2] << 8 | p->text[3];

    if (p->length != 4 || !more)
        sim_fail("%s: a WINDOW of %u bytes for %u", p->name, p->length, more);
    d->credit += more;
    if (d->credit > WINDOW_BYTES)
        sim_fail("%s: session %u has credit for %u", p->name, d->id, d->credit);
}

static void take_reset(struct peer *p, struct dialog *d) {
    if (!d)
        return;
    sim_note("%s got RESET of session %u: %.*s", p->name, d->id, (int)p->text_bytes,
             (const char *)p->text);
    d->got_reset = true;
    p->provoked |= d->first; /* it may have come before the ACK: then nothing was ever shared */
    leave(p, d);
}

static bool is_stale(struct peer *p) {
    for (unsigned i = 0; i < 16; i++)
        if (!memcmp(&p->stale[i], &p->tokens, sizeof p->tokens))
            return true;
    return false;
}

/* Whether the program must still have it: nothing can have ended it, whatever waits to be read. */
static bool is_certain(const struct dialog *d) {
    const struct app *a = d->sink.id ? app_by_id(d->sink.id) : NULL;

    return d->many == MANY_OPEN && d->plan == PLAN_CLEAN && !d->sent_eos && !d->impatient && a &&
           !a->impatient && (a->end == APP_HALF || a->end == APP_WAIT);
}

/* What waits of a guest that is refused, has no connection and reads nothing, goes. */
static bool may_be_dropped(const struct peer *p) {
    for (unsigned i = 0; i < session_count; i++)
        if (is_on(&sessions[i], p) && is_certain(&sessions[i]))
            return false;
    return ends_limited;
}

static void take_init(struct peer *p) {
    p->provoked |= may_be_dropped(p);
    for (unsigned i = 0; i < session_count; i++)
        p->provoked |= is_on(&sessions[i], p) && sessions[i].plan == PLAN_SILENT;
    if (!p->provoked)
        sim_fail("%s: RESET INIT without cause", p->name);
    many_end(p, false);
}

void many_frame(struct peer *p) {
    struct dialog *d = find(p, p->tokens.guest);

    if (p->filler)
        sim_fail("%s: filler on a shared channel", p->name);
    if (p->ctrl == 'H' && !memcmp(&p->tokens, "INITINIT", 2 * TOKEN)) {
        take_init(p);
        return;
    }
    if (p->ctrl == 'A') {
        take_syn(p);
        return;
    }
    if (d && p->ctrl != 'C' && memcmp(p->tokens.host, "????", TOKEN) &&
        memcmp(p->tokens.host, d->tokens.host, TOKEN) && (p->ctrl != 'H' || !is_alone(p, d)))
        d = NULL;
    if (!d && !peer_is_late(p) && !is_stale(p) &&
        (p->ctrl != 'H' || memcmp(p->tokens.host, "????", TOKEN))) /* its SYN has not gone */
        sim_fail("%s: unexpected frame %c %.8s", p->name, (int)p->ctrl, (const char *)&p->tokens);
    if (!d)
        return;
    if (p->ctrl == 'H')
        take_reset(p, d);
    else if (p->ctrl == 'C')
        take_synack(p, d);
    else if (p->ctrl == 'D')
        take_data(p, d);
    else if (p->ctrl == 'W')
        take_window(p, d);
    else
        sim_fail("%s: a frame with ctrl %#x on a shared channel", p->name, p->ctrl);
}

void many_payload(struct peer *p, const unsigned char *bytes, unsigned n) {
    struct dialog *d = find(p, p->tokens.guest);

    if (!d)
        return;
    ends_take(d, bytes, n, p->name);
    d->last_byte_at = sim_now();
}
