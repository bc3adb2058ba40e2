/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_TRAFFIC_H
#define FERRY_TRAFFIC_H

/**
 * @file
 * Frames from one side to the other, one flow a transmit ring, with their ledger.
 *
 * Life     a value, as long as its sides.
 * Threads  one at a time.
 * Units    lengths in bytes
 */

#include "side.h"

#define TRAFFIC_FLOWS (SIDE_RINGS_MAX / 2)

struct traffic {
	struct side *from, *to;
	struct vmm_fault *fault;
	struct vmm_flow flows[TRAFFIC_FLOWS];
	uint32_t len_max;
	uint32_t bufs;       /* of the receiver that the longest frame takes */
	uint32_t rng;
	uint64_t sent, received;
	uint64_t lost;       /* known to be dropped by name: not waited for */
};

/** @param id  first flow's number; those of the other direction differ */
void traffic_init(struct traffic *t, struct side *from, struct side *to, uint32_t id, uint32_t seed,
		  struct vmm_fault *fault);

/**
 * Sends up to `n` frames, as many as the sender's rings hold, and kicks.
 *
 * @return frames; -EPROTO
 */
int traffic_send(struct traffic *t, uint32_t n);

/** Takes what has arrived, checks it, and offers the buffers again.  @return frames; -EPROTO */
int traffic_recv(struct traffic *t);

/** Frames that the receiver is sure to have buffers for, besides those under way. */
uint32_t traffic_window(const struct traffic *t);

/**
 * Sends `n` frames and waits for all of them, never more at once than the receiver has room for.
 *
 * @return 0; -EPROTO: the fault says what was lost, damaged, reordered or doubled
 */
int traffic_run(struct traffic *t, uint32_t n);

/** Waits until all that was sent has arrived, but for what is known to be lost.  @return 0; -EPROTO */
int traffic_drain(struct traffic *t);

/** The sum: sent = received + dropped.  @return 0; -EPROTO */
int traffic_check(const struct traffic *t, uint64_t drops);

#endif
