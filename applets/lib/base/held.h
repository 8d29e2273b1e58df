/* SPDX-License-Identifier: Apache-2.0 */
/* held: a unix socket's file that is held, whatever its name leads to by now. */
#ifndef VIOS_HELD_H
#define VIOS_HELD_H

/* Connects to it (an fd with O_PATH, or -1 with errno), and lets go of it: a socket as of
 * net_connect(), or -1 with errno. It needs /proc. */
int held_connect(int held);

#endif
