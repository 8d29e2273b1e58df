/* SPDX-License-Identifier: Apache-2.0 */
/* probe_tcp: the probe's way through a running guest proxy. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/loop.h"
#include "base/net.h"
#include "diagnose/probe.h"

/* Waits until a connect is decided. */
static enum probe_result await_connect(struct handshake *h) {
    enum probe_result r = PROBE_ANSWERED;

    while (!r && !(loop_peek(h->end.fd) & LOOP_WRITE))
        r = handshake_wait(h, LOOP_WRITE);
    return r;
}

/* Reads until something has come or the time is over. h->came: bytes in h->seen; 0: the end. */
static enum probe_result listen_for(struct handshake *h, long long deadline) {
    h->deadline = deadline;
    for (;;) {
        ssize_t n = read(h->end.fd, h->seen, sizeof h->seen);
        enum probe_result r;

        h->came = n > 0 ? (unsigned)n : 0;
        if (n >= 0)
            return PROBE_ANSWERED;
        if (errno != EAGAIN)
            return PROBE_CUT_OFF;
        r = handshake_wait(h, LOOP_READ);
        if (r)
            return r;
    }
}

static const char unreached[] = "see that this address can be reached",
                  lo_up[] = "ip link set lo up";

static enum probe_result unconnected(struct probe *p, const struct net_address *a, int reason) {
    errno = reason;
    fmt_print(p->text, PROBE_TEXT, "cannot connect to %s: %m", a->text);
    p->next = unreached;
    if (reason == ECONNREFUSED) {
        fmt_print(p->text, PROBE_TEXT, "nothing listens on %s", a->text);
        p->next = "start vios-proxy-guest, or give the port or path on which it listens";
    } else if (net_is_local(a) &&
               (reason == ENETUNREACH || reason == EADDRNOTAVAIL)) { /* the second: of ::1 */
        fmt_print(p->text, PROBE_TEXT, "%s cannot be reached: the interface lo is down", a->text);
        p->next = lo_up;
    }
    return PROBE_NO_CHANNEL;
}

static enum probe_result turned_away(struct probe *p, enum probe_result r, unsigned us) {
    fmt_print(
        p->text, PROBE_TEXT,
        "the proxy took the connection and %s it after %u ms: the service refuses or does not accept, or no "
        "host is attached, or there is no channel",
        r ? "reset" : "closed", us / 1000);
    p->next = "see the messages of vios-proxy-guest, which say why";
    return PROBE_REFUSED;
}

static enum probe_result nothing_came(struct probe *p, long ms) {
    fmt_print(
        p->text, PROBE_TEXT,
        "the connection is open, but in %s nothing came back: all channels are in use, the host does not answer, or the service "
        "is silent",
        probe_seconds(ms));
    p->next = "kill -USR1 the vios-proxy-guest: its table shows the state of each channel";
    return PROBE_NO_ANSWER;
}

/* Microseconds in which a service answers the end of our data with its own. A later end most likely
 * comes from the proxies, which gave up. */
enum { AT_ONCE = 1000000 };

/* A connection that is open: a service may speak first; if it does not, it may answer the end of
 * our data. */
static enum probe_result look(struct probe *p, long ms) {
    struct handshake *h = &p->shake;
    enum probe_result r = listen_for(h, h->started + ms * 250LL);
    bool asked = r == PROBE_TIMED_OUT, late;
    long long since = asked ? loop_micros() : h->started;

    if (asked) {
        shutdown(h->end.fd, SHUT_WR);
        r = listen_for(h, h->started + ms * 1000LL);
    }
    h->us = (unsigned)(loop_micros() - since);
    late = h->us > AT_ONCE;
    if (r == PROBE_CUT_OFF || (!r && !h->came && (!asked || late)))
        return turned_away(p, r, (unsigned)(loop_micros() - h->started));
    if (r == PROBE_TIMED_OUT)
        return nothing_came(p, ms);
    if (r) {
        fmt_print(p->text, PROBE_TEXT, "interrupted while waiting for the service");
    } else if (h->came) {
        fmt_print(p->text, PROBE_TEXT,
                  "answered in %u.%03u ms, the service's first bytes:", h->us / 1000, h->us % 1000);
        probe_show(p, h->seen, h->came);
    } else {
        fmt_print(p->text, PROBE_TEXT, "answered: the service ended the connection after we did");
    }
    return r;
}

static enum probe_result connected(struct probe *p, const struct net_address *a, long ms) {
    enum probe_result r = await_connect(&p->shake);
    int reason = r ? 0 : net_connect_error(p->shake.end.fd);

    if (reason && reason != ECONNRESET)
        return unconnected(p, a, reason);
    if (!r)
        return r;
    fmt_print(p->text, PROBE_TEXT, "%s %s while connecting to %s",
              r == PROBE_TIMED_OUT ? "timed out after" : "interrupted within", probe_seconds(ms),
              a->text);
    p->next = net_is_local(a) ? lo_up : unreached;
    return r;
}

enum probe_result probe_reach(struct probe *p, const struct net_address *a, long ms) {
    bool pending;

    p->next = NULL;
    handshake_begin(&p->shake, ms);
    p->shake.end.fd = loop_admit(net_connect(a, &pending));
    return p->shake.end.fd < 0 ? unconnected(p, a, errno) : connected(p, a, ms);
}

enum probe_result probe_through(struct probe *p, const struct net_address *a, long ms) {
    enum probe_result r = probe_reach(p, a, ms);

    if (!r)
        r = look(p, ms);
    if (p->shake.end.fd < 0)
        return r;
    if (r > PROBE_REFUSED)
        net_abort_on_close(p->shake.end.fd);
    probe_close(p);
    return r;
}
