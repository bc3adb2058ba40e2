/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_NEAREST_H
#define FERRY_NEAREST_H

/**
 * @file
 * The known word that a mistyped one was probably meant to be.
 *
 * Threads  any
 */

#include <stddef.h>

/** The best candidate so far; starts zeroed but for `word`. */
struct nearest {
	const char *word;  /**< what was typed */
	const char *best;  /**< NULL: nothing is near */
	size_t distance;
};

/** Offers a known word; pointers are kept, not copied. */
void nearest_offer(struct nearest *n, const char *known);

#endif
