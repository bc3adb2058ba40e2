/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_FAST_H
#define VMM_FAST_H

/**
 * @file
 * The shortest way through a ring, for generators: no ledger, no oracle, no copy.
 *
 * Every buffer is one descriptor that was written once.  Sending is offering it again, receiving is
 * offering it again too; per frame that is one id read and one id written.
 *
 * Life     takes a started guest's ring over for good.
 * Threads  one.
 * Units    chains.
 * Source   virtio 1.2 clauses 2.7 and 2.8.
 */

#include <linux/virtio_ring.h>

#include "vmm.h"

/** A ring that goes round. */
struct fast {
	struct vmm_ring *ring;
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *slots;
	};
	struct vring_avail *avail;
	struct vring_used *used;
	uint64_t *addrs;        /* packed: by id, what every descriptor is to say */
	uint32_t *lens;
	uint16_t flags;         /* of every descriptor */
	uint16_t *held;         /* ids that are not offered, a stack */
	uint32_t n_held;
};

/** Takes over a receive ring: all that is posted stays posted.  @return 0; -ENOMEM */
int fast_init_rx(struct fast *f, struct vmm_guest *g, unsigned int pair);

/** Takes over a transmit ring; every buffer holds `bytes`: header and frame.  @return 0; -ENOMEM */
int fast_init_tx(struct fast *f, struct vmm_guest *g, unsigned int pair, const void *bytes,
		 uint32_t len);
void fast_fini(struct fast *f);

/** Takes back what is used and holds it.  @return how many chains */
uint32_t fast_take(struct fast *f);

/** Offers up to `n` of what is held, with a kick if the device wants one.  @return how many */
uint32_t fast_offer(struct fast *f, uint32_t n);

#endif
