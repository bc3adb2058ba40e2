/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_RING_INNER_H
#define VMM_RING_INNER_H

/**
 * @file
 * What the two ring formats share with ring.c: the format's half of each call, and the ledger.
 *
 * Life     as vmm_ring.
 * Threads  as vmm_ring.
 * Units    as vmm_ring.
 * Source   as vmm_ring.
 */

#include <linux/virtio_ring.h>

#include "vmm_ring.h"

/** The ring's own bytes at `gpa`; they were allocated by us, so they are there. */
static inline void *
ring_host(const struct vmm_ring *r, uint64_t gpa)
{
	return vmm_mem_host(r->mem, gpa, 1);
}

/** True when `event` lies in [old, now): virtio 1.2 clause 2.7.7.1. */
static inline bool
event_passed(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

/** Takes a free id (split: a descriptor); the caller knows that there is one. */
uint16_t ring_id_take(struct vmm_ring *r);
void ring_id_give(struct vmm_ring *r, uint16_t id);

/** Notes a chain as posted under `id` and offers its writable pieces to the device. */
void ring_open(struct vmm_ring *r, uint16_t id, const struct vmm_seg *segs, uint16_t n,
	       uint16_t n_slots, uint64_t cookie);

/** Takes an indirect table for chain `id` and fills it.  @return its gpa */
uint64_t ring_table_fill(struct vmm_ring *r, uint16_t id, const struct vmm_seg *segs, uint16_t n);

/**
 * Settles a used element against the ledger.
 *
 * @param visible  chains that the device may have returned by now
 * @return         1; -EPROTO
 */
int ring_settle(struct vmm_ring *r, uint32_t id, uint32_t len, uint16_t visible,
		struct vmm_used *used);

/** "NAME: " and the rest as the memory's fault.  @return -EPROTO */
#define ring_fault(r, fmt, ...) \
	vmm_fault_set((r)->mem->fault, "%s: " fmt, (r)->name, __VA_ARGS__)

/** Hands out the next chain of an in-order batch.  @return 1 */
int ring_batch_next(struct vmm_ring *r, struct vmm_used *used);

/** Whether the device wants to hear of the r->unpublished chains (packed: slots) before this. */
bool split_wanted(const struct vmm_ring *r);
bool packed_wanted(const struct vmm_ring *r);

void split_layout(const struct vmm_ring *r, struct vmm_ring_addr *addr);
void split_reset(struct vmm_ring *r);
int split_post(struct vmm_ring *r, const struct vmm_seg *segs, uint16_t n, bool indirect,
	       uint64_t cookie);
bool split_publish(struct vmm_ring *r);
int split_collect(struct vmm_ring *r, struct vmm_used *used);
bool split_used(const struct vmm_ring *r);
void split_arm(struct vmm_ring *r, bool armed);
void split_close(struct vmm_ring *r, uint16_t id);

void packed_layout(const struct vmm_ring *r, struct vmm_ring_addr *addr);
void packed_reset(struct vmm_ring *r);
int packed_post(struct vmm_ring *r, const struct vmm_seg *segs, uint16_t n, bool indirect,
		uint64_t cookie);
bool packed_publish(struct vmm_ring *r);
int packed_collect(struct vmm_ring *r, struct vmm_used *used);
bool packed_used(const struct vmm_ring *r);
void packed_arm(struct vmm_ring *r, bool armed);
void packed_close(struct vmm_ring *r, uint16_t id);

#endif
