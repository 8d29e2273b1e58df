/* SPDX-License-Identifier: Apache-2.0 */
/* input: the parts of frames in a channel's input, whether it is shared or not. */
#ifndef VIOS_INPUT_H
#define VIOS_INPUT_H

#include "relay/conn.h"

/* A control frame's header has come; its payload has to, if it has any. Later: more of that. True
 * when all of it is there, in in->frame and, as far as there is room, in in->text. That is made
 * printable, but for WINDOW's. */
bool input_begin(struct channel *ch, const struct frame *f);
bool input_collect(struct input *in);

/* The next n bytes that are not decoded are payload of this connection: they are put behind what
 * waits for its TCP side, so that one write() takes both. */
void input_take(struct channel *ch, struct conn *c, unsigned n);

#endif
