/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox: from here on a call of the kernel that the applet has no use for ends the process. What
 * it has use for stands beside the code that does it, in comments
 *
 *     syscalls: NAME...
 *     syscalls (APPLET...): NAME...     guest, host and connect: only these make them
 *
 * of which kbuild/syscalls makes the table. */
#ifndef VIOS_SANDBOX_H
#define VIOS_SANDBOX_H

enum { SANDBOX_GUEST = 1, SANDBOX_HOST = 2, SANDBOX_CONNECT = 4 };

/* Once all is read that is read only at the start. For good: also no program that it could start
 * has more rights. applet: one of the above. Where the kernel has no seccomp, a line says so, and
 * everything goes on. */
#if CONFIG_FEATURE_SANDBOX
void sandbox_enter(unsigned applet);
#else
static inline void sandbox_enter(unsigned applet) { (void)applet; }
#endif

#endif
