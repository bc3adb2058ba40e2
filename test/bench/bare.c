/* SPDX-License-Identifier: BSD-3-Clause */
#include "bare.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)

struct bare_ring {
	bool packed;
	uint16_t size;
	uint16_t idx;
	bool wrap;
	uint8_t *base;  /* of the guest's memory, which is one region at address 0 */
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *slots;
	};
	struct vring_avail *avail;
	struct vring_used *used;
};

struct bare {
	struct bare_ring tx, rx;
};

static void
ring_init(struct bare_ring *b, const struct vmm_queue *q)
{
	const struct vmm_ring *r = q->ring;

	*b = (struct bare_ring){ .packed = r->conf.packed, .size = r->conf.size, .wrap = true };
	b->base = vmm_mem_host(r->mem, 0, 1);
	b->desc = vmm_mem_host(r->mem, r->addr.desc, 1);
	b->avail = vmm_mem_host(r->mem, r->addr.avail, 1);
	b->used = vmm_mem_host(r->mem, r->addr.used, 1);
}

int
bare_create(const struct vmm_queue *tx, const struct vmm_queue *rx, struct bare **out)
{
	struct bare *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	ring_init(&b->tx, tx);
	ring_init(&b->rx, rx);
	*out = b;
	return 0;
}

static uint32_t
split_turn(struct bare_ring *tx, struct bare_ring *rx, uint32_t max)
{
	uint16_t mask = tx->size - 1;
	uint32_t n = (uint16_t)(__atomic_load_n(&tx->avail->idx, __ATOMIC_ACQUIRE) - tx->idx);

	n = n < max ? n : max;
	for (uint32_t i = 0; i < n; i++) {
		uint16_t from = tx->avail->ring[tx->idx & mask];
		uint16_t to = rx->avail->ring[rx->idx & mask];
		uint32_t len = tx->desc[from].len;

		memcpy(rx->base + rx->desc[to].addr, tx->base + tx->desc[from].addr, len);
		rx->used->ring[rx->idx++ & mask] = (struct vring_used_elem){ to, len };
		tx->used->ring[tx->idx++ & mask] = (struct vring_used_elem){ from, 0 };
	}
	__atomic_store_n(&rx->used->idx, rx->idx, __ATOMIC_RELEASE);
	__atomic_store_n(&tx->used->idx, tx->idx, __ATOMIC_RELEASE);
	return n;
}

static bool
packed_ready(const struct bare_ring *r)
{
	uint16_t flags = __atomic_load_n(&r->slots[r->idx].flags, __ATOMIC_ACQUIRE);

	return ((flags & AVAIL) != 0) == r->wrap && ((flags & USED) != 0) != r->wrap;
}

static void
packed_use(struct bare_ring *r, uint32_t len)
{
	struct vring_packed_desc *d = &r->slots[r->idx];
	uint16_t flags = (r->wrap ? AVAIL | USED : 0) | (len > 0 ? VRING_DESC_F_WRITE : 0);

	d->len = len;
	__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
	if (++r->idx == r->size) {
		r->idx = 0;
		r->wrap = !r->wrap;
	}
}

static uint32_t
packed_turn(struct bare_ring *tx, struct bare_ring *rx, uint32_t max)
{
	uint32_t n;

	for (n = 0; n < max && packed_ready(tx); n++) {
		const struct vring_packed_desc *from = &tx->slots[tx->idx];
		uint32_t len = from->len;

		memcpy(rx->base + rx->slots[rx->idx].addr, tx->base + from->addr, len);
		packed_use(rx, len);
		packed_use(tx, 0);
	}
	return n;
}

uint32_t
bare_turn(struct bare *b, uint32_t max)
{
	return b->tx.packed ? packed_turn(&b->tx, &b->rx, max) : split_turn(&b->tx, &b->rx, max);
}
