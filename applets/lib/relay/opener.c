/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/fmt.h"
#include "base/held.h"
#include "base/holder.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/sys.h"
#include "relay/channels.h"
#include "relay/qemu.h"
#include "relay/retry.h"
#include "relay/root.h"

bool opener_sees_another(const struct channel *ch) {
    return ch->monitor && file_inode(root_path(ch->name), false) != ch->inode;
}

/* Bytes for the last host that a guest's ring of 128 writes may hold, before a SYN. */
enum { STALE_MAX = 128 * 32768 };

/* A console port, which will never be a channel: vios-protocol(7), port fact 1. */
static bool is_console(const struct channel *ch) { return ch->end.port && ch->reason == ENXIO; }

const char *opener_why(const struct channel *ch, const char *path) {
    if (is_console(ch))
        return "it is a console";
    return ch->end.port && ch->reason == EBUSY ? holder_at(path) : error_text(ch->reason);
}

static int failed(struct channel *ch, const char *path, const char *what, long long now) {
    /* QEMU has made the socket, and listens in a moment; or the name of a port that has gone will
     * go in a moment */
    bool passing = !ch->failures++ && (errno == ECONNREFUSED || errno == EAGAIN || errno == ENOENT);
    struct log_limit once = {0}, *limit;

    ch->reason = errno;
    if (!is_console(ch))
        retry_later(ch, now);
    if (ch->complained || passing)
        return -1;
    limit = channel_limit(ch, now);
    if (limit == &ch->ends) /* is for those of its connections */
        limit = &once;
    ch->complained =
        log_limited(limit, now, LOG_ERROR, "%s %s: %s; %s", what, ch->name, opener_why(ch, path),
                    is_console(ch) ? "left alone" : "trying again");
    return -1;
}

static int set_nonblocking(struct channel *ch, int fd, const char *path, long long now) {
    const char *call = net_set_nonblocking(fd);
    char what[48];

    if (!call)
        return 0;
    fmt_print(what, sizeof what, "%s on host channel:", call);
    return failed(ch, path, what, now);
}

/* What is held is looked at, and it is to that which we connect. */
static int open_socket(int held, unsigned long long *inode) {
    if (held < 0 || S_ISSOCK(file_look(held, "", inode)))
        return held_connect(held);
    close(held);
    errno = ENODEV;
    return -1;
}

/* Opens either kind of endpoint. */
static int open_endpoint(struct channel *ch, const char *path) {
    int mode;

    if (CONFIG_VIOS_PROXY_HOST && ch->guest)
        return open_socket(root_open(ch->name, O_PATH), &ch->inode);
    mode = file_mode(path, true);
    if (mode < 0)
        return -1;
    ch->end.port = S_ISCHR(mode);
    return ch->end.port ? file_open_port(path) : open_socket(sys_open(path, O_PATH), NULL);
}

/* Whether it takes one of the last descriptors, which are for guests that have none. */
static bool is_greedy(const struct channel *ch, int fd) {
    return CONFIG_VIOS_PROXY_HOST && ch->guest && loop_fits(fd) && loop_is_last(fd) &&
           channels_open(ch->guest);
}

int opener_open(struct channel *ch, const char *path, long long now) {
    int fd;

    if (CONFIG_VIOS_PROXY_HOST && ch->guest && qemu_visit_lasts(ch, now))
        return -1;
    fd = open_endpoint(ch, path);
    if (CONFIG_VIOS_PROXY_HOST && ch->guest && fd >= 0 && qemu_visit(ch, fd, now))
        return -1;
    ch->visited = false;
    if (fd < 0)
        return failed(ch, path, "channel", now);
    if (set_nonblocking(ch, fd, path, now)) {
        channel_release(ch, fd);
        return -1;
    }
    if (is_greedy(ch, fd)) {
        channel_release(ch, fd);
        errno = EMFILE;
        return failed(ch, path, "channel", now);
    }
    if (!loop_fits(fd)) {
        channel_release(ch, fd);
        errno = EMFILE;
        return failed(ch, path, "select() holds no more descriptors (FD_SETSIZE 1024): channel",
                      now);
    }
    ch->end.fd = fd;
    ch->decoder = (struct frame_decoder){0};
    ch->since_init = FRAME_HEADER + 1;
    ch->end.attached = true;
    ch->failures = 0;
    ch->end.aligned = ch->end.broken = ch->complained = ch->silent = ch->heard = ch->monitor =
        false;
    ch->retry = 0;
    ch->backoff = 0;
    ch->reason = 0;
    ch->stale_bytes = STALE_MAX;
    if (CONFIG_VIOS_PROXY_HOST && ch->doubtful)
        retry_later(ch, now);
    return 0;
}
