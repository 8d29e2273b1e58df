/* SPDX-License-Identifier: Apache-2.0 */
/* A whole proxy, but for its directory watch, and a peer that is hostile: the input says what comes
 * over two channels, what the TCP sides do and when ports go and come, in the simulation of
 * tests/unit/sim.h. With -DROLE_GUEST it is the guest's proxy. Whatever comes: what the proxy
 * writes is frames and (guest) filler; it does not spin; in the end nothing is open but its
 * channels. Each input is run twice, one after the other in the same process: what the first run
 * leaves behind must not show in the second.
 *
 * For longer: make fuzz T=seconds */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../applets/lib/base/file.h"
#include "../../applets/lib/base/loop.h"
#include "../../applets/lib/base/sys.h"
#include "../../applets/lib/relay/channels.h"
#include "../../applets/lib/relay/guest.h"
#include "../../applets/lib/relay/guests.h"
#include "../../applets/lib/relay/host.h"
#include "../../applets/lib/relay/relay.h"
#include "../../applets/lib/relay/services.h"
#include "../unit/fakes.h"
#include "../unit/sim.h"

#ifdef ROLE_GUEST
enum { IS_GUEST = true };
#else
enum { IS_GUEST = false };
#endif

enum { CHANNELS = 2, APPS = 300, HEAD = 14, OPS_MAX = 400, NAMES = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* head, have, left: of the stream that the proxy writes. loose: since the proxy does not know yet
 * that this is a new stream. tokens: of the connections of a shared channel, as far as they are
 * known: the guest's proxy names them, and the host's names its half. */
static struct far {
    struct sim_file *f;
    bool there;
    unsigned char head[HEAD], guest[4], host[4], tokens[NAMES][8];
    unsigned have, left, loose, syns;
} fars[CHANNELS];
static struct sim_file *apps[APPS], *news;
static unsigned app_count, taken, ops;
static const uint8_t *input;
static size_t input_size, input_at;
static names_fn *tell;
static jmp_buf end;
static long long patient_until;
static bool over;
static unsigned long long sum; /* of all that was written */

/* ---- names ---- */

static const char *name_of(unsigned i) {
    return IS_GUEST ? i ? "port1" : "port0" : i ? "g/port1" : "g/port0";
}
static unsigned index_of(const char *name) { return name[strlen(name) - 1] == '1'; }

static void on_news(void *arg, unsigned ready) {
    unsigned char event;

    (void)arg, (void)ready;
    while (read(news->fd, &event, 1) == 1)
        tell(name_of(event & 1), event & 2);
}

static void fake_start(bool guests, names_fn *fn) {
    (void)guests;
    tell = fn;
    news = sim_new(SIM_STREAM, 100, 1);
    sim_give(news, -1);
    loop_watch(news->fd, LOOP_READ, on_news, NULL);
    for (unsigned i = 0; i < CHANNELS; i++)
        tell(name_of(i), true);
}

static void fake_again(const char *name) { (void)name; }

/* ---- what the proxy writes must be frames ---- */

/* The names of a shared channel's connections. */
static void learn(struct far *c) {
    if (c->head[3] == 'A')
        memcpy(c->tokens[c->syns++ % NAMES], c->head + 4, 8);
    for (unsigned i = 0; i < NAMES && c->head[3] == 'C'; i++)
        if (!memcmp(c->tokens[i], c->head + 4, 4))
            memcpy(c->tokens[i], c->head + 4, 8);
}

static void take_header(struct far *c) {
    unsigned n = (unsigned)c->head[12] << 8 | c->head[13];

    if (!strchr(IS_GUEST ? "ABDHW" : "CDHW", c->head[3]))
        sim_fail("ctrl %#x", c->head[3]);
    for (unsigned i = 4; i < 8 && c->head[3] != 'H'; i++)
        if (c->head[i] < 33 || c->head[i] > 126)
            if (IS_GUEST)
                sim_fail("a token that is not printable");
    if (c->head[3] != 'D' && n > 255)
        sim_fail("%c with %u bytes", c->head[3], n);
    if (c->head[3] == 'W' && n != 4)
        sim_fail("a WINDOW with %u bytes", n);
    learn(c);
    if (strchr("ACD", c->head[3])) {
        memcpy(c->guest, c->head + 4, 4);
        memcpy(c->host, c->head + 8, 4);
    }
    c->left = n;
    c->have = c->loose = 0;
}

static void take_byte(struct far *c, unsigned char byte) {
    sum = sum * 1099511628211ULL + byte;
    if (c->left) {
        c->left--;
        return;
    }
    if (IS_GUEST && !c->have && byte == '1')
        return;
    c->head[c->have++] = byte;
    while (c->have && memcmp(c->head, "VS1", c->have < 3 ? c->have : 3)) {
        if (!c->loose)
            sim_fail("byte %#x where a frame must begin", byte);
        memmove(c->head, c->head + 1, --c->have);
    }
    if (c->have == HEAD)
        take_header(c);
}

static bool drain(struct far *c, unsigned n) {
    unsigned char bytes[4096];

    if (!c->f || !c->f->out.n)
        return false;
    n = sim_get(&c->f->out, bytes, n < sizeof bytes ? n : sizeof bytes);
    for (unsigned i = 0; i < n; i++)
        take_byte(c, bytes[i]);
    return true;
}

/* ---- the world ---- */

static void attach(struct far *c, struct sim_file *f, bool loose) {
    c->f = f;
    c->have = c->left = 0;
    c->loose = loose;
}

static struct sim_file *open_port(const char *path) {
    struct far *c = &fars[index_of(path)];

    if (!c->there) {
        errno = ENOENT;
        return NULL;
    }
    attach(c, sim_new(SIM_PORT, 70000, 2000), false);
    c->f->attached = true;
    return c->f;
}

static int connect_to(struct sim_file *f, const char *path) {
    static const int reasons[] = {0, 0, EINPROGRESS, ECONNREFUSED};
    int reason = reasons[sim_random(4)];

    if (path && (!fars[index_of(path)].there ||
                 (fars[index_of(path)].f && fars[index_of(path)].f->fd >= 0)))
        return EAGAIN;
    if (!path && (reason == ECONNREFUSED || app_count == APPS))
        return ECONNREFUSED;
    free(f->in.data);
    free(f->out.data);
    f->in.cap = f->out.cap = 70000;
    f->in.data = malloc(70001);
    f->out.data = malloc(70001);
    if (path) {
        attach(&fars[index_of(path)], f, false);
        return 0;
    }
    apps[app_count++] = f;
    f->pending = reason == EINPROGRESS;
    return reason;
}

static bool has_client(void) { return IS_GUEST && taken < app_count; }
static struct sim_file *accept_client(void) { return apps[taken++]; }

static unsigned byte(void) { return input_at < input_size ? input[input_at++] : 0; }

static void put(struct far *c, const void *p, unsigned n) {
    if (!c->f || c->f->fd < 0 ||
        (c->f->kind == SIM_PORT && (!c->f->attached || c->f->chunk_count == SIM_CHUNKS)))
        return;
    n = sim_put(&c->f->in, p, n);
    if (n && c->f->kind == SIM_PORT)
        sim_chunk(c->f, n);
}

/* A frame whose tokens, ctrl, length and payload need not go together. */
static void put_frame(struct far *c) {
    static const char *const whose[] = {"RRRRRRRR", "INITINIT", "gues????", "gueshost"};
    unsigned char frame[HEAD + 300] = "VS1";
    unsigned kind = byte(), length = byte(), n = kind & 16 ? byte() : length;

    frame[3] = (unsigned char)(kind & 32 ? byte() : "ABCDH"[kind % 5]);
    memcpy(frame + 4, whose[kind >> 6], 8);
    if ((kind & 15) < 11 && kind >> 6 != 2) {
        memcpy(frame + 4, c->guest, 4);
        memcpy(frame + 8, c->host, 4);
    }
    frame[12] = (unsigned char)(kind == 0x70 ? 255 : 0);
    frame[13] = (unsigned char)length;
    for (unsigned i = 0; i < n; i++)
        frame[HEAD + i] = (unsigned char)byte();
    put(c, frame, HEAD + n);
}

/* A frame of a shared channel that is as it should be, or nearly. */
static void put_shared(struct far *c, unsigned kind) {
    static const char *const syns[] = {"EM", "EMS M3 Sweb", "E", ""}, *const answers[] = {
                                                                          "EM M64", "EM", "EMS M2",
                                                                          "E"};
    static const unsigned char windows[][4] = {
        {0, 0, 16, 0}, {0, 1, 0, 0}, {0}, {127, 255, 255, 255}, {128}};
    unsigned which = byte(), name = which % NAMES, length = 0;
    unsigned char frame[HEAD + 5000] = "VS1";
    const char *text = "";

    memset(frame + HEAD, 'm', sizeof frame - HEAD);
    memcpy(frame + 4, c->tokens[name], 8);
    if (!IS_GUEST) {
        memcpy(frame + 4, "gue", 3);
        frame[7] = (unsigned char)('0' + name);
        memcpy(c->tokens[name], frame + 4, 4);
        if (which & 32 || !*(frame + 8))
            memcpy(frame + 8, "????", 4);
    } else if (which & 32) {
        frame[8] = (unsigned char)(which >> 6);
    }
    frame[3] = (unsigned char)"ACDDDWWHHBDHAAAA"[kind];
    which >>= 2;
    if (frame[3] == 'A') {
        memcpy(frame + 8, "????", 4);
        text = syns[which % 4];
        if (kind == 12)
            put(c, "VS1HINITINIT\0", HEAD);
    } else if (frame[3] == 'C') {
        text = answers[which % 4];
        if (IS_GUEST && c->tokens[name][4] == '?')
            memcpy(frame + 8, memcpy(c->tokens[name] + 4, "host", 4), 4);
    } else if (frame[3] == 'D') {
        length = which % 4 == 0 ? 0 : which % 4 == 1 ? 4096 : 1 + byte() * 17;
    } else if (frame[3] == 'W') {
        memcpy(frame + HEAD, windows[which % 5], 4);
        length = kind == 6 && which > 40 ? 3 : 4;
    } else if (kind == 11) {
        memcpy(frame + 4, "INITINIT", 8);
    }
    if (*text)
        memcpy(frame + HEAD, text, length = (unsigned)strlen(text));
    frame[12] = (unsigned char)(length >> 8);
    frame[13] = (unsigned char)length;
    put(c, frame, HEAD + length);
}

static void to_app(unsigned op) {
    unsigned char bytes[600];
    struct sim_file *f = app_count ? apps[byte() % app_count] : NULL;

    memset(bytes, 'a', sizeof bytes);
    if (!f || f->kind != SIM_STREAM)
        return;
    f->pending = false;
    switch (op) {
    case 0:
        sim_put(&f->in, bytes, sizeof bytes);
        return;
    case 1:
        f->in_end = true;
        return;
    case 2:
        f->in_reset = true;
        return;
    case 3:
        f->deaf = f->in_end = true;
        return;
    default:
        f->error = ECONNREFUSED;
    }
}

static void incident(struct far *c, unsigned kind) {
    unsigned char event = (unsigned char)(c - fars);

    if (!c->f || c->f->fd < 0)
        return;
    if (kind == 0 && IS_GUEST) {
        sim_detach(c->f);
    } else if (kind == 1 && IS_GUEST) {
        c->f->attached = true;
        attach(c, c->f, true);
    } else if (kind == 2) {
        c->f->in_end = c->f->deaf = true;
        c->f->unplugged = IS_GUEST;
        c->f->in.n = c->f->chunk_count = 0;
        c->f->out.n = 0;
        event |= c->there ? 0 : 2;
        c->there = !c->there;
        sim_put(&news->in, &event, 1);
    } else if (!IS_GUEST) {
        c->f->in_end = true;
    }
}

/* The next thing that the input says. */
static bool act(void) {
    static const char junk[] = "VVSVS1VS1AVS1DVS1H11111111";
    unsigned op = byte();
    struct far *c = &fars[op & 1];
    unsigned char raw[64];

    for (unsigned i = 0; input_at >= input_size && i < CHANNELS; i++)
        if (drain(&fars[i], 4096))
            return true;
    if (input_at >= input_size || ops++ > OPS_MAX)
        return false;
    if (op >= 0xE0) {
        put_shared(c, op >> 1 & 15);
        return true;
    }
    switch (op >> 1 & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        put_frame(c);
        break;
    case 4:
        for (op = 0; op < sizeof raw && op < input_size - input_at; op++)
            raw[op] = (unsigned char)byte();
        put(c, raw, op);
        break;
    case 5:
        put(c, junk, byte() % sizeof junk);
        break;
    case 6:
    case 7:
    case 8:
        drain(c, 1 + byte() * 20);
        break;
    case 9:
        if (IS_GUEST && app_count < APPS)
            apps[app_count++] = sim_new(SIM_STREAM, 3000, 2000);
        break;
    case 10:
    case 11:
        to_app(byte() % 5);
        break;
    case 12:
        if (app_count)
            apps[byte() % app_count]->out.n = 0;
        break;
    case 13:
        incident(c, byte() % 4);
        break;
    case 14:
        patient_until = sim_now() + byte() * byte();
        break;
    default:
        put(c, "\n", 1);
    }
    return true;
}

/* When the input is at its end: one side after the other goes away, and time passes. */
static long long next(void) {
    if (patient_until > sim_now())
        return patient_until;
    return -1;
}

static void sleeps(void) {}

static void stops(void) {
    static unsigned step;
    unsigned open = 2 + IS_GUEST; /* signals, the names' news, the listener */

    if (!over) {
        for (unsigned i = 0; i < app_count; i++)
            apps[i]->in_reset = true;
        over = true;
        step = 0;
        patient_until = sim_now() + 100;
        return;
    }
    if (step++ < 5) { /* a RESET that is under way, a SYN that waits: each needs a round */
        patient_until = sim_now() + 400000;
        return;
    }
    for (unsigned i = 0; i < CHANNELS; i++)
        open += fars[i].f && fars[i].f->fd >= 0;
    for (unsigned i = 0; i < app_count; i++)
        if (apps[i]->fd >= 0)
            sim_fail("app %u is still connected", i);
    if (sim_open_files() != open)
        sim_fail("%u descriptors are open, not %u", sim_open_files(), open);
    longjmp(end, 1);
}

static const struct sim_world world = {act,           next,       open_port, connect_to,
                                       accept_client, has_client, sleeps,    stops};

/* Closes all channels of a run: the names are gone, so nothing is left in the tables. */
static void clean_up(void) {
    for (unsigned i = 0; i < CHANNELS; i++)
        if (fars[i].there)
            fars[i].there = false;
    tell("", false);
    for (unsigned i = 0; i < channels_count(); i++)
        if (*channels_at(i)->name && !channels_at(i)->place) {
            channel_close(channels_at(i));
            if (!IS_GUEST)
                guests_leave(channels_at(i)->guest);
            channels_forget(channels_at(i));
        }
    if (channel_busy())
        sim_fail("a connection is left");
    for (int fd = SIM_FD; fd < FD_SETSIZE; fd++)
        if (sim_at(fd))
            loop_watch(fd, 0, NULL, NULL);
}

static void run(const uint8_t *data, size_t size) {
    static struct setup proxy = {.given = true, .directory = "sim", .services = 1};

    input = data;
    input_size = size;
    input_at = 0;
    app_count = taken = ops = 0;
    patient_until = 0;
    over = false;
    sum = 0;
    memset(fars, 0, sizeof fars);
    for (unsigned i = 0; i < CHANNELS; i++)
        fars[i].there = true;
    sim_faults = (struct sim_faults){.shorts = data[0] & 3 ? 300 : 0,
                                     .eintr = data[0] & 4 ? 50 : 0,
                                     .zero = data[0] & 8 ? 50 : 0};
    sim_start(&world, data[0]);
    net_literal(proxy.service, "127.0.0.1", 5672);
    services[0] = (struct service){.guests = data[0] & 16 ? "other" : NULL, .name = "web"};
    net_literal(&services[0].at, "127.0.0.1", 5673);
    services_count = 1;
    log_level_set("FATAL");
    if (!setjmp(end)) {
        if (IS_GUEST)
            guest_run(&proxy);
        else
            host_run(&proxy, 1000);
    }
    clean_up();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned long long first;

    if (size < 2)
        return 0;
    run(data, size);
    first = sum;
    run(data, size);
    if (sum != first)
        sim_fail("the second run differs from the first");
    return 0;
}
