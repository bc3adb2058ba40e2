/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue_inner.h"

#define WRAP (1U << 15)

void
queue_start(struct queue *q, uint16_t avail, uint16_t used)
{
	q->avail = q->packed ? avail & (WRAP - 1) : avail;
	q->used = q->packed ? used & (WRAP - 1) : used;
	q->avail_wrap = (avail & WRAP) != 0;
	q->used_wrap = (used & WRAP) != 0;
	q->armed = true;
	q->bad = NULL;
}

uint16_t
queue_avail(const struct queue *q)
{
	return q->packed ? (uint16_t)(q->avail | q->avail_wrap << 15) : q->avail;
}

uint16_t
queue_used(const struct queue *q)
{
	return q->packed ? (uint16_t)(q->used | q->used_wrap << 15) : q->used;
}

void
queue_back(struct queue *q, uint16_t avail)
{
	q->avail = q->packed ? avail & (WRAP - 1) : avail;
	q->avail_wrap = (avail & WRAP) != 0;
}

int
queue_take(struct queue *q, struct chain *c)
{
	if (q->bad != NULL)
		return -EBADMSG;
	c->n_segs = c->n_read = c->n_slots = 0;
	c->readable = c->writable = 0;
	return q->packed ? packed_take(q, c) : split_take(q, c);
}

int
queue_put(struct queue *q, const struct given *g, unsigned int n)
{
	return q->packed ? packed_put(q, g, n) : split_put(q, g, n);
}

int
queue_arm(struct queue *q)
{
	if (q->bad != NULL)
		return -EBADMSG;
	if ((!q->armed || q->event_idx) &&
	    (q->packed ? packed_notify(q, true) : split_notify(q, true)) < 0)
		return -EBADMSG;
	q->armed = true;
	dma_fence();    /* the driver looks at it after it has published */
	return q->packed ? packed_pending(q) : split_pending(q);
}

int
queue_disarm(struct queue *q)
{
	if (!q->armed)
		return 0;
	q->armed = false;
	return q->packed ? packed_notify(q, false) : split_notify(q, false);
}

int
chain_add(struct queue *q, struct chain *c, uint64_t iova, uint32_t len, uint16_t flags)
{
	bool write = (flags & VRING_DESC_F_WRITE) != 0;

	if (c->n_segs == CHAIN_SEGS_MAX)
		return queue_bad(q, "loop");
	if (len == 0)
		return queue_bad(q, "zero");
	if (!write && c->n_segs > c->n_read)
		return queue_bad(q, "direction");
	if (!dma_reaches(q->dma, iova, len, write)) {
		q->dma->refused++;
		return queue_bad(q, "range");
	}
	if (c->readable + (uint64_t)c->writable + len > UINT32_MAX)
		return queue_bad(q, "size");
	c->segs[c->n_segs++] = (struct seg){ iova, len };
	if (write) {
		c->writable += len;
	} else {
		c->readable += len;
		c->n_read++;
	}
	return 0;
}

int
chain_table(struct queue *q, const struct chain *c, uint32_t len, uint16_t flags)
{
	uint32_t n = len / sizeof(struct vring_desc);

	if (!q->indirect || (flags & VRING_DESC_F_NEXT) != 0 || n == 0 ||
	    (q->packed && c->n_segs > 0) ||
	    len % sizeof(struct vring_desc) != 0 || n > CHAIN_SEGS_MAX)
		return queue_bad(q, "indirect");
	return (int)n;
}

/* Copies over the segments from `first` to before `end`, either way. */
static int
chain_copy(struct queue *q, const struct seg *segs, unsigned int n_segs, uint32_t offset,
	   uint8_t *bytes, uint32_t len, bool write)
{
	uint32_t done = 0;

	for (unsigned int i = 0; i < n_segs && done < len; i++) {
		uint32_t n = segs[i].len - offset;
		uint64_t iova = segs[i].iova + offset;
		int rc;

		if (offset >= segs[i].len) {
			offset -= segs[i].len;
			continue;
		}
		n = n > len - done ? len - done : n;
		rc = write ? dma_write(q->dma, iova, bytes + done, n) :
			     dma_read(q->dma, iova, bytes + done, n);
		if (rc < 0)
			return queue_bad(q, "range");
		done += n;
		offset = 0;
	}
	return (int)done;
}

int
chain_read(struct queue *q, const struct chain *c, uint32_t offset, void *to, uint32_t len)
{
	return chain_copy(q, c->segs, c->n_read, offset, to, len, false);
}

int
chain_write(struct queue *q, const struct chain *c, uint32_t offset, const void *from, uint32_t len)
{
	return chain_copy(q, c->segs + c->n_read, c->n_segs - c->n_read, offset,
			  (uint8_t *)(uintptr_t)from, len, true);
}
