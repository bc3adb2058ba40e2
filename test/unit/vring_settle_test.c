/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packed ring whose device dies at any moment and comes back with an old position: it goes on
 * exactly where it was; and a right position is never overruled.
 */
#include "check.h"
#include "vring.h"

#include <linux/virtio_config.h>
#include <stdlib.h>

#define SIZE_MAX_HERE 64
#define AVAIL (1u << 7)
#define USED  (1u << 15)
#define NEXT  1u
#define WRITE 2u

#define F_INDIRECT_DESC 28 /* a driver that has it makes chains of one slot */

#define RING_AT   0
#define EVENTS_AT 0x8000
#define BUFS_AT   0x10000
#define BUF_LEN   2048

static uint8_t memory[0x40000] __attribute__((aligned(4096)));

/* A driver that makes chains of one slot, or of up to `chain_max`. */
struct driver {
	uint16_t size;
	uint16_t chain_max;
	bool writable;
	uint16_t slot;
	bool wrap;
	uint32_t free;       /* slots */
	uint16_t next_id;
};

static struct vring_packed_desc *
ring(void)
{
	return (struct vring_packed_desc *)(memory + RING_AT);
}

static void
slot_post(struct driver *d, uint16_t id, bool next)
{
	struct vring_packed_desc *s = &ring()[d->slot];

	s->addr = BUFS_AT + (uint64_t)(d->slot % 64) * BUF_LEN;
	s->len = BUF_LEN;
	s->id = id;
	s->flags = (uint16_t)((d->wrap ? AVAIL : USED) | (next ? NEXT : 0) |
			      (d->writable ? WRITE : 0));
	d->free--;
	if (++d->slot == d->size) {
		d->slot = 0;
		d->wrap = !d->wrap;
	}
}

static void
post(struct driver *d, uint32_t chains)
{
	while (chains-- > 0) {
		uint16_t n = (uint16_t)(1 + rand() % d->chain_max);

		if (n > d->free)
			return;
		for (uint16_t i = 0; i < n; i++)
			slot_post(d, d->next_id, i + 1 < n);
		d->next_id++;
	}
}

static struct gmem *
memory_create(void)
{
	const struct gmem_region region = { .gpa = 0, .size = sizeof(memory), .host = memory };
	struct gmem *m = NULL;

	CHECK(gmem_create(&region, 1, 0, &m) == 0);
	return m;
}

static enum vring_bad
device_start(struct vring *r, const struct driver *d, const struct gmem *m, struct vring_pos pos,
	     bool told)
{
	const struct vring_opts opts = {
		.mem = m, .size = d->size, .writable = d->writable, .pos = pos, .told = told,
		.features = 1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_F_VERSION_1 |
			    (d->chain_max == 1 ? 1ULL << F_INDIRECT_DESC : 0),
		.desc = { RING_AT }, .driver = { EVENTS_AT }, .device = { EVENTS_AT + 4 },
	};

	return vring_init(r, &opts);
}

/* Gives some chains back, and dies before it publishes the last of them when it is to. */
static uint32_t
device_work(struct vring *r, struct driver *d, uint32_t max, bool die)
{
	static struct vring_batch batch;
	uint32_t slots = 0, n;

	vring_batch_reset(&batch);
	n = vring_peek(r, &batch, max);
	for (uint32_t i = 0; i < n; i++) {
		slots += batch.chains[i].n_slots;
		vring_put(r, &batch.chains[i], d->writable ? 100 : 0);
	}
	if (!die)
		vring_publish(r);
	d->free += slots;
	return n;
}

static struct vring_pos
first_pos(void)
{
	return (struct vring_pos){ .avail_wrap = true, .used_wrap = true };
}

/* Single slots: every death is survived, whatever position the front-end remembers. */
static void
life(uint16_t size, bool writable, const struct gmem *m)
{
	struct driver d = { .size = size, .chain_max = 1, .writable = writable, .wrap = true,
			    .free = size };
	struct vring_pos told = first_pos();
	struct vring r, again;

	memset(memory, 0, sizeof(memory));
	CHECK(device_start(&r, &d, m, told, true) == VRING_BAD_NONE);
	for (int i = 0; i < 400; i++) {
		struct vring before = r;
		bool die = rand() % 3 == 0;
		uint32_t n;

		post(&d, (uint32_t)rand() % (size + 1u));
		n = device_work(&r, &d, 1 + (uint32_t)rand() % size, die);
		if (!die)
			continue;
		/* A single buffer whose element was held back was never given back. */
		if (writable && n == 1) {
			r = before;
			d.free--;
		}
		CHECK(device_start(&again, &d, m, told, true) == VRING_BAD_NONE);
		CHECK(again.idx == r.idx && again.wrap == r.wrap);
		if (rand() % 4 == 0)
			told = vring_pos(&r);
		CHECK(device_start(&r, &d, m, vring_pos(&again), false) == VRING_BAD_NONE);
	}
}

static bool
available(uint16_t slot, bool wrap)
{
	uint16_t flags = ring()[slot].flags;

	return ((flags & AVAIL) != 0) == wrap && ((flags & USED) != 0) != wrap;
}

/* With no back-end QEMU drops what it finds to be sent at the position that it remembers. */
static uint32_t
front_end_drop(struct driver *d, struct vring_pos *told, uint32_t max)
{
	uint32_t n = 0;

	for (; n < max && available(told->used, told->used_wrap); n++) {
		struct vring_packed_desc *s = &ring()[told->used];

		s->len = 0;
		s->flags = told->used_wrap ? AVAIL | USED : 0;
		d->free++;
		if (++told->used == d->size) {
			told->used = 0;
			told->used_wrap = !told->used_wrap;
		}
	}
	told->avail = told->used;
	told->avail_wrap = told->used_wrap;
	return n;
}

/* Slots in the device's hands, whatever position says so. */
static uint32_t
n_available(uint16_t size)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < size; i++)
		n += available(i, true) || available(i, false);
	return n;
}

/* What it dropped came after chains that nobody had sent: those are dropped, too, and it goes on. */
static void
dropped(uint16_t size, const struct gmem *m)
{
	struct driver d = { .size = size, .chain_max = 1, .wrap = true, .free = size };
	struct vring_pos told = first_pos();
	uint32_t n_dropped = 0;
	struct vring r;

	memset(memory, 0, sizeof(memory));
	CHECK(device_start(&r, &d, m, told, false) == VRING_BAD_NONE);
	for (int i = 0; i < 4000; i++) {
		post(&d, (uint32_t)rand() % size);
		device_work(&r, &d, 1 + (uint32_t)rand() % size, false);
		if (rand() % 4 != 0)
			continue;
		post(&d, (uint32_t)rand() % size);
		n_dropped += front_end_drop(&d, &told, 1 + (uint32_t)rand() % size) > 0;
		CHECK(device_start(&r, &d, m, told, true) == VRING_BAD_NONE);
		d.free = size - n_available(size);
		told = vring_pos(&r);
		if (rand() % 2 == 0)
			told = first_pos();
		device_work(&r, &d, size, false);
		CHECK(n_available(size) == 0);
	}
	CHECK(n_dropped > 20);
}

/* Longer chains: a right position stands; an old one is replaced by the right one or stands. */
static void
chains(uint16_t size, const struct gmem *m)
{
	struct driver d = { .size = size, .chain_max = 4, .wrap = true, .free = size };
	uint32_t right = 0, old = 0;
	struct vring r, again;
	uint32_t n = 0;

	memset(memory, 0, sizeof(memory));
	CHECK(device_start(&r, &d, m, first_pos(), true) == VRING_BAD_NONE);
	for (int i = 0; i < 400; i++) {
		struct vring_pos before = vring_pos(&r);

		post(&d, 1 + (uint32_t)rand() % 4);
		if (device_work(&r, &d, 2, false) == 0)
			continue;
		CHECK(device_start(&again, &d, m, vring_pos(&r), true) == VRING_BAD_NONE);
		CHECK(again.idx == r.idx && again.wrap == r.wrap);
		CHECK(device_start(&again, &d, m, before, true) == VRING_BAD_NONE);
		if (again.idx == r.idx && again.wrap == r.wrap)
			right++;
		else
			old += again.idx == before.used && again.wrap == before.used_wrap;
		n++;
	}
	CHECK(n > 100 && right + old == n);
}

int
main(void)
{
	static const uint16_t sizes[] = { 1, 2, 3, 7, 16, 64 };
	struct gmem *m = memory_create();

	srand(1);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		life(sizes[i], false, m);
		life(sizes[i], true, m);
	}
	dropped(16, m);
	dropped(64, m);
	chains(64, m);
	gmem_destroy(m);
	return check_done("vring_settle");
}
