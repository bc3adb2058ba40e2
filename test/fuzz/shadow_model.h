/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_SHADOW_MODEL_H
#define FERRY_FUZZ_SHADOW_MODEL_H

/**
 * @file
 * What a shadow ring has to make of a guest and of a device, both of which do what they like: the
 * guest's side from chain_ref.c, the device's side from the specification, slowly.
 *
 * Threads  one
 * Source   virtio 1.2, 2.7 and 2.8
 */

#include "chain_ref.h"

#include "shadow.h"

#define MODEL_DEV_MAX 64   /* descriptors of the device */

/** A chain that was taken. */
struct model_chain {
	uint16_t id;
	uint32_t n_slots;
	uint64_t len;
	uint16_t head, n_descs;  /* of the device; 0: it never had the chain */
	bool done;
	uint32_t used;
	uint32_t n_pieces;
	struct ref_piece pieces[MODEL_DEV_MAX + GMEM_REGIONS_MAX];
};

struct model {
	struct ref_ring ref;
	bool tx, logged;
	enum vring_bad bad;
	enum shadow_fault fault;
	bool blocked;
	uint32_t slots_out;
	uint16_t dev_size, next, n_free, avail_idx, used_seen;
	bool dev_event_idx, dev_indirect;
	struct shadow_queue queue;
	const uint8_t *dev_mem;
	uint64_t dev_iova;
	uint32_t first, n;        /* in flight, a circle */
	struct model_chain chains[MODEL_DEV_MAX];
};

void model_init(struct model *m, const struct vring_opts *opts);

/** The chain in flight that was taken as the `i`th, from the oldest. */
struct model_chain *model_chain(struct model *m, uint32_t i);

/** A device's own words in its queue. */
uint16_t model_dev16(const struct model *m, uint64_t iova);

/** Takes chains, for the device or not.  @return chains */
uint32_t model_take(struct model *m, uint32_t max, bool discard);

/** Whether the device wants to hear of what was given to it since `before`. */
bool model_doorbell(const struct model *m, uint16_t before);

/** Takes the device's elements, then gives back what is done.
 *  @return chains; `call` as ref_publish() */
uint32_t model_complete(struct model *m, uint32_t max, int *call);

/** Arms; as shadow_arm(). */
bool model_arm(struct model *m, unsigned int sides);

/** Stops; as shadow_stop(). */
uint32_t model_stop(struct model *m, int *call);

#endif
