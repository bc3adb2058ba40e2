/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_RNG_H
#define VMM_RNG_H

/**
 * @file
 * Choices that a seed repeats.
 *
 * Life     the state is one number of the caller's, set to the seed.
 * Threads  one per state.
 * Units    none.
 * Source   none.
 */

#include <stdint.h>

/** The next choice.  @return 0..below-1; `below` is at least 1 */
static inline uint32_t
vmm_rng(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 8) % below;
}

#endif
