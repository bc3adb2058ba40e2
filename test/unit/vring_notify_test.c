/* SPDX-License-Identifier: BSD-3-Clause */
/* When either side wants to be told, event indexes against a model, and the order of what is seen. */
#include "vring_rig.h"

#include <pthread.h>
#include <sched.h>

/* Whether an interrupt is due: the entry that the driver named is among those just given back. */
static void
split_events(void)
{
	const struct vring_chain c = { .id = 0, .n_slots = 1 };
	uint16_t *event = &((struct vring_avail *)at(DRIVER, 4))->ring[8];

	for (uint32_t start = 65528; start < 65544; start++)
		for (uint32_t n = 1; n <= 8; n++)
			for (uint32_t e = 65520; e < 65560; e++) {
				bool due = e >= start && e < start + n;

				ring_make(F_V1 | F_EVENT, 8, false, (uint16_t)start, true);
				*event = (uint16_t)e;
				for (uint32_t i = 0; i < n; i++)
					vring_put(&ring, &c, 0);
				CHECK(vring_publish(&ring) == due);
				CHECK(!vring_publish(&ring));
			}
}

static bool
packed_due(uint16_t size, uint16_t slot, bool wrap, uint16_t n, uint16_t e, bool e_wrap)
{
	for (uint16_t i = 0; i < n; i++) {
		if (slot == e && wrap == e_wrap)
			return true;
		if (++slot == size) {
			slot = 0;
			wrap = !wrap;
		}
	}
	return false;
}

static void
packed_event(uint16_t size, uint16_t slot, bool wrap, uint16_t n)
{
	const struct vring_chain c = { .id = 0, .n_slots = 1 };
	struct vring_packed_event *event = at(DRIVER, 4);

	for (uint16_t e = 0; e < 2 * size; e++) {
		bool e_wrap = e >= size;

		ring_make(F_V1 | F_PACKED | F_EVENT, size, false, slot, wrap);
		event->flags = 2;
		event->off_wrap = (uint16_t)(e % size | (e_wrap ? 1 << 15 : 0));
		for (uint16_t i = 0; i < n; i++)
			vring_put(&ring, &c, 0);
		CHECK(vring_publish(&ring) == packed_due(size, slot, wrap, n, e % size, e_wrap));
	}
}

static void
packed_events(void)
{
	for (uint16_t size = 1; size <= 6; size++)
		for (uint16_t slot = 0; slot < size; slot++)
			for (uint16_t n = 1; n <= size; n++) {
				packed_event(size, slot, true, n);
				packed_event(size, slot, false, n);
			}
}

/* Without the event index only flags count. */
static void
flags(void)
{
	const struct vring_chain c = { .id = 0, .n_slots = 1 };
	struct vring_packed_event *event;

	ring_make(F_V1, 8, false, 0, true);
	vring_put(&ring, &c, 0);
	CHECK(vring_publish(&ring));
	((struct vring_avail *)at(DRIVER, 4))->flags = 1;
	vring_put(&ring, &c, 0);
	CHECK(!vring_publish(&ring));
	ring_make(F_V1 | F_PACKED, 8, false, 0, true);
	event = at(DRIVER, 4);
	event->flags = 0;
	vring_put(&ring, &c, 0);
	CHECK(vring_publish(&ring));
	event->flags = 1;
	vring_put(&ring, &c, 0);
	CHECK(!vring_publish(&ring));
}

static bool
asked(bool kicks, bool calls)
{
	struct vring_asked a;

	return vring_asked(&ring, &a) && a.kicks == kicks && a.calls == calls;
}

static void
arming(void)
{
	struct vring_used *used = at(DEVICE, 4);
	struct vring_avail *avail = at(DRIVER, 4);
	struct vring_packed_event *device = at(DEVICE, 4), *driver = at(DRIVER, 4);

	ring_make(F_V1, 8, false, 65535, true);
	vring_disarm(&ring);
	CHECK(used->flags == 1 && asked(false, true));
	CHECK(!vring_arm(&ring) && used->flags == 0 && asked(true, true));
	avail->flags = 1;
	CHECK(asked(true, false));
	split_offer(1, 100, 0);
	CHECK(vring_arm(&ring));
	ring_make(F_V1 | F_EVENT, 8, false, 65535, true);
	avail->ring[8] = 65535;
	CHECK(asked(false, true));
	CHECK(!vring_arm(&ring) && *(uint16_t *)&used->ring[8] == 65535 && asked(true, true));
	avail->ring[8] = 3;
	CHECK(asked(true, true));
	avail->ring[8] = 65534;
	CHECK(asked(true, false));
	ring_make(F_V1 | F_PACKED | F_EVENT, 7, false, 6, false);
	((struct vring_packed_desc *)at(DESC, 16))[6].flags = 1 << 7 | 1 << 15;
	CHECK(!vring_arm(&ring) && device->flags == 2 && device->off_wrap == 6);
	vring_disarm(&ring);
	CHECK(device->flags == 1 && asked(false, true));
	driver->flags = 1;
	CHECK(asked(false, false));
	/* At the position, ahead in the next lap, in the last one. */
	driver->flags = 2;
	driver->off_wrap = 6;
	CHECK(asked(false, true));
	driver->off_wrap = 5 | 1 << 15;
	CHECK(asked(false, true));
	driver->off_wrap = 5;
	CHECK(asked(false, false));
	driver->off_wrap = 6 | 1 << 15;
	CHECK(asked(false, false));
	packed_write(DESC + 6 * 16, &(struct desc){ BUF, 20, 0, 0 }, 1, 1 << 15);
	CHECK(vring_arm(&ring));
	ring_make(F_V1 | F_PACKED, 7, false, 6, true);
	CHECK(!vring_arm(&ring) && device->flags == 0 && asked(true, true));
	vring_break(&ring, VRING_BAD_INDEX);
	CHECK(!vring_asked(&ring, &(struct vring_asked){ 0 }));
}

/* Order: a driver that sees an entry sees what belongs to it */

#define ORDER_N    200000
#define ORDER_SIZE 64

static void *
order_driver(void *arg)
{
	bool packed = arg != NULL, wrap = true;
	const struct vring_used *used = at(DEVICE, 4);
	const struct vring_packed_desc *slots = at(DESC, 16);
	const uint64_t *payload = at(BUF, 8 * ORDER_SIZE);
	uintptr_t wrong = 0;

	for (uint32_t seen = 0; seen < ORDER_N; seen++) {
		uint32_t slot = seen % ORDER_SIZE;
		uint16_t want = wrap ? 1 << 7 | 1 << 15 : 0;

		if (packed)
			while ((__atomic_load_n(&slots[slot].flags, __ATOMIC_ACQUIRE) &
				(1 << 7 | 1 << 15)) != want)
				sched_yield();
		else
			while (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == (uint16_t)seen)
				sched_yield();
		wrong += (packed ? slots[slot].len : used->ring[slot].len) != seen + 1;
		wrong += __atomic_load_n(&payload[slot], __ATOMIC_RELAXED) < seen + 1;
		__atomic_store_n((uint32_t *)at(BUF + 4096, 4), seen + 1, __ATOMIC_RELEASE);
		if (slot == ORDER_SIZE - 1)
			wrap = !wrap;
	}
	return (void *)wrong;
}

/* The device runs ahead by no more than the ring holds, in batches of different lengths. */
static void
order(bool packed)
{
	struct vring_chain c = { .n_slots = 1 };
	uint32_t *seen = at(BUF + 4096, 4);
	uint64_t *payload = at(BUF, 8 * ORDER_SIZE);
	pthread_t driver;
	void *wrong;

	ring_make(F_V1 | (packed ? F_PACKED : 0), ORDER_SIZE, true, 0, true);
	memset(payload, 0, 8 * ORDER_SIZE);
	*seen = 0;
	CHECK(pthread_create(&driver, NULL, order_driver, packed ? &c : NULL) == 0);
	for (uint32_t i = 0; i < ORDER_N; i++) {
		while (i - __atomic_load_n(seen, __ATOMIC_ACQUIRE) >= ORDER_SIZE - 1) {
			vring_publish(&ring);
			sched_yield();
		}
		__atomic_store_n(&payload[i % ORDER_SIZE], i + 1, __ATOMIC_RELAXED);
		vring_put(&ring, &c, i + 1);
		if (i % 7 == 0 || i % 11 == 0)
			vring_publish(&ring);
	}
	vring_publish(&ring);
	pthread_join(driver, &wrong);
	CHECK(wrong == NULL);
}

void
vring_notify_stories(void)
{
	split_events();
	packed_events();
	flags();
	arming();
	order(false);
	order(true);
}
