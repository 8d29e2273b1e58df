/* SPDX-License-Identifier: Apache-2.0 */
/* vios-probe: runs the handshake on channels, and says which link of the chain is broken. */
#include <stdlib.h>
#include <string.h>

#include "applets.h"
#include "lib/base/file.h"
#include "lib/base/filter.h"
#include "lib/base/fmt.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/out.h"
#include "lib/diagnose/advice.h"
#include "lib/diagnose/ports.h"
#include "lib/diagnose/probe.h"
#include "lib/diagnose/tally.h"
#include "lib/relay/sysfs.h"

enum { USAGE = 2 };

static bool json;
static long count, interval = 1000, timeout = 12000;
static int worst;                 /* exit status so far */
static bool probed, held, unread; /* nobody reads stdout any more */

static void set_json(const char *unused) {
    (void)unused;
    json = true;
}

static void set_count(const char *text) {
    count = fmt_number(text, 1, TALLY_MAX);
    if (count < 0)
        log_fatal("-c %s: a number in range 1..%d is needed", text, TALLY_MAX);
}

static long seconds(const char *option, const char *text, const char *range, long least) {
    long ms = fmt_millis(text, least, 3600000);

    if (ms < 0)
        log_fatal("%s %s: seconds in range %s are needed", option, text, range);
    return ms;
}

static void set_interval(const char *text) { interval = seconds("-i", text, "0..3600", 0); }
static void set_timeout(const char *text) { timeout = seconds("-t", text, "0.001..3600", 1); }

/* The macros have their commas in them. */
/* clang-format off */
static const struct opt options[] = {
    {'c', "COUNT", "so many handshakes on each channel, and their statistics", set_count},
    {'i', "SECONDS", "between them (1)", set_interval},
    {'t', "SECONDS", "for each at most (12)", set_timeout},
    {'j', NULL, "JSON (also --json)", set_json},
    FILTER_OPT("probe the channels with these names (up to 8 times)")
    {0},
};
/* clang-format on */

static const struct opt_applet applet = {
    "vios-probe",
    "[options] [channel | directory | tcp:[ADDR:]PORT | unix:PATH]",
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
    options,
    USAGE,
    false,
};

/* What is probed. path: NULL for through, where vios-proxy-guest listens, and for what cannot be
 * probed; then missing tells why. */
struct target {
    const char *name, *path, *missing;
    const struct net_address *through;
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
    static const char *said; /* the last advice: it is given once */

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
        out_json_text("reason", r == PROBE_REFUSED && *p->shake.payload ? p->shake.payload : NULL);
        out_json_close('}');
    } else if (r == PROBE_ANSWERED) {
        out_safe(t->name, 0);
        if (count)
            out_print(": %u", number);
        out_print(": ");
        out_safe(p->text, 0);
        out_print("\n");
    } else {
        log_msg(LOG_ERROR, "%s: %s", t->name, p->text);
        if (p->next && p->next != said)
            log_msg(LOG_NOTICE, "next: %s", p->next);
        said = p->next;
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

static void fail(const char *name, const char *text) {
    series(&(struct target){name, NULL, text, NULL}, false);
}

static void say(const char *reason) { log_msg(LOG_ERROR, "no channel: %s", reason); }

/* A device whose node is missing gets one, as vios-proxy-guest makes it. */
static void probe_port(const struct port *port, bool each) {
    char path[PORTS_PATH];
    struct target t = {port->name, path, NULL, NULL};

    fmt_copy(path, sizeof path, ports_path(port));
    if (file_mode(path, true) < 0 && *port->node)
        sysfs_ports.path(port->name);
    series(&t, each);
}

static bool wanted(const struct port *p) {
    return filter_is_given() ? filter_matches(p->name) : !*p->agent;
}

static void probe_directory(const char *directory) {
    unsigned all;

    if (ports_scan(directory)) {
        char text[64];

        fmt_print(text, sizeof text, "the directory cannot be read: %m");
        fail(directory, text);
        return;
    }
    all = ports_count();
    ports_filter(wanted);
    for (unsigned i = 0; i < ports_count() && !loop_stopped() && !unread; i++)
        probe_port(ports_at(i), true);
    if (ports_count())
        return;
    worst = probe_status(PROBE_NO_CHANNEL);
    if (all)
        say(filter_is_given()
                ? "no name matches -n"
                : "there are only ports of other agents: -n NAME probes such a one anyway");
    else if (ports_hidden())
        say("no permission to see all that there is");
    else
        why_none(directory, say);
}

static void probe_path(const char *path, const struct stat *st) {
    struct target t = {path, path, NULL, NULL};

    if (S_ISDIR(st->st_mode))
        probe_directory(path);
    else
        series(&t, false);
}

static void probe_what(const char *what) {
    struct port *port = NULL;
    struct stat st;

    if (!*fmt_find(what, '/') && !ports_scan(NULL))
        port = ports_find(what);
    if (port)
        probe_port(port, false);
    else if (!file_stat(what, true, &st))
        probe_path(what, &st);
    else
        series(&(struct target){what, what, NULL, NULL}, false);
}

/* PORT of 127.0.0.1, ADDR:PORT or [V6]:PORT. */
static void read_tcp(struct net_address *a, const char *text) {
    const char *colon = strrchr(text, ':');
    long port = fmt_number(colon ? colon + 1 : text, 1, 65535);
    char address[64];

    fmt_print(address, sizeof address, "%.*s", colon ? (int)(colon - text) : 64,
              colon ? text : "127.0.0.1");
    /* without brackets it may be that a port was not given */
    if (port < 0 || (*address != '[' && *fmt_find(address, ':')) ||
        net_literal(a, address, (unsigned)port))
        opt_bad(&applet, "not PORT, ADDR:PORT or [V6]:PORT, with ports in range 1..65535: ", text);
}

/* Whether what is probed is where a proxy listens, and not a channel. */
static bool is_through(struct net_address *a, const char *what) {
    if (fmt_begins(what, "tcp:"))
        read_tcp(a, what + 4);
    else if (!fmt_begins(what, "unix:"))
        return false;
    else if (net_path(a, what + 5))
        opt_bad(&applet, "not a path that a socket can have: ", what + 5);
    return true;
}

int vios_probe_main(int argc, char **argv) {
    int n = opt_parse(&applet, argc, argv, 1);
    const char *what = n && *argv[1] ? argv[1] : CONFIG_HOST_DIRECTORY;
    struct net_address a;
    bool through = is_through(&a, what);

    loop_signals();
    if (json) {
        out_json_open(NULL, '{');
        out_json_open("channels", '[');
    }
    if (through)
        series(&(struct target){what, NULL, NULL, &a}, false);
    else if (!strcmp(what, CONFIG_HOST_DIRECTORY))
        probe_directory(NULL);
    else
        probe_what(what);
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
