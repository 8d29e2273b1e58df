/* SPDX-License-Identifier: Apache-2.0 */
/* The command lines of the applets that have more than flags, up to where they begin to work; files
 * of -F, and /etc/passwd for -U. An input is the applet's number, and three texts that end with
 * 0x1e: words, one a line; the file; the users. Whatever they are: it ends with one line that says
 * why, or what it has understood is in order, and is the same the second time.
 *
 * For longer: make fuzz T=seconds */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../applets/applets.h"
#include "../../applets/lib/base/filter.h"
#include "../../applets/lib/base/fmt.h"
#include "../../applets/lib/diagnose/probe.h"
#include "../../applets/lib/relay/guest.h"
#include "../../applets/lib/relay/guests.h"
#include "../../applets/lib/relay/header.h"
#include "../../applets/lib/relay/host.h"
#include "../../applets/lib/relay/services.h"
#include "../../applets/lib/wire/offer.h"
#include "../unit/fakes.h"
#include "kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS = 60, TEXT = 8192, END = 0x1e };

static char *words[WORDS + 2];
static int count;
static const uint8_t *parts[3];
static size_t lengths[3];
static unsigned applet, lines, helped;
static unsigned long sum; /* of what was understood, and said */

static void add(const void *p, size_t n) {
    for (const unsigned char *b = p; n--; b++)
        sum = sum * 1099511628211UL + *b;
}

static void add_text(const char *text) { add(text, strlen(text) + 1); }

/* ---- the world ---- */

static int open_file(const char *path, int flags) {
    (void)flags;
    return !strcmp(path, "/etc/passwd") || !strcmp(path, "F") ? 0 : -ENOENT;
}

static size_t contents(const struct kernel_file *f, const uint8_t **bytes) {
    unsigned which = *f->path == '/' ? 2 : 1;

    *bytes = parts[which] + f->at;
    return lengths[which] - f->at;
}

static void on_text(int fd, const char *p, size_t n) {
    add(p, n);
    helped += fd == 1;
    if (fd != 2)
        return;
    lines++;
    kernel_check_line(p, n);
    kernel_check(!memcmp(p, "vios-", 5));
}

/* ---- what was understood ---- */

static void fake_start(bool guests, names_fn *fn) { (void)guests, (void)fn; }
static void fake_again(const char *name) { (void)name; }

static void check_address(const struct net_address *a) {
    kernel_check(*a->text && memchr(a->text, '\0', sizeof a->text));
    kernel_check(a->length && a->length <= sizeof a->sa);
    net_is_local(a);
    add_text(a->text);
    add(&a->sa, a->length);
}

static void check_service(const struct service *s, bool listens) {
    kernel_check(offer_is_name(s->name, (unsigned)strlen(s->name)) && strcmp(s->name, "-"));
    kernel_check(!s->guests || (!listens && fmt_glob_valid(s->guests)));
    check_address(&s->at);
    add_text(s->name);
    add_text(s->guests ? s->guests : "");
}

static void check_setup(const struct setup *s) {
    kernel_check(s->services <= SETUP_ADDRESSES && s->mode <= 0777 && s->directory);
    kernel_check(s->services || services_are_named());
    kernel_check(services_count <= SERVICES_MAX && services_listen_count <= SERVICES_LISTENS);
    for (unsigned i = 0; i < s->services; i++)
        check_address(&s->service[i]);
    for (unsigned i = 0; i < services_count; i++)
        check_service(&services[i], false);
    for (unsigned i = 0; i < services_listen_count; i++)
        check_service(&services_listens[i], true);
    add_text(s->directory);
    add_text(setup_service(s));
    add(&s->mode, sizeof s->mode);
    for (unsigned i = 0; filter_is_given() && i < 3; i++)
        sum += filter_matches(i ? i > 1 ? "" : "vm1/org.qemu.guest_agent.0" : "web.in");
}

/* What a SYN that asks for a service gets. */
static void ask(const char *text) {
    struct channel ch = {.name = "vm1/chan0"};
    const char *why = NULL;
    const struct service *s;

    ch.guest = guests_join(ch.name);
    s = services_find(&ch, text, (unsigned)strlen(text), &why);
    kernel_check(s || (why && strlen(why) < CHANNEL_REFUSAL));
    if (s) {
        const struct net_address *at = services_address(s, &ch);

        if (at)
            check_address(at);
    }
    guests_leave(ch.guest);
}

static void serve(struct setup *s) {
    check_setup(s);
    services_set_default(s->services ? s->service : NULL);
    services_know_guests();
    services_are_local();
    if (header_is_given())
        header_check();
    services_tell(s->directory);
    ask("EM");
    ask("EMS Sweb");
    ask("E M4 Sx");
}

int host_run(struct setup *s, unsigned limit) {
    kernel_check(limit && limit <= CONFIG_HOST_CONNECTIONS);
    serve(s);
    return 0;
}

int guest_run(struct setup *s) {
    serve(s);
    return 0;
}

enum probe_result __wrap_probe_open(struct probe *p, const char *path);
enum probe_result __wrap_probe_run(struct probe *p, long ms);
enum probe_result __wrap_probe_reach(struct probe *p, const struct net_address *a, long ms);
enum probe_result __wrap_probe_through(struct probe *p, const struct net_address *a, long ms);

enum probe_result __wrap_probe_open(struct probe *p, const char *path) {
    p->text[0] = '\0';
    add_text(path);
    return PROBE_NO_CHANNEL;
}

enum probe_result __wrap_probe_run(struct probe *p, long ms) {
    (void)p, (void)ms;
    return PROBE_NO_CHANNEL;
}

enum probe_result __wrap_probe_reach(struct probe *p, const struct net_address *a, long ms) {
    kernel_check(ms > 0 && ms <= 3600000);
    check_address(a);
    p->text[0] = '\0';
    return PROBE_NO_CHANNEL;
}

enum probe_result __wrap_probe_through(struct probe *p, const struct net_address *a, long ms) {
    return __wrap_probe_reach(p, a, ms);
}

/* Nobody waits: between two probes it ends. */
bool __wrap_loop_wait(long ms);
bool __wrap_loop_wait(long ms) {
    kernel_check(ms >= 0 && ms <= 3600000);
    exit(0);
}

/* ---- one input ---- */

/* The words, each on its own, so that nothing beyond one is read. */
static void split(void) {
    const uint8_t *p = parts[0], *stop = p + lengths[0];

    count = 0;
    words[count++] = strdup("vios");
    while (p < stop && count < WORDS) {
        const uint8_t *newline = memchr(p, '\n', (size_t)(stop - p));
        size_t n = (size_t)((newline ? newline : stop) - p);

        words[count] = calloc(1, n + 1);
        memcpy(words[count++], p, n);
        p += n + 1;
    }
    words[count] = NULL;
}

static void take_parts(const uint8_t *p, size_t n) {
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *stop = i < 2 && n ? memchr(p, END, n) : NULL;

        parts[i] = p;
        lengths[i] = stop ? (size_t)(stop - p) : n;
        p += lengths[i] + !!stop;
        n -= lengths[i] + !!stop;
    }
}

static int run(void) {
    static int (*const mains[])(int, char **) = {vios_proxy_host_main, vios_proxy_guest_main,
                                                 vios_connect_main, vios_probe_main};
    char *argv[WORDS + 2];

    memcpy(argv, words, sizeof argv);
    return mains[applet % 4](count, argv);
}

static int once(void) {
    static const struct kernel_world world = {
        .open = open_file, .contents = contents, .text = on_text};
    int status;

    sum = lines = helped = 0;
    status = kernel_run(&world, run, applet % 4 > 1);
    kernel_check(status >= 0 && status <= (applet % 4 < 2 ? 1 : 5));
    kernel_check(!status || lines || helped);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned long before;
    int status;

    if (!size)
        return 0;
    applet = data[0];
    take_parts(data + 1, size - 1);
    split();
    status = once();
    before = sum;
    kernel_check(once() == status && sum == before);
    while (count)
        free(words[--count]);
    return 0;
}
