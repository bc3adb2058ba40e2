/* SPDX-License-Identifier: BSD-3-Clause */
#include "shadow_impl.h"

/*
 * Descriptors are used in a circle, since chains go back in the order in which they came: a chain
 * takes the next ones, each linked to the one behind it, and nothing has to be looked for.
 */

/* Notes the chain in s->walk; returns where it stands. */
static uint16_t
rec_new(struct shadow *s, uint16_t n_descs, enum rec_state state, bool in_table)
{
	const uint16_t head = s->dev.next & s->dev.mask;

	s->recs[head] = (struct rec){
		.len = s->walk.len, .id = s->walk.id, .n_slots = (uint16_t)s->walk.n_slots,
		.n_descs = n_descs, .state = state, .in_table = in_table,
	};
	s->dev.next += n_descs;
	s->n_out++;
	return head;
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

bool
shadow_post(struct shadow *s)
{
	const uint16_t flags = s->tx ? 0 : DESC_WRITE;
	const bool in_table = s->dev.tables != NULL && s->walk.n > 1 && s->walk.n <= TABLE_LEN;
	const uint16_t n_descs = in_table ? 1 : (uint16_t)s->walk.n;
	uint16_t head;

	if (n_descs > descs_free(s)) {
		s->blocked = true;
		return false;
	}
	head = rec_new(s, n_descs, REC_OUT, in_table);
	if (in_table)
		table_write(s, head, flags);
	else
		chain_write(s, s->dev.desc, head, s->dev.mask, flags);
	s->dev.avail->ring[s->dev.avail_idx++ & s->dev.mask] = head;
	return true;
}

void
shadow_skip(struct shadow *s)
{
	s->walk.len = 0;
	rec_new(s, 1, REC_SKIPPED, false);
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

/* It can add no more than it holds chains. */
uint32_t
shadow_dev_ready(struct shadow *s, uint32_t max)
{
	uint16_t n;

	if (unlikely(atomic_load_explicit(&s->fault, memory_order_relaxed) != SHADOW_FAULT_NONE))
		return 0;
	n = __atomic_load_n(&s->dev.used->idx, __ATOMIC_ACQUIRE) - s->dev.used_seen;
	rte_io_rmb();
	if (likely(n <= (uint16_t)(s->dev.avail_idx - s->dev.used_seen)))
		return RTE_MIN((uint32_t)n, max);
	fault(s, SHADOW_FAULT_INDEX);
	return 0;
}

/* A transmit chain has no room, whatever its length; some devices tell how much they read. */
static enum shadow_fault
elem_take(struct shadow *s, uint32_t id, uint32_t len)
{
	struct rec *r = &s->recs[id & s->dev.mask];
	enum shadow_fault why = SHADOW_FAULT_NONE;

	if (id >= s->dev.size || r->state != REC_OUT)
		return SHADOW_FAULT_ID;
	if (s->tx)
		len = 0;
	if (len > r->len)
		why = SHADOW_FAULT_LENGTH;
	else
		r->len = len;
	r->state = REC_DONE;
	s->dev.used_seen++;
	return why;
}

void
shadow_reap(struct shadow *s, uint32_t n)
{
	for (; n > 0; n--) {
		const uint64_t elem = elem_load(s->dev.used, s->dev.used_seen & s->dev.mask);
		const enum shadow_fault why = elem_take(s, (uint32_t)elem, elem >> 32);

		if (why != SHADOW_FAULT_NONE) {
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
shadow_payload_mark(const struct shadow *s, uint16_t desc, uint32_t len)
{
	const struct rec *r = rec_at(s, desc);
	const struct split_desc *descs = s->dev.desc;
	uint32_t at = desc & s->dev.mask, mask = s->dev.mask, n = r->n_descs;

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
