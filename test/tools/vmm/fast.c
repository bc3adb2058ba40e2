/* SPDX-License-Identifier: BSD-3-Clause */
#include "fast.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest_inner.h"
#include "ring_inner.h"

static int
fast_init(struct fast *f, struct vmm_ring *r, uint16_t flags)
{
	uint16_t size = r->conf.size;

	memset(f, 0, sizeof(*f));
	f->ring = r;
	f->desc = ring_host(r, r->addr.desc);
	f->avail = ring_host(r, r->addr.avail);
	f->used = ring_host(r, r->addr.used);
	f->flags = flags;
	f->addrs = calloc(size, sizeof(*f->addrs));
	f->lens = calloc(size, sizeof(*f->lens));
	f->held = calloc(size, sizeof(*f->held));
	vmm_ring_disarm(r);
	return f->addrs == NULL || f->lens == NULL || f->held == NULL ? -ENOMEM : 0;
}

void
fast_fini(struct fast *f)
{
	free(f->addrs);
	free(f->lens);
	free(f->held);
	memset(f, 0, sizeof(*f));
}

static void
id_set(struct fast *f, uint16_t id, uint64_t gpa, uint32_t len)
{
	f->addrs[id] = gpa;
	f->lens[id] = len;
	if (!f->ring->conf.packed)
		f->desc[id] = (struct vring_desc){ .addr = gpa, .len = len, .flags = f->flags };
}

int
fast_init_rx(struct fast *f, struct vmm_guest *g, unsigned int pair)
{
	struct vmm_ring *r = g->queues[pair * 2].ring;
	int rc = fast_init(f, r, VRING_DESC_F_WRITE);

	for (uint32_t id = 0; rc == 0 && id < r->conf.size; id++) {
		const struct vmm_chain *c = &r->chains[id];

		if (c->out && c->n_segs != 1)
			return -EINVAL;
		if (c->out)
			id_set(f, (uint16_t)id, c->segs[0].gpa, c->segs[0].len);
	}
	return rc;
}

int
fast_init_tx(struct fast *f, struct vmm_guest *g, unsigned int pair, const void *bytes,
	     uint32_t len)
{
	struct vmm_queue *q = &g->queues[pair * 2 + 1];
	int rc = fast_init(f, q->ring, 0);

	if (len > q->buf_len)
		return -EMSGSIZE;
	for (uint16_t id = 0; rc == 0 && id < q->n_bufs; id++) {
		memcpy(vmm_mem_host(g->mem, q->bufs[id].gpa, len), bytes, len);
		id_set(f, id, q->bufs[id].gpa, len);
		f->held[f->n_held++] = id;
	}
	return rc;
}

static uint32_t
split_take(struct fast *f)
{
	uint16_t idx = __atomic_load_n(&f->used->idx, __ATOMIC_ACQUIRE);
	uint16_t at = f->ring->used_idx, mask = f->ring->conf.size - 1;
	uint32_t n = (uint16_t)(idx - at);

	for (; at != idx; at++)
		f->held[f->n_held++] = (uint16_t)f->used->ring[at & mask].id;
	f->ring->used_idx = idx;
	return n;
}

static uint32_t
packed_take(struct fast *f)
{
	struct vmm_ring *r = f->ring;
	uint32_t n = 0;

	while (packed_used(r)) {
		f->held[f->n_held++] = f->slots[r->used_idx].id;
		n++;
		if (++r->used_idx == r->conf.size) {
			r->used_idx = 0;
			r->used_wrap = !r->used_wrap;
		}
	}
	return n;
}

uint32_t
fast_take(struct fast *f)
{
	return f->ring->conf.packed ? packed_take(f) : split_take(f);
}

static bool
split_offer(struct fast *f, uint32_t n)
{
	struct vmm_ring *r = f->ring;
	uint16_t mask = r->conf.size - 1;

	while (n-- > 0)
		f->avail->ring[r->avail_idx++ & mask] = f->held[--f->n_held];
	__atomic_store_n(&f->avail->idx, r->avail_idx, __ATOMIC_RELEASE);
	return split_wanted(r);
}

static void
packed_slot(struct fast *f)
{
	struct vmm_ring *r = f->ring;
	uint16_t id = f->held[--f->n_held];
	struct vring_packed_desc *s = &f->slots[r->avail_idx];
	uint16_t lap = r->avail_wrap ? 1 << VRING_PACKED_DESC_F_AVAIL :
				       1 << VRING_PACKED_DESC_F_USED;

	s->addr = f->addrs[id];
	s->len = f->lens[id];
	s->id = id;
	__atomic_store_n(&s->flags, f->flags | lap, __ATOMIC_RELEASE);
	if (++r->avail_idx == r->conf.size) {
		r->avail_idx = 0;
		r->avail_wrap = !r->avail_wrap;
	}
}

static bool
packed_offer(struct fast *f, uint32_t n)
{
	while (n-- > 0)
		packed_slot(f);
	return packed_wanted(f->ring);
}

uint32_t
fast_offer(struct fast *f, uint32_t n)
{
	bool wanted;

	if (n > f->n_held)
		n = f->n_held;
	if (n == 0)
		return 0;
	f->ring->unpublished = n;
	wanted = f->ring->conf.packed ? packed_offer(f, n) : split_offer(f, n);
	f->ring->unpublished = 0;
	if (wanted && write(f->ring->kickfd, &(uint64_t){ 1 }, sizeof(uint64_t)) > 0)
		f->ring->stats.kicks++;
	return n;
}
