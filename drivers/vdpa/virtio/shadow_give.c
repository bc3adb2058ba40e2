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

/* Elements, from the position on.  @return entries of the ring that they take */
static uint32_t
split_put(struct shadow *s, uint16_t n)
{
	const uint16_t mask = s->size - 1;
	uint8_t *ring = (uint8_t *)s->split.used->ring;

	for (uint16_t i = 0; i < n; i++) {
		const struct rec *r = rec_at(s, s->rec_first + i);
		const uint64_t elem = r->id | (uint64_t)r->len << 32;

		memcpy(ring + (s->used++ & mask) * sizeof(elem), &elem, sizeof(elem));
	}
	return n;
}

/* The driver reads in order, so the first flags hold back the whole burst. */
static void
packed_hold(struct shadow *s, struct packed_desc *d, const struct rec *r, uint16_t flags)
{
	d->id = r->id;
	d->len = r->len;
	s->head_slot = s->used;
	s->head_flags = flags;
}

static uint32_t
packed_put(struct shadow *s, uint16_t n)
{
	uint32_t slots = 0;

	for (uint16_t i = 0; i < n; i++) {
		const struct rec *r = rec_at(s, s->rec_first + i);
		struct packed_desc *d = &s->packed.desc[s->used];
		const uint16_t flags = (s->used_wrap ? DESC_AVAIL | DESC_USED : 0) |
				       (r->len > 0 ? DESC_WRITE : 0);

		/* Length, id and flags in one store: flags vouch for the others. */
		if (i == 0)
			packed_hold(s, d, r, flags);
		else
			__atomic_store_n((uint64_t *)&d->len, r->len | (uint64_t)r->id << 32 |
					 (uint64_t)flags << 48, __ATOMIC_RELEASE);
		packed_advance(s, &s->used, &s->used_wrap, r->n_slots);
		slots += r->n_slots;
	}
	s->slots_out -= (uint16_t)slots;
	return slots;
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

/* The slots between those of a packed ring are not written; to tell them apart costs more. */
static void
burst_mark(const struct shadow *s, uint16_t n, uint16_t slot, uint32_t entries)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct rec *r = rec_at(s, s->rec_first + i);

		shadow_payload_mark(s, r, r->len);
	}
	if (s->is_packed)
		entries_mark(s, s->desc_gpa, sizeof(struct packed_desc), slot, entries);
	else
		entries_mark(s, s->device_gpa + offsetof(struct split_used, ring),
			     sizeof(uint64_t), slot & (s->size - 1u), entries);
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

static uint16_t
done_count(const struct shadow *s)
{
	uint16_t n = 0;

	while (n < recs_out(s) && rec_at(s, s->rec_first + n)->state == REC_DONE)
		n++;
	return n;
}

static void
recs_release(struct shadow *s, uint16_t n)
{
	for (; n > 0; n--) {
		struct rec *r = rec_at(s, s->rec_first++);

		if (r->n_descs == 0)
			count_add(&s->n_skipped, 1);
		s->dev.n_free += r->n_descs;
		r->state = REC_FREE;
	}
	s->blocked = false;
}

uint32_t
shadow_give(struct shadow *s, bool *call)
{
	const uint16_t n = done_count(s), slot = s->used;
	uint32_t entries;

	*call = false;
	if (n == 0)
		return 0;
	entries = s->is_packed ? packed_put(s, n) : split_put(s, n);
	if (unlikely(s->mark != NULL)) {
		guest_fence();
		burst_mark(s, n, slot, entries);
	}
	recs_release(s, n);
	*call = publish(s, entries);
	count_add(&s->n_chains, n);
	shadow_show(s);
	return n;
}
