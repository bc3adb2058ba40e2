/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDPA_SHADOW_WALK_H
#define FERRY_VDPA_SHADOW_WALK_H

/**
 * @file
 * A guest, a shadow ring and a device that do whatever they may, in an order that a seed tells.
 *
 * Life     one call
 * Threads  the test's
 */

#include "vmm_ring.h"

/** What is walked. */
struct walk_conf {
	const char *story;
	struct vmm_ring_conf ring;
	uint16_t dev_size;      /* at first; others follow */
	bool tx;
	bool shuffled;          /* the device completes in any order */
	unsigned int n_regions;
	uint32_t steps;
};

/** Walks; what is not as it must be is a failed check, the seed of which is printed. */
void walk_run(const struct walk_conf *conf, uint32_t seed);

#endif
