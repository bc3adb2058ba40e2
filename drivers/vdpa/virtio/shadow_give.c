/* SPDX-License-Identifier: BSD-3-Clause */
#include "shadow_impl.h"

/*
 * Both formats ask the same question: does the entry that the driver named lie among the `since`
 * entries that have just become visible?  `dist` is how far it lies behind the position.
 */
static bool
passed(uint32_t dist, uint32_t since)
{
	return dist >= 1 && dist <= since;
}

static bool
split_wants_call(const struct shadow *s, uint32_t since)
{
	uint16_t event;

	if (!s->event_idx)
		return (__atomic_load_n(&s->split.avail->flags, __ATOMIC_RELAXED) &
			AVAIL_NO_INTERRUPT) == 0;
	event = __atomic_load_n(used_event_of(s->split.avail, s->size), __ATOMIC_RELAXED);
	return passed((uint16_t)(s->used - event), since);
}

static bool
packed_wants_call(const struct shadow *s, uint32_t since)
{
	const uint16_t flags = __atomic_load_n(&s->packed.driver->flags, __ATOMIC_ACQUIRE);
	uint16_t event;
	int32_t dist;

	if (flags != EVENT_DESC || !s->event_idx)
		return flags != EVENT_DISABLE;
	event = __atomic_load_n(&s->packed.driver->off_wrap, __ATOMIC_RELAXED);
	dist = (int32_t)s->used - (event & 0x7fff);
	if ((event >> 15 != 0) != s->used_wrap)
		dist += s->size;
	return dist > 0 && passed((uint32_t)dist, since);
}

/* What moves while a burst is given back, in registers. */
struct front {
	uint32_t n;         /* chains, */
	uint32_t entries;   /* entries of the guest's ring that they take */
	uint16_t used;      /* where the next one goes */
	bool wrap;
	uint16_t first;     /* where it stands in the device's queue */
};

static inline struct front
front_of(const struct shadow *s)
{
	return (struct front){ .used = s->used, .wrap = s->used_wrap, .first = s->dev.first };
}

/*
 * The driver of a packed ring reads in order, so the first flags hold back the whole burst.  Of the
 * others length, id and flags go in one store: flags vouch for the rest.
 */
static inline void
packed_put(struct shadow *s, struct front *f, const struct rec *r, uint32_t len)
{
	struct packed_desc *d = &s->packed.desc[f->used];
	const uint64_t flags = (f->wrap ? DESC_AVAIL | DESC_USED : 0) | (len > 0 ? DESC_WRITE : 0);

	if (unlikely(f->n == 0)) {
		d->id = r->id;
		d->len = len;
		s->head_slot = f->used;
		s->head_flags = (uint16_t)flags;
	} else {
		__atomic_store_n((uint64_t *)&d->len, len | (uint64_t)r->id << 32 | flags << 48,
				 __ATOMIC_RELEASE);
	}
	packed_advance(s, &f->used, &f->wrap, r->n_slots);
}

static inline void
split_put(struct shadow *s, struct front *f, const struct rec *r, uint32_t len)
{
	elem_store(s->split.used, f->used++ & (s->size - 1u), r->id | (uint64_t)len << 32);
}

/* Gives back the oldest chain, which is done. */
static inline void
put(struct shadow *s, struct front *f, struct rec *r, uint32_t len, bool is_packed)
{
	if (is_packed)
		packed_put(s, f, r, len);
	else
		split_put(s, f, r, len);
	r->len = len;
	r->state = REC_FREE;
	f->first += r->n_descs;
	f->entries += r->n_slots;
	f->n++;
}

/*
 * Most devices complete in order: as long as elements name the oldest chain, they go straight to
 * the guest's ring.  What is wrong with one that does not, if anything, shadow_reap() says.
 */
static __rte_always_inline uint32_t
in_order(struct shadow *s, struct front *out, uint32_t n, bool is_packed)
{
	const uint32_t len_mask = s->tx ? 0 : UINT32_MAX, mask = s->dev.mask;
	const struct split_used *used = s->dev.used;
	const uint16_t seen = s->dev.used_seen;
	struct rec *recs = s->recs;
	struct front f = *out;
	uint32_t i;

	for (i = 0; i < n; i++) {
		const uint64_t elem = elem_load(used, (seen + i) & mask);
		const uint32_t len = (uint32_t)(elem >> 32) & len_mask, at = f.first & mask;
		struct rec *r = &recs[at];

		if (unlikely((uint32_t)elem != at) || unlikely(r->state != REC_OUT) ||
		    unlikely(len > r->len))
			break;
		put(s, &f, r, len, is_packed);
	}
	s->dev.used_seen = seen + (uint16_t)i;
	*out = f;
	return i;
}

static void
done_put(struct shadow *s, struct front *f)
{
	while (f->first != s->dev.next && rec_at(s, f->first)->state > REC_OUT) {
		struct rec *r = rec_at(s, f->first);

		if (r->state == REC_SKIPPED)
			count_add(&s->n_skipped, 1);
		put(s, f, r, r->len, s->is_packed);
	}
}

/* `n` entries of `size` bytes from `slot` on; those behind the end stand at the beginning. */
static void
entries_mark(const struct shadow *s, uint64_t ring, uint32_t size, uint32_t slot, uint32_t n)
{
	const uint32_t first = RTE_MIN(n, s->size - slot);

	s->mark(s->mark_arg, ring + (uint64_t)slot * size, (uint64_t)first * size);
	if (n > first)
		s->mark(s->mark_arg, ring, (uint64_t)(n - first) * size);
}

/* Marks what `f` has put, of which the ring does not know yet.  The slots between those of a packed
 * ring are not written; to tell them apart costs more. */
static void
burst_mark(const struct shadow *s, const struct front *f)
{
	uint16_t desc = s->dev.first;

	for (uint32_t i = 0; !s->tx && i < f->n; i++) {
		shadow_payload_mark(s, desc, rec_at(s, desc)->len);
		desc += rec_at(s, desc)->n_descs;
	}
	if (s->is_packed)
		entries_mark(s, s->desc_gpa, sizeof(struct packed_desc), s->used, f->entries);
	else
		entries_mark(s, s->device_gpa + offsetof(struct split_used, ring),
			     sizeof(uint64_t), s->used & (s->size - 1u), f->entries);
}

static void
index_store(struct shadow *s)
{
	if (s->is_packed)
		__atomic_store_n(&s->packed.desc[s->head_slot].flags, s->head_flags,
				 __ATOMIC_RELEASE);
	else
		__atomic_store_n(&s->split.used->idx, s->used, __ATOMIC_RELEASE);
}

static void
index_mark(const struct shadow *s)
{
	if (s->is_packed)
		s->mark(s->mark_arg, s->desc_gpa + s->head_slot * sizeof(struct packed_desc),
			sizeof(struct packed_desc));
	else
		s->mark(s->mark_arg, s->device_gpa + offsetof(struct split_used, idx),
			sizeof(uint16_t));
}

static bool
publish(struct shadow *s, uint32_t since)
{
	index_store(s);
	/* The driver stores its event field, then looks at the ring; we the other way round.  One
	 * of both sees the other's store only if neither look can pass its own store.  Nor may the
	 * look at the log. */
	guest_fence();
	if (unlikely(s->mark != NULL))
		index_mark(s);
	return s->is_packed ? packed_wants_call(s, since) : split_wants_call(s, since);
}

static void
front_move(struct shadow *s, const struct front *f)
{
	s->used = f->used;
	s->used_wrap = f->wrap;
	s->dev.first = f->first;
	s->n_out -= (uint16_t)f->n;
	s->slots_out -= (uint16_t)f->entries;
	s->blocked = false;
}

uint32_t
shadow_give(struct shadow *s, uint32_t n, bool *call)
{
	struct front f = front_of(s);

	n -= s->is_packed ? in_order(s, &f, n, true) : in_order(s, &f, n, false);
	if (unlikely(n > 0))
		shadow_reap(s, n);
	done_put(s, &f);
	*call = false;
	if (f.n == 0)
		return 0;
	if (unlikely(s->mark != NULL)) {
		guest_fence();
		burst_mark(s, &f);
	}
	front_move(s, &f);
	*call = publish(s, f.entries);
	count_add(&s->n_chains, f.n);
	shadow_show(s);
	return f.n;
}
