/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices that are strangers, too, and chains that find no room in them. */
#include "vdpa_shadow_test.h"

#include "check.h"
#include "vdpa_shadow_rig.h"

static void
post_some(uint16_t n)
{
	bool doorbell;

	for (uint16_t i = 0; i < n; i++)
		rig_post(1);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == n);
	CHECK(dev_take(&rig.d, 64) == n);
}

static void
id_outside(void)
{
	dev_element(&rig.d, 8, 0);
}

static void
id_huge(void)
{
	dev_element(&rig.d, UINT32_MAX, 0);
}

static void
id_of_none(void)
{
	dev_element(&rig.d, 7, 0);
}

static void
id_twice(void)
{
	dev_element(&rig.d, rig.d.held[0].head, 0);
	dev_element(&rig.d, rig.d.held[0].head, 0);
}

static void
index_jumps(void)
{
	rig.d.used_idx += 7;
}

static void
index_back(void)
{
	rig.d.used_idx--;
}

static void
too_long(void)
{
	dev_finish(&rig.d, 0, 101);
}

static void
much_too_long(void)
{
	dev_finish(&rig.d, 0, UINT32_MAX);
}

/* Six chains, of which the first is completed as it should be. */
static const struct {
	const char *story, *fault;
	bool tx;
	void (*does)(void);
	uint16_t given;         /* beyond the first, before the ring is stopped */
} rows[] = {
	{ "id outside", "id", true, id_outside, 0 },
	{ "id far outside", "id", false, id_huge, 0 },
	{ "id of no chain", "id", true, id_of_none, 0 },
	{ "id twice", "id", true, id_twice, 1 },
	{ "index jumps", "index", true, index_jumps, 0 },
	{ "index goes back", "index", false, index_back, 0 },
	{ "too long", "length", false, too_long, 1 },
	{ "much too long", "length", false, much_too_long, 1 },
	{ "length of a transmit chain", "none", true, much_too_long, 1 },
};

static void
fault_row(size_t i, uint64_t features)
{
	const uint16_t base = features == 0 ? 0 : 1 << 15;
	bool call, doorbell;
	uint16_t pos;

	rig_lay(features, rows[i].tx, 8, 0);
	rig_start();
	post_some(6);
	dev_finish(&rig.d, 0, 0);
	dev_publish(&rig.d);
	CHECK(shadow_complete(rig.s, 64, &call) == 1);
	rows[i].does();
	dev_publish(&rig.d);
	CHECK(shadow_complete(rig.s, 64, &call) == rows[i].given);
	CHECK_STR(rows[i].story, shadow_fault_names[shadow_fault(rig.s)], rows[i].fault);
	if (rows[i].given > 0)
		CHECK(rig_used_len(1) == (rows[i].tx ? 0 : 100));
	rig_post(1);
	CHECK((shadow_submit(rig.s, 64, &doorbell) == 0) == (strcmp(rows[i].fault, "none") != 0));
	/* What it says from now on is not heard. */
	dev_finish(&rig.d, 0, 0);
	dev_publish(&rig.d);
	if (strcmp(rows[i].fault, "none") != 0) {
		CHECK(shadow_complete(rig.s, 64, &call) == 0);
		CHECK(shadow_stop(rig.s, &pos, &call) == 0);
		CHECK(pos == base + 1 + rows[i].given && pos == rig_used());
	}
	rig_end();
}

/* A chain is named by its first descriptor. */
static void
id_inside(void)
{
	bool doorbell, call;

	rig_lay(0, true, 4, 0);
	rig_start();
	rig_post(3);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 1);
	dev_element(&rig.d, 1, 0);
	dev_publish(&rig.d);
	CHECK(shadow_complete(rig.s, 64, &call) == 0);
	CHECK(shadow_fault(rig.s) == SHADOW_FAULT_ID);
	rig_end();
}

/* A chain of more descriptors than the device has is given back and counted; the next one goes. */
static void
chain_too_long(void)
{
	struct shadow_stats st;
	bool doorbell, call;

	rig_lay(0, true, 4, 0);
	rig_start();
	rig_post(5);
	rig_post(3);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 2);
	CHECK(dev_take(&rig.d, 64) == 1 && rig.d.held[0].n == 3);
	CHECK(shadow_arm(rig.s, SHADOW_DEVICE));
	CHECK(shadow_complete(rig.s, 64, &call) == 1 && rig_used_len(0) == 0);
	dev_finish(&rig.d, 0, 0);
	dev_publish(&rig.d);
	CHECK(shadow_complete(rig.s, 64, &call) == 1);
	shadow_stats(rig.s, &st);
	CHECK(st.chains == 2 && st.dropped == 1 && st.skipped == 1 && st.in_flight == 0);
	rig_end();
}

/* A chain that finds no room waits, and nobody is asked for kicks that would help nobody. */
static void
chain_waits(void)
{
	bool doorbell, call;

	rig_lay(0, true, 4, 0);
	rig_start();
	rig_post(3);
	rig_post(2);
	rig_post(1);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 1);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 0);
	CHECK(!shadow_arm(rig.s, SHADOW_GUEST | SHADOW_DEVICE));
	CHECK(dev_take(&rig.d, 64) == 1);
	dev_finish(&rig.d, 0, 0);
	dev_publish(&rig.d);
	CHECK(shadow_arm(rig.s, SHADOW_GUEST | SHADOW_DEVICE));
	CHECK(shadow_complete(rig.s, 64, &call) == 1);
	CHECK(shadow_arm(rig.s, SHADOW_GUEST));
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 2);
	rig_end();
}

/* With tables a chain takes one of the device's descriptors. */
static void
chain_in_table(void)
{
	bool doorbell;

	rig_lay(0, true, 4, F_INDIRECT);
	rig_start();
	for (int i = 0; i < 4; i++)
		rig_post(3);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 4);
	CHECK(dev_take(&rig.d, 64) == 4);
	for (int i = 0; i < 4; i++)
		CHECK(rig.d.held[i].n == 3 && rig.d.held[i].len == 300);
	rig_end();
}

/* Across a border of regions the device's addresses go on, so it gets the guest's descriptor. */
static void
buffer_over_border(void)
{
	const struct ent e = { RIG_BORDER - 7, 50, 0, 0 };
	bool doorbell;

	rig_lay(F_PACKED, true, 4, 0);
	rig_start();
	rig_desc(0, &e);
	rig_push(0, 1);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 1);
	CHECK(dev_take(&rig.d, 64) == 1 && rig.d.held[0].n == 1);
	CHECK(rig.d.held[0].pieces[0].addr == e.addr && rig.d.held[0].len == 50);
	rig_end();
}

/* What is discarded goes back behind what the device holds, and is not the device's to lose. */
static void
discards(void)
{
	struct shadow_stats st;
	bool doorbell, call;
	uint16_t pos;

	rig_lay(F_PACKED, true, 8, 0);
	rig_start();
	rig_post(1);
	CHECK(shadow_discard(rig.s, 64) == 1 && shadow_complete(rig.s, 64, &call) == 1);
	shadow_stats(rig.s, &st);
	CHECK(st.chains == 1 && st.skipped == 1);
	post_some(2);
	for (int i = 0; i < 3; i++)
		rig_post(1);
	CHECK(shadow_discard(rig.s, 2) == 2);
	CHECK(shadow_complete(rig.s, 64, &call) == 0);
	dev_finish(&rig.d, 0, 0);
	dev_publish(&rig.d);
	CHECK(shadow_complete(rig.s, 64, &call) == 1);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 1);
	CHECK(shadow_stop(rig.s, &pos, &call) == 0 && pos == (2 | 1 << 15));
	shadow_stats(rig.s, &st);
	CHECK(st.chains == 2 && st.skipped == 1);
	rig_end();
}

static void
refusals(void)
{
	static const uint16_t sizes[] = { 0, 3, 32769, 65535 };
	struct shadow *s;

	rig_lay(0, true, 8, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		rig.opts.dev_size = sizes[i];
		CHECK(shadow_create(&s, &rig.opts) < 0);
	}
	shadow_destroy(NULL);
	dev_fini(&rig.d);
}

void
test_device(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fault_row(i, 0);
		fault_row(i, F_PACKED);
	}
	id_inside();
	chain_too_long();
	chain_waits();
	chain_in_table();
	buffer_over_border();
	discards();
	refusals();
}
