/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_SELFTEST_H
#define VMM_SELFTEST_H

/**
 * @file
 * The parts of the self test.
 *
 * Life     one process.
 * Threads  main; guests() runs a backend of its own besides.
 * Units    none.
 * Source   none.
 */

#include "vmm_fault.h"

/** Counts a story, and prints it when it failed. */
void story(const char *name, const char *detail, bool ok, const struct vmm_fault *fault);

/** A guest against a backend that does what the specification says, and against its faults. */
void guests(void);

/** A device that logs what it writes, against the image oracle, and its faults. */
void logs(void);

#endif
