/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings by hand: every way in which a chain can be bad, indexes, batches. */
#include "vring_rig.h"

/* Chains */

struct chain_row {
	const char *story;
	bool writable, no_indirect;
	struct desc descs[3];
	uint64_t table;          /* where this indirect table is */
	struct desc entries[3];
	enum vring_bad split, packed;
	uint32_t n_segs, len;    /* when it is good */
};

#define BOTH(bad) .split = VRING_BAD_##bad, .packed = VRING_BAD_##bad

static const struct chain_row chain_rows[] = {
	{ "one buffer", .descs = { { BUF, 100 } }, .n_segs = 1, .len = 100 },
	{ "two buffers", .descs = { { BUF, 12, NEXT, 1 }, { BUF + 50, 100 } },
	  .n_segs = 2, .len = 112 },
	{ "writable", true, .descs = { { BUF, 12, NEXT | WRITE, 1 }, { BUF + 50, 100, WRITE } },
	  .n_segs = 2, .len = 112 },
	{ "buffer across regions", .descs = { { SEAM - 50, 100 } }, .n_segs = 2, .len = 100 },
	{ "ends with the memory", .descs = { { END - 100, 100 } }, .n_segs = 1, .len = 100 },
	{ "runs over the end", .descs = { { END - 99, 100 } }, BOTH(RANGE) },
	{ "starts behind the end", .descs = { { END, 100 } }, BOTH(RANGE) },
	{ "begins before the memory", .descs = { { LOW - 1, 100 } }, BOTH(RANGE) },
	{ "ends with the addresses", .descs = { { UINT64_MAX - 99, 100 } }, .n_segs = 1, .len = 100 },
	{ "wraps around the addresses", .descs = { { UINT64_MAX - 98, 100 } }, BOTH(RANGE) },
	{ "second outside", .descs = { { BUF, 12, NEXT, 1 }, { NOWHERE, 100 } }, BOTH(RANGE) },
	{ "length saturates", .descs = { { HUGE, UINT32_MAX, NEXT, 1 }, { HUGE, UINT32_MAX } },
	  .n_segs = 2, .len = UINT32_MAX },
	{ "no byte", .descs = { { BUF, 0 } }, BOTH(ZERO) },
	{ "second has no byte", .descs = { { BUF, 12, NEXT, 1 }, { BUF, 0 } }, BOTH(ZERO) },
	{ "writable in a transmit ring", .descs = { { BUF, 100, WRITE } }, BOTH(DIRECTION) },
	{ "readable in a receive ring", true, .descs = { { BUF, 100 } }, BOTH(DIRECTION) },
	{ "mixed", true, .descs = { { BUF, 12, NEXT | WRITE, 1 }, { BUF, 9 } }, BOTH(DIRECTION) },
	{ "header alone", .descs = { { BUF, 12 } }, .n_segs = 1, .len = 12 },
	{ "shorter than a header", .descs = { { BUF, 11 } }, BOTH(SHORT) },
	{ "next outside", .descs = { { BUF, 12, NEXT, 8 } }, .split = VRING_BAD_HEAD,
	  .packed = VRING_BAD_ZERO /* what follows in the ring is empty */ },
	{ "next is itself", .descs = { { BUF, 12, NEXT, 0 } }, .split = VRING_BAD_LOOP,
	  .packed = VRING_BAD_ZERO },
	{ "round and round", .split = VRING_BAD_LOOP, .packed = GOOD, .n_segs = 3, .len = 36,
	  .descs = { { BUF, 12, NEXT, 1 }, { BUF, 12, NEXT, 2 }, { BUF, 12, 0, 0 } } },
	{ "table", .descs = { { TABLE, 32, INDIRECT } }, .table = TABLE, .n_segs = 2, .len = 112,
	  .entries = { { BUF, 12, NEXT, 1 }, { BUF + 50, 100 } } },
	{ "table's own WRITE is ignored", .descs = { { TABLE, 32, INDIRECT | WRITE } }, .table = TABLE,
	  .entries = { { BUF, 12, NEXT, 1 }, { BUF + 50, 100 } }, .n_segs = 2, .len = 112 },
	{ "table across regions", .descs = { { SEAM - 16, 32, INDIRECT } }, .table = SEAM - 16,
	  .entries = { { BUF, 12, NEXT, 1 }, { BUF + 50, 100 } }, .n_segs = 2, .len = 112 },
	{ "entry across regions", .descs = { { SEAM - 24, 32, INDIRECT } }, .table = SEAM - 24,
	  .entries = { { BUF, 12, NEXT, 1 }, { BUF + 50, 100 } }, .n_segs = 2, .len = 112 },
	{ "table at an odd address", .descs = { { TABLE + 3, 32, INDIRECT } }, .table = TABLE + 3,
	  .entries = { { BUF, 12, NEXT, 1 }, { BUF + 50, 100 } }, .n_segs = 2, .len = 112 },
	{ "buffer, then table", .descs = { { BUF, 12, NEXT, 1 }, { TABLE, 16, INDIRECT } },
	  .table = TABLE, .entries = { { BUF + 50, 100 } }, .n_segs = 2, .len = 112,
	  .split = GOOD, .packed = VRING_BAD_INDIRECT },
	{ "table not negotiated", .no_indirect = true, .descs = { { TABLE, 16, INDIRECT } },
	  .table = TABLE, .entries = { { BUF, 100 } }, BOTH(INDIRECT) },
	{ "table and next", .descs = { { TABLE, 16, INDIRECT | NEXT, 1 }, { BUF, 100 } },
	  .table = TABLE, .entries = { { BUF, 100 } }, BOTH(INDIRECT) },
	{ "empty table", .descs = { { TABLE, 0, INDIRECT } }, BOTH(INDIRECT) },
	{ "cut table", .descs = { { TABLE, 17, INDIRECT } }, BOTH(INDIRECT) },
	{ "largest table and one", .descs = { { HUGE, 32769 * 16, INDIRECT } }, BOTH(INDIRECT) },
	{ "table outside", .descs = { { NOWHERE, 16, INDIRECT } }, BOTH(RANGE) },
	{ "table runs over the end", .descs = { { END - 16, 32, INDIRECT } }, BOTH(RANGE) },
	{ "table wraps around", .descs = { { UINT64_MAX - 15, 32, INDIRECT } }, BOTH(RANGE) },
	{ "nested table", .descs = { { TABLE, 16, INDIRECT } }, .table = TABLE,
	  .entries = { { TABLE, 16, INDIRECT } }, BOTH(INDIRECT) },
	{ "next leaves the table", .descs = { { TABLE, 32, INDIRECT } }, .table = TABLE,
	  .entries = { { BUF, 12, NEXT, 2 }, { BUF + 50, 100 } }, .split = VRING_BAD_HEAD,
	  .packed = GOOD /* reserved there: the table's length tells its end */, .n_segs = 2, .len = 112 },
	{ "loop in the table", .descs = { { TABLE, 32, INDIRECT } }, .table = TABLE,
	  .entries = { { BUF, 12, NEXT, 0 }, { BUF + 50, 100 } }, .split = VRING_BAD_LOOP,
	  .packed = GOOD, .n_segs = 2, .len = 112 },
	{ "table's buffer outside", .descs = { { TABLE, 32, INDIRECT } }, .table = TABLE,
	  .entries = { { BUF, 12, NEXT, 1 }, { NOWHERE, 100 } }, BOTH(RANGE) },
	{ "table's buffer has no byte", .descs = { { TABLE, 32, INDIRECT } }, .table = TABLE,
	  .entries = { { BUF, 12, NEXT, 1 }, { BUF, 0 } }, BOTH(ZERO) },
};

/* A row's chain in the ring's first slots, made available. */
static void
chain_put(const struct chain_row *row, bool packed)
{
	uint16_t n = row->descs[0].flags & NEXT ? row->descs[1].flags & NEXT ? 3 : 2 : 1;

	for (uint16_t i = 0; i < n; i++)
		if (packed)
			packed_write(DESC + i * 16u, &row->descs[i], 5, 1 << 7);
		else
			split_write(DESC + i * 16u, &row->descs[i]);
	for (uint16_t i = 0; row->table != 0 && i < 3 && row->entries[i].len > 0; i++)
		if (packed)
			packed_write(row->table + i * 16u, &row->entries[i], 0, 0);
		else
			split_write(row->table + i * 16u, &row->entries[i]);
	if (!packed)
		((struct vring_avail *)at(DRIVER, 4))->idx = 1;
}

static void
chain_row(const struct chain_row *row, bool packed)
{
	enum vring_bad bad = packed ? row->packed : row->split;
	uint64_t features = F_V1 | (packed ? F_PACKED : 0) | (row->no_indirect ? 0 : F_INDIRECT);
	uint32_t n, sum = 0;

	ring_make(features, 8, row->writable, 0, true);
	chain_put(row, packed);
	/* In a split ring "round and round" points back to its first. */
	if (bad == VRING_BAD_LOOP && row->descs[2].len > 0)
		split_write(DESC + 32, &(struct desc){ BUF, 12, NEXT, 0 });
	n = vring_peek(&ring, batch, 32);
	CHECK_STR(row->story, vring_bad_names[vring_bad(&ring)], vring_bad_names[bad]);
	CHECK(n == (bad == GOOD));
	CHECK(vring_pos(&ring).used == 0);
	if (bad != GOOD || n == 0)
		return;
	for (uint32_t i = 0; i < batch->chains[0].n_segs; i++)
		sum += batch->chains[0].segs[i].len;
	CHECK(batch->chains[0].n_segs == row->n_segs && batch->chains[0].len == row->len);
	CHECK(sum == row->len || row->len == UINT32_MAX);
	CHECK(batch->chains[0].id == (packed ? 5 : 0));
	for (uint32_t i = 0; i < batch->chains[0].n_segs; i++)
		CHECK(at(batch->chains[0].segs[i].gpa.v, batch->chains[0].segs[i].len) ==
		      batch->chains[0].segs[i].host);
}

static void
chains(void)
{
	for (size_t i = 0; i < RTE_DIM(chain_rows); i++) {
		chain_row(&chain_rows[i], false);
		chain_row(&chain_rows[i], true);
	}
}

/* Rings */

static void
inits(void)
{
	CHECK(ring_make(F_V1, 0, false, 0, true) == VRING_BAD_SIZE);
	CHECK(ring_make(F_V1, 24, false, 0, true) == VRING_BAD_SIZE);
	CHECK(ring_make(F_V1, 32769, false, 0, true) == VRING_BAD_SIZE);
	CHECK(ring_make(F_V1 | F_PACKED, 32769, false, 0, true) == VRING_BAD_SIZE);
	CHECK(ring_make(F_V1 | F_PACKED, 24, false, 23, true) == GOOD);
	CHECK(ring_make(F_V1 | F_PACKED, 24, false, 24, true) == VRING_BAD_INDEX);
	CHECK(vring_pos(&ring).used == 24);
	CHECK(vring_peek(&ring, batch, 32) == 0 && !vring_arm(&ring));
	CHECK(ring_make(F_V1, 32768, false, 65535, true) == GOOD);
	CHECK(ring_make(0, 8, false, 0, true) == GOOD && ring.hdr_len == 10);
	CHECK(ring_make(1ULL << 15, 8, false, 0, true) == GOOD && ring.hdr_len == 12);
}

static void
indexes(void)
{
	struct vring_avail *avail = at(DRIVER, 4);

	for (uint32_t start = 65530; start < 65542; start++) {
		ring_make(F_V1, 8, false, (uint16_t)start, true);
		split_offer(8, 100, 0);
		CHECK(vring_peek(&ring, batch, 3) == 3);
		CHECK(vring_peek(&ring, batch, 32) == 5);
		CHECK(vring_peek(&ring, batch, 32) == 0 && vring_bad(&ring) == GOOD);
		for (uint32_t i = 0; i < 8; i++)
			CHECK(batch->chains[i].id == i);
		avail->idx = (uint16_t)(start + 9);
		vring_batch_reset(batch);
		CHECK(vring_peek(&ring, batch, 32) == 0 && vring_bad(&ring) == VRING_BAD_INDEX);
		ring_make(F_V1, 8, false, (uint16_t)start, true);
		avail->idx = (uint16_t)(start - 1);
		CHECK(vring_peek(&ring, batch, 32) == 0 && vring_bad(&ring) == VRING_BAD_INDEX);
	}
}

/* Peeked chains that are not given back are read again; those that are, are not. */
static void
again(void)
{
	ring_make(F_V1, 8, false, 65534, true);
	split_offer(6, 100, 0);
	CHECK(vring_peek(&ring, batch, 32) == 6);
	vring_put(&ring, &batch->chains[0], 0);
	vring_put(&ring, &batch->chains[1], 0);
	vring_publish(&ring);
	vring_batch_reset(batch);
	CHECK(vring_peek(&ring, batch, 32) == 4 && batch->chains[0].id == 2);
	CHECK(((struct vring_used *)at(DEVICE, 4))->idx == 0);
	CHECK(vring_pos(&ring).avail == 0 && vring_pos(&ring).used == 0);
}

/* A batch takes what it has room for and not one chain more, whatever the ring's size. */
static void
batch_full(uint16_t size)
{
	uint32_t n = 0, added;

	ring_make(F_V1, size, true, 0, true);
	split_offer(size, 12, WRITE);
	do {
		added = vring_peek(&ring, batch, 4);
		n += added;
	} while (added > 0);
	CHECK(n == batch->n && n <= VRING_CHAINS_MAX && n >= RTE_MIN(size, VRING_CHAINS_MAX / 2u));
	CHECK(vring_bad(&ring) == GOOD);
	for (uint32_t i = 0; i < n; i++) {
		CHECK(batch->chains[i].segs == &batch->segs[i]);
		CHECK(batch->segs[i].host == at(BUF, 12) && batch->segs[i].len == 12);
	}
}

static void
batches_full(void)
{
	for (uint32_t size = 1024; size <= VRING_SIZE_MAX; size *= 2)
		batch_full((uint16_t)size);
}

/* A packed chain over the end of its ring, either wrap counter, every size and place. */
static void
packed_wrap(uint16_t size, uint16_t slot, bool wrap, uint16_t n)
{
	uint16_t at_slot = slot;
	bool lap = wrap;
	struct vring_pos pos;

	ring_make(F_V1 | F_PACKED, size, false, slot, wrap);
	for (uint16_t i = 0; i < size; i++)
		((struct vring_packed_desc *)at(DESC, 16))[i].flags = wrap ? 0 : 1 << 7 | 1 << 15;
	for (uint16_t i = 0; i < n; i++) {
		packed_write(DESC + at_slot * 16u, &(struct desc){ BUF, 20, i + 1 < n ? NEXT : 0, 0 },
			     i + 1 < n ? 77 : 3, lap ? 1 << 7 : 1 << 15);
		if (++at_slot == size) {
			at_slot = 0;
			lap = !lap;
		}
	}
	CHECK(vring_peek(&ring, batch, 1) == 1);
	CHECK(batch->chains[0].n_slots == n && batch->chains[0].id == 3);
	CHECK(batch->next == at_slot && batch->next_wrap == lap);
	vring_put(&ring, &batch->chains[0], 0);
	vring_publish(&ring);
	pos = vring_pos(&ring);
	CHECK(pos.used == at_slot && pos.used_wrap == lap && pos.avail == at_slot);
	CHECK(((struct vring_packed_desc *)at(DESC, 16))[slot].flags ==
	      (wrap ? 1 << 7 | 1 << 15 : 0));
}

static void
packed_wraps(void)
{
	for (uint16_t size = 1; size <= 5; size++)
		for (uint16_t slot = 0; slot < size; slot++)
			for (uint16_t n = 1; n <= size; n++) {
				packed_wrap(size, slot, true, n);
				packed_wrap(size, slot, false, n);
			}
}

int
main(void)
{
	rig_init();
	chains();
	inits();
	indexes();
	again();
	batches_full();
	packed_wraps();
	vring_notify_stories();
	rig_fini();
	return check_done("vring");
}
