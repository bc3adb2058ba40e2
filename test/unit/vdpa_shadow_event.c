/* SPDX-License-Identifier: BSD-3-Clause */
/* Notifications, against what the specification says of each single entry. */
#include "vdpa_shadow_test.h"

#include "check.h"
#include "vdpa_shadow_rig.h"

#include <linux/virtio_ring.h>

#define EVENT_DISABLE 1
#define EVENT_DESC    2

static void
post_some(uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		rig_post(1);
}

/* Through the device and back.  @return the guest is called */
static bool
round_trip(uint16_t n)
{
	bool doorbell, call;

	post_some(n);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == n);
	CHECK(dev_take(&rig.d, 64) == n);
	while (rig.d.n_held > 0)
		dev_finish(&rig.d, 0, 0);
	dev_publish(&rig.d);
	CHECK(shadow_complete(rig.s, 64, &call) == n);
	return call;
}

/* 2.7.7.2: called when the used index passes what the driver named, and not else. */
static void
split_call_events(void)
{
	for (uint32_t pos = 65530; pos < 65542; pos++) {
		for (uint16_t n = 1; n <= 5; n++) {
			for (int event = -8; event < 12; event++) {
				const uint16_t at = (uint16_t)(pos + event);

				rig_lay(F_EVENT, true, 8, 0);
				rig.opts.pos = (uint16_t)pos;
				rig_start();
				((struct vring_avail *)rig_at(RIG_DRIVER))->ring[RIG_SIZE] = at;
				CHECK(round_trip(n) == (event >= 0 && event < n));
				rig_end();
			}
		}
	}
}

/* Whether one of `n` slots from a position on is the one that the driver named (2.8.10). */
static bool
slot_passed(uint16_t size, uint16_t pos, uint16_t n, uint16_t event)
{
	for (uint16_t slot = pos & 0x7fff, wrap = pos >> 15; n > 0; n--) {
		if (event == (slot | wrap << 15))
			return true;
		if (++slot == size) {
			slot = 0;
			wrap ^= 1;
		}
	}
	return false;
}

static void
packed_call_row(uint16_t size, uint16_t pos, uint16_t n, uint16_t event)
{
	struct vring_packed_desc_event *driver;

	rig_lay(F_EVENT | F_PACKED, true, 8, 0);
	rig.opts.size = size;
	rig.opts.pos = pos;
	rig_start();
	driver = rig_at(RIG_DRIVER);
	driver->off_wrap = event;
	driver->flags = EVENT_DESC;
	CHECK(round_trip(n) == slot_passed(size, pos, n, event));
	rig_end();
}

static void
packed_call_events(void)
{
	const uint16_t size = 5;

	for (uint16_t pos = 0; pos < 2 * size; pos++)
		for (uint16_t n = 1; n <= size; n++)
			for (uint16_t event = 0; event < 2 * size; event++)
				packed_call_row(size, (uint16_t)(pos % size | pos / size << 15), n,
						(uint16_t)(event % size | event / size << 15));
}

/* Without an event index a flag tells, and it tells of every chain. */
static void
call_flags(void)
{
	rig_lay(0, true, 8, 0);
	rig_start();
	CHECK(round_trip(1) && round_trip(3));
	*(uint16_t *)rig_at(RIG_DRIVER) = VRING_AVAIL_F_NO_INTERRUPT;
	CHECK(!round_trip(1) && !round_trip(3));
	rig_end();
	rig_lay(F_PACKED, true, 8, 0);
	rig_start();
	CHECK(round_trip(1) && round_trip(3));
	((struct vring_packed_desc_event *)rig_at(RIG_DRIVER))->flags = EVENT_DISABLE;
	CHECK(!round_trip(1) && !round_trip(3));
	rig_end();
}

/* What the guest is told of kicks, as it stands in its memory. */
static void
kicks_split(void)
{
	struct vring_used *used;
	uint16_t *event;

	rig_lay(0, true, 8, 0);
	rig_start();
	used = rig_at(RIG_DEVICE);
	shadow_disarm(rig.s, SHADOW_GUEST);
	CHECK(used->flags == VRING_USED_F_NO_NOTIFY);
	CHECK(!shadow_arm(rig.s, SHADOW_GUEST) && used->flags == 0);
	post_some(2);
	CHECK(shadow_arm(rig.s, SHADOW_GUEST));
	rig_end();
	rig_lay(F_EVENT, true, 8, 0);
	rig.opts.pos = 65534;
	rig_start();
	event = (uint16_t *)&used->ring[RIG_SIZE];
	round_trip(3);
	CHECK(!shadow_arm(rig.s, SHADOW_GUEST) && *event == 1);
	shadow_disarm(rig.s, SHADOW_GUEST);
	CHECK(*event == 1 && used->flags == 0);
	rig_end();
}

static void
kicks_packed(void)
{
	struct vring_packed_desc_event *device;

	rig_lay(F_PACKED, true, 8, 0);
	rig_start();
	device = rig_at(RIG_DEVICE);
	shadow_disarm(rig.s, SHADOW_GUEST);
	CHECK(device->flags == EVENT_DISABLE);
	CHECK(!shadow_arm(rig.s, SHADOW_GUEST) && device->flags == 0);
	rig_end();
	rig_lay(F_PACKED | F_EVENT, true, 8, 0);
	rig.opts.pos = RIG_SIZE - 2;
	rig_start();
	round_trip(3);
	CHECK(!shadow_arm(rig.s, SHADOW_GUEST));
	CHECK(device->flags == EVENT_DESC && device->off_wrap == (1 | 1 << 15));
	shadow_disarm(rig.s, SHADOW_GUEST);
	CHECK(device->flags == EVENT_DISABLE);
	rig_end();
}

/* What is taken and not given back counts: the guest's next chain is the one behind it. */
static void
kicks_in_flight(void)
{
	struct vring_used *used;
	bool doorbell;

	rig_lay(F_EVENT, true, 8, 0);
	rig_start();
	used = rig_at(RIG_DEVICE);
	post_some(3);
	CHECK(shadow_submit(rig.s, 2, &doorbell) == 2);
	CHECK(shadow_arm(rig.s, SHADOW_GUEST));
	CHECK(shadow_submit(rig.s, 2, &doorbell) == 1);
	CHECK(!shadow_arm(rig.s, SHADOW_GUEST));
	CHECK(*(uint16_t *)&used->ring[RIG_SIZE] == 3);
	rig_end();
}

/* The device's wish for doorbells, over the end of its indexes. */
static void
doorbells(uint64_t dev_features)
{
	bool doorbell;

	rig_lay(0, true, 4, dev_features);
	rig_start();
	for (uint32_t i = 0; i < 70000; i++) {
		const bool armed = i % 3 == 0;

		if (armed)
			dev_arm(&rig.d);
		else
			dev_disarm(&rig.d);
		post_some(1);
		if (shadow_submit(rig.s, 64, &doorbell) != 1 || doorbell != armed)
			break;
		dev_take(&rig.d, 1);
		dev_finish(&rig.d, 0, 0);
		dev_publish(&rig.d);
		shadow_complete(rig.s, 64, &doorbell);
	}
	CHECK(rig.posted == 70000);
	rig_end();
}

static void
interrupts(uint64_t dev_features)
{
	bool more;

	rig_lay(0, true, 8, dev_features);
	rig_start();
	round_trip(3);
	CHECK(!shadow_arm(rig.s, SHADOW_DEVICE));
	post_some(2);
	shadow_submit(rig.s, 64, &more);
	dev_take(&rig.d, 2);
	dev_finish(&rig.d, 0, 0);
	CHECK(dev_publish(&rig.d));
	CHECK(shadow_arm(rig.s, SHADOW_DEVICE));
	shadow_complete(rig.s, 64, &more);
	shadow_disarm(rig.s, SHADOW_DEVICE);
	dev_finish(&rig.d, 0, 0);
	/* With an event index the wish that was named has been passed. */
	CHECK(!dev_publish(&rig.d));
	rig_end();
}

void
test_events(void)
{
	split_call_events();
	packed_call_events();
	call_flags();
	kicks_split();
	kicks_packed();
	kicks_in_flight();
	doorbells(0);
	doorbells(F_EVENT);
	interrupts(0);
	interrupts(F_EVENT);
}
