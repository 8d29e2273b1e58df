/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/qemu.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fmt.h"
#include "base/loop.h"
#include "base/net.h"
#include "relay/channels.h"
#include "relay/retry.h"
#include "relay/root.h"

/* Milliseconds that QEMU gets to notice that the visitor has shut down; where there are many. */
enum { PATIENCE = 300, PATIENCE_CROWDED = 100 };

/* Milliseconds up to which the time between looks, whether a stopped guest goes on, is doubled. */
enum { DOUBLED = 30000 };

/* Milliseconds that a guest has to be heard once its greeting was taken: its program may just have
 * opened the port. */
enum { HEARD = 500 };

/* QEMU keeps 32 pieces of news, each an attach or a detach, until a guest has read them, and drops
 * others. Few channels can be attached at once, even after a host that has just died. More are
 * attached a little later, with one piece of news for each. vios-protocol(7), socket fact 7. */
enum { FEW = 8 }; /* of each: the last host has gone, a visitor comes, goes, and we come */

/* When this channel's turn is, of those of its guest that wait: the first ones when the guest has
 * heard all that is under way. */
static long long turn(const struct channel *ch, long long now) {
    enum { FIRST = 200, NEXT = 25 /* ms */, BATCH = 5 };
    unsigned before = 0;

    for (unsigned i = 0; i < channels_count(); i++) {
        const struct channel *other = channels_at(i);

        before += other != ch && other->visited && other->retry && other->guest == ch->guest;
    }
    return now + FIRST + before / BATCH * NEXT;
}

/* QEMU itself, or a program that cannot be known. */
static bool is_of_qemu(int fd) {
    char comm[16];

    return net_peer(fd, comm) && (!*comm || fmt_begins(comm, "qemu"));
}

static void leave(struct channel *ch) {
    loop_watch(ch->visitor, 0, NULL, NULL);
    channel_release(ch, ch->visitor);
    ch->visitor = -1;
}

/* The visitor goes; the proxy's own turn is next. A guest that was not writing may be stopped, with
 * a port that has long been full: it is done again, but once. */
static void pass(struct channel *ch, bool noticed, long long now) {
    leave(ch);
    ch->doubtful = !noticed && (ch->doubtful || !ch->redone);
    if (!ch->foul)
        retry_at(ch, ch->crowded ? turn(ch, now) : now);
}

/* What comes was for the last host, or is a SYN that QEMU would drop, and that is sent again. */
static void on_visitor(void *arg, unsigned ready) {
    enum { READS = 16 };
    struct channel *ch = arg;
    char rest[4096];
    ssize_t n = 1;

    (void)ready;
    for (int i = 0; i < READS && n > 0; i++) {
        n = net_read(ch->visitor, rest, sizeof rest);
        ch->doubtful |= n > 0;
    }
    if (n <= 0 && (!n || (errno != EAGAIN && errno != EINTR)))
        pass(ch, true, loop_now());
}

bool qemu_visit(struct channel *ch, int fd, long long now) {
    if (ch->visited)
        return false;
    ch->visited = is_of_qemu(fd);
    ch->doubtful = false;
    if (!ch->visited)
        return false;
    ch->crowded = root_more_than(ch->name, FEW);
    ch->visitor = fd;
    if (shutdown(fd, SHUT_WR) || !loop_fits(fd)) {
        pass(ch, false, now);
        return true;
    }
    retry_at(ch, now + (ch->crowded ? PATIENCE_CROWDED : PATIENCE));
    loop_watch(fd, LOOP_READ, on_visitor, ch);
    return true;
}

bool qemu_visit_lasts(struct channel *ch, long long now) {
    if (ch->visitor < 0)
        return false;
    pass(ch, false, now);
    return ch->crowded || ch->foul;
}

void qemu_drop(struct channel *ch) {
    if (ch->visitor >= 0)
        leave(ch);
}

bool qemu_is_deaf(struct channel *ch, long long now) {
    if (!ch->doubtful)
        return false;
    if (ch->backoff) {
        ch->backoff = net_unsent(ch->end.fd) ? ch->backoff << (ch->backoff < DOUBLED) : 0;
        retry_at(ch, now + (ch->backoff ? ch->backoff : HEARD));
        return false;
    }
    ch->doubtful = false;
    ch->redone = !(loop_peek(ch->end.fd) & LOOP_READ);
    return ch->redone;
}

bool qemu_reads_on(struct channel *ch) {
    if (ch->backoff >= CONFIG_RETRY_MAX || !net_unsent(ch->end.fd))
        return false;
    retry_later(ch, loop_now());
    return true;
}

bool qemu_is_monitor(const unsigned char *p, size_t n) {
    static const char human[] = "QEMU ", machine[] = "\"QMP\"";
    size_t at = 1;

    if (n >= sizeof human - 1 && !memcmp(p, human, sizeof human - 1))
        return true;
    while (at < n && (p[at] == ' ' || p[at] == '\r' || p[at] == '\n'))
        at++;
    return n >= at + sizeof machine - 1 && *p == '{' &&
           !memcmp(p + at, machine, sizeof machine - 1);
}
