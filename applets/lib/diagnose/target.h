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
#define TARGET_OPERAND "[channel | directory | tcp:PORT | unix:PATH]"

/* path: NULL if the target is where a proxy listens (through), or no channel; then missing says
 * why. */
struct target {
    const char *name, *path, *missing;
    const struct net_address *through;
};

/* Calls fn for what `what` names; empty or NULL: the default directory. Of a directory it calls fn
 * for each channel that is wanted, sorted by name, for as long as fn returns true. each: the
 * channel is one of a directory's. False, after a message: the directory has none. A bad address is
 * bad usage. */
typedef bool target_fn(const struct target *t, bool each);
bool target_each(const struct opt_applet *applet, const char *what,
                 bool (*wanted)(const struct port *), target_fn *fn);

#endif
