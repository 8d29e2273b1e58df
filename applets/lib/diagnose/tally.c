/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/tally.h"

#include <stddef.h>

#include "base/out.h"

/* times: of the answered handshakes. */
static struct {
    unsigned done, answered, refused;
    unsigned times[TALLY_MAX];
} tally;

void tally_begin(void) { tally.done = tally.answered = tally.refused = 0; }

void tally_add(enum probe_result r, unsigned us) {
    tally.done++;
    tally.refused += r == PROBE_REFUSED || r == PROBE_NO_SERVICE;
    if (r == PROBE_ANSWERED)
        tally.times[tally.answered++] = us;
}

unsigned tally_count(void) { return tally.done; }

static void sort(unsigned *v, unsigned n) {
    for (unsigned gap = n / 2; gap; gap /= 2)
        for (unsigned i = gap; i < n; i++)
            for (unsigned j = i; j >= gap && v[j - gap] > v[j]; j -= gap) {
                unsigned swap = v[j];

                v[j] = v[j - gap];
                v[j - gap] = swap;
            }
}

static void put_time(const char *name, const char *what, const char *key, unsigned us) {
    if (name)
        out_print("%s %u.%03u ms", what, us / 1000, us % 1000);
    else
        out_json_number(key, us);
}

static void put_times(const char *name) {
    unsigned n = tally.answered, *v = tally.times;
    unsigned long long sum = 0;

    sort(v, n);
    for (unsigned i = 0; i < n; i++)
        sum += v[i];
    put_time(name, ": min", "min_us", v[0]);
    put_time(name, ", avg", "avg_us", (unsigned)(sum / n));
    put_time(name, ", median", "median_us", n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2);
    put_time(name, ", max", "max_us", v[n - 1]);
}

static void show_json(unsigned failed) {
    out_json_number("sent", tally.done);
    out_json_number("answered", tally.answered);
    out_json_number("refused", tally.refused);
    out_json_number("failed", failed);
    if (tally.answered)
        put_times(NULL);
}

void tally_show(const char *name) {
    unsigned failed = tally.done - tally.answered - tally.refused;

    if (!name) {
        show_json(failed);
        return;
    }
    out_safe(name, 0);
    out_print(": %u handshakes, %u answered, %u refused, %u failed\n", tally.done, tally.answered,
              tally.refused, failed);
    if (!tally.answered)
        return;
    out_safe(name, 0);
    put_times(name);
    out_print("\n");
}
