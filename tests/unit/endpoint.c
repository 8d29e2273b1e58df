/* SPDX-License-Identifier: Apache-2.0 */
#include "../../applets/lib/relay/opener.h"

#include "fakes.h"
#include "sim.h"
#include "unit.h"

static void fake_start(bool guests, names_fn *fn) { (void)guests, (void)fn; }
static void fake_again(const char *name) { (void)name; }

enum { BUFFER = 4096 /* of a port */, ROOM = 5 * BUFFER };

static const char greeting[FRAME_HEADER] = "VS1HINITINIT";
static struct sim_file *port;
static struct channel ch;
static unsigned char bytes[ROOM];

static struct sim_file *open_port(const char *path) { return (void)path, port; }

/* An open channel on a port of the simulation, without faults. */
static void start(void) {
    static const struct sim_world world = {.open = open_port};

    sim_start(&world, 1);
    port = sim_new(SIM_PORT, 100000, 100000);
    port->attached = true;
    CHECK(!opener_open(&ch, "sim/port0", 1));
    CHECK(ch.end.port);
}

/* A buffer of the port: n bytes, of which the last ones are text. */
static void put(unsigned n, const char *text, unsigned length) {
    unsigned char buffer[BUFFER];

    memset(buffer, 'x', n);
    memcpy(buffer + n - length, text, length);
    EQUAL(sim_put(&port->in, buffer, n), n);
    sim_chunk(port, n);
}

static void many_buffers_in_two_calls(void) {
    unsigned long long before;
    size_t n;

    start();
    for (int i = 0; i < 4; i++)
        put(BUFFER, "end", 3);
    put(100, "end", 3);
    before = sim_steps;
    EQUAL(endpoint_read(&ch.end, true, bytes, ROOM, &n), ENDPOINT_DONE);
    EQUAL(n, 4 * BUFFER + 100);
    EQUAL(sim_steps - before, 2);
    for (size_t i = 0; i < n; i++)
        EQUAL(bytes[i], i >= n - 3 || i % BUFFER >= BUFFER - 3
                            ? "end"[(i >= n - 3 ? i - n + 3 : i % BUFFER - BUFFER + 3)]
                            : 'x');
    EQUAL(endpoint_read(&ch.end, true, bytes, ROOM, &n), ENDPOINT_BLOCKED);
    put(BUFFER, "", 0);
    port->attached = false;
    EQUAL(endpoint_read(&ch.end, true, bytes, ROOM, &n), ENDPOINT_DETACHED);
    EQUAL(n, BUFFER);
}

/* Only at the beginning of a buffer, and only for a connection. */
static void new_host_in_any_buffer(void) {
    size_t n;

    for (unsigned whole = 0; whole < 5; whole++)
        for (int framed = 0; framed < 2; framed++) {
            start();
            for (unsigned i = 0; i < whole; i++)
                put(BUFFER, i ? greeting : "", i ? FRAME_HEADER : 0);
            put(FRAME_HEADER, greeting, FRAME_HEADER);
            EQUAL(endpoint_read(&ch.end, framed, bytes, ROOM, &n),
                  framed ? ENDPOINT_RENEWED : ENDPOINT_DONE);
            EQUAL(n, whole * BUFFER + (framed ? 0 : FRAME_HEADER));
            EQUAL(ch.end.fresh, framed ? FRAME_HEADER : 0);
        }
}

/* What has come behind the greeting is there, and is the new host's. */
static void new_hosts_first_bytes(void) {
    char text[FRAME_HEADER + 10];
    size_t n;

    memcpy(text, greeting, FRAME_HEADER);
    memcpy(text + FRAME_HEADER, "and a SYN.", 10);
    start();
    put(BUFFER, "", 0);
    put(sizeof text, text, sizeof text);
    EQUAL(endpoint_read(&ch.end, true, bytes, ROOM, &n), ENDPOINT_RENEWED);
    EQUAL(n, BUFFER);
    EQUAL(ch.end.fresh, sizeof text);
    CHECK(!memcmp(bytes + n, text, sizeof text));
    port->attached = false;
    EQUAL(endpoint_read(&ch.end, true, bytes, ROOM, &n), ENDPOINT_DETACHED);
    EQUAL(ch.end.fresh, 0);
}

/* Whatever room is left, a greeting is read whole or not at all. */
static void room_never_cuts_a_greeting(void) {
    size_t n;

    for (size_t room = 1; room < 3 * BUFFER;
         room += room % BUFFER < 40 || room % BUFFER > BUFFER - 40 ? 1 : 40) {
        enum endpoint_result result = ENDPOINT_DONE;
        size_t all = 0;

        start();
        put(BUFFER, "", 0);
        put(BUFFER, "", 0);
        put(FRAME_HEADER, greeting, FRAME_HEADER);
        while (result == ENDPOINT_DONE && all < 2 * BUFFER + FRAME_HEADER) {
            result =
                endpoint_read(&ch.end, true, bytes, room > FRAME_HEADER ? room : FRAME_HEADER, &n);
            all += n;
        }
        EQUAL(result, ENDPOINT_RENEWED);
        EQUAL(all, 2 * BUFFER);
    }
}

static void writes_more_than_a_port_takes_at_once(void) {
    static unsigned char out[CONFIG_BUFFER_SIZE];
    unsigned long long before;

    start();
    before = sim_steps;
    EQUAL(endpoint_write(&ch.end, out, sizeof out), ENDPOINT_DONE);
    EQUAL(sim_steps - before, (sizeof out + 32767) / 32768);
    EQUAL(port->out.n, sizeof out);
    EQUAL(endpoint_write(&ch.end, out, sizeof out), ENDPOINT_BLOCKED);
    EQUAL(port->out.n, 100000);
    EQUAL(ch.end.owed_bytes, 2 * sizeof out - 100000);
}

static const struct unit_case cases[] = {
    {"many-buffers-in-two-calls", many_buffers_in_two_calls},
    {"new-host-in-any-buffer", new_host_in_any_buffer},
    {"new-hosts-first-bytes", new_hosts_first_bytes},
    {"room-never-cuts-a-greeting", room_never_cuts_a_greeting},
    {"writes-more-than-a-port-takes-at-once", writes_more_than_a_port_takes_at_once},
};

UNIT_MAIN("endpoint", cases)
