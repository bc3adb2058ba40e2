/* SPDX-License-Identifier: BSD-3-Clause */
/* Bad rings, bad chains and memory that goes: one ring breaks by name, everything else goes on. */
#include "conform.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#define RX 0
#define TX 1
#define NOWHERE 0xdead00000000ULL
#define WAIT_US 3000000
#define NAP_US  500

/* Waits until ring `q` of guest a is broken, and looks that it is so by this name. */
static int
broken_wait(struct conform *c, uint16_t q, enum vring_bad expected)
{
	struct vdev_ring_stats st = { 0 };

	for (uint32_t us = 0; us < WAIT_US && st.bad == VRING_BAD_NONE; us += NAP_US) {
		NEED(c, vdev_stats(c->a.dev, q, &st) == 0);
		if (st.bad == VRING_BAD_NONE)
			usleep(NAP_US);
	}
	if (st.bad == expected && !st.running)
		return 0;
	return vmm_fault_set(&c->fault, "ring %u is \"%s\", expected \"%s\"", q,
			     vring_bad_names[st.bad], vring_bad_names[expected]);
}

/* All rings but one run. */
static int
others_run(struct conform *c, uint16_t broken)
{
	struct vdev_ring_stats st;

	for (uint16_t q = 0; q < c->a.n_rings; q++) {
		NEED(c, vdev_stats(c->a.dev, q, &st) == 0);
		NEED(c, q == broken || (st.running && st.bad == VRING_BAD_NONE));
		NEED(c, vdev_stats(c->b.dev, q, &st) == 0);
		NEED(c, st.running && st.bad == VRING_BAD_NONE);
	}
	return 0;
}

/* What the broken ring leaves: its guest still hears when it cannot speak, or speaks when it cannot
 * hear. */
static int
others_work(struct conform *c, uint16_t broken)
{
	TRY(others_run(c, broken));
	if (broken % 2 == 1)
		return traffic_run(&c->ba, 20);
	return c->a.n_rings == 2 ? traffic_run(&c->ab, 20) : 0;
}

/* The stopped guest boots again and is served again; what it had not got rid of is forgotten. */
static int
recovers(struct conform *c)
{
	TRY(vmm_guest_reclaim(c->a.g));
	c->forgotten += vmm_guest_unsent(c->a.g);
	/* Frames for it wait no longer than they may. */
	if (c->provider->holds)
		TRY(conform_unsent(c, &c->b));
	TRY(side_reboot(&c->a));
	c->ab.lost = c->ab.sent - c->ab.received;
	c->ba.lost = c->ba.sent - c->ba.received;
	NEED(c, side_start(&c->a) == 0);
	TRY(conform_traffic(c, 20));
	TRY(conform_stop(c));
	return conform_sum(c);
}

static int
row_failed(struct conform *c, const char *story)
{
	char text[sizeof(c->fault.text)];

	memcpy(text, c->fault.text, sizeof(text));
	c->fault.text[0] = '\0';
	return vmm_fault_set(&c->fault, "%s: %.150s", story, text);
}

/* Rings that are bad before anything is read from them */

struct start_row {
	const char *story;
	uint16_t ring;
	enum vring_bad split, packed;   /* NONE: legal in this format */
	void (*spoil)(struct vdev_ring *r, const struct vmm_mem *mem);
};

static uint64_t
mem_end(const struct vmm_mem *mem)
{
	const struct vmm_region *rg = &mem->regions[mem->n_regions - 1];

	return rg->gpa + rg->size;
}

#define SPOIL(name, what) \
	static void \
	name(struct vdev_ring *r, const struct vmm_mem *mem) \
	{ \
		what; \
	}

SPOIL(size_zero, r->size = 0)
SPOIL(size_huge, r->size = 32769)
SPOIL(size_odd, r->size = 37)
SPOIL(desc_outside, r->desc.v = NOWHERE)
SPOIL(desc_unaligned, r->desc.v += 8)
SPOIL(desc_end, r->desc.v = (mem_end(mem) - 16) & ~15ULL)
SPOIL(driver_outside, r->driver.v = NOWHERE)
SPOIL(driver_unaligned, r->driver.v += 1)
SPOIL(driver_end, r->driver.v = mem_end(mem) - 2)
SPOIL(device_outside, r->device.v = NOWHERE)
SPOIL(device_unaligned, r->device.v += 2)
SPOIL(device_end, r->device.v = mem_end(mem))
SPOIL(device_wraps, r->device.v = UINT64_MAX - 3)
SPOIL(pos_outside, r->pos.avail = r->pos.used = r->size)

static const struct start_row start_rows[] = {
	{ "size 0", TX, VRING_BAD_SIZE, VRING_BAD_SIZE, size_zero },
	{ "size 0, receive", RX, VRING_BAD_SIZE, VRING_BAD_SIZE, size_zero },
	{ "size 32769", TX, VRING_BAD_SIZE, VRING_BAD_SIZE, size_huge },
	{ "size 37", TX, VRING_BAD_SIZE, VRING_BAD_NONE, size_odd },
	{ "descriptors outside", TX, VRING_BAD_ADDR, VRING_BAD_ADDR, desc_outside },
	{ "descriptors outside, receive", RX, VRING_BAD_ADDR, VRING_BAD_ADDR, desc_outside },
	{ "descriptors unaligned", TX, VRING_BAD_ADDR, VRING_BAD_ADDR, desc_unaligned },
	{ "descriptors run over the end", TX, VRING_BAD_ADDR, VRING_BAD_ADDR, desc_end },
	{ "driver area outside", TX, VRING_BAD_ADDR, VRING_BAD_ADDR, driver_outside },
	{ "driver area unaligned", RX, VRING_BAD_ADDR, VRING_BAD_ADDR, driver_unaligned },
	{ "driver area runs over the end", TX, VRING_BAD_ADDR, VRING_BAD_ADDR, driver_end },
	{ "device area outside", TX, VRING_BAD_ADDR, VRING_BAD_ADDR, device_outside },
	{ "device area unaligned", RX, VRING_BAD_ADDR, VRING_BAD_ADDR, device_unaligned },
	{ "device area at the end", TX, VRING_BAD_ADDR, VRING_BAD_ADDR, device_end },
	{ "device area wraps around", RX, VRING_BAD_ADDR, VRING_BAD_ADDR, device_wraps },
	{ "position behind the ring", TX, VRING_BAD_NONE, VRING_BAD_INDEX, pos_outside },
};

static int
start_row(struct conform *c, const struct start_row *row)
{
	enum vring_bad expected = side_packed(&c->a) ? row->packed : row->split;
	struct vdev_ring good = c->a.rings[row->ring];
	struct vring_pos pos;

	row->spoil(&c->a.rings[row->ring], c->a.g->mem);
	pos = c->a.rings[row->ring].pos;
	TRY(conform_start(c));
	TRY(broken_wait(c, row->ring, expected));
	TRY(others_work(c, row->ring));
	side_stop(&c->a);
	NEED(c, c->a.rings[row->ring].pos.used == pos.used);
	NEED(c, c->a.rings[row->ring].pos.used_wrap == pos.used_wrap);
	side_stop(&c->b);
	TRY(conform_settle(c, &c->b));
	c->a.rings[row->ring] = good;
	TRY(conform_settle(c, &c->a));
	return 0;
}

static int
bad_at_start(struct conform *c)
{
	for (unsigned int i = 0; i < sizeof(start_rows) / sizeof(start_rows[0]); i++) {
		const struct start_row *row = &start_rows[i];

		if ((side_packed(&c->a) ? row->packed : row->split) == VRING_BAD_NONE)
			continue;
		if (start_row(c, row) < 0)
			return row_failed(c, row->story);
	}
	TRY(conform_start(c));
	TRY(conform_traffic(c, 20));
	TRY(conform_stop(c));
	return conform_sum(c);
}

/* Chains that are bad */

/* The first descriptor of a ring's next chain, in either format: the fields that both have. */
struct first {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
};

struct chain_row {
	const char *story;
	uint16_t ring;
	enum vring_bad bad;
	/* Makes it bad; `good` is a buffer of the guest. */
	void (*spoil)(struct first *d, const struct conform *c);
};

#define CHAIN(name, what) \
	static void \
	name(struct first *d, const struct conform *c) \
	{ \
		what; \
	}

CHAIN(zero, d->len = 0)
CHAIN(outside, d->addr = NOWHERE)
CHAIN(over_end, d->addr = mem_end(c->a.g->mem) - 20)
CHAIN(wraps, d->addr = UINT64_MAX - 10)
CHAIN(len_max, d->len = UINT32_MAX)
CHAIN(direction, d->flags ^= VRING_DESC_F_WRITE)
CHAIN(header_cut, d->len = 5)
CHAIN(table_empty, d->flags = VRING_DESC_F_INDIRECT; d->len = 0)
CHAIN(table_cut, d->flags = VRING_DESC_F_INDIRECT; d->len = 17)
CHAIN(table_huge, d->flags = VRING_DESC_F_INDIRECT; d->len = 0xfffffff0)
CHAIN(table_next, d->flags = VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT; d->len = 16)

static const struct chain_row chain_rows[] = {
	{ "no byte", TX, VRING_BAD_ZERO, zero },
	{ "no byte, receive", RX, VRING_BAD_ZERO, zero },
	{ "outside", TX, VRING_BAD_RANGE, outside },
	{ "outside, receive", RX, VRING_BAD_RANGE, outside },
	{ "runs over the end", TX, VRING_BAD_RANGE, over_end },
	{ "runs over the end, receive", RX, VRING_BAD_RANGE, over_end },
	{ "wraps around", TX, VRING_BAD_RANGE, wraps },
	{ "wraps around, receive", RX, VRING_BAD_RANGE, wraps },
	{ "4 GiB", TX, VRING_BAD_RANGE, len_max },
	{ "writable in a transmit ring", TX, VRING_BAD_DIRECTION, direction },
	{ "readable in a receive ring", RX, VRING_BAD_DIRECTION, direction },
	{ "shorter than the header", TX, VRING_BAD_SHORT, header_cut },
	{ "shorter than the header, receive", RX, VRING_BAD_SHORT, header_cut },
	{ "empty table", TX, VRING_BAD_INDIRECT, table_empty },
	{ "empty table, receive", RX, VRING_BAD_INDIRECT, table_empty },
	{ "table of 17 bytes", TX, VRING_BAD_INDIRECT, table_cut },
	{ "table of 4 GiB", TX, VRING_BAD_INDIRECT, table_huge },
	{ "table and more", TX, VRING_BAD_INDIRECT, table_next },
};

/* The descriptor in the guest's memory that the provider reads next. */
static uint64_t
first_gpa(const struct conform *c, uint16_t q)
{
	const struct vmm_ring *r = c->a.g->queues[q].ring;
	const uint16_t *head;

	if (r->conf.packed)
		return r->addr.desc + r->used_idx * 16ULL;
	head = vmm_mem_host(r->mem, r->addr.avail + 4 + (r->used_idx & (r->conf.size - 1)) * 2ULL, 2);
	return r->addr.desc + *head * 16ULL;
}

/* Both formats have address and length first; flags stand at 12 (split) or 14 (packed). */
static void
first_spoil(struct conform *c, const struct chain_row *row)
{
	struct vmm_mem *mem = c->a.g->mem;
	uint64_t gpa = first_gpa(c, row->ring), at = gpa + (side_packed(&c->a) ? 14 : 12);
	const uint16_t ours = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT;
	uint16_t flags = *(uint16_t *)vmm_mem_host(mem, at, 2);
	struct first d = { .flags = row->ring == RX ? VRING_DESC_F_WRITE : 0 };

	/* A whole buffer in one piece, whatever stood there before. */
	d.addr = c->a.g->queues[row->ring].bufs[0].gpa;
	d.len = 100;
	row->spoil(&d, c);
	flags = (uint16_t)((flags & ~ours) | d.flags);
	vmm_mem_write(mem, gpa, &d.addr, sizeof(d.addr));
	vmm_mem_write(mem, gpa + 8, &d.len, sizeof(d.len));
	vmm_mem_write(mem, at, &flags, sizeof(flags));
}

static int
chain_row(struct conform *c, uint16_t q, enum vring_bad bad)
{
	struct vring_pos pos = c->a.rings[q].pos;

	TRY(conform_start(c));
	/* A receive ring is looked at only when there is something for it. */
	if (q == RX)
		TRY(traffic_send(&c->ba, 8));
	TRY(broken_wait(c, q, bad));
	TRY(others_work(c, q));
	side_stop(&c->a);
	NEED(c, c->a.rings[q].pos.used == pos.used);
	NEED(c, c->a.rings[q].pos.used_wrap == pos.used_wrap);
	TRY(vmm_mem_check(c->a.g->mem));
	return recovers(c);
}

static int
bad_chains(struct conform *c)
{
	for (unsigned int i = 0; i < sizeof(chain_rows) / sizeof(chain_rows[0]); i++) {
		const struct chain_row *row = &chain_rows[i];

		/* Of several receive rings the flow's hash chooses one: not for us to know. */
		if (row->ring == RX && c->a.n_rings > 2)
			continue;
		if (row->ring == TX)
			TRY(traffic_send(&c->ab, 1));
		first_spoil(c, row);
		if (chain_row(c, row->ring, row->bad) < 0)
			return row_failed(c, row->story);
	}
	return 0;
}

/* What only one of the formats can do */

static void
write16(struct conform *c, uint64_t gpa, uint16_t value)
{
	vmm_mem_write(c->a.g->mem, gpa, &value, sizeof(value));
}

static void
head_outside(struct conform *c, const struct vmm_ring *r)
{
	write16(c, r->addr.avail + 4 + (r->used_idx & (r->conf.size - 1)) * 2ULL, r->conf.size);
}

static void
index_jumps(struct conform *c, const struct vmm_ring *r)
{
	write16(c, r->addr.avail + 2, (uint16_t)(r->used_idx + r->conf.size + 1));
}

static void
index_goes_back(struct conform *c, const struct vmm_ring *r)
{
	write16(c, r->addr.avail + 2, (uint16_t)(r->used_idx - 1));
}

static void
next_itself(struct conform *c, const struct vmm_ring *r)
{
	uint64_t gpa = first_gpa(c, TX);

	write16(c, gpa + 12, VRING_DESC_F_NEXT);
	write16(c, gpa + 14, (uint16_t)((gpa - r->addr.desc) / 16));
}

static void
next_outside(struct conform *c, const struct vmm_ring *r)
{
	uint64_t gpa = first_gpa(c, TX);

	write16(c, gpa + 12, VRING_DESC_F_NEXT);
	write16(c, gpa + 14, r->conf.size);
}

/* A packed chain cannot point back: it goes on over all of the ring and never ends. */
static void
never_ends(struct conform *c, const struct vmm_ring *r)
{
	uint64_t first = first_gpa(c, TX), gpa;
	uint16_t flags = *(uint16_t *)vmm_mem_host(r->mem, first + 14, 2);

	for (uint16_t i = 0; i < r->conf.size; i++) {
		gpa = r->addr.desc + i * 16ULL;
		if (gpa != first) {
			vmm_mem_write(r->mem, gpa, vmm_mem_host(r->mem, first, 14), 14);
			write16(c, gpa + 14, VRING_DESC_F_NEXT);
		} else {
			write16(c, gpa + 14, (flags & ~VRING_DESC_F_INDIRECT) | VRING_DESC_F_NEXT);
		}
	}
}

static const struct {
	const char *story;
	bool packed;
	enum vring_bad bad;
	void (*spoil)(struct conform *c, const struct vmm_ring *r);
} format_rows[] = {
	{ "head outside of the table", false, VRING_BAD_HEAD, head_outside },
	{ "next outside of the table", false, VRING_BAD_HEAD, next_outside },
	{ "next is itself", false, VRING_BAD_LOOP, next_itself },
	{ "index jumps", false, VRING_BAD_INDEX, index_jumps },
	{ "index goes back", false, VRING_BAD_INDEX, index_goes_back },
	{ "chain never ends", true, VRING_BAD_LOOP, never_ends },
};

static int
bad_by_format(struct conform *c)
{
	for (unsigned int i = 0; i < sizeof(format_rows) / sizeof(format_rows[0]); i++) {
		if (format_rows[i].packed != side_packed(&c->a))
			continue;
		TRY(traffic_send(&c->ab, 1));
		format_rows[i].spoil(c, c->a.g->queues[TX].ring);
		if (chain_row(c, TX, format_rows[i].bad) < 0)
			return row_failed(c, format_rows[i].story);
	}
	return 0;
}

/* Takes a descriptor's length away.  @return what is wrong then: a table without a byte is no table */
static enum vring_bad
length_take(struct conform *c, uint64_t desc)
{
	struct vmm_mem *mem = c->a.g->mem;
	uint64_t at = desc + (side_packed(&c->a) ? 14 : 12);
	uint16_t flags = *(uint16_t *)vmm_mem_host(mem, at, 2);

	vmm_mem_write(mem, desc + 8, &(uint32_t){ 0 }, 4);
	return (flags & VRING_DESC_F_INDIRECT) != 0 ? VRING_BAD_INDIRECT : VRING_BAD_ZERO;
}

/* Chains before a bad one are good: they are served, and the position stands behind them. */
static int
good_before_bad(struct conform *c)
{
	const struct vmm_ring *r = c->a.g->queues[TX].ring;
	enum vring_bad bad;
	uint64_t gpa;

	if (c->a.n_rings > 2)
		return 0;
	TRY(traffic_send(&c->ab, 1));
	gpa = first_gpa(c, TX);
	TRY(traffic_send(&c->ab, 3));
	/* The chain behind the first: it starts where the first one ends. */
	NEED(c, r->n_out == 4);
	if (side_packed(&c->a))
		gpa = r->addr.desc + (r->used_idx + r->chains[r->order[r->order_head]].n_slots) %
			r->conf.size * 16ULL;
	else
		gpa = r->addr.desc + r->order[(r->order_head + 1) % r->conf.size] * 16ULL;
	bad = length_take(c, gpa);
	TRY(conform_start(c));
	TRY(broken_wait(c, TX, bad));
	TRY(others_work(c, TX));
	c->ab.lost = 3;
	TRY(traffic_drain(&c->ab));
	side_stop(&c->a);
	NEED(c, vmm_guest_reclaim(c->a.g) == 1);
	NEED(c, vring_pos_decode(side_packed(&c->a), vmm_ring_pos(r)).used ==
	     c->a.rings[TX].pos.used);
	return recovers(c);
}

/* The guest's memory is cut down under the provider: its rings break, the process and the other
 * guest go on. */
static int
memory_goes(struct conform *c)
{
	struct vmm_mem *mem = c->a.g->mem;
	struct vdev_ring_stats st;

	TRY(conform_start(c));
	TRY(conform_traffic(c, 20));
	for (unsigned int i = 0; i < mem->n_regions; i++)
		NEED(c, ftruncate(mem->regions[i].fd, 0) == 0);
	for (uint16_t q = 0; q < c->a.n_rings; q++)
		NEED(c, write(c->a.rings[q].kickfd, &(uint64_t){ 1 }, 8) == 8);
	TRY(traffic_send(&c->ba, 8));
	for (uint16_t q = 1; q < c->a.n_rings; q += 2)
		TRY(broken_wait(c, q, VRING_BAD_MEMORY));
	if (c->a.n_rings == 2)
		TRY(broken_wait(c, RX, VRING_BAD_MEMORY));
	side_stop(&c->a);
	for (uint16_t q = 0; q < c->b.n_rings; q++)
		NEED(c, vdev_stats(c->b.dev, q, &st) == 0 && st.running);
	TRY(traffic_send(&c->ba, 20));
	TRY(conform_unsent(c, &c->b));
	side_stop(&c->b);
	TRY(conform_settle(c, &c->b));
	return 0;
}

const struct conform_case bad_cases[] = {
	{ "a ring that is bad at the start is broken alone", bad_at_start },
	{ "a bad chain breaks its ring alone", bad_chains },
	{ "a bad chain of this format", bad_by_format },
	{ "good chains before a bad one", good_before_bad },
	{ "memory vanishes", memory_goes },
};

const unsigned int n_bad_cases = sizeof(bad_cases) / sizeof(bad_cases[0]);
