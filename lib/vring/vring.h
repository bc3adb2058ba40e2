/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VRING_H
#define FERRY_VRING_H

/**
 * @file
 * A virtqueue, device side, split or packed: taking chains, giving them back, notifications.
 *
 * Chains are taken in ring order and given back in ring order, each within one turn.  So one index
 * tells all: what was taken was given back, in-order is always true, and a ring at rest has an
 * exact position.
 *
 * The order of writes is decided here and nowhere else:
 *   payload (the caller, before vring_put), used element and the marks of both in the dirty log
 *   (vring_put), index or first flag and its mark, then the look at the driver's event area
 *   (vring_publish).
 * A caller writes the first `used` bytes of a chain and no others: those are what is marked.
 *
 * Life     vring_init() at a start, then used by one thread at a time until the stop.
 * Threads  the ring's owner of the moment: the worker that polls it or holds its claim.
 * Units    sizes in descriptors, lengths in bytes
 * Source   virtio 1.2, 2.7 (split) and 2.8 (packed)
 */

#include "dirty.h"
#include "vring_bad.h"
#include "vring_pos.h"

#include <rte_common.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VRING_SIZE_MAX 32768

/** Most chains that one vring_batch holds. */
#define VRING_CHAINS_MAX 4096

/** Room for the longest legal chain and the cuts that region borders make in it. */
#define VRING_SEGS_MAX (VRING_SIZE_MAX + 4096)

_Static_assert(VRING_SEGS_MAX <= UINT16_MAX, "a chain counts its pieces in 16 bits");

struct vring_split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct vring_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

struct vring_used {
	uint16_t flags;
	uint16_t idx;
	struct vring_used_elem {
		uint32_t id;
		uint32_t len;
	} ring[];
};

struct vring_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

struct vring_packed_event {
	uint16_t off_wrap;
	uint16_t flags;
};

/** What vring_init() is told. */
struct vring_opts {
	const struct gmem *mem;
	uint64_t features;
	uint16_t size;
	bool writable;      /**< chains are for the device to write: a receive ring */
	gpa_t desc;
	gpa_t driver;
	gpa_t device;
	struct vring_pos pos;
	bool told;          /**< a front-end says that position: check it against the ring */
	const struct dirty *log; /**< of all writes, those of vring_init() too; NULL: not logged */
};

struct vring {
	/* Read by the owner for every burst. */
	const struct gmem *mem;
	union {
		struct {
			struct vring_split_desc *desc;
			struct vring_avail *avail;
			struct vring_used *used;
		} split;
		struct {
			struct vring_packed_desc *desc;
			struct vring_packed_event *driver;
			struct vring_packed_event *device;
		} packed;
	};
	uint16_t size;
	uint16_t hdr_len;         /**< bytes of the virtio-net header in each chain or frame */
	bool is_packed;
	bool event_idx;
	bool indirect;
	bool writable;

	/* Written by the owner. */
	uint16_t idx;             /**< next to take, and next to give back */
	bool wrap;                /**< packed: wrap counter that goes with it */
	bool pending;             /**< packed: the first flags of a batch are held back */
	uint16_t avail_seen;      /**< split: driver's index as last read */
	uint16_t head_slot;       /**< packed: where the flags are held back */
	uint16_t head_flags;
	uint32_t unpublished;     /**< entries given back and not yet visible */

	/** enum vring_bad; owner: store; any: read. */
	_Atomic uint8_t bad;
	/** Position as of the last publish, for show; owner: store; any: read. */
	_Atomic uint32_t shown;

	gpa_t desc_gpa, driver_gpa, device_gpa;

	/** Session: store, then a grace period; owner: load. */
	_Atomic(const struct dirty *) log;
	/** Owner: store; any: read.  Pages that were not marked when they were; how often the page
	 *  of the index was among them: the front-end had taken the marks away. */
	uint64_t pages;
	uint64_t rounds;
};

/** A piece of a buffer. */
struct vring_seg {
	uint8_t *host;
	gpa_t gpa;
	uint32_t len;
};

/** A chain as it was read, once, from the guest. */
struct vring_chain {
	struct vring_seg *segs;
	uint32_t len;       /**< sum of its pieces; saturates */
	uint16_t n_segs;
	uint16_t n_slots;   /**< ring entries that it takes */
	union {
		struct {
			uint32_t id;   /**< head (split) or buffer id (packed) */
			uint32_t used; /**< bytes written, for vring_put_burst(); 0 as read */
		};
		uint64_t elem;         /**< both, as a used element has them */
	};
};

/** Chains taken by vring_peek() and not yet given back, in ring order; a worker's own, reused. */
struct vring_batch {
	uint32_t n;
	uint32_t n_segs;
	uint16_t next;      /**< where the ring is read on: valid while n > 0 */
	bool next_wrap;
	struct vring_chain chains[VRING_CHAINS_MAX];
	struct vring_seg segs[VRING_SEGS_MAX];
	/** An indirect table that crosses a region border is gathered here. */
	struct vring_split_desc table[VRING_SIZE_MAX];
};

/* life */

/**
 * Checks what a front-end says of a ring and prepares it.  A split ring goes on at its own used
 * index, which is where the guest will look for the next element; one that was left with chains in
 * flight so has them done again, as a network device may.
 *
 * @return  VRING_BAD_NONE, or why the ring is broken; its position is kept either way
 */
enum vring_bad vring_init(struct vring *r, const struct vring_opts *opts);

/** Position of a ring at rest. */
struct vring_pos vring_pos(const struct vring *r);

/** Breaks the ring: nothing more is taken or given back. */
void vring_break(struct vring *r, enum vring_bad why);

static inline enum vring_bad
vring_bad(const struct vring *r)
{
	return (enum vring_bad)atomic_load_explicit(&r->bad, memory_order_relaxed);
}

/** Logs the writes of whoever owns the ring next; of all, after a grace period.  @role any */
static inline void
vring_log_set(struct vring *r, const struct dirty *log)
{
	atomic_store_explicit(&r->log, log, memory_order_release);
}

/* taking */

static inline void
vring_batch_reset(struct vring_batch *b)
{
	b->n = 0;
	b->n_segs = 0;
}

/**
 * Reads chains that the driver has made available, behind those already in the batch.
 *
 * Nothing is taken yet: what is not given back is simply read again the next time.  A bad chain
 * ends the batch before it and breaks the ring when it is the first.
 *
 * @param max  chains to add at most
 * @return     chains added
 */
uint32_t vring_peek(struct vring *r, struct vring_batch *b, uint32_t max);

/* giving back */

/** Gives the next chain back, `len` bytes of it written; invisible until vring_publish(). */
void vring_put(struct vring *r, const struct vring_chain *c, uint32_t len);

/** Gives the next `n` chains back, `used` bytes of each written; visible with vring_publish(). */
void vring_put_burst(struct vring *r, const struct vring_chain *c, uint32_t n);

/**
 * Makes what was given back visible.
 *
 * @return  true: the driver wants an interrupt for it
 */
bool vring_publish(struct vring *r);

/* notifications */

/**
 * Asks the driver to kick when it makes the next chain available.
 *
 * @return  true: something is available already, do not sleep
 */
bool vring_arm(struct vring *r);

/** Tells the driver that kicks are not needed: the ring is polled. */
void vring_disarm(struct vring *r);

/** What both sides have asked for at the ring's position of now, for show. */
struct vring_asked {
	bool kicks;  /**< the driver will kick for the next chain */
	bool calls;  /**< it wants to be called, for the next chain or one that comes later */
	bool waiting; /**< a chain is there that was not given back */
};

/** @return false: not known, the ring is bad  @role any, while the ring is not at its end */
bool vring_asked(const struct vring *r, struct vring_asked *out);

#endif
