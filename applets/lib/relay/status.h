/* SPDX-License-Identifier: Apache-2.0 */
/* status: the table of channels that SIGUSR1 asks for. */
#ifndef VIOS_STATUS_H
#define VIOS_STATUS_H

/* Logs it, at NOTICE. */
void status_log(void);

#endif
