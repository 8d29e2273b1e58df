/* SPDX-License-Identifier: Apache-2.0 */
/* agent: ports that belong to other programs than vios, known by their names. */
#ifndef VIOS_AGENT_H
#define VIOS_AGENT_H

#include <stdbool.h>

enum { AGENT_OWNER = 32 /* bytes of a program's name with its NUL */ };

/* Whether a name is that of a channel for connections into a guest. vios-protocol(7), direction
 * rule 4. */
bool agent_is_inward(const char *name);

/* Whose port has this name by Kconfig FOREIGN_PORTS, a text of this length; NULL: nobody's that is
 * known. */
const char *agent_of(const char *name, int *length);

#endif
