/* SPDX-License-Identifier: Apache-2.0 */
/* advice: what is missing where there are no channels. */
#ifndef VIOS_WHY_H
#define VIOS_WHY_H

/* Calls say() with each reason why ports_scan(directory) has found nothing, the most likely first.
 * Each has been checked. */
void why_none(const char *directory, void (*say)(const char *reason));

#endif
