/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue_inner.h"

/* Offsets in the driver's and in the device's area. */
#define AVAIL_FLAGS 0U
#define AVAIL_IDX   2U
#define AVAIL_RING  4U
#define USED_FLAGS  0U
#define USED_IDX    2U
#define USED_RING   4U

static uint64_t
used_event(const struct queue *q)
{
	return q->driver + AVAIL_RING + 2ULL * q->size;
}

static uint64_t
avail_event(const struct queue *q)
{
	return q->device + USED_RING + sizeof(struct vring_used_elem) * q->size;
}

int
split_pending(struct queue *q)
{
	uint16_t idx;

	if (dma_load16(q->dma, q->driver + AVAIL_IDX, &idx) < 0)
		return queue_bad(q, "memory");
	if ((uint16_t)(idx - q->avail) > q->size)
		return queue_bad(q, "index");
	return idx != q->avail;
}

static int
walk(struct queue *q, struct chain *c, uint64_t table, uint16_t n, uint16_t at, bool nested)
{
	struct vring_desc d;

	for (uint16_t steps = 0; steps < n; steps++) {
		if (at >= n)
			return queue_bad(q, "head");
		if (dma_read(q->dma, table + at * sizeof(d), &d, sizeof(d)) < 0)
			return queue_bad(q, "memory");
		if ((d.flags & VRING_DESC_F_INDIRECT) != 0) {
			int len = nested ? queue_bad(q, "indirect") :
					   chain_table(q, c, d.len, d.flags);

			return len < 0 ? len : walk(q, c, d.addr, (uint16_t)len, 0, true);
		}
		if (chain_add(q, c, d.addr, d.len, d.flags) < 0)
			return -EBADMSG;
		if ((d.flags & VRING_DESC_F_NEXT) == 0)
			return 1;
		at = d.next;
	}
	return queue_bad(q, "loop");
}

int
split_take(struct queue *q, struct chain *c)
{
	uint64_t entry = q->driver + AVAIL_RING + 2ULL * (q->avail & (q->size - 1));
	int rc = split_pending(q);

	if (rc <= 0)
		return rc;
	if (dma_load16(q->dma, entry, &c->id) < 0)
		return queue_bad(q, "memory");
	rc = walk(q, c, q->desc, q->size, c->id, false);
	if (rc > 0)
		q->avail++;
	return rc;
}

static int
wants_interrupt(struct queue *q, uint16_t before)
{
	uint16_t value;

	dma_fence();    /* the driver publishes its wish, then looks at the index once more */
	if (dma_load16(q->dma, q->event_idx ? used_event(q) : q->driver + AVAIL_FLAGS, &value) < 0)
		return queue_bad(q, "memory");
	if (q->event_idx)
		return vring_need_event(value, q->used, before);
	return (value & VRING_AVAIL_F_NO_INTERRUPT) == 0;
}

int
split_put(struct queue *q, const struct given *g, unsigned int n)
{
	uint16_t before = q->used;

	for (unsigned int i = 0; i < n; i++) {
		struct vring_used_elem e = { .id = g[i].id, .len = g[i].len };
		uint64_t at = q->device + USED_RING + sizeof(e) * (q->used & (q->size - 1));

		if (dma_write(q->dma, at, &e, sizeof(e)) < 0)
			return queue_bad(q, "memory");
		q->used++;
	}
	if (dma_store16(q->dma, q->device + USED_IDX, q->used) < 0)
		return queue_bad(q, "memory");
	return wants_interrupt(q, before);
}

int
split_notify(struct queue *q, bool on)
{
	int rc = 0;

	if (!q->event_idx)
		rc = dma_store16(q->dma, q->device + USED_FLAGS, on ? 0 : VRING_USED_F_NO_NOTIFY);
	else if (on)
		rc = dma_store16(q->dma, avail_event(q), q->avail);
	return rc < 0 ? queue_bad(q, "memory") : 0;
}
