/* SPDX-License-Identifier: Apache-2.0 */
/* node: device nodes of ports, where no udev makes them. */
#ifndef VIOS_NODE_H
#define VIOS_NODE_H

/* Makes the node of a port ("vport1p1"), after a message, if nothing is at path. */
void node_make(const char *path, const char *port);

#endif
