/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/wire/session.h"

#include "sessioncheck.h"
#include "unit.h"

enum {
    SEND_SYN = SESSION_SEND_SYN,
    SYNACK = SESSION_SEND_SYNACK,
    ACK = SESSION_SEND_ACK,
    EOS = SESSION_SEND_EOS,
    RESET = SESSION_SEND_RESET
};
enum {
    CONNECT = SESSION_CONNECT,
    DELIVER = SESSION_DELIVER,
    SHUT = SESSION_SHUT,
    CLOSE = SESSION_CLOSE,
    ABORT = SESSION_ABORT
};

/* Where a link is before an event; E: agreed; S, G: end of stream sent, got; SHARED: on a channel
 * that carries many. */
enum before {
    IDLE,
    SYN_SENT,
    CONNECTING,
    SYN_RCVD,
    OPEN,
    OPEN_E,
    OPEN_ES,
    OPEN_EG,
    OPEN_S,
    CLOSING_ORDERLY,
    CLOSING_ABORT,
    ENDED,
    SHARED_ASKING, /* of a guest's; SHARED_CONNECTING: of a host's */
    SHARED_ASKING_S,
    SHARED_CONNECTING,
    SHARED_CONNECTING_G,
    SHARED_OPEN,
    SHARED_OPEN_S,
    SHARED_OPEN_G,
    SHARED_CLOSING_ORDERLY,
    SHARED_CLOSING_ABORT,
    SHARED_ENDED
};
static const char *const before_names[] = {"idle",
                                           "syn-sent",
                                           "connecting",
                                           "syn-rcvd",
                                           "open",
                                           "open-E",
                                           "open-E-sent",
                                           "open-E-got",
                                           "open-sent",
                                           "closing-orderly",
                                           "closing-abort",
                                           "over",
                                           "shared-asking",
                                           "shared-asking-sent",
                                           "shared-connecting",
                                           "shared-connecting-got",
                                           "shared-open",
                                           "shared-open-sent",
                                           "shared-open-got",
                                           "shared-closing-orderly",
                                           "shared-closing-abort",
                                           "shared-over"};

static const unsigned char G[4] = {'g', 'u', 'e', 's'}, H[4] = {'h', 'o', 's', 't'};

static struct frame make(char ctrl, const void *guest, const void *host, unsigned length) {
    struct frame f = {.ctrl = (unsigned char)ctrl, .length = length};

    memcpy(f.tokens.guest, guest, 4);
    memcpy(f.tokens.host, host, 4);
    return f;
}

static void frame_to(struct session *l, char ctrl, const void *guest, const void *host,
                     const char *text) {
    struct frame f = make(ctrl, guest, host, (unsigned)strlen(text));

    session_frame(l, &f, text, f.length);
}

/* As the responder does with a SYN on a shared channel. */
static void accept_shared(struct session *l, const struct frame *syn) {
    struct frame f = *syn;

    f.ctrl = FRAME_SYN;
    session_frame(l, &f, "EM", 2);
    session_share(l);
}

static struct session bring_shared(enum session_role role, enum before b) {
    struct frame syn = make('A', G, "????", 2);
    struct session l = {.role = (unsigned char)role};

    if (role == SESSION_GUEST)
        session_open_shared(&l, G, NULL);
    else
        accept_shared(&l, &syn);
    if (b == SHARED_ASKING_S)
        session_event(&l, SESSION_LOCAL_EOF, NULL);
    if (b == SHARED_CONNECTING_G)
        frame_to(&l, 'D', G, "????", "");
    if (b < SHARED_OPEN)
        return l;
    if (role == SESSION_GUEST)
        frame_to(&l, 'C', G, H, "EM");
    else
        session_connected(&l, H);
    if (b == SHARED_OPEN_S || b == SHARED_CLOSING_ORDERLY)
        session_event(&l, SESSION_LOCAL_EOF, NULL);
    if (b == SHARED_OPEN_G || b == SHARED_CLOSING_ORDERLY)
        frame_to(&l, 'D', G, H, "");
    if (b == SHARED_CLOSING_ABORT)
        frame_to(&l, 'H', G, H, "");
    if (b == SHARED_ENDED)
        session_event(&l, SESSION_STOP, "stop");
    return l;
}

static struct session bring(enum session_role role, enum before b) {
    struct session l = {.role = (unsigned char)role};
    bool eos = b >= OPEN_E && b <= OPEN_EG;

    if (b >= SHARED_ASKING)
        return bring_shared(role, b);

    if (b == IDLE)
        return l;
    if (role == SESSION_GUEST)
        session_open(&l, G, NULL, true);
    else
        frame_to(&l, 'A', G, "????", eos ? "E" : "");
    if (b <= CONNECTING)
        return l;
    if (role == SESSION_GUEST)
        frame_to(&l, 'C', G, H, eos ? "E" : "");
    else
        session_connected(&l, H);
    if (b == SYN_RCVD)
        return l;
    if (role == SESSION_HOST)
        frame_to(&l, 'B', G, H, "");
    if (b == OPEN_ES || b == OPEN_S)
        session_event(&l, SESSION_LOCAL_EOF, NULL);
    if (b == OPEN_EG)
        frame_to(&l, 'D', G, H, "");
    if (b == CLOSING_ORDERLY)
        frame_to(&l, 'H', G, H, "");
    if (b == CLOSING_ABORT)
        session_event(&l, SESSION_BAD, NULL);
    if (b == ENDED)
        session_event(&l, SESSION_STOP, "stop");
    return l;
}

/* A WINDOW, of so many bytes in its payload; or, with none, of 4 and this number. */
static unsigned window(struct session *l, const char *what) {
    unsigned long more = strtoul(what + 1, NULL, 10);
    char text[4] = {(char)(more >> 24), (char)(more >> 16), (char)(more >> 8), (char)more};

    return *what == 'w' ? session_window(l, text, 4) : session_window(l, text, (unsigned)more);
}

/* What happens: a frame, spelt ctrl and whose token ('o' own, 'h' own guest with another host, 'x'
 * a stranger's, 'R' RRRR, '?' own guest and ????) and payload length; w: a WINDOW and its number,
 * W: one of another length; or an event. */
static unsigned happen(struct session *l, const char *what) {
    static const struct {
        const char *name;
        enum session_event event;
    } events[] = {{"refused", SESSION_REFUSED},   {"eof", SESSION_LOCAL_EOF},
                  {"error", SESSION_LOCAL_ERROR}, {"bad", SESSION_BAD},
                  {"timeout", SESSION_TIMEOUT},   {"delivered", SESSION_DELIVERED},
                  {"detach", SESSION_DETACH},     {"stop", SESSION_STOP}};
    const unsigned char *guest = what[1] == 'x'   ? (const unsigned char *)"xxxx"
                                 : what[1] == 'R' ? (const unsigned char *)"RRRR"
                                                  : G;
    const unsigned char *host = what[1] == 'R'   ? (const unsigned char *)"RRRR"
                                : what[1] == '?' ? (const unsigned char *)"????"
                                : what[1] == 'h' ? (const unsigned char *)"hhhh"
                                                 : H;
    struct frame f =
        make(*what, guest, host, *what >= 'A' && *what <= 'Z' ? (unsigned)atoi(what + 2) : 0);

    if (!strcmp(what, "connected"))
        return session_connected(l, H);
    if (*what == 'w' || *what == 'W')
        return window(l, what);
    for (unsigned i = 0; i < sizeof events / sizeof *events; i++)
        if (!strcmp(what, events[i].name))
            return session_event(l, events[i].event, "why");
    return session_frame(l, &f, "Exxxxxxxxxxxxxxxxxxxx", f.ctrl == FRAME_DATA ? 0 : f.length);
}

/* The table in link.h, and vios-protocol(7), THE PROGRAMS OF 2011, row by row. role: g, h or b
 * for both. */
static const struct row {
    char role;
    enum before before;
    const char *what;
    unsigned actions;
    enum session_state after;
} rows[] = {
    {'h', IDLE, "A?0", CONNECT, SESSION_CONNECTING},
    {'h', IDLE, "A?1", CONNECT, SESSION_CONNECTING},
    {'h', IDLE, "Do5", 0, SESSION_IDLE},
    {'h', IDLE, "Bo0", 0, SESSION_IDLE},
    {'b', IDLE, "Ho0", 0, SESSION_IDLE},
    {'b', IDLE, "Co0", 0, SESSION_IDLE},
    {'g', IDLE, "A?0", 0, SESSION_IDLE},
    {'b', IDLE, "eof", 0, SESSION_IDLE},
    {'b', IDLE, "bad", 0, SESSION_IDLE},
    {'b', IDLE, "timeout", 0, SESSION_IDLE},
    {'b', IDLE, "detach", 0, SESSION_IDLE},
    {'b', IDLE, "stop", 0, SESSION_IDLE},

    {'g', SYN_SENT, "Co0", ACK, SESSION_ESTABLISHED},
    {'g', SYN_SENT, "Co1", ACK, SESSION_ESTABLISHED},
    {'g', SYN_SENT, "Ho0", CLOSE, SESSION_OVER},
    {'g', SYN_SENT, "H?9", CLOSE, SESSION_OVER},
    {'g', SYN_SENT, "HR0", CLOSE, SESSION_OVER},
    {'g', SYN_SENT, "Hx0", 0, SESSION_SYN_SENT},
    {'g', SYN_SENT, "Do3", 0, SESSION_SYN_SENT},
    {'g', SYN_SENT, "Bo0", 0, SESSION_SYN_SENT},
    {'g', SYN_SENT, "A?0", 0, SESSION_SYN_SENT},
    {'g', SYN_SENT, "eof", 0, SESSION_SYN_SENT},
    {'g', SYN_SENT, "timeout", RESET | CLOSE, SESSION_OVER},
    {'g', SYN_SENT, "detach", ABORT, SESSION_OVER},
    {'g', SYN_SENT, "error", RESET | ABORT, SESSION_OVER},
    {'g', SYN_SENT, "stop", RESET | ABORT, SESSION_OVER},

    {'h', CONNECTING, "connected", SYNACK, SESSION_SYN_RCVD},
    {'h', CONNECTING, "refused", RESET | CLOSE, SESSION_OVER},
    {'h', CONNECTING, "timeout", RESET | CLOSE, SESSION_OVER},
    {'h', CONNECTING, "Ho0", CLOSE, SESSION_OVER},
    {'h', CONNECTING, "Hx0", CLOSE, SESSION_OVER},
    {'h', CONNECTING, "A?0", RESET | CLOSE, SESSION_OVER},
    {'h', CONNECTING, "Bo0", RESET | CLOSE, SESSION_OVER},
    {'h', CONNECTING, "Do1", RESET | CLOSE, SESSION_OVER},
    {'h', CONNECTING, "bad", RESET | CLOSE, SESSION_OVER},
    {'h', CONNECTING, "detach", ABORT, SESSION_OVER},
    {'h', CONNECTING, "stop", RESET | ABORT, SESSION_OVER},

    {'h', SYN_RCVD, "Bo0", 0, SESSION_ESTABLISHED},
    {'h', SYN_RCVD, "Bo1", RESET | CLOSE, SESSION_OVER},
    {'h', SYN_RCVD, "Bh0", RESET | CLOSE, SESSION_OVER},
    {'h', SYN_RCVD, "Bx0", RESET | CLOSE, SESSION_OVER},
    {'h', SYN_RCVD, "A?0", RESET | CLOSE, SESSION_OVER},
    {'h', SYN_RCVD, "Do1", RESET | CLOSE, SESSION_OVER},
    {'h', SYN_RCVD, "Co0", RESET | CLOSE, SESSION_OVER},
    {'h', SYN_RCVD, "Hx0", CLOSE, SESSION_OVER},
    {'h', SYN_RCVD, "timeout", RESET | CLOSE, SESSION_OVER},
    {'h', SYN_RCVD, "detach", ABORT, SESSION_OVER},
    {'h', SYN_RCVD, "error", RESET | ABORT, SESSION_OVER},

    {'b', OPEN, "Do5", DELIVER, SESSION_ESTABLISHED},
    {'b', OPEN, "Do65535", DELIVER, SESSION_ESTABLISHED},
    {'b', OPEN, "Do0", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN, "Dx5", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN, "Dh5", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN, "Ao0", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN, "Bo0", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN, "Co0", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN, "Zo0", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN, "bad", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN, "Ho0", CLOSE, SESSION_CLOSING},
    {'b', OPEN, "Hx0", ABORT, SESSION_CLOSING},
    {'b', OPEN, "eof", 0, SESSION_ESTABLISHED},
    {'b', OPEN_S, "timeout", RESET | CLOSE, SESSION_OVER},
    {'b', OPEN_S, "Do5", DELIVER, SESSION_ESTABLISHED},
    {'b', OPEN_S, "eof", 0, SESSION_ESTABLISHED},
    {'b', OPEN, "error", RESET | ABORT, SESSION_OVER},
    {'b', OPEN, "stop", RESET | ABORT, SESSION_OVER},
    {'b', OPEN, "detach", ABORT, SESSION_CLOSING},

    {'b', OPEN_E, "Do5", DELIVER, SESSION_ESTABLISHED},
    {'b', OPEN_E, "Do0", SHUT, SESSION_ESTABLISHED},
    {'b', OPEN_E, "eof", EOS, SESSION_ESTABLISHED},
    {'b', OPEN_E, "Ho0", ABORT, SESSION_CLOSING},
    {'b', OPEN_ES, "Do0", CLOSE, SESSION_CLOSING},
    {'b', OPEN_ES, "Do5", DELIVER, SESSION_ESTABLISHED},
    {'b', OPEN_ES, "eof", 0, SESSION_ESTABLISHED},
    {'b', OPEN_ES, "timeout", RESET | ABORT, SESSION_OVER},
    {'b', OPEN_EG, "eof", EOS | CLOSE, SESSION_CLOSING},
    {'b', OPEN_EG, "Do0", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN_EG, "Do5", RESET | ABORT, SESSION_CLOSING},
    {'b', OPEN_EG, "timeout", RESET | ABORT, SESSION_OVER},

    {'b', CLOSING_ORDERLY, "delivered", CLOSE, SESSION_OVER},
    {'b', CLOSING_ABORT, "delivered", ABORT, SESSION_OVER},
    {'b', CLOSING_ORDERLY, "timeout", ABORT, SESSION_OVER},
    {'b', CLOSING_ORDERLY, "error", ABORT, SESSION_OVER},
    {'b', CLOSING_ORDERLY, "stop", ABORT, SESSION_OVER},
    {'b', CLOSING_ORDERLY, "detach", 0, SESSION_CLOSING},
    {'b', CLOSING_ORDERLY, "eof", 0, SESSION_CLOSING},
    {'b', CLOSING_ABORT, "bad", 0, SESSION_CLOSING},
    {'b', CLOSING_ABORT, "Hx0", 0, SESSION_CLOSING},

    {'b', ENDED, "Do5", 0, SESSION_OVER},
    {'b', ENDED, "Ho0", 0, SESSION_OVER},
    {'b', ENDED, "bad", 0, SESSION_OVER},
    {'b', ENDED, "eof", 0, SESSION_OVER},
    {'b', ENDED, "error", 0, SESSION_OVER},
    {'b', ENDED, "stop", 0, SESSION_OVER},
    {'b', ENDED, "detach", 0, SESSION_OVER},
    {'b', ENDED, "timeout", 0, SESSION_OVER},

    /* vios-protocol(7), M rules 1 to 4 */
    {'g', SHARED_ASKING, "Co2", 0, SESSION_ESTABLISHED},
    {'g', SHARED_ASKING, "Ho0", CLOSE, SESSION_OVER},
    {'g', SHARED_ASKING, "H?9", CLOSE, SESSION_OVER},
    {'g', SHARED_ASKING, "w5", 0, SESSION_SYN_SENT},
    {'g', SHARED_ASKING, "w0", RESET | CLOSE, SESSION_OVER},
    {'g', SHARED_ASKING, "eof", EOS, SESSION_SYN_SENT},
    {'g', SHARED_ASKING, "timeout", RESET | CLOSE, SESSION_OVER},
    {'g', SHARED_ASKING, "detach", ABORT, SESSION_OVER},
    {'g', SHARED_ASKING, "error", RESET | ABORT, SESSION_OVER},
    {'g', SHARED_ASKING, "Do5", RESET | CLOSE, SESSION_OVER},
    {'g', SHARED_ASKING_S, "eof", 0, SESSION_SYN_SENT},
    {'g', SHARED_ASKING_S, "Co2", 0, SESSION_ESTABLISHED},
    {'g', SHARED_ASKING_S, "detach", ABORT, SESSION_OVER},

    {'h', SHARED_CONNECTING, "D?5", DELIVER, SESSION_CONNECTING},
    {'h', SHARED_CONNECTING, "D?4096", DELIVER, SESSION_CONNECTING},
    {'h', SHARED_CONNECTING, "D?4097", RESET | CLOSE, SESSION_OVER},
    {'h', SHARED_CONNECTING, "D?0", SHUT, SESSION_CONNECTING},
    {'h', SHARED_CONNECTING, "w5", 0, SESSION_CONNECTING},
    {'h', SHARED_CONNECTING, "W3", RESET | CLOSE, SESSION_OVER},
    {'h', SHARED_CONNECTING, "A?2", RESET | CLOSE, SESSION_OVER},
    {'h', SHARED_CONNECTING, "connected", SYNACK, SESSION_ESTABLISHED},
    {'h', SHARED_CONNECTING, "refused", RESET | CLOSE, SESSION_OVER},
    {'h', SHARED_CONNECTING, "timeout", RESET | CLOSE, SESSION_OVER},
    {'h', SHARED_CONNECTING, "H?0", CLOSE, SESSION_OVER},
    {'h', SHARED_CONNECTING, "detach", ABORT, SESSION_OVER},
    {'h', SHARED_CONNECTING_G, "D?1", RESET | CLOSE, SESSION_OVER},
    {'h', SHARED_CONNECTING_G, "D?0", RESET | CLOSE, SESSION_OVER},
    {'h', SHARED_CONNECTING_G, "connected", SYNACK, SESSION_ESTABLISHED},

    {'b', SHARED_OPEN, "Do4096", DELIVER, SESSION_ESTABLISHED},
    {'b', SHARED_OPEN, "Do4097", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "Do0", SHUT, SESSION_ESTABLISHED},
    {'b', SHARED_OPEN, "w1", 0, SESSION_ESTABLISHED},
    {'b', SHARED_OPEN, "w2147479551", 0, SESSION_ESTABLISHED},
    {'b', SHARED_OPEN, "w2147479552", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "w4294967295", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "w0", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "W0", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "W5", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "Ao2", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "Bo0", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "Co2", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "Ho0", ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "eof", EOS, SESSION_ESTABLISHED},
    {'b', SHARED_OPEN, "detach", ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN, "error", RESET | ABORT, SESSION_OVER},
    {'b', SHARED_OPEN_S, "Do0", CLOSE, SESSION_CLOSING},
    {'b', SHARED_OPEN_S, "w1", 0, SESSION_ESTABLISHED}, /* it crosses the end of stream */
    {'b', SHARED_OPEN_G, "Do1", RESET | ABORT, SESSION_CLOSING},
    {'b', SHARED_OPEN_G, "w1", 0, SESSION_ESTABLISHED},
    {'b', SHARED_OPEN_G, "eof", EOS | CLOSE, SESSION_CLOSING},
    {'b', SHARED_CLOSING_ORDERLY, "Ho0", 0, SESSION_CLOSING},
    {'b', SHARED_CLOSING_ORDERLY, "w1", 0, SESSION_CLOSING},
    {'b', SHARED_CLOSING_ORDERLY, "w0", 0, SESSION_CLOSING},
    {'b', SHARED_CLOSING_ORDERLY, "delivered", CLOSE, SESSION_OVER},
    {'b', SHARED_CLOSING_ABORT, "Ho0", 0, SESSION_CLOSING},
    {'b', SHARED_CLOSING_ABORT, "delivered", ABORT, SESSION_OVER},
    {'b', SHARED_ENDED, "w1", 0, SESSION_OVER},
    {'b', SHARED_ENDED, "Ho0", 0, SESSION_OVER},
};

static void table(void) {
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        for (unsigned role = SESSION_GUEST; role <= SESSION_HOST; role++) {
            const struct row *r = &rows[i];
            struct session l;
            unsigned actions;

            if (r->role != 'b' && r->role != "gh"[role])
                continue;
            l = bring((enum session_role)role, r->before);
            actions = happen(&l, r->what);
            if (actions != r->actions || l.state != r->after)
                FAIL("%s %s, %s: actions %#x, not %#x; state %d, not %d", role ? "host" : "guest",
                     before_names[r->before], r->what, actions, r->actions, l.state, (int)r->after);
        }
}

static void every_ctrl_in_every_state(void) {
    for (unsigned role = SESSION_GUEST; role <= SESSION_HOST; role++)
        for (unsigned b = IDLE; b <= ENDED; b++)
            for (unsigned ctrl = 0; ctrl < 256; ctrl++) {
                struct frame f = make((char)ctrl, G, H, 0);
                struct session l;

                if (role == SESSION_GUEST ? b == CONNECTING || b == SYN_RCVD : b == SYN_SENT)
                    continue;
                l = bring((enum session_role)role, (enum before)b);
                sessioncheck_step(&l, &f, SESSION_BAD);
                if (b >= OPEN && b <= OPEN_S && !strchr("DH", (int)ctrl))
                    EQUAL(l.state, SESSION_CLOSING);
            }
}

static void refusal_counts_only_for_the_only_syn(void) {
    struct frame f = make('H', "RRRR", "RRRR", 0);
    struct session l;

    session_open(&l, G, NULL, false);
    CHECK(!session_concerns(&l, &f));
    EQUAL(session_frame(&l, &f, "", 0), 0);
    EQUAL(l.state, SESSION_SYN_SENT);
    session_open(&l, G, NULL, true);
    CHECK(session_concerns(&l, &f));
}

static void hunts_for_what_concerns_it(void) {
    struct session l;
    struct frame own = make('C', G, H, 0), other = make('C', "xxxx", H, 0);

    l = bring(SESSION_GUEST, SYN_SENT);
    SAME_TEXT(session_wanted(&l), "ACH");
    CHECK(session_concerns(&l, &own) && !session_concerns(&l, &other));
    l = bring(SESSION_GUEST, OPEN);
    CHECK(!session_wanted(&l));
}

static void capabilities(void) {
    static const struct {
        const char *text; /* offered to the host; answered to the guest */
        bool eos;
    } texts[] = {{"E", true},
                 {"", false},
                 {"M", false},
                 {"e", false},
                 {"xyzE", true},
                 {"0123456789abcdeE", true},
                 {"0123456789abcdefE", false}};

    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct session host = {.role = SESSION_HOST}, guest;

        frame_to(&host, 'A', G, "????", texts[i].text);
        EQUAL(host.eos, texts[i].eos);
        EQUAL(host.offered, *texts[i].text != '\0');
        EQUAL(session_may_explain(&host), *texts[i].text != '\0');
        session_open(&guest, G, NULL, true);
        frame_to(&guest, 'C', G, H, texts[i].text);
        EQUAL(guest.eos, texts[i].eos);
    }
}

static void patience(void) {
    struct session l = bring(SESSION_GUEST, SYN_SENT);

    EQUAL(session_timeout(&l, false), CONFIG_HANDSHAKE_TIMEOUT * 1000);
    l = bring(SESSION_HOST, CONNECTING);
    EQUAL(session_timeout(&l, false), CONFIG_CONNECT_TIMEOUT * 1000);
    l = bring(SESSION_HOST, SYN_RCVD);
    EQUAL(session_timeout(&l, false), CONFIG_HANDSHAKE_TIMEOUT * 1000);
    l = bring(SESSION_HOST, OPEN_E);
    EQUAL(session_timeout(&l, true), 0);
    l = bring(SESSION_HOST, OPEN_S);
    CHECK(session_lingers(&l));
    EQUAL(session_timeout(&l, false), CONFIG_LINGER_TIMEOUT / 5);
    l = bring(SESSION_GUEST, OPEN_S);
    CHECK(session_lingers(&l));
    EQUAL(session_timeout(&l, false), CONFIG_LINGER_TIMEOUT);
    EQUAL(session_timeout(&l, true), CONFIG_HALF_CLOSED_TIMEOUT * 1000);
    l = bring(SESSION_GUEST, OPEN_ES);
    CHECK(!session_lingers(&l));
    EQUAL(session_timeout(&l, false), CONFIG_HALF_CLOSED_TIMEOUT * 1000);
    l = bring(SESSION_GUEST, OPEN_EG);
    EQUAL(session_timeout(&l, false), CONFIG_HALF_CLOSED_TIMEOUT * 1000);
    l = bring(SESSION_GUEST, CLOSING_ORDERLY);
    CHECK(session_timeout(&l, true) > 0);
    l = bring(SESSION_GUEST, IDLE);
    EQUAL(session_timeout(&l, false), 0);
    l = bring(SESSION_GUEST, ENDED);
    EQUAL(session_timeout(&l, false), 0);
}

/* What is granted is what may come, to the byte, however it comes; and the same the other way. */
static void credit(void) {
    for (int i = 0; i < 3000; i++) {
        struct session l = bring((enum session_role)(i & 1), SHARED_OPEN);
        unsigned open = SESSION_CREDIT;
        char what[16];

        EQUAL(l.granted, SESSION_CREDIT);
        EQUAL(l.credit, SESSION_CREDIT);
        for (unsigned n; open; open -= n) {
            n = 1 + unit_random(open);
            snprintf(what, sizeof what, "Do%u", n);
            EQUAL(happen(&l, what), DELIVER);
            EQUAL(l.granted, open - n);
        }
        CHECK(session_reads_local(&l) && session_has_credit(&l));
        EQUAL(happen(&l, "w7"), 0);
        EQUAL(l.credit, SESSION_CREDIT + 7);
        l.credit = 0;
        CHECK(!session_has_credit(&l));
        EQUAL(happen(&l, unit_random(2) ? "Do1" : "w0"), RESET | ABORT);
    }
}

static void who_takes_many(void) {
    static const struct {
        const char *text;
        bool many;
        unsigned most;
    } texts[] = {{"EM M64", true, 64}, {"EM", true, 1},      {"ME M3", true, 3},
                 {"M M9", false, 9},   {"E M9", false, 9},   {"EMS Sweb M7", true, 7},
                 {"EM M", true, 1},    {"EM M0", true, 1},   {"EM Mx", true, 1},
                 {"EM M5x", true, 5},  {"", false, 1},       {"EM M99999999999", true, 0},
                 {"EM  M8", true, 8},  {"E EM M8", false, 8}};

    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        unsigned most;

        EQUAL(session_offers_many(texts[i].text, (unsigned)strlen(texts[i].text), &most),
              texts[i].many);
        if (texts[i].most)
            EQUAL(most, texts[i].most);
        CHECK(most >= 1 && most < 1000000);
    }
}

/* A SYNACK without S to a SYN with a name: nothing goes, a RESET. Without a name it is as
 * before. */
static void names(void) {
    static const struct {
        const char *name, *text;
        bool accepted;
    } texts[] = {{"web", "EMS M64", true}, {"web", "S", true},    {"web", "EM M64", false},
                 {"web", "", false},       {"web", "E S", false}, {"web", "es", false},
                 {NULL, "EM M64", true},   {NULL, "", true},      {NULL, "ES", true}};

    for (unsigned i = 0; i < 2 * (sizeof texts / sizeof *texts); i++) {
        const char *text = texts[i / 2].text;
        struct session l;

        if (i % 2)
            session_open_shared(&l, G, texts[i / 2].name);
        else
            session_open(&l, G, texts[i / 2].name, true);
        CHECK(session_reads_local(&l) == (i % 2));
        frame_to(&l, 'C', G, H, text);
        EQUAL(session_is_open(&l), texts[i / 2].accepted);
        if (texts[i / 2].accepted)
            continue;
        EQUAL(l.state, SESSION_OVER);
        CHECK(l.why == session_nameless && !session_reads_local(&l));
    }
}

static void accepts_what_was_offered(void) {
    static const char *const texts[][2] = {
        {"EMS Sweb", "EMS"}, {"EM", "EM"},  {"ES", "ES"}, {"S", "S"},
        {"MS", "S"},         {"E Sx", "E"}, {"", ""}};

    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct session l = {.role = SESSION_HOST};

        frame_to(&l, 'A', G, "????", texts[i][0]);
        SAME_TEXT(session_accepted(&l), texts[i][1]);
    }
}

static void random_events(void) {
    for (int i = 0; i < 30000; i++) {
        struct session l = {.role = (unsigned char)(i & 1)};

        for (unsigned k = 0, n = unit_random(40); k < n; k++) {
            struct frame f =
                make("ABCDHWZ"[unit_random(7)], unit_random(9) ? G : (const unsigned char *)"RRRR",
                     unit_random(4) ? l.tokens.host : H, unit_random(3));

            if (l.role == SESSION_GUEST && l.state == SESSION_IDLE && !unit_random(3))
                session_open(&l, G, NULL, unit_random(2));
            else if (l.role == SESSION_GUEST && l.state == SESSION_IDLE && !unit_random(3))
                session_open_shared(&l, G, NULL);
            else if (l.role == SESSION_HOST && l.state == SESSION_IDLE && !unit_random(3))
                accept_shared(&l, &f);
            else if (l.state == SESSION_CONNECTING && !unit_random(3))
                session_connected(&l, H);
            else
                sessioncheck_step(&l, unit_random(3) ? &f : NULL,
                                  (enum session_event)unit_random(SESSION_STOP + 1));
        }
    }
}

/* ---- two links, and queues that lose nothing ---- */

struct side {
    struct session l;
    struct frame q[64];        /* on its way to this side */
    unsigned head, tail, left; /* left: DATA frames still to send */
    bool eof, shut, closed;
};

static void send_to(struct side *to, const struct session *from, char ctrl, unsigned length) {
    struct frame *f = &to->q[to->tail++ % 64];

    CHECK(to->tail - to->head < 64);
    *f = (struct frame){(unsigned char)ctrl, from->tokens, length};
}

static void carry_out(struct side *s, struct side *other, unsigned actions, bool answer_eos) {
    if (actions & SESSION_SEND_SYN)
        send_to(other, &s->l, 'A', s->l.offered);
    if (actions & SESSION_SEND_SYNACK)
        send_to(other, &s->l, 'C', s->l.eos && answer_eos);
    if (actions & SESSION_SEND_ACK)
        send_to(other, &s->l, 'B', 0);
    if (actions & SESSION_SEND_EOS)
        send_to(other, &s->l, 'D', 0);
    if (actions & SESSION_SEND_RESET)
        send_to(other, &s->l, 'H', 0);
    s->shut |= (actions & (SESSION_SHUT | SESSION_CLOSE)) != 0;
    s->closed |= (actions & (SESSION_CLOSE | SESSION_ABORT)) != 0;
    if (actions & SESSION_CONNECT)
        carry_out(s, other, session_connected(&s->l, H), answer_eos);
}

static void a_pair_comes_to_its_end(void) {
    for (int i = 0; i < 5000; i++) {
        bool agree = unit_random(2);
        struct side s[2] = {{.l = {.role = SESSION_GUEST}, .left = unit_random(5)},
                            {.l = {.role = SESSION_HOST}, .left = unit_random(5)}};
        unsigned total[2] = {s[0].left, s[1].left}, got[2] = {0, 0};
        int rounds = 0;

        carry_out(&s[0], &s[1], session_open(&s[0].l, G, NULL, true), agree);
        if (!agree)
            s[1].q[0].length = 0; /* an original guest offers nothing */
        while (s[0].l.state != SESSION_OVER || s[1].l.state != SESSION_OVER) {
            unsigned k = unit_random(2);
            struct side *me = &s[k], *other = &s[!k];
            bool quiet =
                me->head == me->tail && other->head == other->tail && !me->left && !other->left;

            CHECK(++rounds < 10000);
            if (me->l.state == SESSION_CLOSING && unit_random(2)) {
                carry_out(me, other, session_event(&me->l, SESSION_DELIVERED, NULL), agree);
            } else if (me->head != me->tail && me->l.state < SESSION_CLOSING && unit_random(2)) {
                struct frame f = me->q[me->head++ % 64];
                unsigned actions =
                    session_frame(&me->l, &f, "E", f.length && f.ctrl != 'D' ? 1 : 0);

                got[k] += (actions & SESSION_DELIVER) != 0;
                carry_out(me, other, actions, agree);
            } else if (me->l.state >= SESSION_CLOSING) {
                me->head = me->tail;
            } else if (session_reads_local(&me->l) && other->tail - other->head < 20) {
                if (me->left) {
                    me->left--;
                    send_to(other, &me->l, 'D', 7);
                } else {
                    carry_out(me, other, session_event(&me->l, SESSION_LOCAL_EOF, NULL), agree);
                }
            } else if (quiet && session_lingers(&me->l)) {
                carry_out(me, other, session_event(&me->l, SESSION_TIMEOUT, NULL), agree);
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
    {"credit", credit},
    {"who-takes-many", who_takes_many},
    {"names", names},
    {"accepts-what-was-offered", accepts_what_was_offered},
    {"random-events", random_events},
    {"a-pair-comes-to-its-end", a_pair_comes_to_its_end},
};
UNIT_MAIN("session", cases)
