/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_LEAK_H
#define VMM_LEAK_H

/**
 * @file
 * The leak oracle: what a process holds, before and after.
 *
 * Life     plain values.
 * Threads  any.
 * Units    counts.
 * Source   proc(5).
 */

#include <sys/types.h>

#include "vmm_fault.h"

/** What a process holds at one moment. */
struct leak {
	unsigned int fds;
	unsigned int threads;
	unsigned int maps;      /* of guest memory of ours */
};

/** Counts.  @return 0; -errno: no such process, or not ours to look at */
int leak_count(struct leak *out, pid_t pid);

/** @return 0 when both hold the same; -EPROTO */
int leak_check(const struct leak *before, const struct leak *after, struct vmm_fault *fault);

#endif
