/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_FAULT_H
#define VMM_FAULT_H

/**
 * @file
 * The first thing an oracle objected to.
 *
 * Life     embedded by whoever owns a guest or a test; all of its parts point to one.
 * Threads  one at a time.
 * Units    none.
 * Source   none.
 */

#include <stdbool.h>

/** What went wrong first; later faults are most often its echo and are dropped. */
struct vmm_fault {
	char text[240];
};

/**
 * Notes a fault.
 *
 * @return  -EPROTO, always, so that a check can be returned in one line
 */
int vmm_fault_set(struct vmm_fault *fault, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** True when a fault was noted. */
static inline bool
vmm_fault_found(const struct vmm_fault *fault)
{
	return fault->text[0] != '\0';
}

#endif
