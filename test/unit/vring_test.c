/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings by hand: every way in which a chain can be bad, event indexes against a model, order. */
#include "vring.h"

#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Flags of virtio 1.2, 2.7.5 and 2.8.1, and feature bits. */
#define NEXT     1
#define WRITE    2
#define INDIRECT 4
#define F_INDIRECT (1ULL << 28)
#define F_EVENT    (1ULL << 29)
#define F_V1       (1ULL << 32)
#define F_PACKED   (1ULL << 34)

/*
 * What the guest has: two regions that meet at SEAM, a huge one that nobody touches, and two that
 * meet where addresses wrap around.
 */
#define LOW    0x100000ULL
#define SEAM   0x200000ULL
#define END    0x300000ULL
#define HUGE   0x1000000000ULL
#define HUGE_SIZE (8ULL << 30)
#define TOP    (UINT64_MAX - 0xfff)

#define DESC   LOW
#define DRIVER (LOW + 0x80000)
#define DEVICE (LOW + 0xa0000)
#define BUF    (LOW + 0xf0000)
#define TABLE  (LOW + 0xe0000)
#define NOWHERE 0xdead00000000ULL

static struct gmem *mem;
static struct vring ring;
static struct vring_batch *batch;

static void *
at(uint64_t gpa, uint64_t len)
{
	return gmem_at(mem, (gpa_t){ gpa }, len);
}

static void
memory_make(void)
{
	struct gmem_region r[5] = {
		{ .gpa = LOW, .size = SEAM - LOW }, { .gpa = SEAM, .size = END - SEAM },
		{ .gpa = HUGE, .size = HUGE_SIZE }, { .gpa = TOP, .size = 0x1000 },
		{ .gpa = 0, .size = 0x1000 },
	};

	for (int i = 0; i < 5; i++) {
		r[i].uva = 0x7f0000000000ULL + r[i].gpa % (1ULL << 40);
		r[i].host = mmap(NULL, r[i].size, i == 2 ? PROT_NONE : PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		CHECK(r[i].host != MAP_FAILED);
	}
	CHECK(gmem_create(r, 5, 0, &mem) == 0);
}

static enum vring_bad
ring_make(uint64_t features, uint16_t size, bool writable, uint16_t idx, bool wrap)
{
	const struct vring_opts opts = {
		.mem = mem, .features = features, .size = size, .writable = writable,
		.desc.v = DESC, .driver.v = DRIVER, .device.v = DEVICE,
		.pos = { .avail = idx, .used = idx, .avail_wrap = wrap, .used_wrap = wrap },
	};

	memset(at(DESC, 1), 0, 0xf0000);
	if ((features & F_PACKED) == 0) {
		((struct vring_used *)at(DEVICE, 4))->idx = idx;
		((struct vring_avail *)at(DRIVER, 4))->idx = idx;
	}
	vring_batch_reset(batch);
	return vring_init(&ring, &opts);
}

/* Chains */

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct chain_row {
	const char *story;
	bool writable, no_indirect;
	struct desc descs[3];
	uint64_t table;          /* where this indirect table is */
	struct desc entries[3];
	enum vring_bad split, packed;
	uint32_t n_segs, len;    /* when it is good */
};

#define GOOD VRING_BAD_NONE
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

static void
bytes_put(uint64_t gpa, const void *from, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		*(uint8_t *)at(gpa + i, 1) = ((const uint8_t *)from)[i];
}

static void
split_write(uint64_t gpa, const struct desc *d)
{
	const struct vring_split_desc s = { d->addr, d->len, d->flags, d->next };

	bytes_put(gpa, &s, sizeof(s));
}

static void
packed_write(uint64_t gpa, const struct desc *d, uint16_t id, uint16_t avail)
{
	const struct vring_packed_desc p = { d->addr, d->len, id, d->flags | avail };

	bytes_put(gpa, &p, sizeof(p));
}

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
split_offer(uint16_t n, uint32_t len, uint16_t flags)
{
	struct vring_avail *avail = at(DRIVER, 4);

	for (uint16_t i = 0; i < n; i++) {
		split_write(DESC + i * 16u, &(struct desc){ BUF, len, flags, 0 });
		avail->ring[(uint16_t)(ring.idx + i) & (ring.size - 1)] = i;
	}
	avail->idx = (uint16_t)(ring.idx + n);
}

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

/* Notifications */

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

int
main(void)
{
	batch = malloc(sizeof(*batch));
	CHECK(batch != NULL);
	memory_make();
	chains();
	inits();
	indexes();
	again();
	batches_full();
	packed_wraps();
	split_events();
	packed_events();
	flags();
	arming();
	order(false);
	order(true);
	gmem_destroy(mem);
	free(batch);
	return check_done("vring");
}
