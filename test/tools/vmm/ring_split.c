/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of a split virtqueue: virtio 1.2 clause 2.7. */
#include "ring_inner.h"

#include <stddef.h>
#include <string.h>

static struct vring_avail *
avail(const struct vmm_ring *r)
{
	return ring_host(r, r->addr.avail);
}

static struct vring_used *
used_area(const struct vmm_ring *r)
{
	return ring_host(r, r->addr.used);
}

static uint32_t
avail_slot(const struct vmm_ring *r, uint16_t idx)
{
	return (uint32_t)offsetof(struct vring_avail, ring) + (idx & (r->conf.size - 1)) * 2;
}

/* used_event stands behind the last entry of the available ring. */
static uint64_t
used_event_gpa(const struct vmm_ring *r)
{
	return r->addr.avail + offsetof(struct vring_avail, ring) + r->conf.size * 2U;
}

static const uint16_t *
avail_event(const struct vmm_ring *r)
{
	return (const uint16_t *)&used_area(r)->ring[r->conf.size];
}

void
split_layout(const struct vmm_ring *r, struct vmm_ring_addr *addr)
{
	addr->desc_size = r->conf.size * 16U;
	addr->avail_size = r->conf.size * 2U + 6;
	addr->used_size = r->conf.size * 8U + 6;
}

void
split_reset(struct vmm_ring *r)
{
	memset(ring_host(r, r->addr.desc), 0, r->addr.desc_size);
	memset(ring_host(r, r->addr.avail), 0, r->addr.avail_size);
	memset(ring_host(r, r->addr.used), 0, r->addr.used_size);
	r->avail_idx = r->used_idx = r->conf.pos;
	avail(r)->idx = r->conf.pos;
	used_area(r)->idx = r->conf.pos;
	vmm_mem_wrote(r->mem, r->addr.desc, r->addr.desc_size);
	vmm_mem_wrote(r->mem, r->addr.avail, r->addr.avail_size);
	vmm_mem_wrote(r->mem, r->addr.used, r->addr.used_size);
	vmm_mem_offer(r->mem, r->addr.used, r->addr.used_size);
}

static void
desc_write(struct vmm_ring *r, uint16_t i, struct vring_desc d)
{
	vmm_mem_write(r->mem, r->addr.desc + i * 16U, &d, sizeof(d));
}

/* The chain in the table itself; its first descriptor is `head`, taken already. */
static void
chain_write(struct vmm_ring *r, uint16_t head, const struct vmm_seg *segs, uint16_t n)
{
	uint16_t at = head;

	for (uint16_t i = 0; i < n; i++) {
		uint16_t next = i + 1 < n ? ring_id_take(r) : 0;

		desc_write(r, at, (struct vring_desc){
			.addr = segs[i].gpa,
			.len = segs[i].len,
			.flags = (uint16_t)((segs[i].write ? VRING_DESC_F_WRITE : 0) |
					    (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
			.next = next,
		});
		r->links[at] = next;
		at = next;
	}
}

int
split_post(struct vmm_ring *r, const struct vmm_seg *segs, uint16_t n, bool indirect,
	   uint64_t cookie)
{
	uint16_t head = ring_id_take(r);
	uint32_t slot = avail_slot(r, r->avail_idx);

	if (indirect)
		desc_write(r, head, (struct vring_desc){
			.addr = ring_table_fill(r, head, segs, n),
			.len = n * 16U,
			.flags = VRING_DESC_F_INDIRECT,
		});
	else
		chain_write(r, head, segs, n);
	ring_open(r, head, segs, n, indirect ? 1 : n, cookie);
	vmm_mem_write(r->mem, r->addr.avail + slot, &head, sizeof(head));
	r->avail_idx++;
	r->unpublished++;
	return 0;
}

bool
split_wanted(const struct vmm_ring *r)
{
	uint16_t old = (uint16_t)(r->avail_idx - r->unpublished);

	/* The index must be seen before the device's wish is read: clause 2.7.13.4.1. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (r->conf.event_idx)
		return event_passed(__atomic_load_n(avail_event(r), __ATOMIC_RELAXED),
				    r->avail_idx, old);
	return (__atomic_load_n(&used_area(r)->flags, __ATOMIC_RELAXED) &
		VRING_USED_F_NO_NOTIFY) == 0;
}

bool
split_publish(struct vmm_ring *r)
{
	vmm_mem_store16(r->mem, r->addr.avail + offsetof(struct vring_avail, idx), r->avail_idx);
	return split_wanted(r);
}

bool
split_used(const struct vmm_ring *r)
{
	return __atomic_load_n(&used_area(r)->idx, __ATOMIC_ACQUIRE) != r->used_idx;
}

int
split_collect(struct vmm_ring *r, struct vmm_used *used)
{
	uint16_t idx = __atomic_load_n(&used_area(r)->idx, __ATOMIC_ACQUIRE);
	uint16_t visible = (uint16_t)(idx - r->used_idx);
	const struct vring_used_elem *e;

	if (visible == 0)
		return 0;
	if (visible > r->n_out - r->unpublished)
		return ring_fault(r, "used index jumped from %u to %u with %u chains out",
				  r->used_idx, idx, r->n_out - r->unpublished);
	e = &used_area(r)->ring[r->used_idx & (r->conf.size - 1)];
	return ring_settle(r, e->id, e->len, visible, used);
}

void
split_arm(struct vmm_ring *r, bool armed)
{
	/* With EVENT_IDX the flags stay 0 (2.7.7.1); the entry behind us is furthest away. */
	uint16_t event = (uint16_t)(armed ? r->used_idx : r->used_idx - 1);
	uint16_t flags = armed ? 0 : VRING_AVAIL_F_NO_INTERRUPT;

	if (r->conf.event_idx)
		vmm_mem_write(r->mem, used_event_gpa(r), &event, sizeof(event));
	else
		vmm_mem_write(r->mem, r->addr.avail, &flags, sizeof(flags));
}

void
split_close(struct vmm_ring *r, uint16_t id)
{
	uint16_t at = id;

	for (uint16_t i = 0; i < r->chains[id].n_slots; i++) {
		uint16_t next = r->links[at];

		ring_id_give(r, at);
		at = next;
	}
	r->used_idx++;
}
