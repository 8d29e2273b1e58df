/* SPDX-License-Identifier: Apache-2.0 */
/* stream: one connection whose local side is stdin and stdout, over a channel of its own or over a
 * socket without frames. One buffer each way: nothing more is read until it has been written.
 *
 *   stdin  --> output, after a header  --> endpoint
 *   stdout <-- input, between headers  <-- endpoint
 */
#ifndef VIOS_STREAM_H
#define VIOS_STREAM_H

#include <stdbool.h>

#include "wire/endpoint.h"
#include "wire/session.h"

enum { STREAM_REASON = 255 };

/* end, session: of the connection; a socket without frames (end->raw) counts as a peer that agreed
 * to end of stream. ready: LOOP_READ: stdin can be read, LOOP_WRITE: stdout can be written. at,
 * filled: the part of the input that is still to be decoded; payload: its bytes that are next for
 * stdout. out_at, out_left: the part of the output that has no header yet. gone: nothing more comes
 * from the peer; deaf: nothing more goes to it; local: stdin or stdout has failed; came: something
 * was for stdout. since: when a byte last moved. text: a local failure, or the peer's reason. */
struct stream {
    struct endpoint *end;
    struct session *session;
    unsigned ready, at, filled, payload, out_at, out_left, text_bytes;
    bool gone, deaf, local, came;
    struct frame_decoder decoder;
    struct frame frame;
    long long since;
    char text[STREAM_REASON + 1];
};

/* Carries an established connection until its session is over or a signal has come. p, n: what came
 * after the SYNACK. True: both directions have ended in order. */
bool stream_run(struct stream *s, const unsigned char *p, size_t n);

#endif
