/* SPDX-License-Identifier: Apache-2.0 */
/* hunt: what bytes without a connection cost the receiver of the host's proxy, in ns a byte. Made
 * of the objects of the binary; reads of 4096 bytes, as an idle channel has. `make bench` runs it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../../applets/lib/relay/channels.h"
#include "../../applets/lib/relay/guests.h"
#include "../../applets/lib/relay/receiver.h"
#include "../../applets/lib/relay/responder.h"

enum { READ = 4096, SPAN = 64 * READ, PASSES = 20, ROUNDS = 5 };

static unsigned char data[SPAN];

/* unit: repeated (NULL: random bytes). numbered: where a counter stands in it, so that no two
 * tokens are the same; 0: nowhere. */
static const struct pattern {
    const char *name, *unit;
    unsigned size, numbered;
} patterns[] = {
    {"random bytes", NULL, 0, 0},
    {"zero bytes", "\0", 1, 0},
    {"filler 1", "1", 1, 0},
    {"V", "V", 1, 0},
    {"VS", "VS", 2, 0},
    {"VVVVS", "VVVVS", 5, 0},
    {"VS1", "VS1", 3, 0},
    {"VS1A", "VS1A", 4, 0},
    {"VS1D", "VS1D", 4, 0},
    {"VS1H", "VS1H", 4, 0},
    {"SYNs with a host token", "VS1Aabcdwxyz\0\0", 14, 0},
    {"RESETs", "VS1Habcdwxyz\0\0", 14, 0},
    {"stale DATA, length 0", "VS1Dabcdwxyz\0\0", 14, 0},
    {"stale DATA, each of another token", "VS1Dabcdwxyz\0\0", 14, 6},
    {"stale DATA, length 65535", "VS1Dabcdwxyz\xff\xff", 14, 6},
    {"stale DATA, length 7 and payload", "VS1Dabcdwxyz\0\7VS1DVVV", 21, 6},
    {"stale ACKs", "VS1Babcdwxyz\0\0", 14, 6},
};

static void fill(const struct pattern *p) {
    unsigned seed = 1;

    for (unsigned i = 0; i < SPAN; i++) {
        seed = seed * 1103515245 + 12345;
        data[i] = p->unit ? (unsigned char)p->unit[i % p->size] : (unsigned char)(seed >> 16);
        if (p->numbered && i % p->size - p->numbered < 2)
            data[i] = (unsigned char)(i / p->size >> (i % p->size - p->numbered) * 8);
    }
}

static void receive(struct channel *ch, const unsigned char *p) {
    struct input *in = channel_input(ch);

    memcpy(in->bytes, p, READ);
    in->raw = in->head = in->tail = 0;
    in->filled = READ;
    ch->spent = false;
    ch->looks = 0;
    receiver_run(ch);
    if (in->raw < in->filled || ch->conns)
        puts("not read to its end");
}

static long long nanoseconds(void) {
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Hundredths of a ns a byte, of the fastest round: others may use the processor. */
static long long measure(struct channel *ch) {
    long long best = -1;

    for (int round = 0; round < ROUNDS; round++) {
        long long took = -nanoseconds();

        for (int pass = 0; pass < PASSES; pass++)
            for (unsigned at = 0; at < SPAN; at += READ)
                receive(ch, data + at);
        took = (took + nanoseconds()) * 100 / ((long long)SPAN * PASSES);
        if (best < 0 || took < best)
            best = took;
    }
    return best;
}

int main(void) {
    struct channel *ch = channels_add("guest/channel", 1);

    role = &responder;
    ch->guest = guests_join(ch->name);
    ch->end.fd = open("/dev/null", O_WRONLY);
    ch->end.attached = true;
    puts("ns a byte without a connection, in LISTEN");
    for (const struct pattern *p = patterns; p < patterns + sizeof patterns / sizeof *patterns;
         p++) {
        long long hundredths;

        fill(p);
        hundredths = measure(ch);
        printf("%-36s%8lld.%02lld\n", p->name, hundredths / 100, hundredths % 100);
        fflush(stdout);
    }
    return 0;
}
