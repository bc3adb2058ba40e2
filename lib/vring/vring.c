/* SPDX-License-Identifier: BSD-3-Clause */
#include "vring_impl.h"

#include <rte_branch_prediction.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>

#define F_INDIRECT_DESC 28
#define F_EVENT_IDX     29

#define X(id, name, text) [VRING_BAD_##id] = name,
const char *const vring_bad_names[VRING_BAD_N] = { VRING_BADS(X) };
#undef X

#define X(id, name, text) [VRING_BAD_##id] = text,
const char *const vring_bad_texts[VRING_BAD_N] = { VRING_BADS(X) };
#undef X

static bool
has(uint64_t features, unsigned int bit)
{
	return (features >> bit & 1) != 0;
}

/* A region may begin at any address: what is aligned for the guest need not be so here. */
static void *
area(const struct vring *r, gpa_t gpa, uint64_t len, uint64_t align)
{
	void *p = gmem_at(r->mem, gpa, len);

	return (gpa.v | (uintptr_t)p) % align == 0 ? p : NULL;
}

static bool
split_map(struct vring *r)
{
	uint64_t event = r->event_idx ? sizeof(uint16_t) : 0;

	r->split.desc = area(r, r->desc_gpa, r->size * sizeof(struct vring_split_desc), 16);
	r->split.avail = area(r, r->driver_gpa, 4 + 2ULL * r->size + event, 2);
	r->split.used = area(r, r->device_gpa, 4 + 8ULL * r->size + event, 4);
	return r->split.desc != NULL && r->split.avail != NULL && r->split.used != NULL;
}

static bool
packed_map(struct vring *r)
{
	r->packed.desc = area(r, r->desc_gpa, r->size * sizeof(struct vring_packed_desc), 16);
	r->packed.driver = area(r, r->driver_gpa, sizeof(struct vring_packed_event), 4);
	r->packed.device = area(r, r->device_gpa, sizeof(struct vring_packed_event), 4);
	return r->packed.desc != NULL && r->packed.driver != NULL && r->packed.device != NULL;
}

static bool
size_valid(const struct vring *r)
{
	if (r->size == 0 || r->size > VRING_SIZE_MAX)
		return false;
	return r->is_packed || (r->size & (r->size - 1)) == 0;
}

static enum vring_bad
map(struct vring *r)
{
	if (!size_valid(r))
		return VRING_BAD_SIZE;
	if (!(r->is_packed ? packed_map(r) : split_map(r)))
		return VRING_BAD_ADDR;
	if (r->is_packed && r->idx >= r->size)
		return VRING_BAD_INDEX;
	return VRING_BAD_NONE;
}

static void
show(struct vring *r)
{
	struct vring_pos pos = vring_pos(r);

	atomic_store_explicit(&r->shown, vring_pos_encode(true, &pos), memory_order_relaxed);
}

enum vring_bad
vring_init(struct vring *r, const struct vring_opts *opts)
{
	enum vring_bad bad;

	memset(r, 0, sizeof(*r));
	r->mem = opts->mem;
	r->size = opts->size;
	r->writable = opts->writable;
	r->is_packed = has(opts->features, VIRTIO_F_RING_PACKED);
	r->event_idx = has(opts->features, F_EVENT_IDX);
	r->indirect = has(opts->features, F_INDIRECT_DESC);
	r->hdr_len = has(opts->features, VIRTIO_F_VERSION_1) ||
		     has(opts->features, VIRTIO_NET_F_MRG_RXBUF) ?
		     sizeof(struct virtio_net_hdr_mrg_rxbuf) : sizeof(struct virtio_net_hdr);
	r->desc_gpa = opts->desc;
	r->driver_gpa = opts->driver;
	r->device_gpa = opts->device;
	r->idx = opts->pos.used;
	r->wrap = opts->pos.used_wrap;
	vring_log_set(r, opts->log);
	bad = map(r);
	if (bad == VRING_BAD_NONE && !r->is_packed)
		r->idx = __atomic_load_n(&r->split.used->idx, __ATOMIC_ACQUIRE);
	if (bad == VRING_BAD_NONE && r->is_packed && opts->told)
		vring_settle(r);
	r->avail_seen = r->idx;
	atomic_store_explicit(&r->bad, bad, memory_order_relaxed);
	show(r);
	return bad;
}

struct vring_pos
vring_pos(const struct vring *r)
{
	return (struct vring_pos){
		.avail = r->idx, .used = r->idx, .avail_wrap = r->wrap, .used_wrap = r->wrap,
	};
}

void
vring_break(struct vring *r, enum vring_bad why)
{
	if (vring_bad(r) != VRING_BAD_NONE)
		return;
	/* What looks bad may only be the zeros that stand in for memory that is gone. */
	if (atomic_load_explicit(&r->mem->faulted, memory_order_relaxed))
		why = VRING_BAD_MEMORY;
	atomic_store_explicit(&r->bad, why, memory_order_relaxed);
}

#define LAP_FLAGS ((uint64_t)(DESC_AVAIL | DESC_USED) << 48)

static inline uint16_t
used_flags(const struct vring_chain *c, bool wrap)
{
	return (wrap ? DESC_AVAIL | DESC_USED : 0) | (c->used > 0 ? DESC_WRITE : 0);
}

/* The driver reads in order, so the first flags hold back the whole batch. */
static void
packed_put_first(struct vring *r, const struct vring_chain *c)
{
	struct vring_packed_desc *d = &r->packed.desc[r->idx];

	d->id = (uint16_t)c->id;
	d->len = c->used;
	r->pending = true;
	r->head_slot = r->idx;
	r->head_flags = used_flags(c, r->wrap);
	packed_advance(r, &r->idx, &r->wrap, c->n_slots);
	r->unpublished += c->n_slots;
}

/*
 * Flags and what they vouch for, in one store; `elem` has the length in its upper half, and `lap`
 * the flags that tell the ring's lap, where they stand.
 */
static inline void
packed_word_store(struct vring_packed_desc *d, uint64_t elem, uint64_t lap)
{
	uint64_t word = (elem >> 32 | elem << 32) | lap;

	if (elem >> 32 != 0)
		word |= (uint64_t)DESC_WRITE << 48;
	__atomic_store_n((uint64_t *)&d->len, word, __ATOMIC_RELEASE);
}

static void
packed_put(struct vring *r, const struct vring_chain *c, uint32_t n)
{
	const struct vring_chain *end = c + n;
	struct vring_packed_desc *const desc = r->packed.desc, *const last = desc + r->size;
	struct vring_packed_desc *first, *d;
	uint32_t laps = 0;
	uint64_t lap;

	if (n > 0 && !r->pending)
		packed_put_first(r, c++);
	first = d = &desc[r->idx];
	lap = r->wrap ? LAP_FLAGS : 0;
	for (; c < end; c++) {
		packed_word_store(d, c->elem, lap);
		d += c->n_slots;
		if (unlikely(d >= last)) {
			d -= last - desc;
			lap ^= LAP_FLAGS;
			laps++;
		}
	}
	r->idx = (uint16_t)(d - desc);
	r->wrap = lap != 0;
	r->unpublished += (uint32_t)(d - first) + laps * r->size;
}

static void
split_put(struct vring *r, const struct vring_chain *c, uint32_t n)
{
	struct vring_used_elem *ring = r->split.used->ring;
	const uint16_t mask = r->size - 1, idx = r->idx;

	for (uint32_t i = 0; i < n; i++)
		memcpy(&ring[(idx + i) & mask], &c[i].elem, sizeof(c[i].elem));
	r->idx = (uint16_t)(idx + n);
	r->unpublished += n;
}

void
vring_put_burst(struct vring *r, const struct vring_chain *c, uint32_t n)
{
	const struct dirty *log = vring_log(r);
	const uint16_t slot = r->idx;

	if (FAULT(EARLY_USED))
		vring_fault_put(r, c, n);
	if (r->is_packed)
		packed_put(r, c, n);
	else
		split_put(r, c, n);
	if (unlikely(log != NULL) && n > 0)
		vring_log_put(r, log, c, n, slot);
}

void
vring_put(struct vring *r, const struct vring_chain *c, uint32_t len)
{
	struct vring_chain one = *c;

	one.used = len;
	vring_put_burst(r, &one, 1);
}
