/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of a packed virtqueue: virtio 1.2 clause 2.8. */
#include "ring_inner.h"

#include <stddef.h>
#include <string.h>

#define AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED (1 << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT (1 << VRING_PACKED_EVENT_F_WRAP_CTR)

/* Only the last descriptor of a chain carries its id (clause 2.8.6); the others get this. */
#define ID_POISON 0xfffe

static uint64_t
slot_gpa(const struct vmm_ring *r, uint16_t slot)
{
	return r->addr.desc + slot * sizeof(struct vring_packed_desc);
}

static struct vring_packed_desc *
desc_at(const struct vmm_ring *r, uint16_t slot)
{
	return ring_host(r, slot_gpa(r, slot));
}

static const struct vring_packed_desc_event *
device_event(const struct vmm_ring *r)
{
	return ring_host(r, r->addr.used);
}

void
packed_layout(const struct vmm_ring *r, struct vmm_ring_addr *addr)
{
	addr->desc_size = r->conf.size * 16U;
	addr->avail_size = sizeof(struct vring_packed_desc_event);
	addr->used_size = sizeof(struct vring_packed_desc_event);
}

void
packed_reset(struct vmm_ring *r)
{
	uint16_t slot = r->conf.pos & (WRAP_BIT - 1);
	bool wrap = (r->conf.pos & WRAP_BIT) != 0;

	memset(ring_host(r, r->addr.desc), 0, r->addr.desc_size);
	memset(ring_host(r, r->addr.avail), 0, r->addr.avail_size);
	memset(ring_host(r, r->addr.used), 0, r->addr.used_size);
	/* As if the laps before had been used up: behind the position this lap, then the last. */
	for (uint16_t i = 0; i < r->conf.size; i++)
		desc_at(r, i)->flags = (i < slot) == wrap ? AVAIL | USED : 0;
	r->avail_idx = r->used_idx = slot;
	r->avail_wrap = r->used_wrap = wrap;
	vmm_mem_wrote(r->mem, r->addr.desc, r->addr.desc_size);
	vmm_mem_wrote(r->mem, r->addr.avail, r->addr.avail_size);
	vmm_mem_wrote(r->mem, r->addr.used, r->addr.used_size);
	vmm_mem_offer(r->mem, r->addr.used, r->addr.used_size);
}

static void
flags_write(struct vmm_ring *r, uint16_t slot, uint16_t flags)
{
	vmm_mem_store16(r->mem, slot_gpa(r, slot) + offsetof(struct vring_packed_desc, flags),
			flags);
}

/* Writes the next slot.  The first of an unpublished batch gets its flags at the end. */
static void
slot_post(struct vmm_ring *r, struct vring_packed_desc d)
{
	uint16_t slot = r->avail_idx;
	uint16_t flags = d.flags | (r->avail_wrap ? AVAIL : USED);

	d.flags = desc_at(r, slot)->flags;
	vmm_mem_write(r->mem, slot_gpa(r, slot), &d, sizeof(d));
	if (r->unpublished++ == 0) {
		r->first_slot = slot;
		r->first_flags = flags;
	} else {
		flags_write(r, slot, flags);
	}
	/* The device writes used descriptors anywhere among the slots that are out. */
	vmm_mem_offer(r->mem, slot_gpa(r, slot), sizeof(d));
	if (++r->avail_idx == r->conf.size) {
		r->avail_idx = 0;
		r->avail_wrap = !r->avail_wrap;
	}
}

static void
chain_post(struct vmm_ring *r, uint16_t id, const struct vmm_seg *segs, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		slot_post(r, (struct vring_packed_desc){
			.addr = segs[i].gpa,
			.len = segs[i].len,
			.id = i + 1 < n ? ID_POISON : id,
			.flags = (uint16_t)((segs[i].write ? VRING_DESC_F_WRITE : 0) |
					    (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
		});
}

int
packed_post(struct vmm_ring *r, const struct vmm_seg *segs, uint16_t n, bool indirect,
	    uint64_t cookie)
{
	uint16_t id = ring_id_take(r);

	if (indirect)
		slot_post(r, (struct vring_packed_desc){
			.addr = ring_table_fill(r, id, segs, n),
			.len = n * 16U,
			.id = id,
			.flags = VRING_DESC_F_INDIRECT,
		});
	else
		chain_post(r, id, segs, n);
	ring_open(r, id, segs, n, indirect ? 1 : n, cookie);
	return 0;
}

bool
packed_wanted(const struct vmm_ring *r)
{
	struct vring_packed_desc_event e;
	uint16_t event, flags;

	/* The descriptors must be seen before the device's wish is read: clause 2.8.21.3.1. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flags = __atomic_load_n(&device_event(r)->flags, __ATOMIC_ACQUIRE) & 3;
	e.off_wrap = __atomic_load_n(&device_event(r)->off_wrap, __ATOMIC_RELAXED);
	if (!r->conf.event_idx || flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	event = e.off_wrap & (WRAP_BIT - 1);
	if (((e.off_wrap & WRAP_BIT) != 0) != r->avail_wrap)
		event = (uint16_t)(event - r->conf.size);
	return event_passed(event, r->avail_idx, (uint16_t)(r->avail_idx - r->unpublished));
}

bool
packed_publish(struct vmm_ring *r)
{
	flags_write(r, r->first_slot, r->first_flags);
	return packed_wanted(r);
}

bool
packed_used(const struct vmm_ring *r)
{
	uint16_t flags = __atomic_load_n(&desc_at(r, r->used_idx)->flags, __ATOMIC_ACQUIRE);
	bool avail = (flags & AVAIL) != 0;
	bool used = (flags & USED) != 0;

	return avail == used && used == r->used_wrap;
}

int
packed_collect(struct vmm_ring *r, struct vmm_used *used)
{
	struct vring_packed_desc d;

	if (!packed_used(r))
		return 0;
	memcpy(&d, desc_at(r, r->used_idx), sizeof(d));
	if (r->n_out == 0)
		return ring_fault(r, "slot %u used while nothing is out", r->used_idx);
	if (d.id < r->conf.size && r->chains[d.id].writable > 0 && d.len > 0 &&
	    (d.flags & VRING_DESC_F_WRITE) == 0)
		return ring_fault(r, "id %u used with length %u but without the WRITE flag", d.id,
				  d.len);
	/* Without the flag the length is reserved: clause 2.8.6. */
	if ((d.flags & VRING_DESC_F_WRITE) == 0)
		d.len = 0;
	return ring_settle(r, d.id, d.len, r->n_out, used);
}

void
packed_arm(struct vmm_ring *r, bool armed)
{
	struct vring_packed_desc_event e = {
		.off_wrap = (uint16_t)(r->used_idx | (r->used_wrap ? WRAP_BIT : 0)),
		.flags = VRING_PACKED_EVENT_FLAG_DISABLE,
	};

	if (armed)
		e.flags = r->conf.event_idx ? VRING_PACKED_EVENT_FLAG_DESC :
					      VRING_PACKED_EVENT_FLAG_ENABLE;
	/* The offset must be there before the flag that says to look at it. */
	vmm_mem_write(r->mem, r->addr.avail, &e.off_wrap, sizeof(e.off_wrap));
	__atomic_thread_fence(__ATOMIC_RELEASE);
	vmm_mem_write(r->mem, r->addr.avail + 2, &e.flags, sizeof(e.flags));
}

void
packed_close(struct vmm_ring *r, uint16_t id)
{
	for (uint16_t i = 0; i < r->chains[id].n_slots; i++) {
		vmm_mem_withdraw(r->mem, slot_gpa(r, r->used_idx),
				 sizeof(struct vring_packed_desc));
		if (++r->used_idx == r->conf.size) {
			r->used_idx = 0;
			r->used_wrap = !r->used_wrap;
		}
	}
	ring_id_give(r, id);
}
