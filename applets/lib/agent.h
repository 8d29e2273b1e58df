/* SPDX-License-Identifier: Apache-2.0 */
/* agent: ports that belong to other programs than vios, known by their names. */
#ifndef VIOS_AGENT_H
#define VIOS_AGENT_H

#include <stdbool.h>

/* Whose port has this name, or NULL: nobody's that is known. */
const char *agent_of(const char *name);

/* Whether the name matches one of the patterns of Kconfig FOREIGN_PORTS, which blanks divide. */
bool agent_is_foreign(const char *name);

#endif
