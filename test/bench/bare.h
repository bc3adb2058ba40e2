/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

/**
 * @file
 * The lower bound: one copy from a transmit ring to a receive ring, and nothing else.
 *
 * It looks at no header, checks no address, length or index, and trusts both guests.  What is
 * dearer than this is what a switch costs; nothing that copies once can be cheaper.
 *
 * Life     over two rings that nobody else serves
 * Threads  one
 * Units    frames
 */

#include "vmm_guest.h"

struct bare;

/** Over the rings of attached guests; free() ends it.  @return 0; -ENOMEM */
int bare_create(const struct vmm_queue *tx, const struct vmm_queue *rx, struct bare **out);

/** Copies up to `max` frames.  @return frames */
uint32_t bare_turn(struct bare *b, uint32_t max);

#endif
