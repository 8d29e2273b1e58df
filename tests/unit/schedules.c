/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* schedules: the whole of each proxy but its directory watch, in the simulation of sim.h and
 * ends.h, through random schedules.
 *
 *     schedules CONFIG guest|host FIRST COUNT    runs schedules FIRST .. FIRST + COUNT - 1, each
 *                                                in a process of its own
 *     schedules -v guest|host N                  runs schedule N here, and shows what happens
 *
 * In each schedule ports or sockets, apps and sessions come, talk and go, with short reads and
 * writes, EINTR, EAGAIN, writes that
 * return 0, missing descriptors, detached hosts, unplugged ports, resets, refusals, time-outs.
 * Checked: every byte on both sides; the
 * frames on the wire; that no session lacks its end; that the program neither spins nor sleeps
 * while it has work (sleeps()); that no
 * descriptor is left. */
/* clang-format on */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../applets/lib/base/file.h"
#include "../../applets/lib/base/loop.h"
#include "../../applets/lib/base/sys.h"
#include "../../applets/lib/relay/channels.h"
#include "../../applets/lib/relay/choice.h"
#include "../../applets/lib/relay/clients.h"
#include "../../applets/lib/relay/guest.h"
#include "../../applets/lib/relay/host.h"
#include "../../applets/lib/relay/relay.h"
#include "../../applets/lib/relay/sender.h"
#include "ends.h"
#include "fakes.h"
#include "many.h"

enum { PORTS = 4, GRACE = 700 /* ms, of proxy.c */ };

static const char *config;
static bool is_guest, stopping, stop_early;
static struct sim_file *news;
static names_fn *tell;
static struct sim_file *ports[PORTS];
static bool named[PORTS];
static unsigned port_count, incidents;
static long long incident_at, stop_at, stopped_at, back_at[PORTS];

/* ---- names ---- */

static int index_of(const char *name) { return name[strlen(name) - 1] - '0'; }

static const char *name_of(unsigned i) {
    static char name[16];

    snprintf(name, sizeof name, is_guest ? "port%u" : "g%u/port%u", i % 2 ? i : i / 2, i);
    return name;
}

static void tell_all(void) {
    for (unsigned i = 0; i < port_count; i++)
        if (named[i])
            tell(name_of(i), true);
}

static void on_news(void *arg, unsigned ready) {
    unsigned char events[8];
    ssize_t n = read(news->fd, events, sizeof events);

    (void)arg, (void)ready;
    for (ssize_t i = 0; i < n; i++)
        if (events[i] < PORTS)
            tell(name_of(events[i]), false);
        else if (named[events[i] - PORTS])
            tell(name_of(events[i] - PORTS), true);
}

/* A name comes or goes. */
static void rename_port(unsigned i, bool there) {
    unsigned char event = (unsigned char)(there ? i + PORTS : i);

    named[i] = there;
    sim_put(&news->in, &event, 1);
}

static void fake_start(bool guests, names_fn *fn) {
    if (guests == is_guest)
        sim_fail("names of %s", guests ? "guests" : "ports");
    tell = fn;
    news = sim_new(SIM_STREAM, 1000, 1);
    sim_give(news, -1);
    loop_watch(news->fd, LOOP_READ, on_news, NULL);
    tell_all();
}

static void fake_again(const char *name) {
    if (!name)
        tell_all();
    else if (named[index_of(name)])
        tell(name, true);
}

/* ---- the world ---- */

static struct app *waiting(void) {
    struct app *first = NULL;

    for (unsigned i = 0; i < app_count; i++)
        if (is_guest && apps[i].started && !apps[i].taken &&
            (!first || apps[i].start_at < first->start_at))
            first = &apps[i];
    return first;
}

static bool has_client(void) { return waiting() != NULL; }

static struct sim_file *accept_client(void) {
    struct app *a = waiting();

    a->taken = true;
    sim_note("app %u is accepted", a->id);
    return a->f;
}

static struct sim_file *open_port(const char *path) {
    unsigned i = (unsigned)index_of(path);
    struct sim_file *old = ports[i], *f;

    if (!named[i] || sim_chance(100)) {
        errno = named[i] ? EBUSY : ENOENT;
        return NULL;
    }
    if (old && old->fd >= 0)
        return old;
    if (old && old->attached && !old->unplugged && !sim_faults.high_fd)
        sim_fail("%s was closed without cause", path);
    f = sim_new(SIM_PORT, 4096 * (1 + sim_random(8)), 1 + sim_random(sim_random(2) ? 300 : 40000));
    f->attached = old ? old->attached && !old->unplugged : sim_random(4) != 0;
    if (old && old->unplugged)
        f->attached = true;
    ports[i] = f;
    if (peers[i].s) {
        peers[i].s->lost = true;
        peer_detach(&peers[i]);
    }
    if (f->attached)
        peer_attach(&peers[i], f, true);
    else
        back_at[i] = sim_now() + sim_random(3000);
    return f;
}

static int service_error(void) {
    static const int reasons[] = {ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EAGAIN};

    return reasons[sim_random(4)];
}

static int connect_to(struct sim_file *f, const char *path) {
    struct sim_pipe in = f->in, out = f->out;
    struct app *a;

    if (path) {
        unsigned i = (unsigned)index_of(path);

        if (!named[i] || peers[i].attached || sim_chance(100))
            return named[i] ? EAGAIN : ENOENT;
        f->in.cap = 1 + sim_random(9000);
        f->out.cap = 1 + sim_random(sim_random(2) ? 300 : 40000);
        f->in.data = realloc(in.data, f->in.cap + 1);
        f->out.data = realloc(out.data, f->out.cap + 1);
        ports[i] = f;
        peer_attach(&peers[i], f, false);
        return 0;
    }
    if (!sim_random(12)) {
        sim_note("the service refuses");
        return service_error();
    }
    a = app_new(sim_random(8) ? 8 + sim_random(ends_size) : 0,
                (enum app_end)(sim_random(8) < 6 ? sim_random(2) : 2 + sim_random(2)), sim_now());
    *f = (struct sim_file){.kind = SIM_STREAM, .fd = f->fd, .in = a->f->in, .out = a->f->out};
    a->f->in.data = a->f->out.data = NULL;
    sim_forget(a->f);
    free(in.data);
    free(out.data);
    a->f = f;
    a->started = a->taken = true;
    sim_note("app %u is asked", a->id);
    f->pending = sim_random(2);
    if (f->pending)
        a->start_at = sim_now() + (sim_random(8) ? sim_random(200) : 20000);
    return f->pending ? EINPROGRESS : 0;
}

/* The pending connects that are decided now. */
static bool decide(void) {
    for (unsigned i = 0; i < app_count; i++) {
        struct app *a = &apps[i];

        if (is_guest || !a->f->pending || a->start_at > sim_now() || a->f->fd < 0)
            continue;
        a->f->pending = false;
        if (!sim_random(5)) {
            a->f->error = service_error();
            a->impatient = a->ended = true;
        }
        return true;
    }
    return false;
}

static bool start_apps(void) {
    bool any = false;

    for (unsigned i = 0; i < app_count; i++)
        if (!apps[i].started && apps[i].start_at <= sim_now())
            any = apps[i].started = true;
    return any;
}

static void plug(unsigned i) {
    back_at[i] = 0;
    if (!named[i]) {
        rename_port(i, true);
        return;
    }
    if (is_guest && ports[i]->fd >= 0 && !ports[i]->attached && !ports[i]->unplugged) {
        ports[i]->attached = true;
        peer_attach(&peers[i], ports[i], false);
    }
}

/* Something happens to a channel. */
static void incident(void) {
    unsigned i = sim_random(port_count);
    struct sim_file *f = ports[i];
    bool quick = !sim_random(3);

    incident_at = incidents-- > 1 ? sim_now() + sim_random(2000) : 0;
    if (!f || f->fd < 0 || back_at[i])
        return;
    if (peers[i].attached)
        peer_detach(&peers[i]);
    if (!is_guest) {
        f->in_end = true; /* QEMU closes; it may come back at once */
        f->deaf = true;
        f->in_reset = sim_random(2);
        if (sim_random(2))
            return;
        rename_port(i, false);
        back_at[i] = sim_now() + 1 + sim_random(3000);
        return;
    }
    sim_detach(f);
    back_at[i] = sim_now() + 1 + (quick ? 0 : sim_random(4000));
    if (!sim_random(3)) {
        sim_note("%s: unplugged", peers[i].name);
        f->unplugged = true;
        f->in.n = f->chunk_count = 0;
        rename_port(i, false);
    } else if (quick) {
        plug(i);
    }
}

/* QEMU hangs up when the program has closed the other side; its guest goes on. */
static bool notice_close(void) {
    for (unsigned i = 0; i < port_count; i++)
        if (peers[i].attached && peers[i].f->fd < 0) {
            if (!stopping && !sim_faults.high_fd)
                sim_fail("%s was closed without cause", name_of(i));
            peer_detach(&peers[i]);
            return true;
        }
    return false;
}

static bool act_on_time(void) {
    for (unsigned i = 0; i < port_count; i++)
        if (back_at[i] && back_at[i] <= sim_now()) {
            plug(i);
            return true;
        }
    if (incident_at && incident_at <= sim_now()) {
        incident();
        return true;
    }
    if (stop_early && !stopping && stop_at <= sim_now()) {
        stopping = true;
        stopped_at = sim_now();
        sim_note("stop");
        ends_slow = false; /* one who stalls for longer than the grace gets no RESET */
        for (unsigned i = 0; i < peer_count; i++)
            peers[i].pause_until = 0;
        sim_signal(SIGTERM);
        return true;
    }
    return false;
}

static bool act(void) {
    unsigned n = app_count + peer_count, first = n ? sim_random(n) : 0;

    if (notice_close() || start_apps() || decide() || act_on_time())
        return true;
    for (unsigned i = 0; i < n; i++) {
        unsigned k = (first + i) % n;

        if (k < app_count ? app_act(&apps[k]) : peer_act(&peers[k - app_count]))
            return true;
    }
    return false;
}

static long long next(void) {
    long long when = -1;
#define CONSIDER(at) (when = when < 0 || ((at) >= 0 && (at) < when) ? (at) : when)

    for (unsigned i = 0; i < app_count; i++) {
        CONSIDER(app_next(&apps[i]));
        if (!apps[i].started || (apps[i].f->pending && apps[i].f->fd >= 0))
            CONSIDER(apps[i].start_at);
    }
    for (unsigned i = 0; i < peer_count; i++)
        CONSIDER(peer_next(&peers[i]));
    for (unsigned i = 0; i < port_count; i++)
        CONSIDER(back_at[i] ? back_at[i] : -1);
    CONSIDER(incident_at ? incident_at : -1);
    CONSIDER(stop_early && !stopping ? stop_at : -1);
    return when;
}

/* ---- what must hold whenever the program sleeps ---- */

static bool all_busy(void) {
    return channel_busy() >= (is_guest ? CHANNEL_BUSY_GUEST : CHANNEL_BUSY_HOST);
}

/* A channel that has something to read, which the program does not watch: is there a reason? */
static bool may_ignore(const struct channel *ch, const struct sim_file *f) {
    const struct conn *c = ch->conns;
    const struct sim_file *t = c ? sim_at(c->fd) : NULL;

    if (!ch->end.attached || (ch->paused && ch->retry) || (ch->end.owed_bytes && !sim_writable(f)))
        return true;
    if (channel_is_shared(ch))
        return ch->held;
    if (!c || c->apart)
        return all_busy();
    if (c->session.state == SESSION_CLOSING)
        return t && (!sim_writable(t) || (c->wait == CONN_DRAIN && c->deadline <= sim_now() + 20));
    return t && conn_is_stuck(c) && !sim_writable(t);
}

static void check_conn(const struct channel *ch, const struct conn *c, bool attached) {
    const struct sim_file *t = sim_at(c->fd);

    if (!t || t->pending)
        return;
    if (conn_is_stuck(c) && sim_writable(t))
        sim_fail("%s: an app would take bytes, and the program sleeps", ch->name);
    if (sim_readable(t) && session_reads_local(&c->session) && session_has_credit(&c->session) &&
        attached && !ch->end.owed_bytes && !c->apart)
        sim_fail("%s: an app has bytes, and the program sleeps", ch->name);
}

/* Credit is neither lost nor made. f: nothing is under way: then both ends agree on it. */
static void check_credit(const struct channel *ch, const struct conn *c, const struct sim_file *f,
                         const struct peer *p) {
    const struct session *l = &c->session;
    const struct dialog *d = many_find(p, l->tokens.guest);
    unsigned open = l->granted + c->coming + c->window.n;

    if (!l->shared || session_is_ending(l) || c->apart)
        return;
    if (open > WINDOW_BYTES)
        sim_fail("%s: credit: %u granted, %u coming, %u waiting", ch->name, l->granted, c->coming,
                 c->window.n);
    if (!l->got_eof && !c->due && c->received && !session_is_connecting(l) &&
        (!open || (ch->carried > 1 && ch->wide != c && conn_grant(c) >= CONFIG_WINDOW / 2)))
        sim_fail("%s: credit is kept back: %u granted, %u coming, %u waiting", ch->name, l->granted,
                 c->coming, c->window.n);
    if (!d || f->in.n || f->out.n || p->q.n || ch->end.owed_bytes || c->due || d->plan == PLAN_MUTE)
        return;
    if (d->credit != l->granted || d->granted != l->credit)
        sim_fail("%s: session %u may send %u of %u bytes, and the program %u of %u", ch->name,
                 d->id, d->credit, l->granted, l->credit, d->granted);
}

static void check_channel(const struct channel *ch, const struct sim_file *f) {
    const struct conn *c = ch->conns;

    bool waits =
        ch->held && ch->end.owed_bytes; /* a SYN, until the RESET of the one before is out */

    if ((ch->out && !ch->end.owed_bytes) || (ch->in && !ch->in->filled && !ch->in->left && !waits))
        sim_fail("%s: keeps a buffer with nothing in it", ch->name);
    if (sim_writable(f) && (ch->end.owed_bytes || (f->attached && sender_is_due(ch))))
        sim_fail("%s: bytes for a channel that would take them, and the program sleeps", ch->name);
    if (!ch->end.attached && f->attached && sim_writable(f))
        sim_fail("%s: the host has come, and the program sleeps", ch->name);
    if (sim_readable(f) && f->attached && !may_ignore(ch, f))
        sim_fail("%s: %u bytes to read in state %s, and the program sleeps", ch->name, f->in.n,
                 c ? session_state_name(&c->session) : "-");
    for (; c; c = c->next) {
        check_conn(ch, c, f->attached);
        check_credit(ch, c, f, &peers[index_of(ch->name)]);
    }
}

static void sleeps(void) {
    struct channel *ch;

    for (unsigned i = 0; i < channels_count() && !sim_faults.lost_wake; i++) {
        ch = channels_at(i);
        if (*ch->name && ch->end.fd >= 0 && sim_at(ch->end.fd)->kind != SIM_NONE &&
            (!is_guest || !sim_at(ch->end.fd)->unplugged) && !sim_at(ch->end.fd)->in_end)
            check_channel(ch, sim_at(ch->end.fd));
    }
    if (is_guest && has_client() && !sim_watches(sim_listener, false) && !sim_faults.no_fd &&
        !sim_faults.high_fd && !stopping &&
        choice_make(&(struct listeners){0}, &ch) <= CHOICE_LINGERS)
        sim_fail("a client waits, a channel is free or lingers, and the program sleeps");
}

static void stops(void) {
    unsigned channels = 0;

    if (stopping)
        sim_fail("the program does not end");
    sim_note("all is over");
    for (unsigned i = 0; i < port_count; i++)
        if (named[i] && (!channels_find(name_of(i)) || channels_find(name_of(i))->end.fd < 0))
            sim_fail("%s is there and not open", name_of(i));
    for (unsigned i = 0; i < channels_count(); i++)
        channels += *channels_at(i)->name != '\0';
    for (unsigned i = 0; i < channel_busy(); i++) {
        const struct channel *ch = channel_busy_at(i);

        sim_fail("%s: busy in state %s, due %#x, owed %zu", ch->name,
                 ch->conns ? session_state_name(&ch->conns->session) : "-",
                 ch->conns ? ch->conns->due : 0, ch->end.owed_bytes);
    }
    if (sim_open_files() != channels + is_guest + 2)
        sim_fail("%u descriptors are open, %u channels", sim_open_files(), channels);
    ends_check(false, false);
    for (unsigned i = 0; i < app_count; i++)
        if (!apps[i].taken && apps[i].started)
            sim_fail("app %u was never accepted", i + 1);
    for (unsigned i = 0; i < peer_count; i++)
        if (peers[i].sessions_left)
            sim_fail("%s has %u sessions left", peers[i].name, peers[i].sessions_left);
    stopping = true;
    sim_signal(SIGTERM);
}

/* ---- schedules ---- */

static const struct sim_world world = {act,           next,       open_port, connect_to,
                                       accept_client, has_client, sleeps,    stops};

static unsigned rate(unsigned most) { return sim_random(2) ? 0 : 1 + sim_random(most); }

static void choose_faults(void) {
    sim_faults = (struct sim_faults){rate(100), rate(100), rate(900), rate(100), rate(500),
                                     rate(30),  0,         0,         rate(100), 0};
    if (!sim_random(10))
        sim_faults.no_fd = rate(300);
    if (!sim_random(10))
        sim_faults.high_fd = rate(300);
    if (is_guest && !sim_random(6))
        sim_faults.lost_wake = rate(300);
}

static void setup(void) {
    static const unsigned sizes[] = {40, 3000, 30000, 150000};
    char name[24];

    choose_faults();
    ends_size = sizes[sim_random(sim_random(4) ? 3 : 4)];
    ends_slow = sim_random(2);
    port_count = 1 + sim_random(PORTS);
    incidents = sim_random(3) ? 0 : 1 + sim_random(5);
    incident_at = incidents ? sim_now() + sim_random(1500) : 0;
    stop_early = !sim_random(5);
    stop_at = sim_now() + sim_random(3000);
    for (unsigned i = 0; i < port_count; i++) {
        snprintf(name, sizeof name, "peer %u", i);
        named[i] = sim_random(10) != 0;
        if (!named[i])
            back_at[i] = sim_now() + 1 + sim_random(1000);
        peer_new(is_guest, name)->sessions_left = is_guest ? 0 : sim_random(8);
    }
    for (unsigned i = 0, n = is_guest ? 1 + sim_random(sim_random(2) ? 8 : 16) : 0; i < n; i++)
        app_new(sim_random(8) ? 8 + sim_random(ends_size) : 0,
                (enum app_end)(sim_random(8) < 6 ? sim_random(2) : 2 + sim_random(2)),
                sim_now() + sim_random(sim_random(2) ? 20 : 4000));
}

static void run(unsigned long long seed) {
    struct setup proxy = {.given = true, .directory = "sim", .services = 1};
    unsigned limit;
    int status;

    setrlimit(RLIMIT_CPU, &(struct rlimit){20, 20}); /* a schedule without an end */
    sim_start(&world, seed);
    setup();
    net_literal(proxy.service, "127.0.0.1", 5672);
    log_name(is_guest ? "vios-proxy-guest" : "vios-proxy-host", true);
    log_level_set("DEBUG");
    if (is_guest && !sim_random(8))
        clients_set_reject(NULL);
    if (is_guest)
        clients_set_wait((const char *[]){"0", "0", "0", "1", "2", "3"}[sim_random(6)]);
    limit = is_guest || sim_random(6) ? 1000 : 1 + sim_random(2);
    ends_limited = limit < 1000 || CONFIG_CHANNEL_CONNECTIONS < 16;
    status = is_guest ? guest_run(&proxy) : host_run(&proxy, limit);
    if (status)
        sim_fail("exit status %d", status);
    ends_check(stop_early, sim_now() >= stopped_at + GRACE);
}

/* One schedule in a process of its own; true if all was well. */
static bool run_apart(unsigned long long seed) {
    char why[600] = "";
    int ends[2], status;
    ssize_t n;
    pid_t child;

    if (pipe(ends) || (child = fork()) < 0)
        abort();
    if (!child) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        run(seed);
        _exit(0);
    }
    close(ends[1]);
    n = read(ends[0], why, sizeof why - 1);
    close(ends[0]);
    waitpid(child, &status, 0);
    why[n > 0 ? n : 0] = '\0';
    why[strcspn(why, "\n")] = '\0';
    if (!status)
        return true;
    printf("not ok schedules/%s-%s%s%s (schedule %llu, wait status %#x)\n",
           is_guest ? "guest" : "host", config, *why ? "" : ": crashed", why, seed, status);
    fflush(stdout);
    return false;
}

int main(int argc, char **argv) {
    unsigned long long first, count;
    bool good = true;

    if (argc < 4)
        return 2;
    config = argv[1];
    sim_verbose = !strcmp(config, "-v");
    is_guest = !strcmp(argv[2], "guest");
    first = strtoull(argv[3], NULL, 10);
    if (sim_verbose) {
        run(first);
        puts("ok");
        return 0;
    }
    count = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    for (unsigned long long i = 0; i < count && good; i++)
        good = run_apart(first + i);
    if (good)
        printf("ok schedules/%s-%s\n", is_guest ? "guest" : "host", config);
    return !good;
}
