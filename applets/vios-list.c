/* SPDX-License-Identifier: Apache-2.0 */
/* vios-list: the channels of a guest, or of a host's guests, and what can be seen of them from
 * outside. */
#include <stdlib.h>
#include <string.h>

#include "applets.h"
#include "lib/base/filter.h"
#include "lib/base/fmt.h"
#include "lib/base/holder.h"
#include "lib/base/log.h"
#include "lib/base/out.h"
#include "lib/diagnose/advice.h"
#include "lib/diagnose/ports.h"

enum { USAGE = 2, NONE = 3, COLUMNS = 7, CELL = 280 };

static bool json;

static void set_json(const char *unused) {
    (void)unused;
    json = true;
}

/* The macros have their commas in them. */
/* clang-format off */
static const struct opt options[] = {
    {'j', NULL, "JSON (also --json)", set_json},
    FILTER_OPT("list the channels with these names (up to 8)")
    {0},
};
/* clang-format on */

static const struct opt_applet applet = {
    "vios-list",
    "[options] [directory]",
    "Lists the virtio-serial channels of this guest and what is known of each,\n"
    "without opening one.\n"
    "\n"
    "  directory  another one than " CONFIG_HOST_DIRECTORY "; on a host,\n"
    "             the guest_directory of vios-proxy-host\n"
    "\n"
    "Exit status: 0 some listed, 1 error, 2 bad usage, 3 none found\n",
    "vios-list /run/vios",
    options,
    USAGE,
    false,
};

/* ---- for people ---- */

typedef char cells[COLUMNS][CELL];

static void put_process(char *cell, int pid, const char *otherwise) {
    if (pid)
        fmt_print(cell, CELL, "%s (pid %d)", holder_name(pid), pid);
    else
        fmt_copy(cell, CELL, otherwise);
}

static const char *truth(int tri, const char *no, const char *yes) {
    return tri < 0 ? "-" : tri ? yes : no;
}

static void put_bytes(char *cell, int64_t bytes) {
    fmt_print(cell, CELL, bytes < 0 ? "-" : "%llu", (unsigned long long)bytes);
}

static unsigned fill_port(const struct port *p, cells row) {
    fmt_copy(row[2], CELL, truth(p->host, "absent", "attached"));
    put_process(row[3], p->pid, truth(p->held, "nobody", "somebody"));
    put_bytes(row[4], p->sent);
    put_bytes(row[5], p->received);
    fmt_copy(row[6], CELL, *p->agent ? p->agent : "-");
    return 7;
}

static unsigned fill_socket(const struct port *p, cells row) {
    put_process(row[2], p->pid, truth(p->host, "nobody", "somebody"));
    fmt_copy(row[3], CELL, truth(p->held, "none", "attached"));
    if (p->waiting)
        fmt_print(row[3] + fmt_length(row[3], CELL / 2), CELL / 2, ", %d waiting", p->waiting);
    fmt_copy(row[4], CELL, *p->agent ? p->agent : "-");
    return 5;
}

/* The row of a channel (NULL: the heading). Returns the number of its columns. */
static unsigned fill(const struct port *p, bool is_socket, cells row) {
    static const char headings[2][COLUMNS][12] = {
        {"NAME", "DEVICE", "HOST", "HELD BY", "SENT", "RECEIVED", "AGENT"},
        {"NAME", "SOCKET", "LISTENS", "CLIENT", "AGENT"},
    };

    if (!p) {
        for (unsigned i = 0; i < COLUMNS; i++)
            fmt_copy(row[i], CELL, headings[is_socket][i]);
        return is_socket ? 5 : COLUMNS;
    }
    fmt_copy(row[0], CELL, p->name);
    fmt_copy(row[1], CELL, ports_path(p));
    if (!is_socket && *p->node)
        fmt_print(row[1], CELL, "/dev/%s", p->node);
    return is_socket ? fill_socket(p, row) : fill_port(p, row);
}

/* Calls fn for the heading and all rows of one kind. */
static void each_row(bool sockets, void (*fn)(cells row, unsigned columns)) {
    static cells row;
    bool heading = true;

    for (unsigned i = 0; i < ports_count(); i++) {
        const struct port *p = ports_at(i);

        if (p->is_socket != sockets)
            continue;
        if (heading)
            fn(row, fill(NULL, sockets, row));
        heading = false;
        fn(row, fill(p, sockets, row));
    }
}

static unsigned widths[COLUMNS];

static void measure(cells row, unsigned columns) {
    for (unsigned i = 0; i + 1 < columns; i++) {
        unsigned n = (unsigned)fmt_length(row[i], CELL) + 2;

        if (n > widths[i])
            widths[i] = n;
    }
}

static void print(cells row, unsigned columns) {
    for (unsigned i = 0; i < columns; i++)
        out_safe(row[i], i + 1 < columns ? widths[i] : 0);
    out_print("\n");
}

static void print_tables(void) {
    for (int sockets = 0; sockets < 2; sockets++) {
        memset(widths, 0, sizeof widths);
        each_row(sockets, measure);
        each_row(sockets, print);
    }
}

/* ---- for programs ---- */

static void json_process(const char *key, int pid) {
    if (!pid) {
        out_json_text(key, NULL);
        return;
    }
    out_json_open(key, '{');
    out_json_number("pid", pid);
    out_json_text("name", holder_name(pid));
    out_json_close('}');
}

static void json_channel(const struct port *p) {
    out_json_open(NULL, '{');
    out_json_text("name", p->name);
    out_json_text("kind", p->is_socket ? "socket" : "port");
    out_json_text("path", ports_path(p));
    if (p->is_socket) {
        out_json_tri("listening", p->host);
        json_process("listener", p->pid);
        out_json_tri("client_attached", p->held);
        out_json_number("clients_waiting", p->host < 0 ? -1 : p->waiting);
    } else {
        out_json_text("device", *p->node ? p->node : NULL);
        out_json_tri("host_attached", p->host);
        out_json_tri("held", p->held);
        json_process("holder", p->pid);
        out_json_number("bytes_sent", p->sent);
        out_json_number("bytes_received", p->received);
    }
    out_json_text("agent", *p->agent ? p->agent : NULL);
    out_json_close('}');
}

static void print_json(void) {
    out_json_open(NULL, '{');
    out_json_open("channels", '[');
    for (unsigned i = 0; i < ports_count(); i++)
        json_channel(ports_at(i));
    out_json_close(']');
    out_json_close('}');
    out_print("\n");
}

/* ---- the applet ---- */

static void tell_unlinked(void) {
    for (unsigned i = 0; i < ports_count(); i++)
        if (ports_at(i)->unlinked)
            log_msg(LOG_WARN,
                    "%s: no link in " CONFIG_HOST_DIRECTORY
                    ", so vios-proxy-guest does not find it: udevadm trigger",
                    ports_at(i)->name);
}

static bool wanted(const struct port *p) { return !filter_is_given() || filter_matches(p->name); }

static void say(const char *reason) { log_msg(LOG_ERROR, "none found: %s", reason); }

static int none(const char *directory, unsigned unfiltered) {
    if (unfiltered)
        say("there are channels, but no name matches -n");
    else if (ports_hidden())
        say("not everything can be seen");
    else
        why_none(directory, say);
    return NONE;
}

int vios_list_main(int argc, char **argv) {
    int n = opt_parse(&applet, argc, argv, 1);
    const char *directory =
                   n && *argv[1] && strcmp(argv[1], CONFIG_HOST_DIRECTORY) ? argv[1] : NULL,
               *hint;
    unsigned unfiltered;

    if (ports_scan(directory)) {
        log_msg(LOG_ERROR, "%s: %m", directory);
        return EXIT_FAILURE;
    }
    unfiltered = ports_count();
    ports_filter(wanted);
    hint = ports_look();
    if (json)
        print_json();
    else
        print_tables();
    if (out_flush()) {
        log_msg(LOG_ERROR, "stdout: %m");
        return EXIT_FAILURE;
    }
    tell_unlinked();
    if (hint)
        log_msg(LOG_NOTICE, "%s", hint);
    return ports_count() ? EXIT_SUCCESS : none(directory, unfiltered);
}
