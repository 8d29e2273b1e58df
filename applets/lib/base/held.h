/* SPDX-License-Identifier: Apache-2.0 */
/* held: a unix socket by an open descriptor of its file, whatever its name leads to by now. */
#ifndef VIOS_HELD_H
#define VIOS_HELD_H

/* Connects to the file of fd (opened with O_PATH; or -1 with errno), and closes fd: a socket as of
 * net_connect(), or -1 with errno. It needs /proc. */
int held_connect(int held);

#endif
