/* SPDX-License-Identifier: Apache-2.0 */
/* What sysfs, debugfs, /proc and sock_diag say of ports: to the guest's proxy (names, and news of
 * them) and to vios-list. An input is flags, then parts, each after 0xfe, whose first byte is:
 * P the ports, each before a slash; N, D the next one's name and device number; K what netlink
 * sends; R names in a directory; T a text; L a link's target; C a command; G a pattern. What kind
 * of file a path is, its last character says.
 *
 * For longer: make fuzz T=seconds */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../applets/applets.h"
#include "../../applets/lib/base/file.h"
#include "../../applets/lib/base/fmt.h"
#include "../../applets/lib/base/loop.h"
#include "../../applets/lib/relay/channels.h"
#include "../../applets/lib/relay/sysfs.h"
#include "kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    JSON = 1,
    DIRECTORY = 2,
    PATTERN = 4,
    LIST = 8,
    PARTS = 40,
    OUTPUT = 1 << 16,
    PORT_NAME = 32
};

struct part {
    uint8_t kind;
    size_t n;
    const uint8_t *p;
};

static struct part parts[PARTS];
static unsigned part_count, flags, event, phase;
static bool lost; /* the kernel has dropped an event */
static char output[OUTPUT + 1];
static size_t written;
static loop_fn *on_uevent;

/* The i-th part of a kind, or the last one; NULL: there is none. */
static const struct part *part(uint8_t kind, unsigned i) {
    const struct part *found = NULL;

    for (unsigned at = 0; at < part_count; at++)
        if (parts[at].kind == kind) {
            found = &parts[at];
            if (!i--)
                break;
        }
    return found;
}

/* ---- the world ---- */

static const char *name_in(const struct part *p, unsigned i) {
    static char name[256];
    size_t at = 0, n = 0;

    for (; p && at < p->n; at += n + 1) {
        const uint8_t *end = memchr(p->p + at, '/', p->n - at);

        n = end ? (size_t)(end - p->p) - at : p->n - at;
        if (n && !i--)
            break;
    }
    if (!p || at >= p->n)
        return NULL;
    snprintf(name, sizeof name, "%.*s", (int)n, (const char *)p->p + at);
    return name;
}

/* Which port a path below FILE_PORTS is about. */
static unsigned port_of(const char *path) {
    const char *name, *p = path + sizeof FILE_PORTS;
    size_t n = (size_t)(fmt_find(p, '/') - p);
    unsigned i = 0;

    while ((name = name_in(part('P', phase), i)) && (strlen(name) != n || memcmp(name, p, n)))
        i++;
    return i;
}

static int kind_of(const char *path, bool follow, struct kernel_kind *k) {
    static const int modes[] = {S_IFSOCK, S_IFDIR, S_IFLNK, S_IFCHR,
                                S_IFIFO,  -ENOENT, -EACCES, S_IFREG};
    size_t n = strlen(path);
    unsigned sum = 0;

    for (const char *p = path; *p; p++)
        sum += (unsigned char)*p;
    k->mode = n ? modes[path[n - 1] & 7] : -ENOENT;
    if (k->mode == S_IFLNK && follow)
        k->mode = modes[path[n / 2] & 7];
    if (!strcmp(path, "/proc/1") || !strcmp(path, CONFIG_HOST_DIRECTORY))
        k->mode = part('R', 0) ? S_IFDIR : -ENOENT;
    k->inode = sum;
    k->rdev_major = 240 + sum % 4;
    k->rdev_minor = sum / 4 % 8;
    return k->mode < 0 ? k->mode : 0;
}

static const struct part *file_of(const char *path) {
    if (!strncmp(path, FILE_PORTS "/", sizeof FILE_PORTS)) {
        if (!name_in(part('P', phase), port_of(path)))
            return NULL;
        return part(strcmp(fmt_base(path), "name") ? 'D' : 'N', port_of(path));
    }
    return part(strstr(path, "comm") || strstr(path, "cmdline") ? 'C' : 'T', 0);
}

static int open_file(const char *path, int how) {
    struct kernel_kind k;

    if (!(how & 0200000)) /* O_DIRECTORY */
        return file_of(path) ? 0 : -ENOENT;
    if (!strcmp(path, FILE_PORTS))
        return part('P', phase) ? 0 : -ENOENT;
    if (!strncmp(path, "/proc", 5))
        return part('R', 0) ? 0 : -EACCES;
    if (kind_of(path, true, &k))
        return k.mode;
    return S_ISDIR(k.mode) ? 0 : -ENOTDIR;
}

/* As the kernel prints a name: up to a NUL. */
static size_t contents(const struct kernel_file *f, const uint8_t **bytes) {
    const struct part *p = file_of(f->path);
    size_t n = p ? strnlen((const char *)p->p, p->n) : 0;

    if (f->at >= n)
        return 0;
    *bytes = p->p + f->at;
    return n - f->at;
}

static const char *list(const struct kernel_file *f, unsigned i) {
    if (!strcmp(f->path, FILE_PORTS))
        return name_in(part('P', phase), i);
    return name_in(part('R', (unsigned)strlen(f->path) % 3), i);
}

static const char *link_of(const char *path) {
    static char target[256];
    const struct part *p = part('L', (unsigned)path[strlen(path) - 1] % 4);

    if (!p)
        return NULL;
    snprintf(target, sizeof target, "%.*s", (int)p->n, (const char *)p->p);
    return target;
}

/* The first byte: which process has sent it, 0: the kernel. */
static ssize_t receive(void *p, size_t n, unsigned *from) {
    const struct part *k = NULL;
    unsigned all = 0;

    if (lost)
        return -ENOBUFS;
    for (unsigned i = 0; i < part_count; i++)
        if (parts[i].kind == 'K' && all++ == event)
            k = &parts[i];
    if (!k || !k->n)
        return k ? -ENOBUFS : -EAGAIN;
    event++;
    *from = k->p[0];
    n = k->n - 1 < n ? k->n - 1 : n;
    memcpy(p, k->p + 1, n);
    return (ssize_t)n;
}

static int make_node(const char *path, unsigned mode, dev_t device) {
    (void)device;
    kernel_check(!strncmp(path, "/dev/", 5) && path[5] && !strchr(path + 5, '/'));
    kernel_check(mode == (S_IFCHR | 0600));
    return 0;
}

static void on_text(int fd, const char *p, size_t n) {
    if (fd == 2)
        kernel_check_line(p, n);
    if (fd != 1 || written + n > OUTPUT)
        return;
    memcpy(output + written, p, n);
    written += n;
    output[written] = '\0';
}

void __wrap_loop_watch(int fd, unsigned want, loop_fn *fn, void *arg);
void __wrap_loop_watch(int fd, unsigned want, loop_fn *fn, void *arg) {
    (void)fd, (void)want, (void)arg;
    on_uevent = fn;
}

/* ---- the guest's names ---- */

static bool tell(const char *name, bool there) {
    struct channel *ch = channels_find(name);

    kernel_check(*name && !strchr(name, '/') && strlen(name) < CHANNEL_NAME);
    if (!there)
        channels_forget(ch);
    else if (!ch)
        return channels_add(name, CHANNEL_MAX);
    return true;
}

/* After it has looked at all: each channel has a path, and each port with a name is a channel if
 * there is room. */
static void check_names(void) {
    char name[CHANNEL_NAME], path[512];
    const char *port;

    for (unsigned i = 0; i < channels_count(); i++) {
        fmt_copy(name, sizeof name, channels_at(i)->name);
        if (!*name)
            continue;
        port = sysfs_ports.path(name);
        kernel_check(port && !strncmp(port, "/dev/", 5) && strlen(port) < 5 + PORT_NAME);
    }
    for (unsigned i = 0; (port = name_in(part('P', phase), i)) != NULL; i++) {
        if (!*port || !strcmp(port, ".") || !strcmp(port, "..") || strlen(port) >= PORT_NAME)
            continue;
        fmt_print(path, sizeof path, FILE_PORTS "/%s/name", port);
        if (file_read(path, name, sizeof name) > 0 && !strchr(name, '/'))
            kernel_check(channels_find(name) || channels_count() == CHANNEL_MAX);
    }
}

static int run_names(void) {
    sysfs_ports.start(tell);
    for (unsigned last = event + 1; on_uevent && event != last && phase < 8;) {
        last = event;
        phase++;
        on_uevent(NULL, LOOP_READ);
    }
    sysfs_ports.again(NULL);
    lost = on_uevent != NULL;
    if (lost) {
        on_uevent(NULL, LOOP_READ);
        check_names();
    }
    while (channels_count())
        channels_forget(channels_at(channels_count() - 1));
    return 0;
}

/* ---- vios-list ---- */

static const char *skip_value(const char *p);

static const char *skip_text(const char *p) {
    kernel_check(*p == '"');
    for (p++; *p != '"'; p++) {
        kernel_check(*p >= ' ' && *p <= '~');
        if (*p == '\\' && *++p == 'u')
            for (int i = 0; i < 4; i++)
                kernel_check(isxdigit((unsigned char)*++p));
    }
    return p + 1;
}

static const char *skip_list(const char *p, char close) {
    while (*++p != close) {
        if (close == '}') {
            p = skip_text(p);
            kernel_check(*p++ == ':');
        }
        p = skip_value(p);
        if (*p == close)
            break;
        kernel_check(*p == ',' && p[1] != close);
    }
    return p + 1;
}

static const char *skip_value(const char *p) {
    static const char *const words[] = {"null", "true", "false"};

    if (*p == '{' || *p == '[')
        return skip_list(p, *p == '{' ? '}' : ']');
    if (*p == '"')
        return skip_text(p);
    for (unsigned i = 0; i < 3; i++)
        if (fmt_begins(p, words[i]))
            return p + strlen(words[i]);
    kernel_check(isdigit((unsigned char)*p));
    while (isdigit((unsigned char)*p))
        p++;
    return p;
}

static void check_output(void) {
    if (written + 2048 > OUTPUT)
        return;
    if (flags & JSON) {
        kernel_check(!strcmp(skip_value(output), "\n"));
        return;
    }
    for (char *p = strtok(output, "\n"); p; p = strtok(NULL, "\n")) {
        char *copy = strdup(p);

        fmt_printable(copy);
        kernel_check(!strcmp(copy, p));
        free(copy);
    }
}

static int run_list(void) {
    static char name[] = "vios-list", json[] = "-j", n[] = "-n", directory[] = "/run/q", glob[64];
    char *argv[6] = {name};
    const struct part *g = part('G', 0);
    int argc = 1;

    if (flags & JSON)
        argv[argc++] = json;
    if (flags & PATTERN && g) {
        snprintf(glob, sizeof glob, "%.*s", (int)g->n, (const char *)g->p);
        argv[argc++] = n;
        argv[argc++] = glob;
    }
    if (flags & DIRECTORY)
        argv[argc++] = directory;
    return vios_list_main(argc, argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct kernel_world world = {open_file, contents, list,      kind_of,
                                              link_of,   receive,  make_node, on_text};
    int status;

    if (size < 2)
        return 0;
    flags = data[0];
    part_count = event = phase = 0;
    lost = false;
    written = 0;
    on_uevent = NULL;
    for (size_t at = 1; at < size && part_count < PARTS;) {
        const uint8_t *end = memchr(data + at, 0xfe, size - at);
        size_t n = end ? (size_t)(end - data) - at : size - at;

        if (n)
            parts[part_count++] = (struct part){data[at], n - 1, data + at + 1};
        at += n + 1;
    }
    if (flags & LIST) {
        status = kernel_run(&world, run_list, 0);
        kernel_check(status >= 0 && status <= 3 && (status == 1 || !kernel_open_files()));
        if (status != 2)
            check_output();
    } else {
        kernel_run(&world, run_names, 1);
    }
    return 0;
}
