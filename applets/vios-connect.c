/* SPDX-License-Identifier: Apache-2.0 */
/* vios-connect: carries stdin and stdout over one connection of a channel, which it has for itself,
 * or through a proxy that runs. */
#include <stdlib.h>

#include "applets.h"
#include "lib/base/filter.h"
#include "lib/base/fmt.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/sandbox.h"
#include "lib/diagnose/probe.h"
#include "lib/diagnose/target.h"
#include "lib/wire/stream.h"

enum { USAGE = 2 };

static struct probe probe;
static long wait = CONFIG_HANDSHAKE_TIMEOUT * 1000L;
static bool untold_is_enough; /* -2 */
static bool patient; /* of several channels, none was free at once: the first one may become so */
static enum probe_result result;

static void accept_untold(const char *unused) {
    (void)unused;
    untold_is_enough = true;
}

static void set_wait(const char *text) { wait = opt_seconds('w', text, 1); }

/* clang-format off */
static const struct opt options[] = {
    {'w', "SECONDS", "how long to wait for the other side (30)", set_wait},
    {'2', NULL, "accept an end that may be a failure (a peer of 2011)", accept_untold},
    OPT_FILE
    PROBE_OPT_SERVICE("ask for the other side's service of this name")
    FILTER_OPT("use a channel with one of these names (up to 8)")
    {0},
};
/* clang-format on */

static const struct opt_applet applet = {
    "vios-connect",
    "[options] " TARGET_OPERAND,
    "Carries stdin and stdout over one connection: of a guest's port to the host's\n"
    "service, of a port's socket into the guest, or through a proxy that runs.\n"
    "\n"
    "  directory  its first free channel: a socket *.in, or a port of another name\n"
    "\n"
    "Exit status: 0 both directions ended in order, 1 refused, 2 bad usage, 3 no\n"
    "channel or nobody there, 4 held, 5 no answer or a wrong one, or broken off\n",
    "ssh -o ProxyCommand='vios-connect /run/vios/guest1' root@guest1",
    options,
    USAGE,
    false,
};

/* ---- the connection ---- */

/* What to say of an end that is not known to be in order, NULL: nothing. */
static const char *flaw(const struct stream *s) {
    if (s->local)
        return s->text;
    if (!s->end->raw && s->session->why)
        return s->session->why;
    if (!s->session->abort && !s->deaf)
        return untold_is_enough
                   ? NULL
                   : "ended, perhaps too early: the other side cannot say (-2 accepts that)";
    return *s->text ? s->text : "the connection broke";
}

/* The end of the connection that was not in order: the peer learns of it too. */
static void leave(const struct stream *s) {
    if (loop_stopped())
        session_event(s->session, SESSION_STOP, "stopped");
    if (!s->end->raw)
        handshake_retreat(&probe.shake);
    else if (s->session->abort || s->local || s->deaf || loop_stopped())
        net_abort_on_close(s->end->fd);
}

/* A proxy's socket ends in order for a client that was refused; and a unix socket even for one
 * whose connection broke. */
static int carry(const struct target *t) {
    static struct stream s;
    struct handshake *h = &probe.shake;
    const char *why;

    s.end = &h->end;
    s.session = &h->session;
    h->end.raw = t->through;
    if (t->through)
        h->session = (struct session){.state = SESSION_ESTABLISHED, .eos = true};
    if (stream_run(&s, h->rest, h->rest_bytes) && (!t->through || (s.came && *t->name == 't')))
        return EXIT_SUCCESS;
    why = flaw(&s);
    leave(&s);
    if (loop_stopped())
        return probe_status(PROBE_STOPPED);
    if (!why)
        return EXIT_SUCCESS;
    log_msg(LOG_ERROR, "%s: %s", t->name, why);
    return s.local || (t->through && !s.came) ? EXIT_FAILURE : probe_status(PROBE_CUT_OFF);
}

/* ---- the channel ---- */

/* The inward channels of a guest are its sockets of such names. */
static bool wanted(const struct port *p) {
    if (filter_is_given())
        return filter_matches(p->name);
    return p->is_socket ? agent_is_inward(p->name) && !*fmt_find(p->name, '/') : !*p->agent;
}

static enum probe_result open_channel(const struct target *t, bool each) {
    enum probe_result r = probe_open(&probe, t->path);

    if (!r && each && probe_is_waiting(&probe))
        r = PROBE_HELD;
    probe.shake.waits = !each;
    if (!r)
        r = probe_run(&probe, wait);
    if (r)
        probe_close(&probe);
    return r;
}

static bool may_change(void) {
    return result == PROBE_HELD || result == PROBE_NO_HOST || result == PROBE_CUT_OFF;
}

/* Of several channels one that is free and has its host is better than to wait for one. */
static bool use(const struct target *t, bool each) {
    probe.found = each;
    each &= !patient && ports_count() > 1;
    if (t->missing)
        fmt_copy(probe.text, sizeof probe.text, t->missing);
    result = t->missing   ? PROBE_NO_CHANNEL
             : t->through ? probe_reach(&probe, t->through, wait)
                          : open_channel(t, each);
    if (each && may_change())
        return true;
    if (!result)
        exit(carry(t));
    probe_tell(&probe, t->name);
    return true;
}

int vios_connect_main(int argc, char **argv) {
    const char *what = opt_parse(&applet, argc, argv, 1) ? argv[1] : NULL;

    loop_signals();
    sandbox_enter(SANDBOX_CONNECT);
    probe.shake.end.fd = -1;
    probe.shake.connects = true;
    do {
        if (!target_each(&applet, what, wanted, use))
            return probe_status(PROBE_NO_CHANNEL);
        patient = !patient;
    } while (patient && may_change());
    return probe_status(result);
}
