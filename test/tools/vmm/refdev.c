/* SPDX-License-Identifier: BSD-3-Clause */
#include "refdev.h"

#include <assert.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "vmm_rng.h"

#define WRAP (1 << 15)
#define F_AVAIL (1 << 7)
#define F_USED (1 << 15)

static void *
at(const struct refdev *d, uint64_t gpa, uint64_t len)
{
	void *host = vmm_mem_host(d->mem, gpa, len);

	assert(host != NULL);
	return host;
}

void
refdev_init(struct refdev *d, const struct vmm_ring *r, uint32_t seed)
{
	uint16_t pos = vmm_ring_pos(r);

	memset(d, 0, sizeof(*d));
	d->mem = r->mem;
	d->conf = r->conf;
	d->addr = r->addr;
	d->callfd = r->callfd;
	d->rng = seed;
	d->avail_idx = d->used_idx = d->conf.packed ? pos & (WRAP - 1) : pos;
	d->avail_wrap = d->used_wrap = (pos & WRAP) != 0;
}

uint32_t
refdev_base(const struct refdev *d)
{
	return d->conf.packed ? d->avail_idx | (d->avail_wrap ? WRAP : 0) : d->avail_idx;
}

/* Taking */

static void
seg_add(struct refdev_chain *c, uint64_t gpa, uint32_t len, uint16_t flags)
{
	assert(c->n_segs < sizeof(c->segs) / sizeof(c->segs[0]));
	/* Writable pieces come behind readable ones. */
	assert((flags & VRING_DESC_F_WRITE) || c->n_segs == 0 || !c->segs[c->n_segs - 1].write);
	c->segs[c->n_segs++] = (struct vmm_seg){ gpa, len, (flags & VRING_DESC_F_WRITE) != 0 };
}

static void
split_table_read(struct refdev *d, struct refdev_chain *c, uint64_t table, uint32_t n, uint16_t i)
{
	const struct vring_desc *t = at(d, table, n * 16ULL);

	for (;; i = t[i].next) {
		assert(i < n);
		if (t[i].flags & VRING_DESC_F_INDIRECT) {
			assert(t[i].len % 16 == 0 && (t[i].flags & VRING_DESC_F_NEXT) == 0);
			split_table_read(d, c, t[i].addr, t[i].len / 16, 0);
			return;
		}
		seg_add(c, t[i].addr, t[i].len, t[i].flags);
		if ((t[i].flags & VRING_DESC_F_NEXT) == 0)
			return;
	}
}

static bool
split_take(struct refdev *d, struct refdev_chain *c)
{
	const struct vring_avail *avail = at(d, d->addr.avail, d->addr.avail_size);

	if (__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) == d->avail_idx)
		return false;
	c->id = avail->ring[d->avail_idx++ % d->conf.size];
	split_table_read(d, c, d->addr.desc, d->conf.size, c->id);
	return true;
}

static void
slot_step(const struct refdev *d, uint16_t *idx, bool *wrap)
{
	if (++*idx == d->conf.size) {
		*idx = 0;
		*wrap = !*wrap;
	}
}

static bool
packed_take(struct refdev *d, struct refdev_chain *c)
{
	const struct vring_packed_desc *ring = at(d, d->addr.desc, d->addr.desc_size);
	uint16_t flags = __atomic_load_n(&ring[d->avail_idx].flags, __ATOMIC_ACQUIRE);

	if (!!(flags & F_AVAIL) != d->avail_wrap || !!(flags & F_USED) == d->avail_wrap)
		return false;
	do {
		const struct vring_packed_desc *s = &ring[d->avail_idx];

		flags = s->flags;
		c->id = s->id;
		c->n_slots++;
		if (flags & VRING_DESC_F_INDIRECT) {
			const struct vring_packed_desc *t = at(d, s->addr, s->len);

			for (uint32_t i = 0; i < s->len / 16; i++)
				seg_add(c, t[i].addr, t[i].len, t[i].flags);
		} else {
			seg_add(c, s->addr, s->len, flags);
		}
		slot_step(d, &d->avail_idx, &d->avail_wrap);
	} while (flags & VRING_DESC_F_NEXT);
	return true;
}

/* Returning */

static void
split_return(struct refdev *d, uint16_t id, uint32_t len, uint16_t step)
{
	struct vring_used *used = at(d, d->addr.used, d->addr.used_size);

	used->ring[d->used_idx % d->conf.size] = (struct vring_used_elem){ id, len };
	if (d->log_fault != REFDEV_LOG_NO_USED)
		refdev_mark(d, d->addr.used + 4 + d->used_idx % d->conf.size * 8U, 8);
	d->used_idx += step;
	d->n_used += step;
	__atomic_store_n(&used->idx, d->used_idx, __ATOMIC_RELEASE);
	if (d->log_fault != REFDEV_LOG_NO_INDEX)
		refdev_mark(d, d->addr.used + 2, 2);
}

static void
packed_return(struct refdev *d, uint16_t id, uint32_t len, uint16_t n_slots, bool written)
{
	uint64_t gpa = d->addr.desc + d->used_idx * sizeof(struct vring_packed_desc);
	struct vring_packed_desc *s = at(d, gpa, sizeof(*s));
	uint16_t flags = d->used_wrap ? F_AVAIL | F_USED : 0;

	s->id = id;
	s->len = len;
	__atomic_store_n(&s->flags, flags | (written ? VRING_DESC_F_WRITE : 0), __ATOMIC_RELEASE);
	if (d->log_fault != REFDEV_LOG_NO_USED)
		refdev_mark(d, gpa, sizeof(*s));
	d->n_used += n_slots;
	while (n_slots-- > 0)
		slot_step(d, &d->used_idx, &d->used_wrap);
}

static void
chain_return(struct refdev *d, const struct refdev_chain *c, uint16_t id, uint32_t len)
{
	if (d->conf.packed)
		packed_return(d, id, len, c->n_slots, len > 0 && d->fault != REFDEV_NO_WRITE_FLAG);
	else
		split_return(d, id, len, 1);
	d->returned++;
}

static void
byte_spoil(struct refdev *d, uint64_t gpa)
{
	*(uint8_t *)at(d, gpa, 1) ^= 0x5a;
}

static void
chain_write(struct refdev *d, struct refdev_chain *c)
{
	bool marks = true;

	for (uint16_t i = 0; i < c->n_segs; i++) {
		const struct vmm_seg *s = &c->segs[i];

		if (!s->write)
			continue;
		if (d->log_fault == REFDEV_LOG_EARLY)
			refdev_mark(d, s->gpa, s->len);
		memset(at(d, s->gpa, s->len), 0xa5, s->len);
		if (marks && d->log_fault != REFDEV_LOG_EARLY)
			refdev_mark(d, s->gpa, s->len - (d->log_fault == REFDEV_LOG_LAST_BYTE));
		marks = d->log_fault != REFDEV_LOG_FIRST_PIECE;
		c->len += s->len;
	}
}

/* Does what the fault says to the chain that is about to be returned.  True: it is not returned. */
static bool
chain_spoil(struct refdev *d, const struct refdev_chain *c)
{
	const struct vmm_seg *last = &c->segs[c->n_segs - 1];

	switch (d->fault) {
	case REFDEV_USED_TWICE:
		chain_return(d, &d->last, d->last.id, d->last.len);
		return true;
	case REFDEV_BAD_ID:
		chain_return(d, c, d->conf.size, c->len);
		return true;
	case REFDEV_FREE_ID:
		chain_return(d, c, (uint16_t)(c->id ^ (d->conf.size / 2)), 0);
		return true;
	case REFDEV_LEN_TOO_LONG:
		chain_return(d, c, c->id, c->len + 1);
		return true;
	case REFDEV_INDEX_JUMP:
		split_return(d, c->id, c->len, d->conf.size);
		return true;
	case REFDEV_WRITE_BEFORE:
		byte_spoil(d, last->gpa - 1);
		return false;
	case REFDEV_WRITE_BEHIND:
		byte_spoil(d, last->gpa + last->len);
		return false;
	case REFDEV_WRITE_READABLE:
		byte_spoil(d, c->segs[0].gpa);
		return false;
	case REFDEV_WRITE_DESC:
		/* Packed: a slot that the driver has not made available yet is not the device's. */
		byte_spoil(d, d->addr.desc + (d->conf.packed ? d->avail_idx : c->id) * 16U);
		return false;
	case REFDEV_WRITE_LATE:
		d->late_gpa = last->gpa;
		return false;
	case REFDEV_LOSE_CHAIN:
		return true;
	default:
		return false;
	}
}

bool
refdev_take(struct refdev *d, struct refdev_chain *c)
{
	memset(c, 0, sizeof(*c));
	return d->conf.packed ? packed_take(d, c) : split_take(d, c);
}

void
refdev_return(struct refdev *d, const struct refdev_chain *c, uint32_t len)
{
	chain_return(d, c, c->id, len);
}

static uint32_t
chain_pick(struct refdev *d)
{
	bool wrong = d->fault == REFDEV_OUT_OF_ORDER && d->returned >= d->fault_after;

	if (d->conf.in_order)
		return wrong ? d->n_chains - 1 : 0;
	return vmm_rng(&d->rng, d->n_chains);
}

/* With IN_ORDER one used element may stand for several chains that were all filled. */
static uint32_t
batch_pick(struct refdev *d)
{
	uint32_t n = 1 + vmm_rng(&d->rng, 4);

	if (!d->conf.in_order || d->fault != REFDEV_SOUND || n > d->n_chains)
		return 1;
	return n;
}

static void
batch_return(struct refdev *d, uint32_t n)
{
	const struct refdev_chain *last = &d->chains[n - 1];
	uint16_t n_slots = 0;

	for (uint32_t i = 0; i < n; i++)
		n_slots += d->chains[i].n_slots;
	for (uint32_t i = 0; i < n; i++)
		chain_write(d, &d->chains[i]);
	if (d->conf.packed)
		packed_return(d, last->id, last->len, n_slots, last->len > 0);
	else
		split_return(d, last->id, last->len, (uint16_t)n);
	d->last = *last;
	d->returned += n;
	d->n_chains -= n;
	memmove(d->chains, d->chains + n, d->n_chains * sizeof(d->chains[0]));
}

static void
one_return(struct refdev *d)
{
	uint32_t i = chain_pick(d);
	struct refdev_chain c = d->chains[i];
	bool due = d->fault != REFDEV_SOUND && d->returned == d->fault_after;

	/* Only a chain with a readable piece can have it overwritten: wait for one. */
	if (due && d->fault == REFDEV_WRITE_READABLE && c.segs[0].write) {
		d->fault_after++;
		due = false;
	}
	memmove(&d->chains[i], &d->chains[i + 1], (--d->n_chains - i) * sizeof(c));
	chain_write(d, &c);
	if (!due || !chain_spoil(d, &c))
		chain_return(d, &c, c.id, c.len);
	if (due)
		d->fault_after--;       /* never due again */
	d->last = c;
}

/* Clauses 2.7.7.2 and 2.8.10: does the driver want to hear of the last `n_used` elements? */
static bool
interrupt_wanted(const struct refdev *d, uint16_t n_used)
{
	const struct vring_avail *avail = at(d, d->addr.avail, 4);
	uint16_t event, now = d->used_idx;

	if (!d->conf.packed && !d->conf.event_idx)
		return (avail->flags & VRING_AVAIL_F_NO_INTERRUPT) == 0;
	if (!d->conf.packed) {
		event = avail->ring[d->conf.size];
	} else {
		const struct vring_packed_desc_event *e = at(d, d->addr.avail, 4);

		if (e->flags != VRING_PACKED_EVENT_FLAG_DESC)
			return e->flags == VRING_PACKED_EVENT_FLAG_ENABLE;
		event = e->off_wrap & (WRAP - 1);
		if (!!(e->off_wrap & WRAP) != d->used_wrap)
			event = (uint16_t)(event - d->conf.size);
	}
	return (uint16_t)(now - event - 1) < n_used;
}

void
refdev_run(struct refdev *d, bool flush)
{
	uint64_t before = d->returned;

	d->n_used = 0;
	if (d->late_gpa != 0)
		byte_spoil(d, d->late_gpa);
	d->late_gpa = 0;
	while (d->n_chains < REFDEV_CHAINS_MAX) {
		struct refdev_chain *c = &d->chains[d->n_chains];

		if (!refdev_take(d, c))
			break;
		d->n_chains++;
	}
	while (d->n_chains > 0 && (flush || vmm_rng(&d->rng, 8) != 0)) {
		uint32_t n = batch_pick(d);

		if (n > 1)
			batch_return(d, n);
		else
			one_return(d);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (d->returned == before || d->fault == REFDEV_NO_INTERRUPT ||
	    !interrupt_wanted(d, d->n_used))
		return;
	d->interrupts++;
	if (d->callfd >= 0 && write(d->callfd, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
		d->interrupts--;
}
