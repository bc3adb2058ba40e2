/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue_inner.h"

#define F_AVAIL (1U << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1U << VRING_PACKED_DESC_F_USED)

/* Offsets in an event suppression structure. */
#define EVENT_OFF   0U
#define EVENT_FLAGS 2U

static uint64_t
slot_at(const struct queue *q, uint16_t slot)
{
	return q->desc + sizeof(struct vring_packed_desc) * slot;
}

static int
flags_load(struct queue *q, uint16_t slot, uint16_t *flags)
{
	uint64_t at = slot_at(q, slot) + offsetof(struct vring_packed_desc, flags);

	return dma_load16(q->dma, at, flags) < 0 ? queue_bad(q, "memory") : 0;
}

int
packed_pending(struct queue *q)
{
	uint16_t flags;

	if (flags_load(q, q->avail, &flags) < 0)
		return -EBADMSG;
	return ((flags & F_AVAIL) != 0) == q->avail_wrap &&
	       ((flags & F_USED) != 0) != q->avail_wrap;
}

static int
table_walk(struct queue *q, struct chain *c, uint64_t table, int n)
{
	struct vring_packed_desc d;

	for (int i = 0; i < n; i++) {
		if (dma_read(q->dma, table + (uint64_t)i * sizeof(d), &d, sizeof(d)) < 0)
			return queue_bad(q, "memory");
		if (chain_add(q, c, d.addr, d.len, d.flags & VRING_DESC_F_WRITE) < 0)
			return -EBADMSG;
	}
	return 1;
}

static int
walk(struct queue *q, struct chain *c)
{
	struct vring_packed_desc d;
	uint16_t slot = q->avail;

	for (c->n_slots = 1; c->n_slots <= q->size; c->n_slots++) {
		if (dma_read(q->dma, slot_at(q, slot), &d, sizeof(d)) < 0)
			return queue_bad(q, "memory");
		c->id = d.id;
		if ((d.flags & VRING_DESC_F_INDIRECT) != 0) {
			int n = chain_table(q, c, d.len, d.flags);

			return n < 0 ? n : table_walk(q, c, d.addr, n);
		}
		if (chain_add(q, c, d.addr, d.len, d.flags) < 0)
			return -EBADMSG;
		if ((d.flags & VRING_DESC_F_NEXT) == 0)
			return 1;
		slot = slot + 1 == q->size ? 0 : slot + 1;
	}
	return queue_bad(q, "loop");
}

static void
advance(const struct queue *q, uint16_t *slot, bool *wrap, uint16_t by)
{
	*slot += by;
	if (*slot >= q->size) {
		*slot -= q->size;
		*wrap = !*wrap;
	}
}

int
packed_take(struct queue *q, struct chain *c)
{
	int rc = packed_pending(q);

	if (rc > 0)
		rc = walk(q, c);
	if (rc > 0)
		advance(q, &q->avail, &q->avail_wrap, c->n_slots);
	return rc;
}

/* A used descriptor; its flags follow by themselves, they make it valid. */
static int
used_write(struct queue *q, const struct given *g, uint16_t slot)
{
	struct vring_packed_desc d = { .id = g->id, .len = g->len };
	uint64_t at = slot_at(q, slot) + offsetof(struct vring_packed_desc, len);

	/* The length and the id lie side by side, and the flags behind them stay as they are. */
	if (dma_write(q->dma, at, &d.len, sizeof(d.len) + sizeof(d.id)) < 0)
		return queue_bad(q, "memory");
	return 0;
}

static int
used_publish(struct queue *q, const struct given *g, uint16_t slot, bool wrap)
{
	uint64_t at = slot_at(q, slot) + offsetof(struct vring_packed_desc, flags);
	uint16_t flags = (uint16_t)((wrap ? F_AVAIL | F_USED : 0) |
				    (g->len > 0 ? VRING_DESC_F_WRITE : 0));

	return dma_store16(q->dma, at, flags) < 0 ? queue_bad(q, "memory") : 0;
}

static int
wants_interrupt(struct queue *q, uint16_t before)
{
	uint16_t flags, off;

	dma_fence();    /* the driver publishes its wish, then looks at the ring once more */
	if (dma_load16(q->dma, q->driver + EVENT_FLAGS, &flags) < 0 ||
	    dma_load16(q->dma, q->driver + EVENT_OFF, &off) < 0)
		return queue_bad(q, "memory");
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !q->event_idx)
		return flags == VRING_PACKED_EVENT_FLAG_ENABLE;
	if (off >> VRING_PACKED_EVENT_F_WRAP_CTR != q->used_wrap)
		off = (uint16_t)((off & 0x7fff) - q->size);
	else
		off &= 0x7fff;
	return vring_need_event(off, q->used, before);
}

int
packed_put(struct queue *q, const struct given *g, unsigned int n)
{
	uint16_t first = q->used, total = 0;
	bool first_wrap = q->used_wrap;

	for (unsigned int i = 0; i < n; i++) {
		if (used_write(q, &g[i], q->used) < 0 ||
		    (i > 0 && used_publish(q, &g[i], q->used, q->used_wrap) < 0))
			return -EBADMSG;
		advance(q, &q->used, &q->used_wrap, g[i].n_slots);
		total += g[i].n_slots;
	}
	if (n == 0 || used_publish(q, &g[0], first, first_wrap) < 0)
		return n == 0 ? 0 : -EBADMSG;
	return wants_interrupt(q, (uint16_t)(q->used - total));
}

int
packed_notify(struct queue *q, bool on)
{
	uint16_t flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	int rc = 0;

	if (on)
		flags = q->event_idx ? VRING_PACKED_EVENT_FLAG_DESC :
				       VRING_PACKED_EVENT_FLAG_ENABLE;
	if (flags == VRING_PACKED_EVENT_FLAG_DESC)
		rc = dma_store16(q->dma, q->device + EVENT_OFF, queue_avail(q));
	if (rc == 0)
		rc = dma_store16(q->dma, q->device + EVENT_FLAGS, flags);
	return rc < 0 ? queue_bad(q, "memory") : 0;
}
