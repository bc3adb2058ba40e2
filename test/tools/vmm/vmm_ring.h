/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_RING_H
#define VMM_RING_H

/**
 * @file
 * The driver's side of a virtqueue, split or packed, and the descriptor and position oracles.
 *
 * A ring lives in a vmm_mem and needs no socket: hand its addresses to any backend.  Chains are
 * posted, published (with a kick if the device wants one) and collected again; whatever the device
 * may not do with them is a fault: using what is not outstanding, twice, out of order after
 * VIRTIO_F_IN_ORDER, more bytes than the chain can hold, an index that jumps, a lost interrupt.
 *
 * Life     created for one start of a guest; survives stop and start of its backend.
 * Threads  one at a time.
 * Units    positions as on the wire: split: the 16-bit index; packed: slot | wrap counter << 15.
 * Source   virtio 1.2 clauses 2.7 (split) and 2.8 (packed).
 */

#include <stdbool.h>
#include <stdint.h>

#include "vmm_mem.h"

/** One piece of a chain. */
struct vmm_seg {
	uint64_t gpa;
	uint32_t len;
	bool write;             /* the device writes it; such pieces come last in a chain */
};

/** What a ring is to be. */
struct vmm_ring_conf {
	uint16_t size;          /* split: a power of two up to 32768; packed: 1..32768 */
	bool packed;
	bool event_idx;
	bool in_order;
	bool edge;              /* a page ends behind the used index (packed: behind slot 0) */
	uint16_t table_len;     /* descriptors of an indirect table; 0: no indirect descriptors */
	uint16_t pos;           /* where it starts; packed rings usually start at 1 << 15 */
	uint32_t shuffle;       /* seed that mixes the order in which ids are taken; 0: ascending */
};

/** Where the three parts of a ring are, and how long they are. */
struct vmm_ring_addr {
	uint64_t desc, avail, used;
	uint32_t desc_size, avail_size, used_size;
};

/** One chain that came back. */
struct vmm_used {
	uint64_t cookie;        /* as posted */
	uint32_t len;           /* bytes written by the device, as it says */
	uint16_t id;
	bool skipped;           /* in-order batch: no used element of its own, filled */
};

/** One chain that is out, by buffer id (split: index of its head). */
struct vmm_chain {
	struct vmm_seg *segs;
	uint64_t cookie;
	uint32_t writable;      /* bytes the device may write */
	uint16_t n_segs;
	uint16_t segs_len;      /* allocated */
	uint16_t n_slots;       /* descriptors it takes in the ring */
	uint16_t table;         /* indirect table + 1; 0: none */
	bool out;
};

/** How often what happened; only grows. */
struct vmm_ring_stats {
	uint64_t posted, used, kicks, kicks_suppressed, calls;
};

/** The driver's side of one virtqueue. */
struct vmm_ring {
	struct vmm_mem *mem;
	struct vmm_ring_conf conf;
	struct vmm_ring_addr addr;
	struct vmm_ring_addr spare;     /* where the ring was before its last move */
	struct vmm_ring_stats stats;
	char name[24];          /* for faults */
	int kickfd, callfd;     /* owned by the caller; -1: none */

	uint16_t avail_idx;     /* split: free running; packed: slot of the next descriptor */
	uint16_t used_idx;      /* same, of the next used one to look at */
	bool avail_wrap, used_wrap;
	uint16_t n_free;        /* descriptors (packed: slots) that can be posted */
	uint16_t n_ids;         /* entries of the stack of free ids */
	uint16_t *ids;          /* free ids, a stack (in order: unused) */
	uint16_t next_id;       /* in order: the id that comes next */
	uint16_t *links;        /* split: the driver's own copy of desc.next */
	struct vmm_chain *chains;
	uint16_t *order;        /* ids in the order of posting, a circle of conf.size */
	uint16_t order_head, n_out;

	uint32_t unpublished;   /* descriptors posted but not yet visible (split: chains) */
	uint16_t first_slot;    /* packed: the slot whose flags are held back, */
	uint16_t first_flags;   /* and its flags */
	uint16_t batch_left;    /* in-order batch: chains still to be handed out, */
	uint32_t batch_len;     /* and the length of the last of them */

	uint64_t tables;        /* gpa of the indirect tables */
	uint16_t *table_ids;    /* free ones, a stack */
	uint16_t n_tables;
};

/* Life */

/**
 * Creates a ring with its areas in `mem`.
 *
 * @return 0; -EINVAL: size not legal for the format; -ENOMEM: no room in mem or heap
 */
int vmm_ring_create(struct vmm_ring **out, struct vmm_mem *mem, const struct vmm_ring_conf *conf,
		    const char *name);
void vmm_ring_destroy(struct vmm_ring *r);

/**
 * Moves an idle ring (nothing out) to other areas of its memory, as a driver that was reset does.
 * There are two sets of areas, used in turn; the ring starts at conf.pos again.
 *
 * @return 0; -EBUSY: chains are out; -ENOMEM: no room
 */
int vmm_ring_move(struct vmm_ring *r);

/** Takes back all that is out, unused, as a driver that resets its device does. */
void vmm_ring_forget(struct vmm_ring *r);

/* Driver */

/**
 * Writes a chain into the ring.  Not visible to the device before vmm_ring_kick().
 *
 * @param n         pieces, 1..
 * @param indirect  put them into an indirect table
 * @return          0; -ENOSPC: no descriptors, ids or tables left; -E2BIG: never fits; -ENOMEM
 */
int vmm_ring_post(struct vmm_ring *r, const struct vmm_seg *segs, uint16_t n, bool indirect,
		  uint64_t cookie);

/** Makes posted chains visible, notifies the device if it asks for it.  @return 1: notified; 0 */
int vmm_ring_kick(struct vmm_ring *r);

/** Takes back one used chain.  @return 1; 0: none; -EPROTO: the fault of the memory says why */
int vmm_ring_collect(struct vmm_ring *r, struct vmm_used *used);

/** True when vmm_ring_collect() would find a chain. */
bool vmm_ring_used(const struct vmm_ring *r);

/**
 * Asks the device for an interrupt at the next used chain.
 *
 * @return false: used chains are there already, collect them first
 */
bool vmm_ring_arm(struct vmm_ring *r);

/** Tells the device that no interrupts are wanted (a hint, as the specification has it). */
void vmm_ring_disarm(struct vmm_ring *r);

/** Descriptors that could be posted now. */
uint16_t vmm_ring_room(const struct vmm_ring *r);

/* Position */

/** Where a device that returned everything it has taken stands, once all used is collected. */
uint16_t vmm_ring_pos(const struct vmm_ring *r);

/**
 * Position oracle: after the device was stopped and all used chains are collected.
 *
 * @param base  as GET_VRING_BASE answered
 * @return      0; -EPROTO
 */
int vmm_ring_check_base(struct vmm_ring *r, uint32_t base);

#endif
