/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/link.h"

#include "linkcheck.h"
#include "unit.h"

enum { SEND_SYN = LINK_SEND_SYN, SYNACK = LINK_SEND_SYNACK, ACK = LINK_SEND_ACK, EOS = LINK_SEND_EOS, RESET = LINK_SEND_RESET };
enum { CONNECT = LINK_CONNECT, DELIVER = LINK_DELIVER, SHUT = LINK_SHUT, CLOSE = LINK_CLOSE, ABORT = LINK_ABORT };

/* Where a link is before an event; E: agreed; S, G: end of stream sent, got. */
enum before { IDLE, SYN_SENT, CONNECTING, SYN_RCVD, OPEN, OPEN_E, OPEN_ES, OPEN_EG, OPEN_S, CLOSING_ORDERLY, CLOSING_ABORT, ENDED };
static const char *const before_names[] = {"idle", "syn-sent", "connecting", "syn-rcvd", "open", "open-E", "open-E-sent", "open-E-got",
                                           "open-sent", "closing-orderly", "closing-abort", "over"};

static const unsigned char G[4] = {'g', 'u', 'e', 's'}, H[4] = {'h', 'o', 's', 't'};

static struct frame make(char ctrl, const void *guest, const void *host, unsigned length) {
    struct frame f = {.ctrl = (unsigned char)ctrl, .length = length};

    memcpy(f.tokens.guest, guest, 4);
    memcpy(f.tokens.host, host, 4);
    return f;
}

static void frame_to(struct link *l, char ctrl, const void *guest, const void *host, const char *text) {
    struct frame f = make(ctrl, guest, host, (unsigned)strlen(text));

    link_frame(l, &f, text, f.length);
}

static struct link bring(enum link_role role, enum before b) {
    struct link l = {.role = (unsigned char)role};
    bool eos = b >= OPEN_E && b <= OPEN_EG;

    if (b == IDLE)
        return l;
    if (role == LINK_GUEST)
        link_open(&l, G, true);
    else
        frame_to(&l, 'A', G, "????", eos ? "E" : "");
    if (b <= CONNECTING)
        return l;
    if (role == LINK_GUEST)
        frame_to(&l, 'C', G, H, eos ? "E" : "");
    else
        link_connected(&l, H);
    if (b == SYN_RCVD)
        return l;
    if (role == LINK_HOST)
        frame_to(&l, 'B', G, H, "");
    if (b == OPEN_ES || b == OPEN_S)
        link_event(&l, LINK_LOCAL_EOF, NULL);
    if (b == OPEN_EG)
        frame_to(&l, 'D', G, H, "");
    if (b == CLOSING_ORDERLY)
        frame_to(&l, 'H', G, H, "");
    if (b == CLOSING_ABORT)
        link_event(&l, LINK_BAD, NULL);
    if (b == ENDED)
        link_event(&l, LINK_STOP, "stop");
    return l;
}

/* What happens: a frame, spelt ctrl and whose token ('o' own, 'h' own guest with another host, 'x' a stranger's, 'R' RRRR, '?' own guest
 * and ????) and payload length, or an event. */
static unsigned happen(struct link *l, const char *what) {
    static const struct {
        const char *name;
        enum link_event event;
    } events[] = {{"refused", LINK_REFUSED}, {"eof", LINK_LOCAL_EOF},       {"error", LINK_LOCAL_ERROR}, {"bad", LINK_BAD},
                  {"timeout", LINK_TIMEOUT}, {"delivered", LINK_DELIVERED}, {"detach", LINK_DETACH},     {"stop", LINK_STOP}};
    const unsigned char *guest = what[1] == 'x' ? (const unsigned char *)"xxxx" : what[1] == 'R' ? (const unsigned char *)"RRRR" : G;
    const unsigned char *host = what[1] == 'R'   ? (const unsigned char *)"RRRR"
                                : what[1] == '?' ? (const unsigned char *)"????"
                                : what[1] == 'h' ? (const unsigned char *)"hhhh"
                                                 : H;
    struct frame f = make(*what, guest, host, *what >= 'A' && *what <= 'Z' ? (unsigned)atoi(what + 2) : 0);

    if (!strcmp(what, "connected"))
        return link_connected(l, H);
    for (unsigned i = 0; i < sizeof events / sizeof *events; i++)
        if (!strcmp(what, events[i].name))
            return link_event(l, events[i].event, "why");
    return link_frame(l, &f, "Exxxxxxxxxxxxxxxxxxxx", f.ctrl == FRAME_DATA ? 0 : f.length);
}

/* The table in link.h, and vios-protocol(7), THE PROGRAMS OF 2011, row by row. role: g, h or b
 * for both. */
static const struct row {
    char role;
    enum before before;
    const char *what;
    unsigned actions;
    enum link_state after;
} rows[] = {
    {'h', IDLE, "A?0", CONNECT, LINK_CONNECTING},
    {'h', IDLE, "A?1", CONNECT, LINK_CONNECTING},
    {'h', IDLE, "Do5", 0, LINK_IDLE},
    {'h', IDLE, "Bo0", 0, LINK_IDLE},
    {'b', IDLE, "Ho0", 0, LINK_IDLE},
    {'b', IDLE, "Co0", 0, LINK_IDLE},
    {'g', IDLE, "A?0", 0, LINK_IDLE},
    {'b', IDLE, "eof", 0, LINK_IDLE},
    {'b', IDLE, "bad", 0, LINK_IDLE},
    {'b', IDLE, "timeout", 0, LINK_IDLE},
    {'b', IDLE, "detach", 0, LINK_IDLE},
    {'b', IDLE, "stop", 0, LINK_IDLE},

    {'g', SYN_SENT, "Co0", ACK, LINK_ESTABLISHED},
    {'g', SYN_SENT, "Co1", ACK, LINK_ESTABLISHED},
    {'g', SYN_SENT, "Ho0", CLOSE, LINK_OVER},
    {'g', SYN_SENT, "H?9", CLOSE, LINK_OVER},
    {'g', SYN_SENT, "HR0", CLOSE, LINK_OVER},
    {'g', SYN_SENT, "Hx0", 0, LINK_SYN_SENT},
    {'g', SYN_SENT, "Do3", 0, LINK_SYN_SENT},
    {'g', SYN_SENT, "Bo0", 0, LINK_SYN_SENT},
    {'g', SYN_SENT, "A?0", 0, LINK_SYN_SENT},
    {'g', SYN_SENT, "eof", 0, LINK_SYN_SENT},
    {'g', SYN_SENT, "timeout", RESET | CLOSE, LINK_OVER},
    {'g', SYN_SENT, "detach", ABORT, LINK_OVER},
    {'g', SYN_SENT, "error", RESET | ABORT, LINK_OVER},
    {'g', SYN_SENT, "stop", RESET | ABORT, LINK_OVER},

    {'h', CONNECTING, "connected", SYNACK, LINK_SYN_RCVD},
    {'h', CONNECTING, "refused", RESET | CLOSE, LINK_OVER},
    {'h', CONNECTING, "timeout", RESET | CLOSE, LINK_OVER},
    {'h', CONNECTING, "Ho0", CLOSE, LINK_OVER},
    {'h', CONNECTING, "Hx0", CLOSE, LINK_OVER},
    {'h', CONNECTING, "A?0", RESET | CLOSE, LINK_OVER},
    {'h', CONNECTING, "Bo0", RESET | CLOSE, LINK_OVER},
    {'h', CONNECTING, "Do1", RESET | CLOSE, LINK_OVER},
    {'h', CONNECTING, "bad", RESET | CLOSE, LINK_OVER},
    {'h', CONNECTING, "detach", ABORT, LINK_OVER},
    {'h', CONNECTING, "stop", RESET | ABORT, LINK_OVER},

    {'h', SYN_RCVD, "Bo0", 0, LINK_ESTABLISHED},
    {'h', SYN_RCVD, "Bo1", RESET | CLOSE, LINK_OVER},
    {'h', SYN_RCVD, "Bh0", RESET | CLOSE, LINK_OVER},
    {'h', SYN_RCVD, "Bx0", RESET | CLOSE, LINK_OVER},
    {'h', SYN_RCVD, "A?0", RESET | CLOSE, LINK_OVER},
    {'h', SYN_RCVD, "Do1", RESET | CLOSE, LINK_OVER},
    {'h', SYN_RCVD, "Co0", RESET | CLOSE, LINK_OVER},
    {'h', SYN_RCVD, "Hx0", CLOSE, LINK_OVER},
    {'h', SYN_RCVD, "timeout", RESET | CLOSE, LINK_OVER},
    {'h', SYN_RCVD, "detach", ABORT, LINK_OVER},
    {'h', SYN_RCVD, "error", RESET | ABORT, LINK_OVER},

    {'b', OPEN, "Do5", DELIVER, LINK_ESTABLISHED},
    {'b', OPEN, "Do65535", DELIVER, LINK_ESTABLISHED},
    {'b', OPEN, "Do0", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN, "Dx5", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN, "Dh5", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN, "Ao0", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN, "Bo0", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN, "Co0", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN, "Zo0", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN, "bad", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN, "Ho0", CLOSE, LINK_CLOSING},
    {'b', OPEN, "Hx0", ABORT, LINK_CLOSING},
    {'b', OPEN, "eof", 0, LINK_ESTABLISHED},
    {'b', OPEN_S, "timeout", RESET | CLOSE, LINK_OVER},
    {'b', OPEN_S, "Do5", DELIVER, LINK_ESTABLISHED},
    {'b', OPEN_S, "eof", 0, LINK_ESTABLISHED},
    {'b', OPEN, "error", RESET | ABORT, LINK_OVER},
    {'b', OPEN, "stop", RESET | ABORT, LINK_OVER},
    {'b', OPEN, "detach", ABORT, LINK_CLOSING},

    {'b', OPEN_E, "Do5", DELIVER, LINK_ESTABLISHED},
    {'b', OPEN_E, "Do0", SHUT, LINK_ESTABLISHED},
    {'b', OPEN_E, "eof", EOS, LINK_ESTABLISHED},
    {'b', OPEN_E, "Ho0", ABORT, LINK_CLOSING},
    {'b', OPEN_ES, "Do0", CLOSE, LINK_CLOSING},
    {'b', OPEN_ES, "Do5", DELIVER, LINK_ESTABLISHED},
    {'b', OPEN_ES, "eof", 0, LINK_ESTABLISHED},
    {'b', OPEN_ES, "timeout", RESET | ABORT, LINK_OVER},
    {'b', OPEN_EG, "eof", EOS | CLOSE, LINK_CLOSING},
    {'b', OPEN_EG, "Do0", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN_EG, "Do5", RESET | ABORT, LINK_CLOSING},
    {'b', OPEN_EG, "timeout", RESET | ABORT, LINK_OVER},

    {'b', CLOSING_ORDERLY, "delivered", CLOSE, LINK_OVER},
    {'b', CLOSING_ABORT, "delivered", ABORT, LINK_OVER},
    {'b', CLOSING_ORDERLY, "timeout", ABORT, LINK_OVER},
    {'b', CLOSING_ORDERLY, "error", ABORT, LINK_OVER},
    {'b', CLOSING_ORDERLY, "stop", ABORT, LINK_OVER},
    {'b', CLOSING_ORDERLY, "detach", 0, LINK_CLOSING},
    {'b', CLOSING_ORDERLY, "eof", 0, LINK_CLOSING},
    {'b', CLOSING_ABORT, "bad", 0, LINK_CLOSING},
    {'b', CLOSING_ABORT, "Hx0", 0, LINK_CLOSING},

    {'b', ENDED, "Do5", 0, LINK_OVER},
    {'b', ENDED, "Ho0", 0, LINK_OVER},
    {'b', ENDED, "bad", 0, LINK_OVER},
    {'b', ENDED, "eof", 0, LINK_OVER},
    {'b', ENDED, "error", 0, LINK_OVER},
    {'b', ENDED, "stop", 0, LINK_OVER},
    {'b', ENDED, "detach", 0, LINK_OVER},
    {'b', ENDED, "timeout", 0, LINK_OVER},
};

static void table(void) {
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        for (unsigned role = LINK_GUEST; role <= LINK_HOST; role++) {
            const struct row *r = &rows[i];
            struct link l;
            unsigned actions;

            if (r->role != 'b' && r->role != "gh"[role])
                continue;
            l = bring((enum link_role)role, r->before);
            actions = happen(&l, r->what);
            if (actions != r->actions || l.state != r->after)
                FAIL("%s %s, %s: actions %#x, not %#x; state %d, not %d", role ? "host" : "guest", before_names[r->before], r->what,
                     actions, r->actions, l.state, (int)r->after);
        }
}

static void every_ctrl_in_every_state(void) {
    for (unsigned role = LINK_GUEST; role <= LINK_HOST; role++)
        for (unsigned b = IDLE; b <= ENDED; b++)
            for (unsigned ctrl = 0; ctrl < 256; ctrl++) {
                struct frame f = make((char)ctrl, G, H, 0);
                struct link l;

                if (role == LINK_GUEST ? b == CONNECTING || b == SYN_RCVD : b == SYN_SENT)
                    continue;
                l = bring((enum link_role)role, (enum before)b);
                linkcheck_step(&l, &f, LINK_BAD);
                if (b >= OPEN && b <= OPEN_S && !strchr("DH", (int)ctrl))
                    EQUAL(l.state, LINK_CLOSING);
            }
}

static void refusal_counts_only_for_the_only_syn(void) {
    struct frame f = make('H', "RRRR", "RRRR", 0);
    struct link l;

    link_open(&l, G, false);
    CHECK(!link_concerns(&l, &f));
    EQUAL(link_frame(&l, &f, "", 0), 0);
    EQUAL(l.state, LINK_SYN_SENT);
    link_open(&l, G, true);
    CHECK(link_concerns(&l, &f));
}

static void hunts_for_what_concerns_it(void) {
    struct link l;
    struct frame own = make('C', G, H, 0), other = make('C', "xxxx", H, 0);

    l = bring(LINK_GUEST, SYN_SENT);
    SAME_TEXT(link_prey(&l), "CH");
    CHECK(link_concerns(&l, &own) && !link_concerns(&l, &other));
    l = bring(LINK_GUEST, OPEN);
    CHECK(!link_prey(&l));
}

static void capabilities(void) {
    static const struct {
        const char *text; /* offered to the host; answered to the guest */
        bool eos;
    } texts[] = {{"E", true}, {"", false}, {"M", false}, {"e", false}, {"xyzE", true}, {"0123456789abcdeE", true}, {"0123456789abcdefE", false}};

    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct link host = {.role = LINK_HOST}, guest;

        frame_to(&host, 'A', G, "????", texts[i].text);
        EQUAL(host.eos, texts[i].eos);
        EQUAL(host.offered, *texts[i].text != '\0');
        EQUAL(link_may_explain(&host), *texts[i].text != '\0');
        link_open(&guest, G, true);
        frame_to(&guest, 'C', G, H, texts[i].text);
        EQUAL(guest.eos, texts[i].eos);
    }
}

static void patience(void) {
    struct link l = bring(LINK_GUEST, SYN_SENT);

    EQUAL(link_patience(&l, false), CONFIG_HANDSHAKE_TIMEOUT * 1000);
    l = bring(LINK_HOST, CONNECTING);
    EQUAL(link_patience(&l, false), CONFIG_CONNECT_TIMEOUT * 1000);
    l = bring(LINK_HOST, SYN_RCVD);
    EQUAL(link_patience(&l, false), CONFIG_HANDSHAKE_TIMEOUT * 1000);
    l = bring(LINK_HOST, OPEN_E);
    EQUAL(link_patience(&l, true), 0);
    l = bring(LINK_HOST, OPEN_S);
    CHECK(link_lingers(&l));
    EQUAL(link_patience(&l, false), CONFIG_LINGER_TIMEOUT / 5);
    l = bring(LINK_GUEST, OPEN_S);
    CHECK(link_lingers(&l));
    EQUAL(link_patience(&l, false), CONFIG_LINGER_TIMEOUT);
    EQUAL(link_patience(&l, true), CONFIG_HALF_CLOSED_TIMEOUT * 1000);
    l = bring(LINK_GUEST, OPEN_ES);
    CHECK(!link_lingers(&l));
    EQUAL(link_patience(&l, false), CONFIG_HALF_CLOSED_TIMEOUT * 1000);
    l = bring(LINK_GUEST, OPEN_EG);
    EQUAL(link_patience(&l, false), CONFIG_HALF_CLOSED_TIMEOUT * 1000);
    l = bring(LINK_GUEST, CLOSING_ORDERLY);
    CHECK(link_patience(&l, true) > 0);
    l = bring(LINK_GUEST, IDLE);
    EQUAL(link_patience(&l, false), 0);
    l = bring(LINK_GUEST, ENDED);
    EQUAL(link_patience(&l, false), 0);
}

static void random_events(void) {
    for (int i = 0; i < 30000; i++) {
        struct link l = {.role = (unsigned char)(i & 1)};

        for (unsigned k = 0, n = unit_random(40); k < n; k++) {
            struct frame f = make("ABCDHZ"[unit_random(6)], unit_random(9) ? G : (const unsigned char *)"RRRR",
                                  unit_random(4) ? l.tokens.host : H, unit_random(3));

            if (l.role == LINK_GUEST && l.state == LINK_IDLE && !unit_random(3))
                link_open(&l, G, unit_random(2));
            else if (l.state == LINK_CONNECTING && !unit_random(3))
                link_connected(&l, H);
            else
                linkcheck_step(&l, unit_random(3) ? &f : NULL, (enum link_event)unit_random(LINK_STOP + 1));
        }
    }
}

/* ---- two links, and queues that lose nothing ---- */

struct side {
    struct link l;
    struct frame q[64]; /* on its way to this side */
    unsigned head, tail, left; /* left: DATA frames still to send */
    bool eof, shut, closed;
};

static void send_to(struct side *to, const struct link *from, char ctrl, unsigned length) {
    struct frame *f = &to->q[to->tail++ % 64];

    CHECK(to->tail - to->head < 64);
    *f = (struct frame){(unsigned char)ctrl, from->tokens, length};
}

static void carry_out(struct side *s, struct side *other, unsigned actions, bool answer_eos) {
    if (actions & LINK_SEND_SYN)
        send_to(other, &s->l, 'A', s->l.offered);
    if (actions & LINK_SEND_SYNACK)
        send_to(other, &s->l, 'C', s->l.eos && answer_eos);
    if (actions & LINK_SEND_ACK)
        send_to(other, &s->l, 'B', 0);
    if (actions & LINK_SEND_EOS)
        send_to(other, &s->l, 'D', 0);
    if (actions & LINK_SEND_RESET)
        send_to(other, &s->l, 'H', 0);
    s->shut |= (actions & (LINK_SHUT | LINK_CLOSE)) != 0;
    s->closed |= (actions & (LINK_CLOSE | LINK_ABORT)) != 0;
    if (actions & LINK_CONNECT)
        carry_out(s, other, link_connected(&s->l, H), answer_eos);
}

static void a_pair_comes_to_its_end(void) {
    for (int i = 0; i < 5000; i++) {
        bool agree = unit_random(2);
        struct side s[2] = {{.l = {.role = LINK_GUEST}, .left = unit_random(5)}, {.l = {.role = LINK_HOST}, .left = unit_random(5)}};
        unsigned total[2] = {s[0].left, s[1].left}, got[2] = {0, 0};
        int rounds = 0;

        carry_out(&s[0], &s[1], link_open(&s[0].l, G, true), agree);
        if (!agree)
            s[1].q[0].length = 0; /* an original guest offers nothing */
        while (s[0].l.state != LINK_OVER || s[1].l.state != LINK_OVER) {
            unsigned k = unit_random(2);
            struct side *me = &s[k], *other = &s[!k];
            bool quiet = me->head == me->tail && other->head == other->tail && !me->left && !other->left;

            CHECK(++rounds < 10000);
            if (me->l.state == LINK_CLOSING && unit_random(2)) {
                carry_out(me, other, link_event(&me->l, LINK_DELIVERED, NULL), agree);
            } else if (me->head != me->tail && me->l.state < LINK_CLOSING && unit_random(2)) {
                struct frame f = me->q[me->head++ % 64];
                unsigned actions = link_frame(&me->l, &f, "E", f.length && f.ctrl != 'D' ? 1 : 0);

                got[k] += (actions & LINK_DELIVER) != 0;
                carry_out(me, other, actions, agree);
            } else if (me->l.state >= LINK_CLOSING) {
                me->head = me->tail;
            } else if (link_reads_local(&me->l) && other->tail - other->head < 20) {
                if (me->left) {
                    me->left--;
                    send_to(other, &me->l, 'D', 7);
                } else {
                    carry_out(me, other, link_event(&me->l, LINK_LOCAL_EOF, NULL), agree);
                }
            } else if (quiet && link_lingers(&me->l)) {
                carry_out(me, other, link_event(&me->l, LINK_TIMEOUT, NULL), agree);
            }
        }
        CHECK(s[0].closed && s[1].closed);
        EQUAL(got[1], total[0]);
        EQUAL(got[0], total[1]);
        EQUAL(s[0].l.eos, agree);
        EQUAL(s[1].l.eos, agree);
        if (agree)
            CHECK(!s[0].l.abort && !s[1].l.abort && !s[0].l.why && !s[1].l.why);
    }
}

static const struct unit_case cases[] = {
    {"table", table},
    {"every-ctrl-in-every-state", every_ctrl_in_every_state},
    {"refusal-counts-only-for-the-only-syn", refusal_counts_only_for_the_only_syn},
    {"hunts-for-what-concerns-it", hunts_for_what_concerns_it},
    {"capabilities", capabilities},
    {"patience", patience},
    {"random-events", random_events},
    {"a-pair-comes-to-its-end", a_pair_comes_to_its_end},
};
UNIT_MAIN("link", cases)
