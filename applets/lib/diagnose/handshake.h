/* SPDX-License-Identifier: Apache-2.0 */
/* handshake: one handshake of the initiator on a channel. Its connection goes on, or ends as soon
 * as the peer has answered, and leaves the peer in LISTEN. */
#ifndef VIOS_HANDSHAKE_H
#define VIOS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/endpoint.h"
#include "wire/session.h"

enum probe_result {
    PROBE_ANSWERED,
    PROBE_NO_SERVICE, /* of that name, or for this guest */
    PROBE_REFUSED,
    PROBE_NO_CHANNEL,
    PROBE_NO_PERMISSION,
    PROBE_NO_HOST,
    PROBE_HELD,
    PROBE_NO_ANSWER,
    PROBE_WRONG_ANSWER,
    PROBE_WRONG_VERSION,
    PROBE_NAMELESS, /* it looked at no name */
    PROBE_CUT_OFF,
    PROBE_TIMED_OUT,
    PROBE_STOPPED, /* by SIGINT or SIGTERM */
};

enum { HANDSHAKE_SEEN = 16, HANDSHAKE_PAYLOAD = 255 };

/* Kept from one handshake to the next: end. connects: the connection goes on, and there is only
 * one; on a socket a guest's program answers, on a port the host may still come, or come again, if
 * waits.
 *
 * Of one handshake: deadline: in microseconds of loop_micros(). service: its name; NULL: the
 * default one. step: what is being done, for messages. hunting: the SYN is on its way, so what
 * comes may be its answer. answer, left: the answer's header, and the bytes of its payload that are
 * still to come; begun: its header has come; done: all of it has. payload, kept: its printable
 * text; of a SYNACK the letters. many, places: whether the host accepted `M`, and the number of
 * connections that it takes. us: microseconds from the SYN to its answer. retreating: only the
 * deadline stops the last frames. again: when to send the SYN again, since the peer has greeted
 * after it; 0: never. rest, rest_bytes: what came after the answer.
 *
 * For messages: seen, came: the first bytes since the SYN, and the number of all that came. echo:
 * our own SYN has come back. rival: another one has. other: the version digit of a header that is
 * not of version 1; last: the bytes in which it is looked for. */
struct handshake {
    struct session session;
    bool connects, waits, hunting, begun, done, retreating, echo, rival, many;
    long long deadline, started, again;
    const char *step;
    unsigned left, kept, places, us, came;
    struct endpoint end;
    const char *service;
    const unsigned char *rest;
    size_t rest_bytes;
    struct frame_decoder decoder;
    struct frame answer;
    char payload[HANDSHAKE_PAYLOAD + 1];
    unsigned char seen[HANDSHAKE_SEEN], last[4], other;
};

/* Forgets the last handshake; the next one, or what else is done with fd, has this many
 * milliseconds. */
void handshake_begin(struct handshake *h, long ms);

/* The handshake: ANSWERED, NO_SERVICE, REFUSED, NO_HOST, NO_ANSWER, WRONG_ANSWER, WRONG_VERSION,
 * NAMELESS, CUT_OFF, TIMED_OUT or STOPPED. */
enum probe_result handshake_run(struct handshake *h);

/* After a failure: finishes the frame that was begun, and tells a host that may answer late that
 * it is over. vios-protocol(7), guest rule 6. */
void handshake_retreat(struct handshake *h);

/* On QEMU's socket: leaves as soon as QEMU has noticed, since it may not read the port otherwise.
 * Then close fd, and open it again. vios-protocol(7), socket fact 6. */
void handshake_visit(struct handshake *h);

/* Waits until fd is ready for LOOP_READ or LOOP_WRITE: ANSWERED (perhaps it is not yet: try again),
 * TIMED_OUT or STOPPED. */
enum probe_result handshake_wait(struct handshake *h, unsigned want);

#endif
