/* SPDX-License-Identifier: Apache-2.0 */
/* agent: ports that belong to other programs than vios, known by their names. */
#ifndef VIOS_AGENT_H
#define VIOS_AGENT_H

/* Whose port has this name, or NULL: nobody's that is known. */
const char *agent_of(const char *name);

#endif
