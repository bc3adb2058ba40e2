/* SPDX-License-Identifier: BSD-3-Clause */
/* Malice in the rings: descriptors, chains, indirect tables, indexes. */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "attack.h"
#include "ring_inner.h"

#define RX 0
#define TX 1
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define NOWHERE 0xdead00000000ULL

void
attack_kick(struct attack *a, unsigned int index)
{
	uint64_t one = 1;

	if (write(a->g->queues[index].ring->kickfd, &one, sizeof(one)) < 0)
		return; /* the counter is full: the device has been told often enough */
}

void
attack_avail(struct attack *a, unsigned int index, uint16_t head)
{
	struct vmm_ring *r = a->g->queues[index].ring;
	struct vring_avail *avail = ring_host(r, r->addr.avail);

	avail->ring[r->avail_idx++ & (r->conf.size - 1)] = head;
	__atomic_store_n(&avail->idx, r->avail_idx, __ATOMIC_RELEASE);
	attack_kick(a, index);
}

static void
split_post_raw(struct attack *a, unsigned int index, const struct attack_desc *descs, uint16_t n)
{
	struct vmm_ring *r = a->g->queues[index].ring;
	struct vring_desc *table = ring_host(r, r->addr.desc);
	uint16_t base = r->conf.size - n;

	for (uint16_t i = 0; i < n; i++)
		table[base + i] = (struct vring_desc){ descs[i].addr, descs[i].len, descs[i].flags,
						       (uint16_t)(base + descs[i].next) };
	attack_avail(a, index, base);
}

static void
packed_post_raw(struct attack *a, unsigned int index, const struct attack_desc *descs, uint16_t n)
{
	struct vmm_ring *r = a->g->queues[index].ring;
	struct vring_packed_desc *slots = ring_host(r, r->addr.desc);
	uint16_t first = r->avail_idx;
	bool wrap = r->avail_wrap;

	for (uint16_t i = 0; i < n; i++) {
		uint16_t slot = (uint16_t)((first + i) % r->conf.size);
		bool lap = first + i >= r->conf.size ? !wrap : wrap;
		uint16_t flags = descs[i].flags | (lap ? 1 << VRING_PACKED_DESC_F_AVAIL :
						   1 << VRING_PACKED_DESC_F_USED);

		slots[slot].addr = descs[i].addr;
		slots[slot].len = descs[i].len;
		slots[slot].id = 200;
		if (i > 0)
			slots[slot].flags = flags;
		else
			r->first_flags = flags;
	}
	__atomic_store_n(&slots[first].flags, r->first_flags, __ATOMIC_RELEASE);
	r->avail_wrap = first + n >= r->conf.size ? !wrap : wrap;
	r->avail_idx = (uint16_t)((first + n) % r->conf.size);
	attack_kick(a, index);
}

void
attack_post(struct attack *a, unsigned int index, const struct attack_desc *descs, uint16_t n)
{
	if (a->g->conf.packed)
		packed_post_raw(a, index, descs, n);
	else
		split_post_raw(a, index, descs, n);
}

static int
post1(struct attack *a, unsigned int index, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct attack_desc d = { addr, len, flags, 0 };

	attack_post(a, index, &d, 1);
	return 0;
}

static int
post2(struct attack *a, unsigned int index, struct attack_desc first, struct attack_desc second)
{
	struct attack_desc d[2] = { first, second };

	d[0].flags |= NEXT;
	d[0].next = 1;
	attack_post(a, index, d, 2);
	return 0;
}

/* The last byte of guest memory's last region. */
static uint64_t
mem_end(const struct attack *a)
{
	const struct vmm_region *rg = &a->g->mem->regions[a->g->mem->n_regions - 1];

	return rg->gpa + rg->size - 1;
}

/*
 * An entry of an indirect table in the ring's layout.  In packed tables only WRITE counts, but
 * whoever obeys other flags there shall be found out.
 */
static void
table_entry(const struct attack *a, void *entry, const struct attack_desc *d)
{
	struct vring_packed_desc packed = { d->addr, d->len, d->next, d->flags };
	struct vring_desc split = { d->addr, d->len, d->flags, d->next };

	memcpy(entry, a->g->conf.packed ? (void *)&packed : (void *)&split, sizeof(split));
}

/* Writes an indirect table into the spare memory.  Returns its gpa. */
static uint64_t
table_put(struct attack *a, const struct attack_desc *descs, uint16_t n)
{
	uint8_t *t = vmm_mem_host(a->g->mem, a->spare, n * 16ULL);

	for (uint16_t i = 0; i < n; i++)
		table_entry(a, t + i * 16, &descs[i]);
	return a->spare;
}

static uint64_t
data(const struct attack *a)
{
	return a->spare + SPARE_SIZE / 2;
}

/* Transmit and receive chains of one or two descriptors */

#define CASE(name, body) static int name(struct attack *a) { return body; }

CASE(tx_outside, post1(a, TX, NOWHERE, 100, 0))
CASE(tx_end, post1(a, TX, mem_end(a), 100, 0))
CASE(tx_wrap, post1(a, TX, UINT64_MAX - 10, 100, 0))
CASE(tx_len_max, post1(a, TX, data(a), UINT32_MAX, 0))
CASE(tx_len_zero, post1(a, TX, data(a), 0, 0))
CASE(tx_all_zero, post2(a, TX, (struct attack_desc){ data(a), 0, 0, 0 },
			(struct attack_desc){ 0, 0, 0, 0 }))
CASE(tx_header_short, post1(a, TX, data(a), 5, 0))
CASE(tx_header_only, post1(a, TX, data(a), 12, 0))
CASE(tx_runt, post1(a, TX, data(a), 13, 0))
CASE(tx_giant, post1(a, TX, data(a), 12 + 65536 + 100, 0))
CASE(tx_write_only, post1(a, TX, data(a), 100, WRITE))
CASE(tx_write_first, post2(a, TX, (struct attack_desc){ data(a), 12, WRITE, 0 },
			   (struct attack_desc){ data(a), 100, 0, 0 }))
CASE(tx_second_outside, post2(a, TX, (struct attack_desc){ data(a), 12, 0, 0 },
			      (struct attack_desc){ NOWHERE, 100, 0, 0 }))
CASE(tx_sum_wrap, post2(a, TX, (struct attack_desc){ data(a), 100, 0, 0 },
			(struct attack_desc){ data(a), UINT32_MAX - 50, 0, 0 }))
CASE(rx_outside, post1(a, RX, NOWHERE, 2000, WRITE))
CASE(rx_end, post1(a, RX, mem_end(a), 2000, WRITE))
CASE(rx_wrap, post1(a, RX, UINT64_MAX - 10, 2000, WRITE))
CASE(rx_len_max, post1(a, RX, data(a), UINT32_MAX, WRITE))
CASE(rx_len_zero, post1(a, RX, data(a), 0, WRITE))
CASE(rx_short, post1(a, RX, data(a), 5, WRITE))
CASE(rx_read_only, post1(a, RX, data(a), 2000, 0))
CASE(rx_read_first, post2(a, RX, (struct attack_desc){ data(a), 12, 0, 0 },
			  (struct attack_desc){ data(a), 2000, WRITE, 0 }))
CASE(rx_second_outside, post2(a, RX, (struct attack_desc){ data(a), 12, WRITE, 0 },
			      (struct attack_desc){ NOWHERE, 2000, WRITE, 0 }))

/* Loops and lengths of chains */

static int
loop(struct attack *a, unsigned int index, uint16_t flags)
{
	struct attack_desc d[256];
	uint16_t n = a->g->conf.packed ? a->g->queues[index].ring->n_free : 2;

	/* A packed chain cannot point back: it goes on over all of the ring and never ends. */
	for (uint16_t i = 0; i < n; i++)
		d[i] = (struct attack_desc){ data(a), 60, flags | NEXT, (uint16_t)((i + 1) % n) };
	attack_post(a, index, d, n);
	return 0;
}

CASE(tx_loop, loop(a, TX, 0))
CASE(rx_loop, loop(a, RX, WRITE))
CASE(tx_loop_self, (attack_post(a, TX, &(struct attack_desc){ data(a), 60, NEXT, 0 }, 1), 0))
CASE(tx_next_outside, (attack_post(a, TX, &(struct attack_desc){ data(a), 60, NEXT, 9000 }, 1), 0))
CASE(tx_head_outside, (attack_avail(a, TX, (uint16_t)(a->g->conf.size + 5)), 0))
CASE(rx_head_outside, (attack_avail(a, RX, 0xffff), 0))

static int
tx_too_long(struct attack *a)
{
	struct attack_desc d[64];

	for (uint16_t i = 0; i < 64; i++)
		d[i] = (struct attack_desc){ data(a), 60000, i < 63 ? NEXT : 0, i + 1 };
	attack_post(a, TX, d, 64);
	return 0;
}

/* Legal: VERSION_1 lets the driver cut anywhere (virtio 1.2 clause 2.7.4). */
static int
tx_header_split(struct attack *a)
{
	struct attack_desc d[13];

	memset(vmm_mem_host(a->g->mem, data(a), 200), 0, 200);
	memset(vmm_mem_host(a->g->mem, data(a) + 12, 6), 0xff, 6);
	memcpy(vmm_mem_host(a->g->mem, data(a) + 18, 6), a->g->mac, 6);
	for (uint16_t i = 0; i < 12; i++)
		d[i] = (struct attack_desc){ data(a) + i, 1, NEXT, i + 1 };
	d[12] = (struct attack_desc){ data(a) + 12, 100, 0, 0 };
	attack_post(a, TX, d, 13);
	return 0;
}

/* Indirect tables */

static int
indirect(struct attack *a, const struct attack_desc *descs, uint16_t n, uint32_t len,
	 uint16_t flags)
{
	return post1(a, TX, table_put(a, descs, n), len, INDIRECT | flags);
}

#define GOOD { data(a), 100, 0, 0 }

CASE(indirect_len, indirect(a, &(struct attack_desc)GOOD, 1, 17, 0))
CASE(indirect_empty, indirect(a, &(struct attack_desc)GOOD, 1, 0, 0))
CASE(indirect_huge, indirect(a, &(struct attack_desc)GOOD, 1, 0xfffffff0, 0))
CASE(indirect_outside, post1(a, TX, NOWHERE, 16, INDIRECT))
CASE(indirect_end, post1(a, TX, mem_end(a) - 15, 64, INDIRECT))
CASE(indirect_next, indirect(a, &(struct attack_desc)GOOD, 1, 16, NEXT))
CASE(indirect_nested, indirect(a, &(struct attack_desc){ a->spare, 16, INDIRECT, 0 }, 1, 16, 0))
CASE(indirect_loop, indirect(a, &(struct attack_desc){ data(a), 100, NEXT, 0 }, 1, 16, 0))
CASE(indirect_next_outside, indirect(a, &(struct attack_desc){ data(a), 100, NEXT, 7 }, 1, 16, 0))
CASE(indirect_bad_addr, indirect(a, &(struct attack_desc){ NOWHERE, 100, 0, 0 }, 1, 16, 0))

static int
indirect_long(struct attack *a)
{
	struct attack_desc d[4096];

	for (uint16_t i = 0; i < 4096; i++)
		d[i] = (struct attack_desc){ data(a), 1, NEXT, (uint16_t)((i + 1) % 4096) };
	return indirect(a, d, 4096, sizeof(struct vring_desc) * 4096, 0);
}

/* Where two regions meet: contiguous for the guest, two mappings for the backend. */
static uint64_t
seam(const struct attack *a)
{
	return a->g->mem->regions[1].gpa;
}

static void
bytes_put(struct attack *a, uint64_t gpa, const void *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		*(uint8_t *)vmm_mem_host(a->g->mem, gpa + i, 1) = ((const uint8_t *)bytes)[i];
}

/* Legal: virtio speaks of guest-physical addresses only. */
static int
indirect_seam(struct attack *a)
{
	const struct attack_desc descs[2] = {
		{ data(a), 12, a->g->conf.packed ? 0 : NEXT, 1 },
		{ data(a) + 12, 100, 0, 0 },
	};
	uint8_t t[32];

	table_entry(a, t, &descs[0]);
	table_entry(a, t + 16, &descs[1]);
	bytes_put(a, seam(a) - 24, t, sizeof(t));
	return post1(a, TX, seam(a) - 24, sizeof(t), INDIRECT);
}

static int
tx_seam(struct attack *a)
{
	uint8_t bytes[112] = { 0 };

	bytes_put(a, seam(a) - 50, bytes, sizeof(bytes));
	return post1(a, TX, seam(a) - 50, sizeof(bytes), 0);
}

/* Indexes */

static int
avail_move(struct attack *a, unsigned int index, int by)
{
	struct vmm_ring *r = a->g->queues[index].ring;
	struct vring_avail *avail = ring_host(r, r->addr.avail);

	__atomic_store_n(&avail->idx, (uint16_t)(r->avail_idx + by), __ATOMIC_RELEASE);
	attack_kick(a, index);
	return 0;
}

CASE(avail_jump, avail_move(a, TX, 30000))
CASE(avail_back, avail_move(a, TX, -1))
CASE(avail_jump_rx, avail_move(a, RX, 30000))

static int
areas_scribble(struct attack *a)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct vmm_ring *r = a->g->queues[i].ring;

		for (int k = 0; k < 200; k++) {
			memset(ring_host(r, r->addr.used), 0x11 * k, r->addr.used_size);
			memset(ring_host(r, r->addr.avail), 0x35 * k, r->addr.avail_size);
			memset(ring_host(r, r->addr.desc), 0x71 * k, r->addr.desc_size);
			attack_kick(a, i);
			usleep(100);
		}
	}
	return 0;
}

static int
kick_storm(struct attack *a)
{
	for (int i = 0; i < 20000; i++)
		attack_kick(a, (unsigned int)i & 1);
	return 0;
}

#define ROW(n, f, w) { .name = n, .run = f, .what = w, .when = WHEN_STARTED }

const struct attack_case attack_ring_cases[] = {
	ROW("tx-outside", tx_outside, "buffer outside guest memory"),
	ROW("tx-end", tx_end, "buffer runs over the end of guest memory"),
	ROW("tx-wrap", tx_wrap, "buffer wraps around the address space"),
	ROW("tx-len-max", tx_len_max, "length 0xffffffff"),
	ROW("tx-len-zero", tx_len_zero, "length 0"),
	ROW("tx-all-zero", tx_all_zero, "a chain of zero lengths"),
	ROW("tx-header-short", tx_header_short, "less than a virtio header"),
	ROW("tx-header-only", tx_header_only, "a virtio header without a frame"),
	ROW("tx-runt", tx_runt, "a frame of one byte"),
	ROW("tx-giant", tx_giant, "a frame beyond 65535 bytes in one buffer"),
	ROW("tx-write-only", tx_write_only, "transmit chain that is device-writable"),
	ROW("tx-write-first", tx_write_first, "device-writable before device-readable"),
	ROW("tx-second-outside", tx_second_outside, "good header, frame outside guest memory"),
	ROW("tx-sum-wrap", tx_sum_wrap, "lengths whose sum wraps 32 bits"),
	ROW("tx-loop", tx_loop, "chain that never ends"),
	ROW("tx-too-long", tx_too_long, "chain of nearly 4 MB"),
	ROW("rx-outside", rx_outside, "receive buffer outside guest memory"),
	ROW("rx-end", rx_end, "receive buffer runs over the end of guest memory"),
	ROW("rx-wrap", rx_wrap, "receive buffer wraps around the address space"),
	ROW("rx-len-max", rx_len_max, "receive buffer of length 0xffffffff"),
	ROW("rx-len-zero", rx_len_zero, "receive buffer of length 0"),
	ROW("rx-short", rx_short, "receive buffer shorter than a virtio header"),
	ROW("rx-read-only", rx_read_only, "receive chain that is device-readable"),
	ROW("rx-read-first", rx_read_first, "receive chain with a readable piece first"),
	ROW("rx-second-outside", rx_second_outside, "receive chain whose second piece is outside"),
	ROW("rx-loop", rx_loop, "receive chain that never ends"),
	ROW("indirect-len", indirect_len, "indirect table of 17 bytes"),
	ROW("indirect-empty", indirect_empty, "indirect table of 0 bytes"),
	ROW("indirect-huge", indirect_huge, "indirect table of nearly 4 GiB"),
	ROW("indirect-outside", indirect_outside, "indirect table outside guest memory"),
	ROW("indirect-end", indirect_end, "indirect table runs over the end of guest memory"),
	ROW("indirect-next", indirect_next, "INDIRECT together with NEXT"),
	ROW("indirect-nested", indirect_nested, "indirect table that points to itself"),
	ROW("indirect-loop", indirect_loop, "loop within an indirect table"),
	ROW("indirect-next-outside", indirect_next_outside, "next leaves the indirect table"),
	ROW("indirect-bad-addr", indirect_bad_addr, "buffer of an indirect table outside memory"),
	ROW("indirect-long", indirect_long, "indirect table longer than the ring, looped"),
	ROW("areas-scribble", areas_scribble, "ring areas overwritten again and again"),
	ROW("kick-storm", kick_storm, "20000 kicks for nothing"),
	{ "tx-loop-self", "descriptor whose next is itself", WHEN_STARTED, false, false, true,
	  tx_loop_self },
	{ "tx-next-outside", "next outside the table", WHEN_STARTED, false, false, true,
	  tx_next_outside },
	{ "tx-head-outside", "available entry outside the table", WHEN_STARTED, false, false, true,
	  tx_head_outside },
	{ "rx-head-outside", "available entry outside the table, receive", WHEN_STARTED, false,
	  false, true, rx_head_outside },
	{ "avail-jump", "available index jumps", WHEN_STARTED, false, false, true, avail_jump },
	{ "avail-back", "available index goes back", WHEN_STARTED, false, false, true, avail_back },
	{ "avail-jump-rx", "available index jumps, receive", WHEN_STARTED, false, false, true,
	  avail_jump_rx },
	{ "tx-header-split", "virtio header in twelve pieces (legal)", WHEN_STARTED, true, false,
	  false, tx_header_split },
	{ "indirect-seam", "indirect table across two regions (legal)", WHEN_STARTED, true, false,
	  false, indirect_seam },
	{ "tx-seam", "buffer across two regions (legal)", WHEN_STARTED, true, false, false,
	  tx_seam },
};

const unsigned int n_attack_ring_cases = sizeof(attack_ring_cases) / sizeof(attack_ring_cases[0]);
