/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/sysfs.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/node.h"
#include "base/sys.h"
#include "relay/channel.h"
#include "relay/channels.h"

/* syscalls (guest): recvfrom */

/* musl has no kernel headers: struct sockaddr_nl and two numbers of <linux/netlink.h>. */
struct netlink_address {
    sa_family_t family;
    unsigned short pad;
    unsigned pid, groups;
};
enum { NETLINK_UEVENTS = 15, KERNEL_GROUP = 1 };

enum { PORT_NAME = 32, SYSFS_PATH = 128 };

static int uevents = -1;
static names_fn *tell;

/* The name of a port that may be a channel, of which as much is read as fits. */
static bool read_name(const char *port, char name[CHANNEL_NAME]) {
    char path[SYSFS_PATH];

    fmt_print(path, sizeof path, FILE_PORTS "/%s/name", port);
    return strlen(port) < PORT_NAME && file_read(path, name, CHANNEL_NAME) > 0 &&
           !*fmt_find(name, '/');
}

static bool tell_port(const char *port, void *arg) {
    char name[CHANNEL_NAME];

    (void)arg;
    if (read_name(port, name))
        tell(name, true);
    return true;
}

static void tell_all(void) { file_list(FILE_PORTS, true, tell_port, NULL); }

struct search {
    const char *name;
    char *port;
};

static bool match_port(const char *port, void *arg) {
    struct search *s = arg;
    char name[CHANNEL_NAME];

    if (read_name(port, name) && !strcmp(name, s->name))
        fmt_copy(s->port, PORT_NAME, port);
    return !*s->port;
}

static const char *port_path(const char *name) {
    static char path[sizeof "/dev/" + PORT_NAME];
    char port[PORT_NAME] = "";

    file_list(FILE_PORTS, true, match_port, &(struct search){name, port});
    if (!*port)
        return NULL;
    fmt_print(path, sizeof path, "/dev/%s", port);
    node_make(path, port);
    return path;
}

static void forget_missing(void) {
    for (unsigned i = 0; i < channels_count(); i++) {
        struct channel *ch = channels_at(i);
        char name[CHANNEL_NAME];

        fmt_copy(name, sizeof name, ch->name);
        if (*name && !port_path(name))
            tell(name, false);
    }
}

/* event has room for one byte more than its n. */
static bool has_field(char *event, size_t n, const char *field) {
    event[n] = '\0';
    for (const char *p = event; p < event + n; p += strlen(p) + 1)
        if (!strcmp(p, field))
            return true;
    return false;
}

/* A uevent is a header and NUL-ended fields in one datagram of at most 2 KiB. */
static void on_uevent(void *arg, unsigned ready) {
    char event[2048 + 1];
    struct netlink_address from = {0};
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(uevents, event, sizeof event - 1, 0, (struct sockaddr *)&from, &length);

    (void)arg;
    (void)ready;
    if (n < 0 && errno != ENOBUFS)
        return;
    if (n >= 0 && (from.pid || !has_field(event, (size_t)n, "SUBSYSTEM=virtio-ports")))
        return;
    forget_missing();
    tell_all();
}

static void start(names_fn *fn) {
    struct netlink_address us = {AF_NETLINK, 0, 0, KERNEL_GROUP};

    tell = fn;
    uevents = sys_socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK, NETLINK_UEVENTS);
    if (uevents < 0 || bind(uevents, (struct sockaddr *)&us, sizeof us))
        log_msg(LOG_ERROR, "no kernel uevents, new ports will not be seen: %m");
    else
        loop_watch(uevents, LOOP_READ, on_uevent, NULL);
    tell_all();
}

static void again(const char *name) {
    (void)name;
    tell_all();
}

const struct names sysfs_ports = {start, again, port_path, NULL};
