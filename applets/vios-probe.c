/* SPDX-License-Identifier: Apache-2.0 */
/* vios-probe: runs the handshake on channels, and says which link of the chain is broken. */
#include <stdlib.h>

#include "applets.h"
#include "lib/base/filter.h"
#include "lib/base/fmt.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/out.h"
#include "lib/diagnose/probe.h"
#include "lib/diagnose/tally.h"
#include "lib/diagnose/target.h"

enum { USAGE = 2 };

static bool json;
static long count, interval = 1000, timeout = 12000;
static int worst;                 /* exit status so far */
static bool probed, held, unread; /* nobody reads stdout any more */

static void set_json(const char *unused) {
    (void)unused;
    json = true;
}

static void set_count(const char *text) { count = opt_number('c', text, 1, TALLY_MAX); }

static void set_interval(const char *text) { interval = opt_seconds('i', text, 0); }
static void set_timeout(const char *text) { timeout = opt_seconds('t', text, 1); }

/* The macros have their commas in them. */
/* clang-format off */
static const struct opt options[] = {
    {'c', "COUNT", "number of handshakes on each channel, with statistics", set_count},
    {'i', "SECONDS", "time between them (1)", set_interval},
    {'t', "SECONDS", "time for each (12)", set_timeout},
    {'j', NULL, "JSON (also --json)", set_json},
    OPT_FILE
    PROBE_OPT_SERVICE("ask for the host's service of this name")
    FILTER_OPT("probe the channels with these names (up to 8)")
    {0},
};
/* clang-format on */

static const struct opt_applet applet = {
    "vios-probe",
    "[options] " TARGET_OPERAND,
    "Runs the handshake with the vios-proxy-host at the other end of a virtio-serial\n"
    "channel, or says why that is not possible and what to do next.\n"
    "\n"
    "  channel    its name, path or device\n"
    "  directory  each free channel in it (" CONFIG_HOST_DIRECTORY ")\n"
    "  tcp:PORT   through the vios-proxy-guest that listens on this port; also\n"
    "             tcp:ADDR:PORT, tcp:[V6]:PORT; with -u on this path: unix:PATH\n"
    "\n"
    "Exit status: 0 all answered, 1 refused, 2 bad usage, 3 no channel or no host\n"
    "attached, 4 held by another process, 5 no answer or a wrong one\n",
    "vios-probe tcp:5672",
    options,
    USAGE,
    false,
};

/* ---- output ---- */

static void begin(const struct target *t) {
    if (!json)
        return;
    out_json_open(NULL, '{');
    out_json_text("name", t->name);
    out_json_text("path", t->path);
    out_json_open("handshakes", '[');
}

static void show(const struct target *t, const struct probe *p, enum probe_result r,
                 unsigned number) {
    if (json) {
        out_json_open(NULL, '{');
        out_json_text("result", probe_name(r));
        out_json_text("text", p->text);
        out_json_text("next", r == PROBE_ANSWERED ? NULL : p->next);
        out_json_number("microseconds",
                        r > PROBE_REFUSED || !p->shake.us ? -1 : (long long)p->shake.us);
        out_json_text("capabilities", r == PROBE_ANSWERED && t->path ? p->shake.payload : NULL);
        out_json_number("connections",
                        r == PROBE_ANSWERED && t->path ? (long long)p->shake.places : -1);
        out_json_text("reason",
                      r && r <= PROBE_REFUSED && *p->shake.payload ? p->shake.payload : NULL);
        out_json_close('}');
    } else if (r == PROBE_ANSWERED) {
        out_safe(t->name, 0);
        if (count)
            out_print(": %u", number);
        out_print(": ");
        out_safe(p->text, 0);
        out_print("\n");
    } else {
        probe_tell(p, t->name);
    }
    unread = out_flush();
}

/* ---- probing ---- */

static enum probe_result once(const struct target *t, struct probe *p) {
    enum probe_result r = PROBE_ANSWERED;

    p->shake.us = 0;
    if (t->through)
        return probe_through(p, t->through, timeout);
    if (t->missing) {
        fmt_copy(p->text, sizeof p->text, t->missing);
        p->next = "vios-list shows those that there are";
        return PROBE_NO_CHANNEL;
    }
    if (p->shake.end.fd < 0)
        r = probe_open(p, t->path);
    return r ? r : probe_run(p, timeout);
}

/* All handshakes of one target. each: it is one of a directory's, where those that are held are
 * only told of. */
static void series(const struct target *t, bool each) {
    struct probe p = {.shake = {.end = {.fd = -1}}};
    unsigned n = count && !t->missing ? (unsigned)count : 1;

    tally_begin();
    begin(t);
    for (unsigned i = 1; i <= n && !loop_stopped() && !unread; i++) {
        enum probe_result r = once(t, &p);
        long long next = loop_micros() + interval * 1000LL, left;

        show(t, &p, r, i);
        if (r == PROBE_HELD && each) {
            held = true;
            break;
        }
        if (r == PROBE_STOPPED && tally_count())
            break;
        probed = true;
        tally_add(r, p.shake.us);
        if (probe_status(r) > worst)
            worst = probe_status(r);
        while (i < n && !loop_stopped() && (left = next - loop_micros()) > 0)
            loop_wait((long)(left / 1000) + 1);
    }
    probe_close(&p);
    if (json)
        out_json_close(']');
    if (json || count)
        tally_show(json ? NULL : t->name);
    if (json)
        out_json_close('}');
}

/* ---- what to probe ---- */

static bool wanted(const struct port *p) {
    return filter_is_given() ? filter_matches(p->name) : !*p->agent;
}

static bool probe(const struct target *t, bool each) {
    series(t, each);
    return !loop_stopped() && !unread;
}

int vios_probe_main(int argc, char **argv) {
    int n = opt_parse(&applet, argc, argv, 1);

    loop_signals();
    if (json) {
        out_json_open(NULL, '{');
        out_json_open("channels", '[');
    }
    if (!target_each(&applet, n ? argv[1] : NULL, wanted, probe))
        worst = probe_status(PROBE_NO_CHANNEL);
    if (!probed && held)
        worst = probe_status(PROBE_HELD);
    if (json) {
        out_json_close(']');
        out_json_number("status", worst);
        out_json_close('}');
        out_print("\n");
    }
    if (out_flush()) {
        log_msg(LOG_ERROR, "stdout: %m");
        return EXIT_FAILURE;
    }
    return worst;
}
