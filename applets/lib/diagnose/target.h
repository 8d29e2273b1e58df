/* SPDX-License-Identifier: Apache-2.0 */
/* target: what an operand names: a channel, the channels of a directory, or where a proxy listens.
 */
#ifndef VIOS_TARGET_H
#define VIOS_TARGET_H

#include <stdbool.h>

#include "base/net.h"
#include "base/opt.h"
#include "diagnose/ports.h"

/* For --help. */
#define TARGET_OPERAND "[channel | directory | tcp:[ADDR:]PORT | unix:PATH]"

/* path: NULL for through, where a proxy listens, and for what is no channel; then missing tells
 * why. */
struct target {
    const char *name, *path, *missing;
    const struct net_address *through;
};

/* Calls fn for what `what` names, the default directory if it is empty or NULL; of a directory for
 * each channel that is wanted, in the order of their names, for as long as fn returns true. each:
 * it is one of a directory's. False, after a message: the directory has none. An address that is
 * none is bad usage. */
typedef bool target_fn(const struct target *t, bool each);
bool target_each(const struct opt_applet *applet, const char *what,
                 bool (*wanted)(const struct port *), target_fn *fn);

#endif
