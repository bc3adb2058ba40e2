/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VRING_IMPL_H
#define FERRY_VRING_IMPL_H

/* Inside of lib/vring: the bits of virtio 1.2, 2.7 and 2.8. */

#include "vring.h"

#define DESC_NEXT     (1u << 0)
#define DESC_WRITE    (1u << 1)
#define DESC_INDIRECT (1u << 2)
#define DESC_AVAIL    (1u << 7)
#define DESC_USED     (1u << 15)

#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

#define EVENT_ENABLE  0u
#define EVENT_DISABLE 1u
#define EVENT_DESC    2u

/* Split: the driver's event index stands behind its ring, the device's behind the used ring. */
static inline uint16_t *
split_used_event(const struct vring *r)
{
	return &r->split.avail->ring[r->size];
}

static inline uint16_t *
split_avail_event(const struct vring *r)
{
	return (uint16_t *)&r->split.used->ring[r->size];
}

/* Packed: moves a slot and its wrap counter on by n, n <= size. */
static inline void
packed_advance(const struct vring *r, uint16_t *slot, bool *wrap, uint16_t n)
{
	uint32_t next = (uint32_t)*slot + n;

	if (next >= r->size) {
		next -= r->size;
		*wrap = !*wrap;
	}
	*slot = (uint16_t)next;
}

/*
 * vring_log.c: marks of what was just written.  The caller has found a log.
 */

static inline const struct dirty *
vring_log(const struct vring *r)
{
	return atomic_load_explicit(&r->log, memory_order_acquire);
}

/* Chains given back: their payload and their used elements or descriptors from `slot` on. */
void vring_log_put(struct vring *r, const struct dirty *log, const struct vring_chain *c,
		   uint32_t n, uint16_t slot);
/* The used index or the first flags; the fence is the caller's. */
void vring_log_index(struct vring *r, const struct dirty *log);
/* What tells the driver whether to kick; `armed` or disarmed. */
void vring_log_event(struct vring *r, const struct dirty *log, bool armed);
/* Seeded faults; without -Dfaults=true the calls are not there. */
void vring_fault_range(const struct vring *r, gpa_t *gpa, uint64_t *len);
uint32_t vring_fault_payload(const struct vring *r, const struct vring_chain *c);
uint32_t vring_fault_pages(gpa_t gpa, uint32_t len);
void vring_fault_peeked(struct vring *r, const struct vring_batch *b);
void vring_fault_put(struct vring *r, const struct vring_chain *c, uint32_t n);
void vring_fault_publish(struct vring *r);

/* Checks a position that was only told, packed, and finds the right one where it cannot be. */
void vring_settle(struct vring *r);

static inline bool
packed_available(uint16_t flags, bool wrap)
{
	return ((flags & DESC_AVAIL) != 0) == wrap && ((flags & DESC_USED) != 0) != wrap;
}

#endif
