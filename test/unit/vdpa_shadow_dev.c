/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa_shadow_dev.h"

#include "check.h"

#include <linux/virtio_ring.h>
#include <stdlib.h>

#define IOVA 0x700000000000ULL

static void *
at(const struct dev *d, uint64_t iova, uint64_t len)
{
	if (iova - d->iova > d->bytes || len > d->bytes - (iova - d->iova)) {
		fprintf(stderr, "device looks outside of its queue: %llx\n",
			(unsigned long long)iova);
		abort();
	}
	return d->mem + (iova - d->iova);
}

static struct vring_desc *
descs(const struct dev *d)
{
	return at(d, d->queue.desc, d->size * 16ULL);
}

static struct vring_avail *
avail(const struct dev *d)
{
	return at(d, d->queue.driver, 6 + 2ULL * d->size);
}

static struct vring_used *
used(const struct dev *d)
{
	return at(d, d->queue.device, 6 + 8ULL * d->size);
}

void
dev_init(struct dev *d, struct vmm_mem *guest, uint16_t size, uint64_t features)
{
	memset(d, 0, sizeof(*d));
	d->guest = guest;
	d->size = size;
	d->features = features;
	d->bytes = shadow_dev_bytes(size, features);
	d->iova = IOVA;
	d->event_idx = (features >> VIRTIO_RING_F_EVENT_IDX & 1) != 0;
	d->mem = aligned_alloc(4096, (d->bytes + 4095) & ~4095ULL);
	d->held = calloc(size, sizeof(*d->held));
	if (d->mem == NULL || d->held == NULL)
		abort();
	memset(d->mem, 0xa5, d->bytes);
}

void
dev_fini(struct dev *d)
{
	for (uint16_t i = 0; i < d->size; i++)
		free(d->held[i].pieces);
	free(d->held);
	free(d->mem);
}

void
dev_start(struct dev *d, const struct shadow *s)
{
	shadow_queue(s, &d->queue);
	CHECK(d->queue.size == d->size);
	CHECK(d->queue.desc % 16 == 0 && d->queue.driver % 2 == 0 && d->queue.device % 4 == 0);
	CHECK(avail(d)->idx == 0 && used(d)->idx == 0);
}

static void
piece_take(struct dev_chain *c, const struct vring_desc *e, uint32_t max)
{
	if (c->n == max) {
		fprintf(stderr, "device was given a chain without an end\n");
		abort();
	}
	c->pieces = realloc(c->pieces, (c->n + 1) * sizeof(*c->pieces));
	c->pieces[c->n++] = (struct dev_piece){
		.addr = e->addr, .len = e->len, .write = (e->flags & VRING_DESC_F_WRITE) != 0,
	};
	c->len += e->len;
}

static void
chain_take(struct dev *d, struct dev_chain *c)
{
	const struct vring_desc *table = descs(d);
	uint32_t n = d->size, i = c->head;

	CHECK(c->head < d->size);
	if (table[i].flags & VRING_DESC_F_INDIRECT) {
		CHECK((d->features >> VIRTIO_RING_F_INDIRECT_DESC & 1) != 0);
		n = table[i].len / 16;
		table = at(d, table[i].addr, table[i].len);
		i = 0;
	}
	while (i < n) {
		piece_take(c, &table[i], d->size);
		if ((table[i].flags & VRING_DESC_F_NEXT) == 0)
			return;
		i = table[i].next;
	}
	CHECK(i < n);
}

uint16_t
dev_take(struct dev *d, uint16_t max)
{
	const uint16_t ready = __atomic_load_n(&avail(d)->idx, __ATOMIC_ACQUIRE) - d->avail_idx;
	uint16_t n = 0;

	CHECK(ready + d->n_held <= d->size);
	for (; n < ready && n < max; n++) {
		struct dev_chain *c = &d->held[d->n_held++];

		c->head = avail(d)->ring[d->avail_idx++ & (d->size - 1)];
		c->n = c->len = 0;
		chain_take(d, c);
	}
	return n;
}

void
dev_element(struct dev *d, uint32_t id, uint32_t len)
{
	used(d)->ring[d->used_idx++ & (d->size - 1)] = (struct vring_used_elem){ id, len };
}

void
dev_finish(struct dev *d, uint16_t i, uint32_t len)
{
	struct dev_chain c = d->held[i];

	dev_element(d, c.head, len);
	d->n_held--;
	memmove(&d->held[i], &d->held[i + 1], (d->n_held - i) * sizeof(c));
	d->held[d->n_held] = c;
}

bool
dev_publish(struct dev *d)
{
	const uint16_t before = d->used_shown, event = avail(d)->ring[d->size];

	d->used_shown = d->used_idx;
	__atomic_store_n(&used(d)->idx, d->used_idx, __ATOMIC_RELEASE);
	if (d->used_idx == before)
		return false;
	return d->event_idx ? vring_need_event(event, d->used_idx, before) :
			      (avail(d)->flags & VRING_AVAIL_F_NO_INTERRUPT) == 0;
}

void
dev_arm(struct dev *d)
{
	if (d->event_idx)
		*(uint16_t *)&used(d)->ring[d->size] = avail(d)->idx;
	else
		used(d)->flags = 0;
}

void
dev_disarm(struct dev *d)
{
	if (d->event_idx)
		*(uint16_t *)&used(d)->ring[d->size] = (uint16_t)(avail(d)->idx - 1);
	else
		used(d)->flags = VRING_USED_F_NO_NOTIFY;
}

static uint8_t *
guest_at(const struct dev *d, uint64_t gpa, uint32_t len)
{
	uint8_t *p = vmm_mem_host(d->guest, gpa, len);

	if (p == NULL) {
		fprintf(stderr, "device looks outside of the guest: %llx\n",
			(unsigned long long)gpa);
		abort();
	}
	return p;
}

void
dev_read(const struct dev *d, const struct dev_chain *c, uint8_t *to, uint32_t len)
{
	for (uint32_t i = 0, some; len > 0 && i < c->n; i++, len -= some, to += some) {
		some = c->pieces[i].len < len ? c->pieces[i].len : len;
		CHECK(!c->pieces[i].write);
		memcpy(to, guest_at(d, c->pieces[i].addr, some), some);
	}
}

void
dev_write(const struct dev *d, const struct dev_chain *c, const uint8_t *from, uint32_t len)
{
	for (uint32_t i = 0, some; len > 0 && i < c->n; i++, len -= some, from += some) {
		some = c->pieces[i].len < len ? c->pieces[i].len : len;
		CHECK(c->pieces[i].write);
		memcpy(guest_at(d, c->pieces[i].addr, some), from, some);
	}
}
