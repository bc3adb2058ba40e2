/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDPA_SHADOW_DEV_H
#define FERRY_VDPA_SHADOW_DEV_H

/**
 * @file
 * A tiny device behind a shadow ring: takes chains from a split queue that is in its own memory,
 * finds their bytes by guest address, and completes them in any order.
 *
 * Life     embedded; one per shadow ring
 * Threads  the test's
 * Source   virtio 1.2, 2.7
 */

#include "shadow.h"

#include "vmm_mem.h"

/** A piece of a chain, as the device was given it. */
struct dev_piece {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/** A chain that the device holds. */
struct dev_chain {
	uint16_t head;
	uint32_t n;
	uint32_t len;
	struct dev_piece *pieces;
};

struct dev {
	struct vmm_mem *guest;
	uint8_t *mem;
	size_t bytes;
	uint64_t iova, features;
	uint16_t size;
	uint16_t avail_idx, used_idx;   /* next to take, next to publish */
	uint16_t used_shown;
	bool event_idx;
	struct shadow_queue queue;
	struct dev_chain *held;         /* oldest first */
	uint16_t n_held;
};

/** Memory for a queue, filled with rubbish. */
void dev_init(struct dev *d, struct vmm_mem *guest, uint16_t size, uint64_t features);
void dev_fini(struct dev *d);

/** Goes to work on the queue of a shadow ring. */
void dev_start(struct dev *d, const struct shadow *s);

/** Takes what is available, `max` chains at most.  @return chains */
uint16_t dev_take(struct dev *d, uint16_t max);

/** Puts a used element behind the others, for the chain `held[i]`. */
void dev_finish(struct dev *d, uint16_t i, uint32_t len);

/** The same for an element that names whatever it likes. */
void dev_element(struct dev *d, uint32_t id, uint32_t len);

/** Shows the elements.  @return the driver wants an interrupt */
bool dev_publish(struct dev *d);

/** Asks for a doorbell with the next chain, or for none. */
void dev_arm(struct dev *d);
void dev_disarm(struct dev *d);

/** Copies from or to the bytes of a chain. */
void dev_read(const struct dev *d, const struct dev_chain *c, uint8_t *to, uint32_t len);
void dev_write(const struct dev *d, const struct dev_chain *c, const uint8_t *from, uint32_t len);

#endif
