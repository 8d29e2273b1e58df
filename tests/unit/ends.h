/* SPDX-License-Identifier: Apache-2.0 */
/* ends: what stands around a proxy in the simulation. An app is the far end of a TCP connection
 * (the guest's client, the host's service), a peer the far end of a channel: a second
 * implementation of the protocol, written for the tests alone, that takes no byte of a proxy's on
 * trust. Every stream of data tells who sent it and how long it is, and each of its bytes is
 * checked. */
#ifndef VIOS_ENDS_H
#define VIOS_ENDS_H

#include "sim.h"

enum { ENDS_MAX = 48 };

/* What has come of a stream: its first 8 bytes are id and total. */
struct sink {
    unsigned id, total, got;
    unsigned char head[8];
};

/* How an app ends: it shuts down its side and reads on; waits for the other side's end first;
 * closes at once; resets. */
enum app_end { APP_HALF, APP_WAIT, APP_CLOSE, APP_RESET };

/* ended: its own direction is over. impatient: it has given up. taken: the program has it. */
struct app {
    struct sim_file *f;
    unsigned id, total, sent, stop_at;
    enum app_end end;
    bool started, taken, ended, impatient, saw_end, saw_reset;
    long long start_at, pause_until, give_up_at, shut_at, reset_at;
    struct sink sink;
};

struct app *app_new(unsigned total, enum app_end end, long long start_at);
struct app *app_by_id(unsigned id);
bool app_act(struct app *a);
long long app_next(const struct app *a);
bool app_over(const struct app *a);

enum peer_state { PEER_IDLE, PEER_REPLYING, PEER_SYN_SENT, PEER_SYN_RCVD, PEER_OPEN, PEER_OVER };

/* What a session's peer does. */
enum plan {
    PLAN_CLEAN,   /* all its data, then the end that was agreed */
    PLAN_RESET,   /* RESET after `at` bytes */
    PLAN_VIOLATE, /* a frame that must not come, after `at` bytes */
    PLAN_MUTE,    /* no more bytes after `at`, until it gives up */
    PLAN_SILENT,  /* (host) no answer to the SYN */
    PLAN_REFUSE,  /* (host) RESET instead of SYNACK. (guest) RESET instead of ACK */
    PLAN_WRONG, /* (guest) something else than the ACK; (host) junk and strangers' frames before the
                   SYNACK */
};

struct tokens {
    unsigned char guest[4], host[4];
};

/* On a shared channel: not (any more); (guest) its SYN has no answer; (host) its SYN has come;
 * open. */
enum many { MANY_NOT, MANY_ASKING, MANY_ANSWERING, MANY_OPEN };

enum { MANY_AT_ONCE = 6 };

/* said_at: where its end is in the stream to the program. credit, granted: payload bytes that the
 * peer, and that the program, may still send. */
struct dialog {
    const struct peer *peer;
    unsigned long long said_at;
    unsigned id, total, sent, at;
    enum plan plan;
    struct tokens tokens;
    bool offered, offered_many, mistaken, eos, sent_eos, got_eos, sent_reset, got_reset, opened,
        lost, impatient, started_clean;
    enum many many;
    bool first; /* it began the sharing */
    bool again; /* its token was in one more SYN, which the program may take for a new one */
    bool plain; /* its SYN had no M */
    unsigned credit, granted;
    long long reset_at, give_up_at, last_byte_at, answer_at;
    struct sink sink;
};

/* What a peer knows: the original, our programs without M, and with it. */
enum level { LEVEL_ORIGINAL, LEVEL_EOS, LEVEL_MANY };

/* lenient: its stream may begin in the midst of a frame, until the first SYN. sessions_left:
 * (guest) to be started. must_fill, may_fill: whether filler must, or may, come before the next
 * SYN. after_reset, after_init: a RESET was the frame before, and one of INIT. mistakes: (guest)
 * SYNs that offered M without such a RESET before them. shared: many dialogs are on the channel;
 * places: at most, as a host says; deaf: that is over for the peer, and the program may not know
 * it yet; provoked: the program has cause to end it. */
struct peer {
    bool is_host, attached, lenient, must_fill, may_fill, renewed, after_reset, after_init, greeted,
        shared, deaf, provoked;
    enum level level;
    unsigned places, mistakes, shared_syns;
    struct sim_file *f;
    char name[24];
    enum peer_state state;
    struct dialog *s;
    /* reader */
    unsigned char head[14], text[256];
    unsigned have, left, text_bytes, ctrl, length;
    struct tokens tokens;
    unsigned filler;
    /* writer */
    struct sim_pipe q;
    unsigned long long init_at; /* what the program must have read to know of a new host */
    long long act_at, pause_until;
    unsigned sessions_left;
    struct tokens stale[16];
    unsigned stale_count;
};

extern struct app apps[ENDS_MAX];
extern struct dialog sessions[ENDS_MAX * 2];
extern struct peer peers[8];
extern unsigned app_count, session_count, peer_count;
extern unsigned ends_size; /* the longest stream */
extern bool ends_slow;     /* readers pause */
extern bool ends_limited;  /* (host) a SYN may end a connection that was aborted, for its place */

void ends_start(void);
struct peer *peer_new(bool is_host, const char *name);
void peer_attach(struct peer *p, struct sim_file *f, bool opened);
void peer_detach(struct peer *p);
bool peer_act(struct peer *p);
long long peer_next(const struct peer *p);
void peer_drain(struct peer *p); /* reads all that the program has written */

/* Everything is over: nothing may be missing. stopped: the program was told to end; hurried: and
 * took all the time that it has for that. */
void ends_check(bool stopped, bool hurried);

#endif
