/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_SIDE_H
#define FERRY_SIDE_H

/**
 * @file
 * A guest and the provider that moves its rings, joined as a session joins them: memory, features,
 * rings, and positions that are kept from stop to start.
 *
 * Life     side_create() to side_destroy(); the vdev is the caller's.
 * Threads  one at a time; frames of `g` may be another thread's between start and stop.
 */

#include "gmem.h"
#include "vdev.h"

#include "vmm.h"

#define SIDE_RINGS_MAX 16

struct side {
	struct vmm_guest *g;
	struct gmem *mem;
	struct vdev *dev;
	uint16_t port;
	bool running;
	const struct dirty *log; /* of the starts to come; NULL: none */
	uint16_t n_rings;
	struct vdev_ring rings[SIDE_RINGS_MAX];
};

/**
 * Creates a guest of that shape, with the features that `dev` has of those it wants.
 *
 * @return 0; -errno
 */
int side_create(struct side *s, const struct vmm_guest_conf *conf, uint16_t port, struct vdev *dev,
		struct vmm_fault *fault);
void side_destroy(struct side *s);

/** What vdev_start() is to be told; `rings` stay the side's. */
struct vdev_cfg side_cfg(const struct side *s);

/** Starts all rings where they stand.  @return as vdev_start() */
int side_start(struct side *s);

/** Stops; positions stay in `rings`. */
void side_stop(struct side *s);

/**
 * The oracles of a stop: takes back what was used, then compares every position with the ledger of
 * its driver, and all memory with what the device was allowed to write.
 *
 * @return 0; -EPROTO
 */
int side_settle(struct side *s);

/** Has the guest boot again: all that is in the rings of the stopped side is forgotten. */
int side_reboot(struct side *s);

/** Tells the running provider what `rings[qid]` says of enabled, kickfd and callfd. */
int side_ring_set(struct side *s, uint16_t qid);

/** A copy of all memory; side_same() says whether it still is what it was, and frees it. */
uint8_t *side_copy(const struct side *s);
bool side_same(const struct side *s, uint8_t *copy);

/** True when the rings are of the packed format. */
static inline bool
side_packed(const struct side *s)
{
	return s->g->conf.packed;
}

#endif
