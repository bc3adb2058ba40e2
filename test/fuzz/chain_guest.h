/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_CHAIN_GUEST_H
#define FERRY_FUZZ_CHAIN_GUEST_H

/**
 * @file
 * What a guest does to its rings, sound or not: operations of the targets chain and shadow.
 *
 * Threads  one
 */

#include "chain_ref.h"

/** Operations 0 to GUEST_OPS - 1; see corpus_chain.py for what each of them reads. */
#define GUEST_OPS 7

void guest_op(const struct ref_ring *r, struct fuzz_in *in, uint8_t op, uint8_t arg);

#endif
