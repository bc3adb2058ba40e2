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
 *
 * The driver may post while we look.  One that runs at its position and posts makes nothing look
 * wrong; what is found for one that does not counts when it is found twice.
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

/*
 * Whether what the driver has written agrees with a position.
 *
 * A driver that posts a batch flags its first slot last: that one may still be missing, and those
 * behind it are there.  In a ring of two this looks like a batch that a back-end held back.
 */
static enum verdict
judge(const struct vring *r, uint16_t slot, bool wrap)
{
	const uint16_t start = slot;
	uint32_t n_posted = 0, gap = r->size > 2 ? 1 : 0;

	for (uint32_t k = 0; k < r->size; k++) {
		uint16_t flags = flags_at(r, slot);

		if (packed_available(flags, wrap)) {
			if (k > n_posted + gap)
				return WRONG;
			gap -= k - n_posted;
			n_posted = k + 1;
		} else if (((flags & DESC_AVAIL) != 0) == wrap) {
			return WRONG;
		} else if (k == n_posted && !used_looking(flags)) {
			gap = 0; /* nobody has given that one back, so nobody posts it */
		}
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
	return r->writable || __atomic_load_n(&r->packed.desc[i].len, __ATOMIC_RELAXED) == 0;
}

/* A transmit chain is given back unsent, or was sent already. */
static void
chain_finish(const struct vring *r, uint32_t i)
{
	struct vring_packed_desc *d = &r->packed.desc[i];
	uint16_t flags = avail_bit(r, i) ? DESC_AVAIL | DESC_USED : 0;
	const struct dirty *log = vring_log(r);

	if (!r->writable)
		d->len = 0;
	__atomic_store_n(&d->flags, flags | (r->writable ? DESC_WRITE : 0), __ATOMIC_RELEASE);
	dirty_order();
	if (log != NULL)
		dirty_mark(log, (gpa_t){ r->desc_gpa.v + i * sizeof(*d) }, sizeof(*d));
}

/* What the flags tell, slots counted from the oldest. */
struct found {
	bool sure;
	uint32_t first;  /* the oldest slot */
	bool lap;        /* its wrap counter: the one before the driver's next */
	uint32_t hole;   /* available ones among used ones */
	uint32_t n_hole;
	uint32_t border; /* used ones before, available ones from here on */
};

/*
 * Used slots, then available ones, and among the used ones at most one hole.
 *
 * While no back-end is there QEMU takes transmit chains itself, to drop them, from an old position
 * if that happens to look available: then what it says is right behind what it took, and the
 * chains before that, which nobody will send any more, are the hole.
 */
static struct found
border_find(const struct vring *r)
{
	struct found f = { .first = driver_slot(r) };
	uint32_t end;

	f.lap = avail_bit(r, f.first);
	f.hole = f.border = run_end(r, f.first, 0, SLOT_USED);
	end = run_end(r, f.first, f.hole, SLOT_AVAILABLE);
	f.sure = end == r->size;
	if (f.sure)
		return f;
	f.n_hole = end - f.hole;
	f.border = run_end(r, f.first, end, SLOT_USED);
	f.sure = run_end(r, f.first, f.border, SLOT_AVAILABLE) == r->size &&
		 ((f.n_hole == 1 && held_back(r, oldest(r, f.first, f.hole))) ||
		  (!r->writable && oldest(r, f.first, f.border) == r->idx));
	return f;
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

static bool
found_same(const struct found *a, const struct found *b)
{
	return a->sure == b->sure && a->first == b->first && a->lap == b->lap &&
	       a->hole == b->hole && a->n_hole == b->n_hole && a->border == b->border;
}

#define LOOKS_MAX 1000

static void
position_find(struct vring *r)
{
	struct found f = border_find(r), last = { 0 };

	for (uint32_t i = 0; i < LOOKS_MAX && !(f.sure && found_same(&f, &last)); i++) {
		last = f;
		f = border_find(r);
	}
	if (!f.sure)
		return;
	r->idx = (uint16_t)oldest(r, f.first, f.border);
	r->wrap = f.first + f.border >= r->size ? !f.lap : f.lap;
	for (uint32_t k = 0; k < f.n_hole; k++)
		chain_finish(r, oldest(r, f.first, f.hole + k));
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
		chain_finish(r, r->idx);
		packed_advance(r, &r->idx, &r->wrap, 1);
	}
}
