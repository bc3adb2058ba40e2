/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_SHADOW_H
#define VDPA_VIRTIO_SHADOW_H

/**
 * @file
 * A shadow ring: a guest's virtqueue on one side, a split virtqueue of our own that a device serves
 * on the other.  Descriptors cross, bytes do not: the device reads and writes the guest's buffers.
 *
 * Devices neither take nor tell a position and do not log, so all of that is done here.  Chains
 * are checked, read once (indirect tables are copied) and given to the device in ring order;
 * whatever order it gives them back in, the guest gets them in ring order.  So one index tells all:
 * at the stop the position is exact, and chains before it were given back once each.
 *
 * The order of writes towards the guest, with a log:
 *   payload (the device), used elements, fence, marks of both, index or first flags, fence, its
 *   mark, then the look at the driver's event area.
 * Of a buffer the bytes are marked that the device says it wrote: what it may have written behind
 * them (2.7.8.2) means nothing to the guest.
 *
 * A ring that is bad takes nothing more; what its device holds is still completed, so that chains
 * before the bad one are served.  The device is a stranger, too: an id, a length or an index that
 * cannot be is a fault by name, and nothing is taken from the device any more.
 *
 * Nothing here takes buffers back from a device that keeps them: a receive ring that is to get
 * nothing any more wants the device's queue stopped, shadow_stop(), and a start without submits.
 *
 * Life     shadow_create() at a start of the ring, one device queue start each; shadow_stop() once
 *          the device stands; shadow_destroy().
 * Threads  one at a time, but for shadow_stats(), shadow_bad() and shadow_fault(): any
 * Units    sizes in descriptors, lengths in bytes; guest addresses are the device's, too
 * Source   virtio 1.2, 2.7 (split) and 2.8 (packed)
 */

#include "mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Why a guest's ring was found bad: names as everywhere in ferry. */
#define SHADOW_BADS(X) \
	X(NONE,      "none") \
	X(SIZE,      "size") \
	X(ADDR,      "addr") \
	X(INDEX,     "index") \
	X(HEAD,      "head") \
	X(LOOP,      "loop") \
	X(RANGE,     "range") \
	X(ZERO,      "zero") \
	X(DIRECTION, "direction") \
	X(INDIRECT,  "indirect") \
	X(SHORT,     "short")

enum shadow_bad {
#define X(id, name) SHADOW_BAD_##id,
	SHADOW_BADS(X)
#undef X
	SHADOW_BAD_N
};

extern const char *const shadow_bad_names[SHADOW_BAD_N];

/** What a device did that no device may. */
#define SHADOW_FAULTS(X) \
	X(NONE,   "none") \
	X(INDEX,  "index")   /* used index that passes what was submitted */ \
	X(ID,     "id")      /* used element that names nothing it holds */ \
	X(LENGTH, "length")  /* more bytes than the chain has room for */

enum shadow_fault {
#define X(id, name) SHADOW_FAULT_##id,
	SHADOW_FAULTS(X)
#undef X
	SHADOW_FAULT_N
};

extern const char *const shadow_fault_names[SHADOW_FAULT_N];

/**
 * Marks guest memory that was just written.  A device that rewrites its own queue can make the
 * range one that is not in the guest's memory, or wraps around.
 *
 * @param len  1 and up
 */
typedef void (*shadow_mark_t)(void *arg, uint64_t gpa, uint64_t len);

/** What shadow_create() is told. */
struct shadow_opts {
	/* The guest's ring. */
	const struct mem *mem;
	uint64_t features;     /**< negotiated: RING_PACKED, INDIRECT_DESC and EVENT_IDX count */
	uint64_t desc, driver, device; /**< guest-physical */
	uint16_t size;
	uint16_t pos;          /**< packed: slot | wrap counter << 15; split rings tell it */
	bool tx;               /**< chains are for the device to read */
	/* The device's ring. */
	uint64_t dev_features; /**< INDIRECT_DESC and EVENT_IDX count */
	uint16_t dev_size;     /**< a power of two up to 32768 */
	void *dev_mem;         /**< shadow_dev_bytes() of them, at a page's begin */
	uint64_t dev_iova;     /**< where the device finds them */
	/* The log. */
	shadow_mark_t mark;    /**< NULL: nothing is logged */
	void *mark_arg;
};

/** What the device is told of its queue. */
struct shadow_queue {
	uint64_t desc, driver, device;
	uint16_t size;
};

struct shadow;

/* life */

/** Memory that the device's ring takes. */
size_t shadow_dev_bytes(uint16_t dev_size, uint64_t dev_features);

/**
 * Checks what is said of a guest's ring and prepares it.  A split ring goes on at its own used
 * index, which is where the guest looks for the next element.  Neither side is armed.
 *
 * @return  0, also for a ring that is bad: shadow_bad(); -EINVAL: device's size; -ENOMEM
 */
int shadow_create(struct shadow **out, const struct shadow_opts *opts);

/** Frees it; the memory of the device's ring is the caller's.  NULL is allowed. */
void shadow_destroy(struct shadow *s);

/** Where the device finds its queue. */
void shadow_queue(const struct shadow *s, struct shadow_queue *out);

/** Logs all writes from here on; NULL: none. */
void shadow_log_set(struct shadow *s, shadow_mark_t mark, void *arg);

/* relaying: bursts, in any order and at any time */

/**
 * Gives the device chains that the guest has made available.
 *
 * @param max       chains at most
 * @param doorbell  out: the device wants to hear of them
 * @return          chains
 */
uint32_t shadow_submit(struct shadow *s, uint32_t max, bool *doorbell);

/**
 * Takes chains that the guest has made available, not for the device: of a transmit ring that is
 * not enabled.  shadow_complete() gives them back, behind what the device holds.
 *
 * @return  chains
 */
uint32_t shadow_discard(struct shadow *s, uint32_t max);

/**
 * Gives the guest what the device, or shadow_discard(), is done with.  The buffers of one received
 * frame are shown together as long as `max` does not cut what the device has shown.
 *
 * @param max   used elements of the device to look at, at most
 * @param call  out: the guest wants an interrupt
 * @return      chains given back
 */
uint32_t shadow_complete(struct shadow *s, uint32_t max, bool *call);

/* notifications */

#define SHADOW_GUEST  1u /**< kicks of the guest */
#define SHADOW_DEVICE 2u /**< interrupts of the device */

/**
 * Asks for notifications.  A guest whose chains would find no room is not asked.
 *
 * @param sides  SHADOW_GUEST | SHADOW_DEVICE, those that matter now
 * @return       true: there is something to do already, do not sleep
 */
bool shadow_arm(struct shadow *s, unsigned int sides);

/** Tells them that none are needed: the ring is polled. */
void shadow_disarm(struct shadow *s, unsigned int sides);

/* end */

/**
 * Settles a ring whose device stands: gives back what the device had completed, and what is older
 * (a transmit chain as sent, a receive chain with no byte); what is younger was never taken.
 *
 * @param pos   out: both indexes, as rte_vhost_set_vring_base() wants them
 * @param call  out: the guest wants an interrupt
 * @return      chains given back
 */
uint32_t shadow_stop(struct shadow *s, uint16_t *pos, bool *call);

/* what is known of it */

enum shadow_bad shadow_bad(const struct shadow *s);
enum shadow_fault shadow_fault(const struct shadow *s);

struct shadow_stats {
	uint64_t chains;   /**< given back */
	uint64_t dropped;  /**< of those, chains of more descriptors than the device has */
	uint64_t skipped;  /**< given back without that the device had them: those, and discarded */
	uint16_t avail;    /**< next to take; packed: wrap counter in bit 15 */
	uint16_t used;     /**< next to give back */
	uint16_t in_flight;
};

void shadow_stats(const struct shadow *s, struct shadow_stats *out);

#endif
