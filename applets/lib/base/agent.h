/* SPDX-License-Identifier: Apache-2.0 */
/* agent: ports that belong to other programs than vios, known by their names. */
#ifndef VIOS_AGENT_H
#define VIOS_AGENT_H

#include <stdbool.h>

enum { AGENT_OWNER = 32 /* bytes of a program's name with its NUL */ };

/* Whether the channel of this name is for connections into a guest. vios-protocol(7), direction
 * rule 4. */
bool agent_is_inward(const char *name);

/* The program that a port of this name is for, by Kconfig FOREIGN_PORTS, and the length of that
 * text; NULL: none that is known. */
const char *agent_of(const char *name, int *length);

#endif
