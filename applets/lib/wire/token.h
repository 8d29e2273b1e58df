/* SPDX-License-Identifier: Apache-2.0 */
/* token: names for connections. */
#ifndef VIOS_TOKEN_H
#define VIOS_TOKEN_H

#include "wire/frame.h"

/* Once, before all else: begins at random. */
void token_begin(void);

/* Four printable bytes that none of this process's last 78 million tokens had. */
void token_new(unsigned char token[FRAME_TOKEN]);

#endif
