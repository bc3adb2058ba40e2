/* SPDX-License-Identifier: BSD-3-Clause */
#include "shadow_impl.h"

/*
 * Descriptors are used in a circle, since chains go back in the order in which they came: a chain
 * takes the next ones, each linked to the one behind it, and nothing has to be looked for.
 */

static inline struct rec *
rec_new(struct shadow *s, uint16_t n_descs)
{
	struct rec *r = rec_at(s, s->rec_next++);

	r->len = s->walk.len;
	r->id = s->walk.id;
	r->n_slots = (uint16_t)s->walk.n_slots;
	r->head = s->dev.next & s->dev.mask;
	r->n_descs = n_descs;
	r->in_table = false;
	r->state = REC_OUT;
	return r;
}

static void
chain_write(struct shadow *s, struct split_desc *to, uint32_t at, uint32_t mask, uint16_t flags)
{
	const struct walk *w = &s->walk;

	for (uint32_t i = 0; i < w->n; i++, at++) {
		const uint32_t next = (at + 1) & mask;
		const bool last = i + 1 == w->n;

		to[at & mask] = (struct split_desc){
			.addr = w->pieces[i].addr, .len = w->pieces[i].len,
			.flags = flags | (last ? 0 : DESC_NEXT), .next = last ? 0 : (uint16_t)next,
		};
	}
}

static void
table_write(struct shadow *s, uint32_t head, uint16_t flags)
{
	const uint32_t off = head * TABLE_LEN;

	chain_write(s, &s->dev.tables[off], 0, TABLE_LEN - 1, flags);
	s->dev.desc[head] = (struct split_desc){
		.addr = s->dev.tables_iova + off * sizeof(struct split_desc),
		.len = s->walk.n * sizeof(struct split_desc), .flags = DESC_INDIRECT,
	};
}

static void
head_post(struct shadow *s, uint16_t head, uint16_t n_descs)
{
	s->owners[head] = (s->rec_next - 1) & s->dev.mask;
	s->dev.avail->ring[s->dev.avail_idx++ & s->dev.mask] = head;
	s->dev.next += n_descs;
	s->dev.n_free -= n_descs;
}

bool
shadow_post(struct shadow *s)
{
	const uint16_t flags = s->tx ? 0 : DESC_WRITE, head = s->dev.next & s->dev.mask;
	const bool in_table = s->dev.tables != NULL && s->walk.n > 1 && s->walk.n <= TABLE_LEN;
	const uint16_t n_descs = in_table ? 1 : (uint16_t)s->walk.n;

	if (n_descs > s->dev.n_free) {
		s->blocked = true;
		return false;
	}
	rec_new(s, n_descs)->in_table = in_table;
	if (in_table)
		table_write(s, head, flags);
	else
		chain_write(s, s->dev.desc, head, s->dev.mask, flags);
	head_post(s, head, n_descs);
	return true;
}

void
shadow_skip(struct shadow *s)
{
	struct rec *r = rec_new(s, 0);

	r->len = 0;
	r->state = REC_DONE;
}

bool
shadow_dev_publish(struct shadow *s, uint16_t before)
{
	const uint16_t now = s->dev.avail_idx;
	uint16_t event;

	rte_io_wmb();
	__atomic_store_n(&s->dev.avail->idx, now, __ATOMIC_RELEASE);
	device_fence();
	if (!s->dev.event_idx)
		return (__atomic_load_n(&s->dev.used->flags, __ATOMIC_RELAXED) &
			USED_NO_NOTIFY) == 0;
	event = __atomic_load_n(avail_event_of(s->dev.used, s->dev.size), __ATOMIC_RELAXED);
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

static void
fault(struct shadow *s, enum shadow_fault why)
{
	atomic_store_explicit(&s->fault, why, memory_order_relaxed);
}

/* Elements that the device has added; it can add no more than it holds chains. */
static uint16_t
used_ready(struct shadow *s)
{
	const uint16_t idx = __atomic_load_n(&s->dev.used->idx, __ATOMIC_ACQUIRE);
	const uint16_t n = idx - s->dev.used_seen;

	rte_io_rmb();
	if (likely(n <= (uint16_t)(s->dev.avail_idx - s->dev.used_seen)))
		return n;
	fault(s, SHADOW_FAULT_INDEX);
	return 0;
}

/* The chain that a used element names; NULL: none that the device holds. */
static inline struct rec *
owner_of(const struct shadow *s, uint32_t id)
{
	struct rec *r;

	if (unlikely(id >= s->dev.size))
		return NULL;
	r = &s->recs[s->owners[id]];
	return likely(r->state == REC_OUT && r->head == id) ? r : NULL;
}

/* A transmit chain has no room, whatever its length; some devices tell how much they read. */
static inline enum shadow_fault
elem_take(struct shadow *s, uint64_t elem)
{
	const uint32_t len = s->tx ? 0 : (uint32_t)(elem >> 32);
	struct rec *r = owner_of(s, (uint32_t)elem);
	enum shadow_fault why = SHADOW_FAULT_NONE;

	if (unlikely(r == NULL))
		return SHADOW_FAULT_ID;
	if (unlikely(len > r->len))
		why = SHADOW_FAULT_LENGTH;
	else
		r->len = len;
	r->state = REC_DONE;
	s->dev.used_seen++;
	return why;
}

void
shadow_reap(struct shadow *s, uint32_t max)
{
	const uint8_t *ring = (const uint8_t *)s->dev.used->ring;
	uint32_t n;

	if (atomic_load_explicit(&s->fault, memory_order_relaxed) != SHADOW_FAULT_NONE)
		return;
	n = used_ready(s);
	n = RTE_MIN(n, max);
	for (uint32_t i = 0; i < n; i++) {
		enum shadow_fault why;
		uint64_t elem;

		memcpy(&elem, ring + (s->dev.used_seen & s->dev.mask) * sizeof(elem), sizeof(elem));
		why = elem_take(s, elem);
		if (unlikely(why != SHADOW_FAULT_NONE)) {
			fault(s, why);
			return;
		}
	}
}

/*
 * The pieces are read where the device finds them.  One that rewrites its own ring gets the wrong
 * pages marked; it could as well write any page of the guest without a word.  The steps are ours.
 */
void
shadow_payload_mark(const struct shadow *s, const struct rec *r, uint32_t len)
{
	const struct split_desc *descs = s->dev.desc;
	uint32_t at = r->head, mask = s->dev.mask, n = r->n_descs;

	if (r->in_table) {
		descs = &s->dev.tables[at * TABLE_LEN];
		at = 0;
		mask = TABLE_LEN - 1;
		n = TABLE_LEN;
	}
	for (; n > 0 && len > 0; n--, at++) {
		const struct split_desc *d = &descs[at & mask];
		const uint32_t room = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
		const uint32_t some = RTE_MIN(len, room);

		if (likely(some > 0))
			s->mark(s->mark_arg, d->addr, some);
		len -= some;
	}
}
