/* SPDX-License-Identifier: BSD-3-Clause */
#include "chain_ref.h"
#include "chain_log.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#define TABLE_MAX (VRING_SIZE_MAX * 16ull)

/* Offsets in the areas (2.7.6, 2.7.8, 2.8.10). */
#define AVAIL_IDX    2
#define AVAIL_RING   4
#define USED_IDX     2
#define USED_RING    4
#define EVENT_OFF    0
#define EVENT_FLAGS  2

#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

enum { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC };

static gpa_t
behind(gpa_t gpa, uint64_t off)
{
	return (gpa_t){ gpa.v + off };
}

static uint16_t
read16(gpa_t gpa)
{
	uint16_t v = 0;

	arena_read(gpa, &v, sizeof(v));
	return v;
}

static void
model16(gpa_t gpa, uint16_t v)
{
	arena_model(gpa, &v, sizeof(v));
	log_must(gpa, sizeof(v));
}

static void
model32(gpa_t gpa, uint32_t v)
{
	arena_model(gpa, &v, sizeof(v));
	log_must(gpa, sizeof(v));
}

static bool
has(const struct vring_opts *opts, unsigned int bit)
{
	return (opts->features >> bit & 1) != 0;
}

void
ref_init(struct ref_ring *r, const struct vring_opts *opts)
{
	*r = (struct ref_ring){
		.opts = *opts,
		.packed = has(opts, VIRTIO_F_RING_PACKED),
		.event_idx = has(opts, F_EVENT_IDX),
		.indirect = has(opts, F_INDIRECT_DESC),
		.hdr_len = has(opts, VIRTIO_F_VERSION_1) || has(opts, VIRTIO_NET_F_MRG_RXBUF) ?
			   12 : 10,
		.idx = opts->pos.used,
		.wrap = opts->pos.used_wrap,
	};
	if (!r->packed)
		r->idx = read16(behind(opts->device, USED_IDX));
	r->next = r->seen = r->idx;
	r->next_wrap = r->wrap;
}

/* Of its own: whether an area of a ring is aligned and inside of one region. */
static bool
area_sound(gpa_t gpa, uint64_t len, uint64_t align)
{
	int i = arena_region(gpa.v);

	return i >= 0 && gpa.v % align == 0 && (uintptr_t)arena.regions[i].host % align ==
	       arena.regions[i].gpa % align &&
	       len <= arena.regions[i].size - (gpa.v - arena.regions[i].gpa);
}

static bool
areas_sound(const struct ref_ring *r)
{
	const struct vring_opts *o = &r->opts;
	uint64_t event = r->event_idx ? 2 : 0;

	if (r->packed)
		return area_sound(o->desc, 16ull * o->size, 16) &&
		       area_sound(o->driver, 4, 4) && area_sound(o->device, 4, 4);
	return area_sound(o->desc, 16ull * o->size, 16) &&
	       area_sound(o->driver, 4 + 2ull * o->size + event, 2) &&
	       area_sound(o->device, 4 + 8ull * o->size + event, 4);
}

enum vring_bad
ref_start(const struct ref_ring *r)
{
	const struct vring_opts *o = &r->opts;

	if (o->size == 0 || o->size > VRING_SIZE_MAX ||
	    (!r->packed && __builtin_popcount(o->size) != 1))
		return VRING_BAD_SIZE;
	if (!areas_sound(r))
		return VRING_BAD_ADDR;
	return r->packed && o->pos.used >= o->size ? VRING_BAD_INDEX : VRING_BAD_NONE;
}

static uint16_t
packed_flags(const struct ref_ring *r, uint16_t slot)
{
	return read16(behind(r->opts.desc, slot * 16ull + 14));
}

bool
ref_available(const struct ref_ring *r)
{
	uint16_t flags;

	if (!r->packed)
		return read16(behind(r->opts.driver, AVAIL_IDX)) != r->next;
	flags = packed_flags(r, r->next);
	return ((flags & DESC_F_AVAIL) != 0) == r->next_wrap &&
	       ((flags & DESC_F_USED) != 0) != r->next_wrap;
}

uint32_t
ref_ready(struct ref_ring *r, uint32_t max, enum vring_bad *bad)
{
	uint16_t ready = r->seen - r->next;

	if (r->packed)
		return max;
	if (ready >= max)
		return max;
	r->seen = read16(behind(r->opts.driver, AVAIL_IDX));
	if ((uint16_t)(r->seen - r->idx) > r->opts.size) {
		*bad = VRING_BAD_INDEX;
		r->seen = r->next;
	}
	ready = r->seen - r->next;
	return RTE_MIN(ready, max);
}

/* A buffer, cut where regions end. */
static enum vring_bad
buffer_add(const struct ref_ring *r, struct ref_chain *c, uint32_t room,
	   const struct vring_split_desc *d)
{
	uint64_t gpa = d->addr, left = d->len;

	if (d->len == 0)
		return VRING_BAD_ZERO;
	if (((d->flags & DESC_F_WRITE) != 0) != r->opts.writable)
		return VRING_BAD_DIRECTION;
	c->len += d->len;
	c->n_descs++;
	while (left > 0) {
		const struct gmem_region *m;
		uint64_t some;
		int i;

		/* Addresses end: behind the last one does not come the first. */
		if (gpa < d->addr)
			return VRING_BAD_RANGE;
		if (c->n == room)
			return VRING_BAD_LOOP;
		i = arena_region(gpa);
		if (i < 0)
			return VRING_BAD_RANGE;
		m = &arena.regions[i];
		some = RTE_MIN(left, m->size - (gpa - m->gpa));
		c->pieces[c->n++] = (struct ref_piece){ gpa, (uint32_t)some };
		gpa += some;
		left -= some;
		/* Addresses end; they do not begin again. */
		if (left > 0 && gpa == 0)
			return VRING_BAD_RANGE;
	}
	return VRING_BAD_NONE;
}

static enum vring_bad
table_read(const struct ref_ring *r, const struct vring_split_desc *d,
	   struct vring_split_desc *table)
{
	if (!r->indirect || d->len == 0 || d->len % 16 != 0 || d->len > TABLE_MAX)
		return VRING_BAD_INDIRECT;
	if (d->addr + (d->len - 1) < d->addr)
		return VRING_BAD_RANGE;
	return arena_read((gpa_t){ d->addr }, table, d->len) ? VRING_BAD_NONE : VRING_BAD_RANGE;
}

/* 2.7.5.3: chained by next inside of the table. */
static enum vring_bad
split_table(const struct ref_ring *r, struct ref_chain *c, uint32_t room,
	    const struct vring_split_desc *d)
{
	static struct vring_split_desc table[VRING_SIZE_MAX];
	enum vring_bad bad = table_read(r, d, table);
	uint32_t n = d->len / 16, i = 0;

	for (uint32_t steps = 0; bad == VRING_BAD_NONE; steps++) {
		if (steps == n)
			return VRING_BAD_LOOP;
		if (table[i].flags & DESC_F_INDIRECT)
			return VRING_BAD_INDIRECT;
		bad = buffer_add(r, c, room, &table[i]);
		if (bad != VRING_BAD_NONE || (table[i].flags & DESC_F_NEXT) == 0)
			return bad;
		i = table[i].next;
		if (i >= n)
			return VRING_BAD_HEAD;
	}
	return bad;
}

static enum vring_bad
split_chain(const struct ref_ring *r, uint32_t room, struct ref_chain *c)
{
	uint32_t i;

	c->id = read16(behind(r->opts.driver,
			      AVAIL_RING + 2ull * (r->next & (r->opts.size - 1))));
	c->n_slots = 1;
	i = c->id;
	for (uint32_t steps = 0; steps < r->opts.size; steps++) {
		struct vring_split_desc d;
		enum vring_bad bad;

		if (i >= r->opts.size)
			return VRING_BAD_HEAD;
		arena_read(behind(r->opts.desc, 16ull * i), &d, sizeof(d));
		if (d.flags & DESC_F_INDIRECT)
			return d.flags & DESC_F_NEXT ? VRING_BAD_INDIRECT :
			       split_table(r, c, room, &d);
		bad = buffer_add(r, c, room, &d);
		if (bad != VRING_BAD_NONE || (d.flags & DESC_F_NEXT) == 0)
			return bad;
		i = d.next;
	}
	return VRING_BAD_LOOP;
}

/* 2.8.7: all of its entries, in order; id and next do not count. */
static enum vring_bad
packed_table(const struct ref_ring *r, struct ref_chain *c, uint32_t room,
	     const struct vring_split_desc *d)
{
	static struct vring_split_desc table[VRING_SIZE_MAX];
	enum vring_bad bad = table_read(r, d, table);

	for (uint32_t i = 0; bad == VRING_BAD_NONE && i < d->len / 16; i++) {
		/* Here the id stands before the flags. */
		struct vring_split_desc e = table[i];

		e.flags = table[i].next;
		if (e.flags & DESC_F_INDIRECT)
			return VRING_BAD_INDIRECT;
		bad = buffer_add(r, c, room, &e);
	}
	return bad;
}

static enum vring_bad
packed_chain(const struct ref_ring *r, uint32_t room, struct ref_chain *c)
{
	uint32_t slot = r->next;

	while (c->n_slots < r->opts.size) {
		struct vring_packed_desc p;
		struct vring_split_desc d;
		enum vring_bad bad;

		arena_read(behind(r->opts.desc, 16ull * slot), &p, sizeof(p));
		d = (struct vring_split_desc){ .addr = p.addr, .len = p.len, .flags = p.flags };
		c->id = p.id;
		c->n_slots++;
		if (d.flags & DESC_F_INDIRECT)
			return c->n_slots > 1 || (d.flags & DESC_F_NEXT) ?
			       VRING_BAD_INDIRECT : packed_table(r, c, room, &d);
		bad = buffer_add(r, c, room, &d);
		if (bad != VRING_BAD_NONE || (d.flags & DESC_F_NEXT) == 0)
			return bad;
		slot = (slot + 1) % r->opts.size;
	}
	return VRING_BAD_LOOP;
}

enum vring_bad
ref_chain(const struct ref_ring *r, uint32_t room, struct ref_chain *out)
{
	enum vring_bad bad;

	out->n = 0;
	out->n_descs = 0;
	out->len = 0;
	out->n_slots = 0;
	bad = r->packed ? packed_chain(r, room, out) : split_chain(r, room, out);
	if (bad == VRING_BAD_NONE && out->len < r->hdr_len)
		bad = VRING_BAD_SHORT;
	return bad;
}

/* Moves on by so many entries. */
static void
advance(const struct ref_ring *r, uint16_t *idx, bool *wrap, uint32_t n)
{
	if (!r->packed) {
		*idx = (uint16_t)(*idx + n);
		return;
	}
	*wrap ^= *idx + n >= r->opts.size;
	*idx = (uint16_t)((*idx + n) % r->opts.size);
}

void
ref_take(struct ref_ring *r, const struct ref_chain *c)
{
	advance(r, &r->next, &r->next_wrap, c->n_slots);
}

static void
packed_put(struct ref_ring *r, uint16_t id, uint32_t len)
{
	gpa_t slot = behind(r->opts.desc, 16ull * r->idx);
	uint16_t flags = len > 0 ? DESC_F_WRITE : 0;

	if (r->wrap)
		flags |= DESC_F_AVAIL | DESC_F_USED;
	model32(behind(slot, 8), len);
	model16(behind(slot, 12), id);
	if (r->since > 0) {
		model16(behind(slot, 14), flags);
	} else {
		r->first_slot = r->idx;
		r->first_flags = flags;
	}
}

void
ref_put(struct ref_ring *r, uint16_t id, uint16_t n_slots, uint32_t len)
{
	gpa_t elem = behind(r->opts.device, USED_RING + 8ull * (r->idx & (r->opts.size - 1)));

	if (r->packed) {
		packed_put(r, id, len);
	} else {
		model32(elem, id);
		model32(behind(elem, 4), len);
	}
	advance(r, &r->idx, &r->wrap, n_slots);
	r->since += n_slots;
}

/* 2.7.10: the driver wants to hear of the entry `event`, the first of which is 0. */
static bool
reached(uint32_t event, uint32_t idx, uint64_t since, uint32_t range)
{
	return (idx - event - 1) % range < since;
}

static int
split_wants(const struct ref_ring *r, uint64_t since)
{
	gpa_t event = behind(r->opts.driver, AVAIL_RING + 2ull * r->opts.size);

	if (r->event_idx)
		return reached(read16(event), r->idx, since, 1u << 16);
	return (read16(r->opts.driver) & AVAIL_NO_INTERRUPT) == 0;
}

static int
packed_wants(const struct ref_ring *r, uint64_t since)
{
	uint16_t flags = read16(behind(r->opts.driver, EVENT_FLAGS));
	uint16_t off = read16(behind(r->opts.driver, EVENT_OFF)) & 0x7fff;
	bool wrap = read16(behind(r->opts.driver, EVENT_OFF)) >> 15 != 0;
	int32_t event = off - (wrap != r->wrap ? r->opts.size : 0);

	if (!r->event_idx || flags != EVENT_DESC)
		return flags != EVENT_DISABLE;
	if (off >= r->opts.size || since > r->opts.size)
		return -1;
	return event < r->idx && (uint64_t)(r->idx - event) <= since;
}

int
ref_publish(struct ref_ring *r)
{
	uint64_t since = r->since;

	r->since = 0;
	if (since == 0)
		return 0;
	if (r->packed) {
		model16(behind(r->opts.desc, 16ull * r->first_slot + 14), r->first_flags);
		return packed_wants(r, since);
	}
	model16(behind(r->opts.device, USED_IDX), r->idx);
	return split_wants(r, since);
}

void
ref_arm(const struct ref_ring *r)
{
	if (!r->packed && r->event_idx) {
		model16(behind(r->opts.device, USED_RING + 8ull * r->opts.size), r->idx);
	} else if (!r->packed) {
		model16(r->opts.device, 0);
	} else if (r->event_idx) {
		model16(behind(r->opts.device, EVENT_OFF), (uint16_t)(r->idx | r->wrap << 15));
		model16(behind(r->opts.device, EVENT_FLAGS), EVENT_DESC);
	} else {
		model16(behind(r->opts.device, EVENT_FLAGS), EVENT_ENABLE);
	}
}

void
ref_disarm(const struct ref_ring *r)
{
	if (r->packed)
		model16(behind(r->opts.device, EVENT_FLAGS), EVENT_DISABLE);
	else if (!r->event_idx)
		model16(r->opts.device, USED_NO_NOTIFY);
}
