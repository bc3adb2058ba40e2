/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm_rng.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ring fields are little-endian");

#define SIZE_MAX_LEGAL 32768
#define TABLES_MAX 512

static bool
size_legal(const struct vmm_ring_conf *conf)
{
	if (conf->size == 0 || conf->size > SIZE_MAX_LEGAL)
		return false;
	return conf->packed || (conf->size & (conf->size - 1)) == 0;
}

static void
ids_fill(struct vmm_ring *r)
{
	uint16_t size = r->conf.size;
	uint32_t seed = r->conf.shuffle;

	for (uint16_t i = 0; i < size; i++)
		r->ids[i] = size - 1 - i;
	for (uint16_t i = size - 1; seed != 0 && i > 0; i--) {
		uint16_t k = (uint16_t)vmm_rng(&seed, i + 1U);
		uint16_t id = r->ids[i];

		r->ids[i] = r->ids[k];
		r->ids[k] = id;
	}
	r->n_ids = size;
	r->next_id = 0;
}

static void
ring_reset(struct vmm_ring *r)
{
	ids_fill(r);
	r->n_free = r->conf.size;
	r->order_head = r->n_out = 0;
	r->unpublished = 0;
	r->batch_left = 0;
	if (r->conf.packed)
		packed_reset(r);
	else
		split_reset(r);
}

/* What the device writes most often has a page for itself: no other mark stands in for its own. */
static uint64_t
edge_alloc(struct vmm_ring *r, uint32_t size, uint32_t before)
{
	uint64_t gpa = vmm_mem_alloc(r->mem, VMM_PAGE + size, VMM_PAGE);

	return gpa == VMM_GPA_NONE ? gpa : gpa + VMM_PAGE - before;
}

static int
areas_alloc(struct vmm_ring *r, struct vmm_ring_addr *addr)
{
	if (r->conf.packed)
		packed_layout(r, addr);
	else
		split_layout(r, addr);
	if (r->conf.edge && r->conf.packed)
		addr->desc = edge_alloc(r, addr->desc_size, 16);
	else
		addr->desc = vmm_mem_alloc(r->mem, addr->desc_size, 16);
	addr->avail = vmm_mem_alloc(r->mem, addr->avail_size, r->conf.packed ? 4 : 2);
	if (r->conf.edge && !r->conf.packed)
		addr->used = edge_alloc(r, addr->used_size, 4);
	else
		addr->used = vmm_mem_alloc(r->mem, addr->used_size, 4);
	if (addr->desc == VMM_GPA_NONE || addr->avail == VMM_GPA_NONE ||
	    addr->used == VMM_GPA_NONE)
		return -ENOMEM;
	return 0;
}

static int
tables_alloc(struct vmm_ring *r)
{
	uint16_t n = r->conf.size < TABLES_MAX ? r->conf.size : TABLES_MAX;

	if (r->conf.table_len == 0)
		return 0;
	r->tables = vmm_mem_alloc(r->mem, (uint64_t)n * r->conf.table_len * 16, 16);
	r->table_ids = calloc(n, sizeof(*r->table_ids));
	if (r->tables == VMM_GPA_NONE || r->table_ids == NULL)
		return -ENOMEM;
	while (r->n_tables < n) {
		r->table_ids[r->n_tables] = r->n_tables;
		r->n_tables++;
	}
	return 0;
}

static int
ring_init(struct vmm_ring *r)
{
	uint16_t size = r->conf.size;
	int rc;

	r->ids = calloc(size, sizeof(*r->ids));
	r->links = calloc(size, sizeof(*r->links));
	r->order = calloc(size, sizeof(*r->order));
	r->chains = calloc(size, sizeof(*r->chains));
	if (r->ids == NULL || r->links == NULL || r->order == NULL || r->chains == NULL)
		return -ENOMEM;
	rc = areas_alloc(r, &r->addr);
	if (rc == 0)
		rc = tables_alloc(r);
	if (rc == 0)
		ring_reset(r);
	return rc;
}

int
vmm_ring_create(struct vmm_ring **out, struct vmm_mem *mem, const struct vmm_ring_conf *conf,
		const char *name)
{
	struct vmm_ring *r;
	int rc;

	if (!size_legal(conf))
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->mem = mem;
	r->conf = *conf;
	r->kickfd = r->callfd = -1;
	snprintf(r->name, sizeof(r->name), "%s", name);
	rc = ring_init(r);
	if (rc < 0) {
		vmm_ring_destroy(r);
		return rc;
	}
	*out = r;
	return 0;
}

void
vmm_ring_destroy(struct vmm_ring *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 0; r->chains != NULL && i < r->conf.size; i++)
		free(r->chains[i].segs);
	free(r->chains);
	free(r->order);
	free(r->links);
	free(r->ids);
	free(r->table_ids);
	free(r);
}

int
vmm_ring_move(struct vmm_ring *r)
{
	struct vmm_ring_addr to = r->spare;
	int rc = 0;

	if (r->n_out > 0)
		return -EBUSY;
	if (to.desc_size == 0)
		rc = areas_alloc(r, &to);
	if (rc < 0)
		return rc;
	vmm_mem_withdraw(r->mem, r->addr.used, r->addr.used_size);
	r->spare = r->addr;
	r->addr = to;
	ring_reset(r);
	return 0;
}

/* The ledger */

uint16_t
ring_id_take(struct vmm_ring *r)
{
	uint16_t id = r->next_id;

	if (!r->conf.in_order)
		return r->ids[--r->n_ids];
	/* virtio 1.2 clause 2.7.13.1: with IN_ORDER descriptors are taken in ring order. */
	r->next_id = (uint16_t)((id + 1) % r->conf.size);
	return id;
}

void
ring_id_give(struct vmm_ring *r, uint16_t id)
{
	if (!r->conf.in_order)
		r->ids[r->n_ids++] = id;
}

void
ring_open(struct vmm_ring *r, uint16_t id, const struct vmm_seg *segs, uint16_t n, uint16_t n_slots,
	  uint64_t cookie)
{
	struct vmm_chain *c = &r->chains[id];

	memcpy(c->segs, segs, n * sizeof(*segs));
	c->n_segs = n;
	c->n_slots = n_slots;
	c->cookie = cookie;
	c->writable = 0;
	c->out = true;
	for (uint16_t i = 0; i < n; i++) {
		if (!segs[i].write)
			continue;
		c->writable += segs[i].len;
		vmm_mem_offer(r->mem, segs[i].gpa, segs[i].len);
	}
	r->order[(r->order_head + r->n_out++) % r->conf.size] = id;
	r->n_free -= n_slots;
	r->stats.posted++;
}

static int
chain_close(struct vmm_ring *r, uint16_t id, uint32_t len, bool skipped, struct vmm_used *used)
{
	struct vmm_chain *c = &r->chains[id];

	for (uint16_t i = 0; i < c->n_segs; i++)
		if (c->segs[i].write)
			vmm_mem_withdraw(r->mem, c->segs[i].gpa, c->segs[i].len);
	if (c->table != 0)
		r->table_ids[r->n_tables++] = c->table - 1;
	c->table = 0;
	c->out = false;
	if (r->conf.packed)
		packed_close(r, id);
	else
		split_close(r, id);
	r->n_free += c->n_slots;
	r->order_head = (uint16_t)((r->order_head + 1) % r->conf.size);
	r->n_out--;
	r->stats.used++;
	*used = (struct vmm_used){ .cookie = c->cookie, .len = len, .id = id, .skipped = skipped };
	return 1;
}

void
vmm_ring_forget(struct vmm_ring *r)
{
	struct vmm_used used;

	for (uint32_t id = 0; id < r->conf.size; id++)
		if (r->chains[id].out)
			chain_close(r, (uint16_t)id, 0, false, &used);
	r->unpublished = 0;
	r->batch_left = 0;
}

int
ring_batch_next(struct vmm_ring *r, struct vmm_used *used)
{
	uint16_t id = r->order[r->order_head];
	bool last = --r->batch_left == 0;

	return chain_close(r, id, last ? r->batch_len : r->chains[id].writable, !last, used);
}

/* How many chains were posted before `id` and are still out. */
static uint16_t
order_depth(const struct vmm_ring *r, uint16_t id)
{
	uint16_t depth = 0;

	while (r->order[(r->order_head + depth) % r->conf.size] != id)
		depth++;
	return depth;
}

int
ring_settle(struct vmm_ring *r, uint32_t id, uint32_t len, uint16_t visible, struct vmm_used *used)
{
	uint16_t depth;

	if (id >= r->conf.size)
		return ring_fault(r, "used id %u in a ring of %u", id, r->conf.size);
	if (!r->chains[id].out)
		return ring_fault(r, "used id %u is not outstanding", id);
	if (len > r->chains[id].writable)
		return ring_fault(r, "used id %u with length %u, only %u are writable", id, len,
				  r->chains[id].writable);
	if (!r->conf.in_order)
		return chain_close(r, (uint16_t)id, len, false, used);
	depth = order_depth(r, (uint16_t)id);
	if (depth >= visible)
		return ring_fault(r, "used id %u out of order: %u chains before it, %u used", id,
				  depth, visible);
	r->batch_left = depth + 1;
	r->batch_len = len;
	return ring_batch_next(r, used);
}

/* Driver */

static int
segs_reserve(struct vmm_chain *c, uint16_t n)
{
	struct vmm_seg *segs;

	if (c->segs_len >= n)
		return 0;
	segs = realloc(c->segs, n * sizeof(*segs));
	if (segs == NULL)
		return -ENOMEM;
	c->segs = segs;
	c->segs_len = n;
	return 0;
}

/* Split: descriptors linked by `next` (2.7.5.3). */
static void
table_fill_split(struct vring_desc *d, const struct vmm_seg *segs, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		d[i] = (struct vring_desc){
			.addr = segs[i].gpa,
			.len = segs[i].len,
			.flags = (uint16_t)((segs[i].write ? VRING_DESC_F_WRITE : 0) |
					    (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
			.next = i + 1 < n ? i + 1 : 0,
		};
}

/* Packed: the ring's own layout, in order, with no flag but WRITE (2.8.7). */
static void
table_fill_packed(struct vring_packed_desc *d, const struct vmm_seg *segs, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		d[i] = (struct vring_packed_desc){
			.addr = segs[i].gpa,
			.len = segs[i].len,
			.flags = segs[i].write ? VRING_DESC_F_WRITE : 0,
		};
}

uint64_t
ring_table_fill(struct vmm_ring *r, uint16_t id, const struct vmm_seg *segs, uint16_t n)
{
	uint16_t table = r->table_ids[--r->n_tables];
	uint64_t gpa = r->tables + (uint64_t)table * r->conf.table_len * 16;

	if (r->conf.packed)
		table_fill_packed(ring_host(r, gpa), segs, n);
	else
		table_fill_split(ring_host(r, gpa), segs, n);
	vmm_mem_wrote(r->mem, gpa, n * 16U);
	r->chains[id].table = table + 1;
	return gpa;
}

int
vmm_ring_post(struct vmm_ring *r, const struct vmm_seg *segs, uint16_t n, bool indirect,
	      uint64_t cookie)
{
	uint16_t id;
	int rc;

	if (n == 0 || n > (indirect ? r->conf.table_len : r->conf.size))
		return -E2BIG;
	if ((indirect ? 1 : n) > r->n_free || (indirect && r->n_tables == 0))
		return -ENOSPC;
	if (!r->conf.in_order && r->n_ids == 0)
		return -ENOSPC;
	id = r->conf.in_order ? r->next_id : r->ids[r->n_ids - 1];
	rc = segs_reserve(&r->chains[id], n);
	if (rc < 0)
		return rc;
	return r->conf.packed ? packed_post(r, segs, n, indirect, cookie) :
				split_post(r, segs, n, indirect, cookie);
}

int
vmm_ring_kick(struct vmm_ring *r)
{
	bool wanted;

	if (r->unpublished == 0)
		return 0;
	wanted = r->conf.packed ? packed_publish(r) : split_publish(r);
	r->unpublished = 0;
	if (!wanted) {
		r->stats.kicks_suppressed++;
		return 0;
	}
	r->stats.kicks++;
	if (r->kickfd >= 0 && write(r->kickfd, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0 &&
	    errno != EAGAIN)
		return ring_fault(r, "kick: %s", strerror(errno));
	return 1;
}

int
vmm_ring_collect(struct vmm_ring *r, struct vmm_used *used)
{
	if (r->batch_left > 0)
		return ring_batch_next(r, used);
	return r->conf.packed ? packed_collect(r, used) : split_collect(r, used);
}

bool
vmm_ring_used(const struct vmm_ring *r)
{
	if (r->batch_left > 0)
		return true;
	return r->conf.packed ? packed_used(r) : split_used(r);
}

bool
vmm_ring_arm(struct vmm_ring *r)
{
	if (r->conf.packed)
		packed_arm(r, true);
	else
		split_arm(r, true);
	/* Arm before the last look: virtio 1.2 clause 3.2.3, or an interrupt is lost. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !vmm_ring_used(r);
}

void
vmm_ring_disarm(struct vmm_ring *r)
{
	if (r->conf.packed)
		packed_arm(r, false);
	else
		split_arm(r, false);
}

uint16_t
vmm_ring_room(const struct vmm_ring *r)
{
	return r->n_free;
}

uint16_t
vmm_ring_pos(const struct vmm_ring *r)
{
	if (!r->conf.packed)
		return r->used_idx;
	return (uint16_t)(r->used_idx | (r->used_wrap ? 1 << 15 : 0));
}

int
vmm_ring_check_base(struct vmm_ring *r, uint32_t base)
{
	uint16_t pos = vmm_ring_pos(r);
	uint32_t high = base >> 16;

	if (vmm_ring_used(r))
		return ring_fault(r, "base asked for with used chains at %u not collected", pos);
	if ((base & 0xffff) != pos)
		return ring_fault(r, "base is 0x%x, the driver's ledger says 0x%x", base, pos);
	/* Packed rings carry the used position above; librte_vhost 22.11 leaves it zero. */
	if (high != 0 && !(r->conf.packed && high == pos))
		return ring_fault(r, "base is 0x%x, its high half should be 0 or 0x%x", base, pos);
	return 0;
}
