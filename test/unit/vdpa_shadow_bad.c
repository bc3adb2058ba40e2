/* SPDX-License-Identifier: BSD-3-Clause */
/* Whatever breaks a ring in software breaks it here, by the same name. */
#include "vdpa_shadow_test.h"

#include "check.h"
#include "vdpa_shadow_rig.h"

#include "vring.h"

#include <stdlib.h>

enum { SPLIT = 1, PACKED = 2, BOTH = 3 };

/* Chains of a ring of 16; the bad one follows `before` good ones. */
struct row {
	const char *story;
	unsigned int formats;
	const char *bad;
	bool rx, direct;        /* no indirect descriptors were negotiated */
	uint16_t before;
	uint64_t table_at;      /* of `table`; 0: RIG_TABLE */
	struct ent ring[3];
	struct ent table[3];
};

#define TABLE(n) { RIG_TABLE, 16 * (n), RIG_INDIRECT, 0 }
#define ACROSS   (RIG_BORDER - 24)   /* the second entry has the border in it */

static const struct row rows[] = {
	{ "good", BOTH, "none", .ring = { { RIG_BUF, 12 } } },
	{ "good, receive", BOTH, "none", .rx = true, .ring = { { RIG_BUF, 12, RIG_WRITE } } },
	{ "no byte", BOTH, "zero", .ring = { { RIG_BUF, 0 } } },
	{ "no byte behind some", BOTH, "zero",
	  .ring = { { RIG_BUF, 100, RIG_NEXT, 1 }, { RIG_BUF, 0 } } },
	{ "outside", BOTH, "range", .ring = { { 1ULL << 40, 100 } } },
	{ "over the end", BOTH, "range", .ring = { { RIG_END - 99, 100 } } },
	{ "up to the end", BOTH, "none", .ring = { { RIG_END - 100, 100 } } },
	{ "over a border", BOTH, "none", .ring = { { RIG_BORDER - 1, 100 } } },
	{ "up to the last address", BOTH, "none", .ring = { { UINT64_MAX - 99, 100 } } },
	{ "around the last address", BOTH, "range", .ring = { { UINT64_MAX - 98, 100 } } },
	{ "4 GiB", BOTH, "range", .ring = { { RIG_BUF, UINT32_MAX } } },
	{ "writable", BOTH, "direction", .ring = { { RIG_BUF, 100, RIG_WRITE } } },
	{ "readable", BOTH, "direction", .rx = true, .ring = { { RIG_BUF, 100 } } },
	{ "cut header", BOTH, "short", .ring = { { RIG_BUF, 11 } } },
	{ "header in pieces", BOTH, "none",
	  .ring = { { RIG_BUF, 5, RIG_NEXT, 1 }, { RIG_BUF, 7 } } },
	{ "head in no table", SPLIT, "head",
	  .ring = { { RIG_BUF, 100, RIG_NEXT, 1 }, { RIG_BUF, 1, RIG_NEXT, RIG_SIZE } } },
	{ "next is itself", SPLIT, "loop", .ring = { { RIG_BUF, 100, RIG_NEXT, 0 } } },
	{ "table", BOTH, "none", .ring = { TABLE(1) }, .table = { { RIG_BUF, 100 } } },
	{ "table that was not negotiated", BOTH, "indirect", .direct = true, .ring = { TABLE(1) },
	  .table = { { RIG_BUF, 100 } } },
	{ "empty table", BOTH, "indirect", .ring = { { RIG_TABLE, 0, RIG_INDIRECT } } },
	{ "cut table", BOTH, "indirect", .ring = { { RIG_TABLE, 17, RIG_INDIRECT } } },
	{ "huge table", BOTH, "indirect",
	  .ring = { { RIG_TABLE, 16 * 32769, RIG_INDIRECT } } },
	{ "table and more", BOTH, "indirect",
	  .ring = { { RIG_TABLE, 16, RIG_INDIRECT | RIG_NEXT, 1 }, { RIG_BUF, 100 } },
	  .table = { { RIG_BUF, 100 } } },
	{ "more, then a table", SPLIT, "none",
	  .ring = { { RIG_BUF, 100, RIG_NEXT, 1 }, TABLE(1) }, .table = { { RIG_BUF, 100 } } },
	{ "more, then a table", PACKED, "indirect",
	  .ring = { { RIG_BUF, 100, RIG_NEXT }, TABLE(1) }, .table = { { RIG_BUF, 100 } } },
	{ "table outside", BOTH, "range", .ring = { { 1ULL << 40, 16, RIG_INDIRECT } } },
	{ "table over the end", BOTH, "range", .ring = { { RIG_END - 16, 32, RIG_INDIRECT } } },
	{ "table in a table", BOTH, "indirect", .ring = { TABLE(1) }, .table = { TABLE(1) } },
	{ "no byte in a table", BOTH, "zero", .ring = { TABLE(2) },
	  .table = { { RIG_BUF, 100, RIG_NEXT, 1 }, { RIG_BUF, 0 } } },
	{ "table that never ends", SPLIT, "loop", .ring = { TABLE(2) },
	  .table = { { RIG_BUF, 100, RIG_NEXT, 1 }, { RIG_BUF, 1, RIG_NEXT, 0 } } },
	{ "next outside of a table", SPLIT, "head", .ring = { TABLE(1) },
	  .table = { { RIG_BUF, 100, RIG_NEXT, 1 } } },
	{ "table over a border", BOTH, "none", .table_at = ACROSS,
	  .ring = { { ACROSS, 48, RIG_INDIRECT } },
	  .table = { { RIG_BUF, 5, RIG_NEXT, 1 }, { RIG_BUF, 5, RIG_NEXT, 2 }, { RIG_BUF, 5 } } },
	{ "table that is nowhere aligned", BOTH, "none", .table_at = RIG_TABLE + 3,
	  .ring = { { RIG_TABLE + 3, 16, RIG_INDIRECT } }, .table = { { RIG_BUF, 50 } } },
	{ "bad in a table over a border", BOTH, "direction", .table_at = ACROSS,
	  .ring = { { ACROSS, 32, RIG_INDIRECT } },
	  .table = { { RIG_BUF, 50, RIG_NEXT, 1 }, { RIG_BUF, 5, RIG_WRITE } } },
	{ "behind good ones", BOTH, "zero", .before = 3, .ring = { { RIG_BUF, 0 } } },
	{ "behind good ones, receive", BOTH, "range", .before = 5, .rx = true,
	  .ring = { { RIG_END, 100, RIG_WRITE } } },
	{ "loop behind good ones", SPLIT, "loop", .before = 2,
	  .ring = { { RIG_BUF, 100, RIG_NEXT, 0 } } },
};

static void
row_lay(const struct row *row, uint64_t features)
{
	const uint16_t first = row->before;
	uint16_t n = 1;

	rig_lay(features | (row->direct ? 0 : F_INDIRECT), !row->rx, 8, 0);
	rig_start();
	for (uint16_t i = 0; i < row->before; i++)
		rig_post(1);
	for (uint16_t i = 0; i < 3 && row->ring[i].addr > 0; i++) {
		struct ent e = row->ring[i];

		e.next += e.next < RIG_SIZE ? first : 0;
		rig_desc(first + i, &e);
	}
	while (n < 3 && (row->ring[n - 1].flags & RIG_NEXT) != 0)
		n++;
	for (uint16_t i = 0; i < 3 && row->table[i].addr > 0; i++)
		rig_entry(row->table_at > 0 ? row->table_at : RIG_TABLE, i, &row->table[i]);
	rig_push(first, n);
}

/* The name that lib/vring has for a ring as it stands. */
static const char *
software_says(void)
{
	static struct vring_batch batch;
	struct gmem gmem = { .n_regions = rig.mem.n_regions };
	struct vring_opts o = {
		.mem = &gmem, .features = rig.opts.features | F_VERSION, .size = rig.opts.size,
		.writable = !rig.opts.tx, .desc = { rig.opts.desc },
		.driver = { rig.opts.driver }, .device = { rig.opts.device },
		.pos = vring_pos_decode((rig.opts.features & F_PACKED) != 0, rig.opts.pos),
	};
	struct vring ring;

	for (uint32_t i = 0; i < gmem.n_regions; i++)
		gmem.regions[i] = (struct gmem_region){
			.gpa = rig.mem.regions[i].gpa, .size = rig.mem.regions[i].size,
			.host = rig.mem.regions[i].hva,
		};
	vring_init(&ring, &o);
	vring_batch_reset(&batch);
	while (vring_peek(&ring, &batch, 64) > 0) {
		vring_put_burst(&ring, batch.chains, batch.n);
		vring_publish(&ring);
		vring_batch_reset(&batch);
	}
	return vring_bad_names[vring_bad(&ring)];
}

static void
row_run(const struct row *row, uint64_t features)
{
	const bool good = strcmp(row->bad, "none") == 0;
	const uint16_t served = row->before + good;
	bool doorbell, call;
	uint16_t pos;

	row_lay(row, features);
	CHECK_STR(row->story, software_says(), row->bad);
	rig_end();
	row_lay(row, features);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == served);
	CHECK_STR(row->story, shadow_bad_names[shadow_bad(rig.s)], row->bad);
	CHECK(good || !shadow_arm(rig.s, SHADOW_GUEST));
	/* What came before is served, and nothing else. */
	CHECK(dev_take(&rig.d, 64) == served);
	while (rig.d.n_held > 0)
		dev_finish(&rig.d, 0, row->rx ? 12 : 0);
	dev_publish(&rig.d);
	CHECK(shadow_complete(rig.s, 64, &call) == served);
	CHECK(shadow_stop(rig.s, &pos, &call) == 0);
	if ((features & F_PACKED) == 0)
		CHECK(pos == served);
	else if (!good)
		CHECK(pos == (row->before | 1 << 15));
	CHECK(pos == rig_used());
	rig_end();
}

static void
test_chains(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].formats & SPLIT)
			row_run(&rows[i], 0);
		if (rows[i].formats & PACKED)
			row_run(&rows[i], F_PACKED);
	}
}

/* A head outside of the table, an index that jumps or goes back, a chain over all of the ring. */

static void
head_outside(void)
{
	rig_push(RIG_SIZE, 1);
}

static void
index_jumps(void)
{
	*(uint16_t *)rig_at(RIG_DRIVER + 2) = RIG_SIZE + 1;
}

static void
index_back(void)
{
	*(uint16_t *)rig_at(RIG_DRIVER + 2) -= 1;
}

static void
never_ends(void)
{
	for (uint16_t i = 0; i < RIG_SIZE; i++)
		rig_desc(i, &(struct ent){ RIG_BUF, 100, RIG_NEXT, 0 });
	rig_push(0, RIG_SIZE);
}

static const struct {
	const char *story, *bad;
	uint64_t features;
	void (*spoil)(void);
} ring_rows[] = {
	{ "head outside", "head", 0, head_outside },
	{ "index jumps", "index", 0, index_jumps },
	{ "index goes back", "index", 0, index_back },
	{ "chain never ends", "loop", F_PACKED, never_ends },
};

static void
test_rings(void)
{
	bool doorbell;

	for (size_t i = 0; i < sizeof(ring_rows) / sizeof(ring_rows[0]); i++) {
		for (int software = 0; software < 2; software++) {
			rig_lay(ring_rows[i].features, true, 8, 0);
			rig_start();
			ring_rows[i].spoil();
			CHECK(software || shadow_submit(rig.s, 64, &doorbell) == 0);
			CHECK_STR(ring_rows[i].story, software ? software_says() :
				  shadow_bad_names[shadow_bad(rig.s)], ring_rows[i].bad);
			rig_end();
		}
	}
}

/* The index of a driver may not fall behind what was taken, either. */
static void
test_index_taken(void)
{
	bool doorbell, call;
	uint16_t pos;

	rig_lay(0, true, 8, 0);
	rig_start();
	for (int i = 0; i < 4; i++)
		rig_post(1);
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 4);
	index_back();
	CHECK(shadow_submit(rig.s, 64, &doorbell) == 0);
	CHECK(shadow_bad(rig.s) == SHADOW_BAD_INDEX);
	CHECK(shadow_stop(rig.s, &pos, &call) == 0 && pos == 0);
	rig_end();
}

static const struct {
	const char *story, *bad;
	uint64_t features;
	uint16_t size, pos;
	uint64_t desc, driver, device;
} start_rows[] = {
	{ "as it is", "none", 0, 16, 0, RIG_DESC, RIG_DRIVER, RIG_DEVICE },
	{ "no size", "size", 0, 0, 0, RIG_DESC, RIG_DRIVER, RIG_DEVICE },
	{ "size 32769", "size", F_PACKED, 32769, 0, RIG_DESC, RIG_DRIVER, RIG_DEVICE },
	{ "split 37", "size", 0, 37, 0, RIG_DESC, RIG_DRIVER, RIG_DEVICE },
	{ "packed 37", "none", F_PACKED, 37, 36, RIG_DESC, RIG_DRIVER, RIG_DEVICE },
	{ "packed, position 37", "index", F_PACKED, 37, 37, RIG_DESC, RIG_DRIVER, RIG_DEVICE },
	{ "descriptors outside", "addr", 0, 16, 0, 1ULL << 40, RIG_DRIVER, RIG_DEVICE },
	{ "descriptors unaligned", "addr", F_PACKED, 16, 0, RIG_DESC + 8, RIG_DRIVER, RIG_DEVICE },
	{ "descriptors over a border", "addr", 0, 16, 0, RIG_BORDER - 128, RIG_DRIVER, RIG_DEVICE },
	{ "descriptors up to it", "none", 0, 16, 0, RIG_BORDER - 256, RIG_DRIVER, RIG_DEVICE },
	{ "driver outside", "addr", 0, 16, 0, RIG_DESC, RIG_END, RIG_DEVICE },
	{ "driver unaligned", "addr", 0, 16, 0, RIG_DESC, RIG_DRIVER + 1, RIG_DEVICE },
	{ "driver to the end", "none", 0, 16, 0, RIG_DESC, RIG_END - 36, RIG_DEVICE },
	{ "driver's event outside", "addr", F_EVENT, 16, 0, RIG_DESC, RIG_END - 36, RIG_DEVICE },
	{ "device over the end", "addr", 0, 16, 0, RIG_DESC, RIG_DRIVER, RIG_END - 128 },
	{ "device to the end", "none", 0, 16, 0, RIG_DESC, RIG_DRIVER, RIG_END - 132 },
	{ "device unaligned", "addr", 0, 16, 0, RIG_DESC, RIG_DRIVER, RIG_DEVICE + 2 },
	{ "device's event outside", "addr", F_EVENT, 16, 0, RIG_DESC, RIG_DRIVER, RIG_END - 132 },
	{ "device wraps around", "addr", 0, 16, 0, RIG_DESC, RIG_DRIVER, UINT64_MAX - 3 },
	{ "packed, at the last", "none", F_PACKED, 16, 0, RIG_DESC, RIG_DRIVER, UINT64_MAX - 3 },
};

static void
test_start(void)
{
	bool doorbell, call;
	uint16_t pos;

	for (size_t i = 0; i < sizeof(start_rows) / sizeof(start_rows[0]); i++) {
		rig_lay(start_rows[i].features, true, 8, 0);
		rig.opts.size = start_rows[i].size;
		rig.opts.pos = start_rows[i].pos;
		rig.opts.desc = start_rows[i].desc;
		rig.opts.driver = start_rows[i].driver;
		rig.opts.device = start_rows[i].device;
		rig_start();
		CHECK_STR(start_rows[i].story, shadow_bad_names[shadow_bad(rig.s)],
			  start_rows[i].bad);
		CHECK_STR(start_rows[i].story, software_says(), start_rows[i].bad);
		CHECK(shadow_submit(rig.s, 64, &doorbell) == 0 && !doorbell);
		shadow_disarm(rig.s, SHADOW_GUEST | SHADOW_DEVICE);
		CHECK(!shadow_arm(rig.s, SHADOW_GUEST | SHADOW_DEVICE));
		CHECK(shadow_stop(rig.s, &pos, &call) == 0 && pos == start_rows[i].pos);
		rig_end();
	}
}

/* The names are those of lib/vring, and none is missing that a chain can have. */
static void
test_names(void)
{
	for (unsigned int i = 0; i < SHADOW_BAD_N; i++)
		CHECK_STR("name", shadow_bad_names[i], vring_bad_names[i]);
	CHECK_STR("what a chain cannot be", vring_bad_names[SHADOW_BAD_N], "memory");
}

void
test_bad(void)
{
	test_names();
	test_chains();
	test_rings();
	test_index_taken();
	test_start();
}
