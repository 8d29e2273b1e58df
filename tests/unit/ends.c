/* SPDX-License-Identifier: Apache-2.0 */
#include "many.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../applets/lib/wire/session.h"

enum { FILLER = 65548, FLOOD = 65535, QUEUE = 400000, HEAD = 14 };

struct app apps[ENDS_MAX];
struct dialog sessions[ENDS_MAX * 2];
struct peer peers[8];
unsigned app_count, session_count, peer_count;
unsigned ends_size;
bool ends_slow, ends_limited;

void ends_start(void) {
    for (unsigned i = 0; i < peer_count; i++)
        free(peers[i].q.data);
    memset(apps, 0, sizeof apps);
    memset(sessions, 0, sizeof sessions);
    memset(peers, 0, sizeof peers);
    app_count = session_count = peer_count = 0;
}

/* ---- streams ---- */

static unsigned char stream_byte(unsigned id, unsigned total, unsigned i) {
    unsigned x = id * 7919 + i;

    if (i < 8)
        return (unsigned char)((i < 4 ? id : total) >> i % 4 * 8);
    x *= 0x9E3779B1u;
    return (unsigned char)(x >> 23);
}

static void stream_fill(unsigned char *p, unsigned id, unsigned total, unsigned from, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        p[i] = stream_byte(id, total, from + i);
}

void ends_fill(unsigned char *p, const struct dialog *s, unsigned n) {
    stream_fill(p, s->id, s->total, s->sent, n);
}

static void sink_take(struct sink *s, const unsigned char *p, unsigned n, const char *whose) {
    for (unsigned i = 0; i < n; i++) {
        if (s->got < 8) {
            s->head[s->got++] = p[i];
            for (unsigned k = 0; s->got == 8 && k < 4; k++) {
                s->id |= (unsigned)s->head[k] << k * 8;
                s->total |= (unsigned)s->head[4 + k] << k * 8;
            }
            continue;
        }
        if (s->got >= s->total || p[i] != stream_byte(s->id, s->total, s->got))
            sim_fail("%s: byte %u of stream %u (%u bytes) is wrong", whose, s->got, s->id,
                     s->total);
        s->got++;
    }
}

void ends_take(struct dialog *s, const unsigned char *p, unsigned n, const char *whose) {
    sink_take(&s->sink, p, n, whose);
}

unsigned ends_some(unsigned n) {
    static const unsigned limits[] = {1, 30, 600, 5000, 40000, 200000};
    unsigned limit = limits[sim_random(6)];

    return 1 + sim_random(n < limit ? n : limit);
}

long long ends_sooner(long long a, long long b) { return a < 0 || (b >= 0 && b < a) ? b : a; }

/* ---- apps ---- */

struct app *app_new(unsigned total, enum app_end end, long long start_at) {
    struct app *a = &apps[app_count++];

    if (app_count > ENDS_MAX)
        sim_fail("the test needs more apps");
    *a = (struct app){.id = app_count, .total = total, .end = end, .start_at = start_at};
    a->stop_at = end == APP_RESET ? sim_random(total + 1) : total;
    a->give_up_at = start_at + 400000 + sim_random(1000000);
    a->f = sim_new(SIM_STREAM, 1 + ends_some(70000), 1 + ends_some(70000));
    return a;
}

struct app *app_by_id(unsigned id) {
    return id && id <= app_count ? &apps[id - 1] : NULL;
}

bool app_over(const struct app *a) {
    return a->taken && a->f->fd < 0 &&
           (a->impatient || a->end == APP_RESET || a->saw_end || a->saw_reset ||
            a->end == APP_CLOSE);
}

static void app_reset(struct app *a) {
    sim_note("app %u resets", a->id);
    a->f->in_reset = a->ended = true;
    a->f->in.n = 0;
}

static bool app_finish(struct app *a) {
    if (a->ended || a->sent < a->stop_at)
        return false;
    if (a->end == APP_WAIT && !a->saw_end)
        return false;
    if (a->end == APP_RESET) {
        app_reset(a);
        return true;
    }
    sim_note("app %u ends", a->id);
    a->f->in_end = a->ended = true;
    a->shut_at = sim_now();
    a->f->deaf = a->end == APP_CLOSE;
    return true;
}

static bool app_write(struct app *a) {
    unsigned char bytes[4096];
    unsigned n = a->f->in.cap - a->f->in.n;

    if (a->ended || a->sent >= a->stop_at || !n || (a->taken && a->f->fd < 0))
        return app_finish(a);
    n = ends_some(n);
    n = n < sizeof bytes ? n : sizeof bytes;
    n = n < a->stop_at - a->sent ? n : a->stop_at - a->sent;
    stream_fill(bytes, a->id, a->total, a->sent, n);
    a->sent += sim_put(&a->f->in, bytes, n);
    return true;
}

static bool app_read(struct app *a) {
    unsigned char bytes[8192];
    unsigned n;

    if (a->f->out_reset && !a->saw_reset) {
        sim_note("app %u is reset", a->id);
        a->reset_at = sim_now();
        return a->saw_reset = true;
    }
    if (a->pause_until > sim_now())
        return false;
    if (!a->f->out.n) {
        if (!a->f->out_end || a->saw_end || a->saw_reset)
            return false;
        sim_note("app %u has the end after %u of %u bytes of session %u", a->id, a->sink.got,
                 a->sink.total, a->sink.id);
        return a->saw_end = true;
    }
    n = ends_some(a->f->out.n);
    n = sim_get(&a->f->out, bytes, n < sizeof bytes ? n : sizeof bytes);
    sink_take(&a->sink, bytes, n, "app");
    if (ends_slow && !sim_random(8))
        a->pause_until = sim_now() + sim_random(400);
    return true;
}

bool app_act(struct app *a) {
    if (!a->started)
        return false;
    if (a->give_up_at <= sim_now() && !a->impatient && !app_over(a)) {
        a->impatient = true;
        app_reset(a);
        return true;
    }
    if (a->f->pending)
        return false;
    return sim_random(2) ? app_write(a) || app_read(a) : app_read(a) || app_write(a);
}

long long app_next(const struct app *a) {
    long long next = -1;

    if (!a->started || app_over(a))
        return -1;
    if (!a->impatient)
        next = a->give_up_at;
    if (a->pause_until > sim_now())
        next = ends_sooner(next, a->pause_until);
    return next;
}

/* ---- the peer's writer ---- */

void peer_send_bytes(struct peer *p, const void *bytes, unsigned n) {
    if (sim_put(&p->q, bytes, n) != n)
        sim_fail("the test's queue is too small");
}

void peer_send(struct peer *p, char ctrl, const struct tokens *t, const void *payload, unsigned n) {
    unsigned char head[HEAD] = {'V', 'S', '1', (unsigned char)ctrl};

    memcpy(head + 4, t, 8);
    head[12] = (unsigned char)(n >> 8);
    head[13] = (unsigned char)n;
    peer_send_bytes(p, head, HEAD);
    peer_send_bytes(p, payload, n);
    sim_note("%s sends %c %.8s, %u", p->name, ctrl, (const char *)t, n);
}

static void send_fill(struct peer *p, char byte, unsigned n) {
    unsigned char bytes[4096];

    memset(bytes, byte, sizeof bytes);
    for (unsigned k; n; n -= k) {
        k = n < sizeof bytes ? n : sizeof bytes;
        peer_send_bytes(p, bytes, k);
    }
}

void peer_token(unsigned char *token) {
    for (int i = 0; i < 4; i++)
        token[i] = (unsigned char)(33 + sim_random(94));
}

static void random_text(char *text, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        text[i] = (char)(sim_random(10) ? 32 + sim_random(95) : sim_random(256));
}

/* Everything of the session that is still wanted has been said. */
static void leave(struct peer *p) {
    sim_note("%s: session %u is over", p->name, p->s->id);
    p->s->said_at = p->q.total;
    p->s = NULL;
    p->state = PEER_IDLE;
    p->act_at = sim_now() + sim_random(40);
}

unsigned peer_reason(char *text) {
    unsigned n = sim_random(3) ? 0 : sim_random(sim_random(9) ? 60 : 600);

    random_text(text, n);
    return n;
}

static void send_reset(struct peer *p, const struct tokens *t) {
    char text[600];

    peer_send(p, 'H', t, text, peer_reason(text));
    p->s->sent_reset = true;
    p->s->reset_at = sim_now();
    leave(p);
}

/* ---- sessions ---- */

struct dialog *peer_dialog(struct peer *p) {
    static const enum plan rare[] = {PLAN_RESET,  PLAN_VIOLATE, PLAN_MUTE,
                                     PLAN_SILENT, PLAN_REFUSE,  PLAN_WRONG};
    struct dialog *s = &sessions[session_count++];

    if (session_count > ENDS_MAX * 2)
        sim_fail("the test needs more sessions");
    *s = (struct dialog){.id = 1000 + session_count, .peer = p};
    s->total = sim_random(6) ? 8 + sim_random(sim_random(4) ? 300 : ends_size) : 0;
    s->plan = sim_random(3) ? PLAN_CLEAN : rare[sim_random(6)];
    s->at = sim_random(s->total + 1);
    s->give_up_at = sim_now() + 450000 + sim_random(900000);
    return s;
}

static struct dialog *peer_new_session(struct peer *p) { return p->s = peer_dialog(p); }

static void violate(struct peer *p) {
    struct dialog *s = p->s;
    struct tokens wrong = s->tokens, own;
    char junk[400];
    unsigned n = 1 + sim_random(sizeof junk);

    sim_note("%s violates", p->name);
    s->plan = PLAN_MUTE;
    switch (sim_random(7)) {
    case 0:
        random_text(junk, n);
        junk[0] = 'x';
        peer_send_bytes(p, junk, n);
        break;
    case 1:
        peer_token(sim_random(2) ? wrong.guest : wrong.host);
        peer_send(p, 'D', &wrong, "abc", 3);
        p->stale[p->stale_count++ % 16] = wrong; /* too late, it gets an answer of its own */
        break;
    case 2:
        own = s->tokens;
        peer_send(p, "ABCZ"[sim_random(4)], &own, "E", sim_random(2));
        break;
    case 3:
        if (s->eos) {
            peer_send(p, 'D', &s->tokens, "", 0);
            s->sent_eos = true;
        }
        peer_send(p, 'D', &s->tokens, "", 0);
        break;
    case 4:
        peer_send_bytes(p, "VS2D", 4);
        break;
    case 5:
        peer_send_bytes(p, "V", 1);
        peer_send(p, 'D', &s->tokens, "x", 1);
        break;
    default:
        peer_send(p, 'A', &s->tokens, "", 0);
    }
}

/* One step of an open session: the next DATA, or its end. */
static bool speak(struct peer *p) {
    struct dialog *s = p->s;
    unsigned char bytes[65535];
    unsigned n = s->total - s->sent;
    bool told_all = s->sink.got >= 8 && s->sink.got == s->sink.total;

    if (s->sent_eos || p->q.n > 70000)
        return false;
    if (s->plan != PLAN_CLEAN && s->sent >= s->at) {
        if (s->plan == PLAN_VIOLATE)
            violate(p);
        else if (s->plan == PLAN_RESET)
            send_reset(p, &s->tokens);
        return s->plan == PLAN_RESET || s->plan == PLAN_VIOLATE;
    }
    if (n) {
        if (s->plan != PLAN_CLEAN)
            n = s->at - s->sent;
        n = ends_some(n);
        n = n < 65535 ? n : 65535;
        stream_fill(bytes, s->id, s->total, s->sent, n);
        peer_send(p, 'D', &s->tokens, bytes, n);
        s->sent += n;
        return true;
    }
    if (s->eos) {
        peer_send(p, 'D', &s->tokens, "", 0);
        s->sent_eos = true;
        if (s->got_eos)
            leave(p);
        return true;
    }
    if (!told_all && (s->sink.got || s->last_byte_at + 200 > sim_now()))
        return false; /* version 1: the one who has it all ends it */
    send_reset(p, &s->tokens);
    return true;
}

/* (host) The answer to a SYN. */
static void reply(struct peer *p) {
    struct dialog *s = p->s;
    struct tokens t = s->tokens;
    char text[16];

    if (s->plan == PLAN_REFUSE) {
        memset(&t, 'R', sizeof t);
        if (p->level)
            memcpy(t.guest, s->tokens.guest, 4);
        send_reset(p, &t);
        p->must_fill = false;
        p->may_fill = true; /* it may have given up by now, or not know whose RRRR this is */
        return;
    }
    if (s->plan == PLAN_WRONG) {
        peer_token(t.guest);
        peer_send(p, "CHDBA"[sim_random(5)], &t, "VVSVS1VS1C", sim_random(11));
        peer_send_bytes(p, "VVSVS1HVS1Cab", sim_random(14));
        peer_send_bytes(p, "\n", 1);
        s->plan = PLAN_CLEAN;
    }
    peer_token(s->tokens.host);
    s->eos = CONFIG_FEATURE_HALF_CLOSE && s->offered && p->level;
    s->offered_many &= p->level == LEVEL_MANY;
    snprintf(text, sizeof text, s->offered_many ? "EM M%u" : "E", p->places);
    peer_send(p, 'C', &s->tokens, text, s->eos ? (unsigned)strlen(text) : 0);
    p->state = PEER_SYN_RCVD;
    p->must_fill = false;
    p->may_fill = true;
}

/* (guest) A SYN, with all that may come before it. */
static void start(struct peer *p) {
    struct dialog *s = peer_new_session(p);
    struct tokens none;
    unsigned offer = p->level ? 1 + sim_random(3) : 0;

    if (s->plan == PLAN_SILENT)
        s->plan = PLAN_CLEAN;
    p->sessions_left--;
    peer_token(s->tokens.guest);
    memset(s->tokens.host, '?', 4);
    if (p->must_fill)
        send_fill(p, p->level ? '1' : 'V', p->level ? FILLER : FLOOD);
    else if (!p->level && !sim_random(3))
        send_fill(p, 'V', FLOOD);
    p->must_fill = false;
    if (!sim_random(12)) { /* a frame of a connection that the host never had */
        none = s->tokens;
        peer_token(none.guest);
        peer_token(none.host);
        peer_send(p, sim_random(2) ? 'D' : 'B', &none, "", 0);
        if (sim_random(2))
            peer_send(p, 'D', &none, "", 0);
        p->stale[p->stale_count++ % 16] = none;
    }
    s->mistaken = p->level == LEVEL_MANY && !sim_random(12);
    p->mistakes += s->mistaken;
    if (p->level == LEVEL_MANY && !s->mistaken)
        peer_send(p, 'H', &(struct tokens){"INIT", "INIT"}, "", 0);
    else if (sim_random(2))
        peer_send(p, 'H', &s->tokens, "", 0);
    peer_send(p, 'A', &s->tokens, p->level == LEVEL_MANY ? "EMx" : "Exy",
              p->level == LEVEL_MANY && offer == 1 ? 2 : offer);
    s->offered = offer > 0;
    s->offered_many = p->level == LEVEL_MANY;
    p->state = PEER_SYN_SENT;
    if (s->plan == PLAN_REFUSE && sim_random(2))
        send_reset(p, &s->tokens); /* gives up at once */
}

/* ---- the peer's reader ---- */

static bool printable(const unsigned char *p, unsigned n, int low) {
    for (unsigned i = 0; i < n; i++)
        if (p[i] < low || p[i] > 126)
            return false;
    return true;
}

static bool same(const struct tokens *a, const struct tokens *b) {
    return !memcmp(a, b, sizeof *a);
}

/* Whether the frame belongs to a session that the peer has ended, and the program had not ended
 * when it sent this. */
bool peer_is_late(const struct peer *p) {
    for (unsigned i = 0; i < session_count; i++) {
        const struct dialog *s = &sessions[i];

        if (s == p->s || s->many != MANY_NOT || memcmp(p->tokens.guest, s->tokens.guest, 4))
            continue;
        if (p->ctrl != 'H' && !s->again && (s->got_reset || (s->got_eos && p->ctrl != 'W')))
            sim_fail("%s: frame %c of session %u after its end", p->name, (int)p->ctrl, s->id);
        return true;
    }
    return false;
}

/* Nobody expects this frame: it belongs to a session that has just ended, or to one of before the
 * host's coming. */
static void stray(struct peer *p) {
    if (peer_is_late(p))
        return;
    if (!p->lenient)
        sim_fail("%s: unexpected frame %c %.8s", p->name, (int)p->ctrl, (const char *)&p->tokens);
    if (p->is_host && p->q.n < 1000)
        peer_send(p, 'H', &p->tokens, "", 0);
}

static void take_reset(struct peer *p) {
    bool own = p->s && !memcmp(p->tokens.guest, p->s->tokens.guest, 4);
    bool init = !memcmp(&p->tokens, "INITINIT", 8);

    if (!printable(p->text, p->text_bytes, 32) || p->length > 255)
        sim_fail("%s: a reason of %u bytes that is not printable", p->name, p->length);
    if (!p->is_host && !p->greeted) {
        if (!init || p->length)
            sim_fail("%s: the host does not begin with RESET INIT", p->name);
        p->greeted = true;
        return;
    }
    if (init && !p->is_host && p->mistakes) {
        p->mistakes--;
        if (p->s && p->s->mistaken) {
            p->s->lost = true;
            leave(p);
        }
        return;
    }
    for (unsigned i = 0; i < 16; i++)
        if (!p->is_host && same(&p->tokens, &p->stale[i])) {
            memset(&p->stale[i], 0, sizeof p->stale[i]); /* once for each pair */
            return;
        }
    if (!p->is_host && !own && !peer_is_late(p) && !p->lenient)
        sim_fail("%s: RESET of a stranger %.8s", p->name, (const char *)&p->tokens);
    if (p->length && !p->is_host && p->s && own && !p->s->offered)
        sim_fail("%s: a reason for one that did not offer", p->name);
    if (p->s && (p->is_host || own)) {
        p->s->got_reset = true;
        sim_note("%s got RESET %.*s", p->name, (int)p->text_bytes, (const char *)p->text);
        leave(p);
        return;
    }
    /* It lingered, and has ended before the peer's own RESET, or what came before that, was read.
     */
    for (unsigned i = 0; i < session_count; i++)
        sessions[i].got_reset |=
            p->is_host && !sessions[i].eos && same(&p->tokens, &sessions[i].tokens);
}

static void take_syn(struct peer *p) {
    struct dialog *s;
    bool late = !sim_random(12);

    if (p->s || !p->after_reset || memcmp(p->tokens.host, "????", 4))
        sim_fail("%s: a SYN that does not come right after a RESET", p->name);
    if (p->filler ? !p->must_fill && !p->may_fill : p->must_fill && !p->may_fill)
        sim_fail("%s: %u bytes of filler before a SYN, though it is %saligned", p->name, p->filler,
                 p->must_fill ? "not " : "");
    if (p->filler && p->filler < FILLER && !p->renewed)
        sim_fail("%s: %u bytes of filler are too few", p->name, p->filler);
    for (unsigned i = 0; i < session_count; i++)
        if (!memcmp(sessions[i].tokens.guest, p->tokens.guest, 4))
            sim_fail("%s: a guest token is used again", p->name);
    if (p->length != strlen(session_capabilities) ||
        memcmp(p->text, session_capabilities, p->length))
        sim_fail("%s: a SYN with %u bytes of capabilities", p->name, p->length);
    s = peer_new_session(p);
    s->tokens = p->tokens;
    s->offered = p->length > 0;
    s->offered_many = CONFIG_FEATURE_MANY;
    p->may_fill = p->renewed;
    p->lenient =
        p->f->in.total - p->f->in.n < p->init_at; /* it will know only then that this host is new */
    p->must_fill = true;                          /* until it is answered */
    p->filler = 0;
    p->state = PEER_REPLYING;
    p->act_at = sim_now() + (late ? sim_random(4000) : sim_random(100));
    if (s->plan == PLAN_SILENT)
        p->act_at = -1;
}

static void take_synack(struct peer *p) {
    struct dialog *s = p->s;
    struct tokens wrong;

    if (p->is_host || !s || p->state != PEER_SYN_SENT ||
        memcmp(s->tokens.guest, p->tokens.guest, 4)) {
        if (!p->is_host && peer_is_late(p))
            return;
        sim_fail("%s: unexpected SYNACK", p->name);
    }
    s->offered_many &= CONFIG_FEATURE_MANY;
    if (p->length && (!s->offered || p->text[0] != 'E' || !CONFIG_FEATURE_HALF_CLOSE ||
                      (p->length > 1) != s->offered_many))
        sim_fail("%s: a SYNACK with %u bytes", p->name, p->length);
    s->tokens = p->tokens;
    s->eos = p->length > 0;
    if (s->plan == PLAN_REFUSE) {
        send_reset(p, &s->tokens);
        return;
    }
    p->state = PEER_OPEN;
    s->opened = true;
    s->last_byte_at = sim_now();
    if (s->plan == PLAN_WRONG) {
        s->plan = PLAN_MUTE;
        s->at = 0;
        wrong = s->tokens;
        peer_token(wrong.host);
        peer_send(p, "ADB"[sim_random(3)], &wrong, "", 0);
        p->stale[p->stale_count++ % 16] = wrong;
        return;
    }
    peer_send(p, 'B', &s->tokens, "", 0);
    if (s->offered_many)
        many_begin(p);
}

static void take_data(struct peer *p) {
    struct dialog *s = p->s;

    if (!s || !same(&s->tokens, &p->tokens)) {
        stray(p);
        return;
    }
    if (p->state != PEER_OPEN || s->got_eos)
        sim_fail("%s: DATA in state %d", p->name, p->state);
    if (p->length)
        return;
    if (!s->eos)
        sim_fail("%s: DATA of length 0, which was not agreed", p->name);
    s->got_eos = true;
    sim_note("%s got the end of stream", p->name);
    if (s->sent_eos)
        leave(p);
}

static void take_ack(struct peer *p) {
    if (!p->s || !same(&p->s->tokens, &p->tokens)) {
        stray(p);
        return;
    }
    if (!p->is_host || p->state != PEER_SYN_RCVD || p->length)
        sim_fail("%s: ACK in state %d", p->name, p->state);
    p->state = PEER_OPEN;
    p->s->opened = true;
    p->s->last_byte_at = sim_now();
    p->may_fill = p->renewed = false;
    if (p->s->offered_many)
        many_begin(p);
}

/* (a host that shares no more, or an original that has come unseen) The program may still
 * believe in a shared channel: nothing is heard until it begins anew. (guest) Nor until it
 * answers the SYN. */
static bool is_deaf(struct peer *p) {
    bool init = p->ctrl == 'H' && !memcmp(&p->tokens, "INITINIT", 8);

    if (!p->deaf)
        return false;
    if (p->is_host)
        p->deaf = !init;
    else
        p->deaf = !p->s || memcmp(p->tokens.guest, p->s->tokens.guest, 4) != 0;
    if (p->deaf && p->is_host && p->ctrl == 'A' && p->level == LEVEL_MANY && p->q.n < 1000) {
        peer_send(p, 'H', &(struct tokens){"INIT", "INIT"}, "", 0);
        p->renewed = true;
    }
    return p->deaf || init;
}

/* A frame is complete; of DATA, its header. */
static void take_frame(struct peer *p) {
    sim_note("%s gets %c %.8s, %u", p->name, (int)p->ctrl, (const char *)&p->tokens, p->length);
    if (!printable(p->tokens.guest, 8, 33))
        sim_fail("%s: tokens that are not printable", p->name);
    if (p->shared) {
        many_frame(p);
        return;
    }
    p->after_init = p->ctrl == 'A' && p->after_reset && p->after_init;
    if (is_deaf(p)) {
        p->after_reset = p->after_init = p->ctrl == 'H' && !p->deaf;
        return;
    }
    if (p->filler && !p->lenient && p->ctrl != 'H' &&
        p->ctrl != 'A') /* lenient: it may be the end of a frame for the host before */
        sim_fail("%s: filler before %c", p->name, (int)p->ctrl);
    if (!p->is_host && !p->greeted && p->ctrl != 'H')
        sim_fail("%s: the host does not begin with RESET INIT", p->name);
    if (p->ctrl == 'H')
        take_reset(p);
    else if (p->ctrl == 'A' && p->is_host)
        take_syn(p);
    else if (p->ctrl == 'B')
        take_ack(p);
    else if (p->ctrl == 'C')
        take_synack(p);
    else if (p->ctrl == 'D')
        take_data(p);
    else if (p->ctrl != 'W' || (!p->lenient && !peer_is_late(p)))
        sim_fail("%s: a frame with ctrl %#x", p->name, p->ctrl);
    p->after_reset = p->ctrl == 'H';
    p->after_init = p->after_reset && !memcmp(&p->tokens, "INITINIT", 8);
}

static void take_payload(struct peer *p, const unsigned char *bytes, unsigned n) {
    struct dialog *s = p->s;

    if (p->shared && p->ctrl == 'D') {
        many_payload(p, bytes, n);
        return;
    }
    if (p->ctrl == 'D') {
        if (s && p->state == PEER_OPEN && same(&s->tokens, &p->tokens)) {
            sink_take(&s->sink, bytes, n, p->name);
            s->last_byte_at = sim_now();
        }
        return;
    }
    for (unsigned i = 0; i < n && p->text_bytes < sizeof p->text; i++)
        p->text[p->text_bytes++] = bytes[i];
}

static void take_header(struct peer *p) {
    p->ctrl = p->head[3];
    memcpy(&p->tokens, p->head + 4, 8);
    p->length = p->left = (unsigned)p->head[12] << 8 | p->head[13];
    p->have = p->text_bytes = 0;
    if (p->ctrl == 'D' || !p->left)
        take_frame(p);
}

/* Whether a frame can begin with the bytes in head. Among bytes that may be the rest of anything
 * (lenient), one of no known kind is none. */
static bool may_begin(const struct peer *p) {
    if (memcmp(p->head, "VS1", p->have < 3 ? p->have : 3) != 0)
        return false;
    return !p->lenient || p->have < 4 || memchr("ABCDHW", p->head[3], 6);
}

static void take_byte(struct peer *p, unsigned char byte) {
    if (!p->have && byte == '1' && p->is_host) {
        p->filler++;
        p->after_reset = false;
        return;
    }
    p->head[p->have++] = byte;
    while (p->have && !may_begin(p)) {
        if (!p->lenient)
            sim_fail("%s: byte %#x where a frame must begin", p->name, byte);
        memmove(p->head, p->head + 1, --p->have);
        p->filler = 0;
    }
    if (p->have == HEAD)
        take_header(p);
}

static void take_bytes(struct peer *p, const unsigned char *bytes, unsigned n) {
    while (n) {
        unsigned used = n < p->left ? n : p->left;

        if (!used) {
            take_byte(p, *bytes++);
            n--;
            continue;
        }
        take_payload(p, bytes, used);
        bytes += used;
        n -= used;
        p->left -= used;
        if (!p->left && p->ctrl != 'D')
            take_frame(p);
    }
}

/* ---- the peer ---- */

static enum level random_level(void) {
    static const enum level levels[] = {LEVEL_ORIGINAL, LEVEL_EOS, LEVEL_MANY, LEVEL_MANY};

    return levels[sim_random(4)];
}

struct peer *peer_new(bool is_host, const char *name) {
    struct peer *p = &peers[peer_count++];

    *p = (struct peer){.is_host = is_host};
    strncpy(p->name, name, sizeof p->name - 1);
    p->q.cap = QUEUE;
    p->q.data = malloc(QUEUE);
    p->level = random_level();
    p->places = 1 + sim_random(MANY_AT_ONCE);
    return p;
}

/* The channel has a new byte stream. opened: the program has opened it anew, the peer was there
 * before. */
void peer_attach(struct peer *p, struct sim_file *f, bool opened) {
    sim_note("%s: %s", p->name, opened ? "opened" : "attached");
    p->f = f;
    p->attached = true;
    p->deaf &= p->is_host && !opened;
    if (!opened && !sim_random(3))
        p->level = random_level(); /* another program */
    p->have = p->left = p->filler = 0;
    p->greeted = false;
    p->after_reset = !opened; /* a host that has just come is in LISTEN: the RESET may have gone
                                 with the one before */
    p->lenient = p->is_host && !opened;
    p->must_fill = p->is_host ? opened : true;
    p->may_fill = !opened;
    p->init_at = 0;
    p->renewed = !opened;
    if (p->is_host && !opened) {
        peer_send(p, 'H', &(struct tokens){"INIT", "INIT"}, "", 0);
        p->init_at = f->in.total + HEAD;
    }
}

/* The channel's byte stream is gone. */
void peer_detach(struct peer *p) {
    unsigned long long taken = p->q.total - p->q.n - p->f->in.n;

    sim_note("%s: detached", p->name);
    p->attached = false;
    for (unsigned i = 0; i < session_count; i++)
        if (sessions[i].peer == p && sessions[i].said_at > taken)
            sessions[i].lost = true; /* perhaps: more than one may wait behind a slow app */
    p->q.n = p->left = p->have = 0;
    if (p->shared)
        many_end(p, p->is_host); /* what is on its way may come to the next one */
    if (!p->s)
        return;
    p->s->lost = true;
    leave(p);
}

static bool peer_read(struct peer *p) {
    unsigned char bytes[8192];
    unsigned n;

    if (!p->f->out.n || p->pause_until > sim_now())
        return false;
    n = ends_some(p->f->out.n);
    n = sim_get(&p->f->out, bytes, n < sizeof bytes ? n : sizeof bytes);
    take_bytes(p, bytes, n);
    if (ends_slow && !sim_random(10))
        p->pause_until = sim_now() + sim_random(400);
    return true;
}

void peer_drain(struct peer *p) {
    for (; p->f && p->attached && p->f->out.n; peer_read(p))
        p->pause_until = 0;
}

static bool peer_write(struct peer *p) {
    unsigned char bytes[4096];
    unsigned n = p->f->in.cap - p->f->in.n;

    if (!p->q.n || !n || p->f->out_reset || p->f->chunk_count == SIM_CHUNKS)
        return false;
    if (p->f->kind != SIM_PORT ||
        sim_random(2)) /* else a whole buffer of the port, if there is as much */
        n = ends_some(n);
    n = n < sizeof bytes ? n : sizeof bytes;
    if (p->f->in.total < p->init_at) { /* the greeting goes in one piece, alone */
        if (p->f->in.cap - p->f->in.n < HEAD)
            return false;
        n = HEAD;
    }
    n = sim_get(&p->q, bytes, n);
    sim_put(&p->f->in, bytes, n);
    if (p->f->kind == SIM_PORT)
        sim_chunk(p->f, n);
    return true;
}

static bool peer_step(struct peer *p) {
    struct dialog *s = p->s;

    if (p->shared)
        return many_step(p);
    if (s && s->give_up_at <= sim_now()) {
        s->impatient = true;
        send_reset(p, &s->tokens);
        return true;
    }
    if (p->state == PEER_REPLYING && p->act_at >= 0 && p->act_at <= sim_now()) {
        reply(p);
        return true;
    }
    if (p->state == PEER_IDLE && !p->is_host && p->sessions_left && p->act_at <= sim_now() &&
        p->q.n < 1000) {
        start(p);
        return true;
    }
    return p->state == PEER_OPEN && speak(p);
}

bool peer_act(struct peer *p) {
    if (!p->attached || !p->f)
        return false;
    switch (sim_random(3)) {
    case 0:
        return peer_read(p) || peer_write(p) || peer_step(p);
    case 1:
        return peer_write(p) || peer_step(p) || peer_read(p);
    default:
        return peer_step(p) || peer_read(p) || peer_write(p);
    }
}

long long peer_next(const struct peer *p) {
    long long next = -1;

    if (!p->attached)
        return -1;
    if (p->shared)
        next = many_next(p);
    if (p->s)
        next = p->s->give_up_at;
    if (p->pause_until > sim_now())
        next = ends_sooner(next, p->pause_until);
    if (p->act_at > sim_now() &&
        (p->state == PEER_REPLYING ||
         (p->state == PEER_IDLE && !p->shared && !p->is_host && p->sessions_left)))
        next = ends_sooner(next, p->act_at);
    if (p->state == PEER_OPEN && !p->s->eos && p->s->last_byte_at + 200 > sim_now())
        next = ends_sooner(next, p->s->last_byte_at + 200);
    return next;
}

/* ---- the end ---- */

enum { ABORT_MAX = 5000 }; /* ms in which a TCP peer must take what came before an abort */

/* A clean session and its app: nothing may be missing. vios-protocol(7), common rule 2. */
static void check_pair(const struct dialog *s, const struct app *a) {
    bool patient = !s->impatient && !a->impatient,
         polite = a->end == APP_HALF || a->end == APP_WAIT;

    if (a->sink.id && s->sink.id && (a->sink.id != s->id || s->sink.id != a->id))
        sim_fail("session %u carries app %u, but app %u has session %u", s->id, s->sink.id, a->id,
                 a->sink.id);
    if (a->end == APP_RESET && s->got_eos)
        sim_fail("session %u got the end of stream of app %u, which was reset", s->id, a->id);
    if (s->lost || !s->opened || !patient || !polite)
        return;
    if (s->eos && a->saw_reset && a->reset_at - s->reset_at >= ABORT_MAX)
        return; /* it has read too slowly for an abort */
    if (s->plan == PLAN_RESET && s->sent_reset && !s->got_reset && !ends_limited &&
        a->f->out.total != s->sent)
        sim_fail("session %u: %llu bytes delivered of %u that came before a RESET", s->id,
                 a->f->out.total, s->sent);
    if (s->plan == PLAN_RESET && s->sent_reset && s->eos && !a->saw_reset)
        sim_fail("session %u was aborted by RESET, and app %u saw no reset", s->id, a->id);
    if (s->plan != PLAN_CLEAN ||
        (!s->eos && (s->got_reset || s->sink.got != a->total || ends_slow)))
        return; /* version 1 ends when a side has been quiet: not all may have come */
    if (a->saw_reset)
        sim_fail("session %u: app %u was reset without cause", s->id, a->id);
    if (a->sink.got != s->total)
        sim_fail("session %u: app %u has %u bytes of %u", s->id, a->id, a->sink.got, s->total);
    if (s->eos && (s->got_reset || s->sink.got != a->total))
        sim_fail("session %u: %u bytes of %u of app %u%s", s->id, s->sink.got, a->total, a->id,
                 s->got_reset ? ", RESET" : "");
}

void ends_check(bool stopped, bool hurried) {
    bool due[8]; /* a program that is stopped owes a RESET to those that were open then */

    for (unsigned i = 0; i < peer_count; i++) {
        struct peer *p = &peers[i];

        due[i] =
            !stopped || p->shared || (p->state == PEER_OPEN && !(p->s->got_eos && p->s->sent_eos));
        peer_drain(p);
        due[i] &= !hurried ||
                  (!p->have &&
                   !p->left); /* it may have been in the midst of a frame when its time was over */
    }
    for (unsigned i = 0; i < peer_count; i++)
        if (peers[i].s && peers[i].attached && due[i])
            sim_fail("%s: session %u has lost its RESET", peers[i].name, peers[i].s->id);
    for (unsigned i = 0; i < peer_count; i++) {
        const struct dialog *d = many_unended(&peers[i], stopped);

        if (d && peers[i].attached && due[i])
            sim_fail("%s: session %u has no end", peers[i].name, d->id);
    }
    for (unsigned i = 0; i < app_count; i++) {
        while (app_act(&apps[i]))
            continue;
        if (!stopped && apps[i].started && apps[i].taken && apps[i].f->fd >= 0)
            sim_fail("app %u is still connected", apps[i].id);
    }
    for (unsigned i = 0; i < session_count && !stopped; i++) {
        const struct dialog *s = &sessions[i];
        const struct app *a = app_by_id(s->sink.id);

        for (unsigned k = 0; k < app_count && !a; k++)
            if (apps[k].sink.id == s->id)
                a = &apps[k];
        if (a)
            check_pair(s, a);
    }
}
