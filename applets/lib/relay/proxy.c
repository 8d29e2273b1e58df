/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/agent.h"
#include "base/filter.h"
#include "base/fmt.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/notify.h"
#include "base/sandbox.h"
#include "base/user.h"
#include "relay/channels.h"
#include "relay/opener.h"
#include "relay/qemu.h"
#include "relay/relay.h"
#include "relay/retry.h"
#include "relay/status.h"
#include "relay/tick.h"

enum { GRACE = 700 /* ms for the last frames; the whole end takes less than a second */ };
/* Milliseconds without news after which memory is given back. Sooner, what comes next would pay for
 * it. */
enum { REST_AFTER = 100 };

#if CONFIG_FEATURE_INWARD
bool proxy_inward;

void proxy_set_inward(const char *unused) {
    (void)unused;
    proxy_inward = true;
}
#endif

static int ready_fd = -1;
static const struct proxy *proxy;
static bool review_wanted;
static bool left_out; /* a name has found no room */
static struct log_limit no_room;
static char others[2 * CHANNEL_NAME]; /* names that are not used, at most two */
static unsigned other_count;          /* 3: it has been told */

void proxy_set_ready(const char *fd) {
    ready_fd = (int)fmt_number(fd, 0, 65535);
    if (ready_fd < 0 || syscall(SYS_fcntl, ready_fd, F_GETFD, 0) < 0)
        log_fatal("-f %s: not an open file descriptor", fd);
}

/* ---- channels ---- */

/* What waits may have room now. */
static void forget(struct channel *ch) {
    bool all = left_out;

    if (proxy->leave)
        proxy->leave(ch);
    channels_forget(ch);
    left_out = false; /* again() may find that one more name has no room */
    if (all)
        proxy->names->again(NULL);
}

static void open_channel(struct channel *ch) {
    const char *path = proxy->names->path(ch->name);

    if (!path) {
        forget(ch);
        return;
    }
    if (opener_open(ch, path, loop_now()))
        return;
    log_msg(LOG_DEBUG, "channel %s: open", ch->name);
    ch->gone = false; /* its name has come again, while it was still busy */
    if (proxy->opened)
        proxy->opened(ch);
    relay_start(ch);
}

static void retry(struct channel *ch) {
    channel_mark(ch);
    if (ch->end.fd < 0) {
        open_channel(ch);
        return;
    }
    if (CONFIG_VIOS_PROXY_HOST && ch->guest)
        ch->end.broken |= qemu_is_deaf(ch, loop_now());
    ch->paused = false;
    relay_pump(ch);
}

/* Another agent's port, or QEMU's socket of one, may be in the directory: it is not ours to open.
 * vios-protocol(7), port fact 9, socket fact 8. */
static bool wanted(const char *name) {
    const char *agent;
    int n;

    if (CONFIG_VIOS_PROXY_HOST && proxy->wants && !proxy->wants(name))
        return false;
    if (filter_is_given())
        return filter_matches(name);
    if (agent_is_inward(fmt_base(name)) != proxy_inward)
        return false;
    agent = CONFIG_FEATURE_FOREIGN ? agent_of(fmt_base(name), &n) : NULL;
    if (agent && limits_is_new(name))
        log_msg(LOG_INFO, "channel %s: left alone, it is for %.*s; -n takes it", name, n, agent);
    return !agent;
}

/* A name is not used: two are kept for the message. */
static void leave(const char *name) {
    size_t n = strlen(others);

    if (other_count < 2 && strcmp(name, others))
        fmt_print(others + n, sizeof others - n, other_count++ ? ", %s" : "%s", name);
}

/* Once, when nothing is under way: that no channel is used, of those that there are. */
static void tell_unused(void) {
    if (!(CONFIG_FEATURE_GLOB || CONFIG_FEATURE_FOREIGN || CONFIG_FEATURE_INWARD) || !other_count ||
        other_count > 2 || channels_count())
        return;
    log_msg(LOG_NOTICE, "no channel is used: %s %s",
            filter_is_given() ? "none matches -n:"
            : proxy_inward    ? "none ends in .in:"
                              : "left to other agents or to -R:",
            others);
    other_count = 3;
}

/* A slot for this name; NULL after a message: it waits for one. */
static struct channel *add(const char *name) {
    struct channel *ch = channels_add(name, proxy->limit);
    bool greedy = ch && proxy->join && !proxy->join(ch);

    if (ch && !greedy)
        return ch;
    if (greedy)
        channels_forget(ch);
    log_limited(&no_room, loop_now(), LOG_WARN,
                "channel %s waits: %u channels%s are in use, the most there can be (Kconfig %s)",
                name, greedy ? proxy->share : proxy->limit, greedy ? " of this guest" : "",
                greedy ? "GUEST_SHARE" : proxy->option);
    left_out = true;
    return NULL;
}

/* False: it finds no room. */
static bool come(const char *name) {
    struct channel *ch = channels_find(name);

    if (ch && CONFIG_VIOS_PROXY_HOST && opener_sees_another(ch))
        open_channel(ch);
    else if (ch) /* it may have gone and come since it was opened */
        relay_check(ch);
    if (ch)
        return true;
    if (!wanted(name)) {
        leave(name);
        return true;
    }
    ch = add(name);
    if (ch)
        open_channel(ch);
    return ch;
}

/* Whether a channel's name is the given one, or below it. */
static bool within(const char *channel, const char *name) {
    const char *rest = channel + strlen(name);

    return !*name || (fmt_begins(channel, name) && (!*rest || *rest == '/'));
}

static void go(const char *name) {
    for (unsigned i = 0; i < channels_count(); i++) {
        struct channel *ch = channels_at(i);

        if (!*ch->name || !within(ch->name, name))
            continue;
        ch->gone = true;
        relay_check(ch);
        channel_mark(ch);
    }
}

/* A names_fn: opens what comes, gives up what goes. */
static bool tell(const char *name, bool there) {
    if (there)
        return come(name);
    go(name);
    return true;
}

/* The channel's name has gone, and it carries nothing: another one may have its place. */
static void give_up(struct channel *ch) {
    char name[CHANNEL_NAME];

    fmt_copy(name, sizeof name, ch->name);
    channel_close(ch);
    if (ch->foul)
        return;
    forget(ch);
    proxy->names->again(name);
}

/* Connections of a sharing that has ended, whose TCP sides are slow, keep no channel closed. */
static bool is_taken(const struct channel *ch) {
    return ch->place && (ch->gone || !ch->conns || conn_current(ch));
}

/* Something has happened to the channel. */
static void decide(struct channel *ch) {
    if (CONFIG_VIOS_PROXY_HOST && *ch->name && proxy->changed)
        proxy->changed(ch);
    if (!*ch->name || is_taken(ch) || ch->foul)
        return;
    if (ch->gone && !(CONFIG_VIOS_PROXY_HOST && ch->guest && qemu_reads_on(ch)))
        give_up(ch);
    else if (ch->end.fd < 0 && !ch->retry && !ch->monitor)
        retry_later(ch, loop_now());
}

void proxy_want_review(void) { review_wanted = true; }

static bool needs_review(void) { return review_wanted || channel_is_any_marked(); }

/* What follows from all that has happened since the last wait. */
static void review(void) {
    while (needs_review()) {
        review_wanted = false;
        channel_review(decide);
        if (proxy->review)
            proxy->review();
    }
}

/* ---- the main loop ---- */

void proxy_start(const struct proxy *p) {
    proxy = p;
    review_wanted = true;
    loop_signals();
    proxy->names->start(tell);
}

/* Says what this user could not open again. */
static void tell_lost(void) {
    for (unsigned i = 0; i < channels_count(); i++) {
        const struct channel *ch = channels_at(i);
        const char *path = *ch->name && ch->end.fd >= 0 ? proxy->names->path(ch->name) : NULL;

        if (!path || !access(path, R_OK | W_OK))
            continue;
        log_msg(LOG_WARN,
                "-U: %s could not be opened again by this user (%m): give it to the user's group",
                path);
        return;
    }
}

void proxy_settle(unsigned applet) {
    if (user_become())
        tell_lost();
    sandbox_enter(applet);
}

static long names_timer(void) { return proxy->names->timer ? proxy->names->timer() : -1; }

static void write_ready(void) {
    if (ready_fd < 0)
        return;
    if (log_text(ready_fd, "\n"))
        log_msg(LOG_WARN, "-f %d: %m", ready_fd);
    if (ready_fd != STDERR_FILENO) /* what is opened next must not get the log */
        close(ready_fd);
}

/* Milliseconds until the supervisor, which was busy, is told once more, or -1. */
static long tell_ready(void) {
    enum { AGAIN = 500 };
    static bool told;

    told = told || !CONFIG_FEATURE_NOTIFY || notify_supervisor("READY=1");
    return told ? -1 : AGAIN;
}

static long sooner(long a, long b) { return a < 0 || (b >= 0 && b < a) ? b : a; }

static long until(long long when) {
    long long left = when ? when - loop_now() : -1;

    return !when ? -1 : left < 0 ? 0 : (long)left;
}

static void stop(void) {
    long long end = loop_now() + GRACE;

    if (CONFIG_FEATURE_NOTIFY)
        notify_supervisor("STOPPING=1");
    while (relay_stop() && loop_now() < end)
        loop_wait(until(end));
}

/* Nothing has happened for REST_AFTER. idle: nothing is under way, either. */
static void rest(bool idle) {
    channel_trim();
    conn_trim();
    if (proxy->rest)
        proxy->rest();
    if (idle)
        tell_unused();
    loop_rest();
}

void proxy_run(void) {
    bool quiet = false; /* nothing has happened for REST_AFTER */

    write_ready();
    while (!loop_stopped()) {
        bool resting;
        long wait;

        review();
        wait = proxy->timer ? proxy->timer()
                            : -1; /* before the others: it may begin what they wait for */
        wait = sooner(sooner(wait, names_timer()), tell_ready());
        if (needs_review())
            wait = 0;
        wait = sooner(wait, sooner(tick_timeout(), until(retry_next())));
        resting = wait < 0 || wait > REST_AFTER;
        if (resting && quiet)
            rest(wait < 0 && !channel_busy());
        else if (resting)
            wait = REST_AFTER;
        quiet = !loop_wait(wait) && resting;
        tick_run();
        if (retry_next())
            retry_run(loop_now(), retry);
        if (CONFIG_FEATURE_STATUS && loop_asked())
            status_log();
    }
    stop();
}
