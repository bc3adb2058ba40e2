/* SPDX-License-Identifier: BSD-3-Clause */
#include "vring_impl.h"

/*
 * Where a packed ring goes on after a back-end died without saying where it was.
 *
 * Nothing in a packed ring tells the device's position as the used index of a split ring does, and
 * QEMU then names an old one.  The descriptors' flags tell more than it seems: the driver makes
 * slots available one behind the other, so a position that is right has, seen from it, a run of
 * available slots and behind that only slots of the lap before.  One that is old has used slots in
 * front of it.  And where every chain takes one slot, which is how drivers with indirect
 * descriptors work, the border between used and available slots is the position.  Without them, and
 * where slots are seen to be linked, what was told stands: a position that is right must never be
 * overruled.
 */

enum slot { SLOT_USED, SLOT_AVAILABLE };

enum verdict { RIGHT, WRONG };

static uint16_t
flags_at(const struct vring *r, uint32_t i)
{
	return __atomic_load_n(&r->packed.desc[i].flags, __ATOMIC_ACQUIRE);
}

static bool
avail_bit(const struct vring *r, uint32_t i)
{
	return (flags_at(r, i) & DESC_AVAIL) != 0;
}

static bool
used_looking(uint16_t flags)
{
	return ((flags & DESC_AVAIL) != 0) == ((flags & DESC_USED) != 0);
}

static uint32_t
before(const struct vring *r, uint32_t i)
{
	return (i + r->size - 1u) % r->size;
}

/*
 * A run of slots that look available where everything was given back is the tail of one chain: the
 * head before it looks used and has the id that the last slot has, the others are linked.
 */
static bool
is_tail(const struct vring *r, uint32_t last, uint32_t len)
{
	uint32_t i = last;

	if ((flags_at(r, last) & DESC_NEXT) != 0)
		return false;
	for (uint32_t k = 1; k < len; k++) {
		i = before(r, i);
		if ((flags_at(r, i) & DESC_NEXT) == 0)
			return false;
	}
	return true;
}

/* Whether the n slots before a position can all have been given back. */
static enum verdict
consumed(const struct vring *r, uint32_t slot, uint32_t n)
{
	uint32_t run = 0, last = 0, i = slot;

	for (uint32_t k = 0; k < n; k++) {
		i = before(r, i);
		if (!used_looking(flags_at(r, i))) {
			last = run++ == 0 ? i : last;
			continue;
		}
		if (run > 0 && (!is_tail(r, last, run) ||
				r->packed.desc[i].id != r->packed.desc[last].id))
			return WRONG;
		run = 0;
	}
	if (run == 0)
		return RIGHT;
	/* The head of the oldest chain may be written anew; a single slot then tells little, and
	 * is a chain of its own where chains take one. */
	if (n == r->size || !is_tail(r, last, run))
		return WRONG;
	return run > 1 || !r->indirect ? RIGHT : WRONG;
}

/* Whether what the driver has written agrees with a position. */
static enum verdict
judge(const struct vring *r, uint16_t slot, bool wrap)
{
	uint16_t start = slot;
	uint32_t n_posted = 0;

	for (uint32_t k = 0; k < r->size; k++) {
		uint16_t flags = flags_at(r, slot);

		if (n_posted == k && packed_available(flags, wrap))
			n_posted++;
		else if (((flags & DESC_AVAIL) != 0) == wrap)
			return WRONG;
		packed_advance(r, &slot, &wrap, 1);
	}
	return consumed(r, start, r->size - n_posted);
}

/* Where the driver will write next: the available bits change there, and nowhere else. */
static uint32_t
driver_slot(const struct vring *r)
{
	uint32_t i = 1;

	while (i < r->size && avail_bit(r, i) == avail_bit(r, 0))
		i++;
	return i % r->size;
}

/* Slot k of the ring, counted from the oldest, which is the one the driver will write next. */
static uint32_t
oldest(const struct vring *r, uint32_t first, uint32_t k)
{
	return (first + k) % r->size;
}

static enum slot
slot_kind(const struct vring *r, uint32_t i)
{
	return used_looking(flags_at(r, i)) ? SLOT_USED : SLOT_AVAILABLE;
}

static uint32_t
run_end(const struct vring *r, uint32_t first, uint32_t k, enum slot kind)
{
	while (k < r->size && slot_kind(r, oldest(r, first, k)) == kind)
		k++;
	return k;
}

/*
 * One available slot among used ones is the first of a batch whose rest was written when the
 * back-end died: its element is there, only its flags were held back.  A transmit chain shows it
 * by the length that no chain has.
 */
static bool
held_back(const struct vring *r, uint32_t i)
{
	const struct vring_packed_desc *d = &r->packed.desc[i];

	if ((flags_at(r, i) & (DESC_NEXT | DESC_INDIRECT)) != 0)
		return false;
	return r->writable || __atomic_load_n(&d->len, __ATOMIC_RELAXED) == 0;
}

static void
batch_finish(const struct vring *r, uint32_t i)
{
	struct vring_packed_desc *d = &r->packed.desc[i];
	uint16_t flags = avail_bit(r, i) ? DESC_AVAIL | DESC_USED : 0;

	__atomic_store_n(&d->flags, flags | (r->writable ? DESC_WRITE : 0), __ATOMIC_RELEASE);
}

/* Used slots, then available ones, and at most one that was held back. */
static bool
border_find(const struct vring *r, uint32_t first, uint32_t *border)
{
	uint32_t k = run_end(r, first, 0, SLOT_USED);
	uint32_t hole = k;

	*border = k;
	if (run_end(r, first, k, SLOT_AVAILABLE) == r->size)
		return true;
	k = run_end(r, first, hole + 1, SLOT_USED);
	if (k == hole + 1 || run_end(r, first, k, SLOT_AVAILABLE) < r->size ||
	    !held_back(r, oldest(r, first, hole)))
		return false;
	batch_finish(r, oldest(r, first, hole));
	*border = k;
	return true;
}

/* Where chains take several slots the border is not the position, and nothing else tells it. */
static bool
has_chains(const struct vring *r)
{
	for (uint32_t i = 0; i < r->size; i++)
		if (!used_looking(flags_at(r, i)) && (flags_at(r, i) & DESC_NEXT) != 0)
			return true;
	return false;
}

static void
position_find(struct vring *r)
{
	uint32_t first = driver_slot(r), border;
	/* The lap of the oldest slot is the one before the driver's next. */
	bool lap = avail_bit(r, first);

	if (!border_find(r, first, &border))
		return;
	r->idx = (uint16_t)oldest(r, first, border);
	r->wrap = first + border >= r->size ? !lap : lap;
}

void
vring_settle(struct vring *r)
{
	if (r->indirect && judge(r, r->idx, r->wrap) != RIGHT && !has_chains(r))
		position_find(r);
	/* A batch of one that was held back: the frame was delivered, its chain is no more.  A
	 * receive buffer in its place is still one, with the room that the lost frame took. */
	if (!r->writable && held_back(r, r->idx) &&
	    packed_available(flags_at(r, r->idx), r->wrap)) {
		batch_finish(r, r->idx);
		packed_advance(r, &r->idx, &r->wrap, 1);
	}
}
