/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpadev_impl.h"
#include "vring.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>

#define DESC_NEXT     (1u << 0)
#define DESC_WRITE    (1u << 1)
#define DESC_INDIRECT (1u << 2)

static void
areas_keep(struct vdpadev *d, struct vdpadev_ring *r)
{
	const struct vring *v = r->vring;

	r->desc = d->packed ? (void *)v->packed.desc : (void *)v->split.desc;
	r->driver = d->packed ? (void *)v->packed.driver : (void *)v->split.avail;
	r->device = d->packed ? (void *)v->packed.device : (void *)v->split.used;
	/* Of a packed ring any first flags can be those that show a batch. */
	r->index_gpa.v = d->packed ? r->said.desc.v : r->said.device.v + 2;
	r->index_len = d->packed ? r->said.size * 16u : 2;
}

int
vdpadev_ring_init(struct vdpadev *d, uint16_t qid, const struct vdev_cfg *cfg)
{
	struct vdpadev_ring *r = &d->rings[qid];
	const struct vdev_ring *said = &cfg->rings[qid];
	const struct vring_opts opts = {
		.mem = cfg->mem, .features = cfg->features, .size = said->size,
		.writable = qid % 2 == 0, .desc = said->desc, .driver = said->driver,
		.device = said->device, .pos = said->pos, .told = said->told, .log = cfg->log,
	};

	r->vring = calloc(1, sizeof(*r->vring));
	if (r->vring == NULL)
		return -ENOMEM;
	r->said = *said;
	r->bad = vring_init(r->vring, &opts);
	r->said.pos = vring_pos(r->vring);
	r->live = r->bad == VRING_BAD_NONE;
	r->stored = false;
	r->reported = false;
	r->first = 0;
	r->chains_index = r->said.pos.used;
	areas_keep(d, r);
	return 0;
}

void
vdpadev_ring_fini(struct vdpadev_ring *r)
{
	free(r->vring);
	r->vring = NULL;
	r->live = false;
	r->said.started = false;
}

/* What tells the driver whether to kick, four bytes in a packed ring and two in a split one. */
static void *
event_area(const struct vdpadev *d, const struct vdpadev_ring *r)
{
	struct vring_used *used = r->device;

	if (d->packed)
		return r->device;
	return r->vring->event_idx ? (void *)&used->ring[r->said.size] : (void *)&used->flags;
}

uint32_t
vdpadev_ring_arm(struct vdpadev *d, struct vdpadev_ring *r)
{
	void *area = event_area(d, r);
	uint32_t saved = d->packed ? __atomic_load_n((uint32_t *)area, __ATOMIC_RELAXED) :
			 __atomic_load_n((uint16_t *)area, __ATOMIC_RELAXED);

	vring_arm(r->vring);
	r->marked += r->vring->pages;
	r->vring->pages = 0;
	return saved;
}

void
vdpadev_ring_unarm(struct vdpadev *d, struct vdpadev_ring *r, uint32_t saved)
{
	void *area = event_area(d, r);

	if (d->packed)
		__atomic_store_n((uint32_t *)area, saved, __ATOMIC_RELAXED);
	else
		__atomic_store_n((uint16_t *)area, (uint16_t)saved, __ATOMIC_RELAXED);
	vdpadev_ring_mark(d, r);
}

void
vdpadev_ring_disarm(struct vdpadev_ring *r)
{
	vring_disarm(r->vring);
}

static uint16_t
used_index(const struct vdpadev_ring *r)
{
	const struct vring_used *used = r->device;

	return __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
}

void
vdpadev_ring_move(struct vdpadev_ring *r, const struct dirty *log)
{
	r->vring->idx = r->said.pos.used;
	r->vring->wrap = r->said.pos.used_wrap;
	vring_log_set(r->vring, log);
}

/*
 * Some drivers store what they took and what they gave back, some one of both, some nothing.  What
 * the guest has been given back is what counts: the rest is taken again, as a network may.
 */
struct vring_pos
vdpadev_ring_pos(const struct vdpadev *d, const struct vdpadev_ring *r)
{
	struct vring_pos pos = r->said.pos;

	if (r->live && !r->stored && !d->packed)
		pos.used = used_index(r);
	pos.avail = pos.used;
	pos.avail_wrap = pos.used_wrap;
	return pos;
}

uint64_t
vdpadev_ring_chains(const struct vdpadev *d, struct vdpadev_ring *r)
{
	if (r->live && !d->packed) {
		uint16_t now = used_index(r);

		r->chains += (uint16_t)(now - r->chains_index);
		r->chains_index = now;
	}
	return r->chains;
}

struct vring_pos
vdpadev_ring_now(const struct vdpadev *d, struct vdpadev_ring *r, const struct vdpadev_told *told)
{
	struct vring_pos pos = r->said.pos;

	if (!r->live)
		return vring_pos(r->vring);
	if (told->has_index)
		pos = vring_pos_decode(d->packed, told->index);
	else if (!d->packed)
		pos.avail = pos.used = used_index(r);
	atomic_store_explicit(&r->vring->shown, vring_pos_encode(true, &pos), memory_order_relaxed);
	return pos;
}

void
vdpadev_ring_asked(const struct vdpadev_ring *r, struct vdev_ring_stats *out)
{
	struct vring_asked asked = { 0 };

	out->asked = vring_asked(r->vring, &asked);
	out->waiting = asked.waiting;
	out->kicks_wanted = asked.kicks;
	out->calls_wanted = asked.calls;
}

bool
vdpadev_ring_silent(const struct vdpadev *d, const struct vdpadev_ring *r)
{
	struct vring_asked asked;

	if (!d->packed && r->vring->event_idx)
		return false;
	return vring_asked(r->vring, &asked) && !asked.calls;
}

/* The ring whose index is on a page of the range; NULL: none. */
static struct vdpadev_ring *
index_in(struct vdpadev *d, gpa_t gpa, uint64_t len)
{
	uint64_t first = gpa.v >> DIRTY_PAGE_SHIFT, last = (gpa.v + len - 1) >> DIRTY_PAGE_SHIFT;

	for (uint16_t i = 0; i < d->n_rings; i++) {
		struct vdpadev_ring *r = &d->rings[i];

		if (r->live && (r->index_gpa.v + r->index_len - 1) >> DIRTY_PAGE_SHIFT >= first &&
		    r->index_gpa.v >> DIRTY_PAGE_SHIFT <= last)
			return r;
	}
	return NULL;
}

void
vdpadev_mark(struct vdpadev *d, struct vdpadev_ring *r, gpa_t gpa, uint64_t len)
{
	struct vdpadev_ring *shows;
	uint32_t fresh;

	if (d->log == NULL)
		return;
	dirty_order();
	fresh = dirty_mark(d->log, gpa, len);
	if (fresh == 0)
		return;
	shows = index_in(d, gpa, len);
	if (shows != NULL)
		shows->rounds++;
	if (r == NULL)
		r = shows != NULL ? shows : &d->rings[0];
	r->pages += fresh;
}

void
vdpadev_ring_mark(const struct vdpadev *d, struct vdpadev_ring *r)
{
	uint64_t event = r->vring->event_idx ? sizeof(uint16_t) : 0;

	if (d->log == NULL || !r->live)
		return;
	dirty_order();
	if (d->packed) {
		r->marked += dirty_mark(d->log, r->said.desc, r->said.size * 16ULL);
		r->marked += dirty_mark(d->log, r->said.device, sizeof(struct vring_packed_event));
	} else {
		r->marked += dirty_mark(d->log, r->said.device, 4 + 8ULL * r->said.size + event);
	}
}

uint64_t
vdpadev_log_size(const struct dirty *log, uint64_t *base)
{
	if (log == NULL)
		return 0;
	*base = (uintptr_t)log->words;
	return log->n_pages / 8;
}

/* Relay: entries of a ring that stands in for the guest's used ring */

/* struct vring of linux/virtio_ring.h, which is what drivers hand over. */
struct mediated {
	unsigned int num;
	void *desc, *avail;
	struct vring_used *used;
};

static bool
desc_load(const struct vdpadev *d, gpa_t table, uint32_t i, struct vring_split_desc *out)
{
	const struct vring_split_desc *p = gmem_at(d->mem, (gpa_t){ table.v + i * 16ULL }, 16);

	if (p == NULL)
		return false;
	out->addr = __atomic_load_n(&p->addr, __ATOMIC_RELAXED);
	out->len = __atomic_load_n(&p->len, __ATOMIC_RELAXED);
	out->flags = __atomic_load_n(&p->flags, __ATOMIC_RELAXED);
	out->next = __atomic_load_n(&p->next, __ATOMIC_RELAXED);
	return true;
}

/* Marks all that a chain let the device write: how much of it was is not known to us. */
static bool
chain_mark(struct vdpadev *d, struct vdpadev_ring *r, uint32_t head)
{
	gpa_t table = r->said.desc;
	uint32_t len = r->said.size, i = head;
	struct vring_split_desc desc;

	if (head >= len || !desc_load(d, table, head, &desc))
		return false;
	if ((desc.flags & DESC_INDIRECT) != 0) {
		table.v = desc.addr;
		len = desc.len / sizeof(desc);
		i = 0;
	}
	for (uint32_t steps = 0; steps < len; steps++) {
		if (i >= len || !desc_load(d, table, i, &desc))
			return false;
		if ((desc.flags & DESC_WRITE) != 0)
			vdpadev_mark(d, r, (gpa_t){ desc.addr }, desc.len);
		if ((desc.flags & DESC_NEXT) == 0)
			return true;
		i = desc.next;
	}
	return false;
}

int
vdpadev_ring_relay(struct vdpadev *d, struct vdpadev_ring *r, void *mediated)
{
	struct vring_used *from = ((struct mediated *)mediated)->used, *to = r->device;
	uint16_t idx = used_index(r), end = __atomic_load_n(&from->idx, __ATOMIC_ACQUIRE);
	uint16_t mask = r->said.size - 1, n = (uint16_t)(end - idx);

	__atomic_store_n(&to->flags, from->flags, __ATOMIC_RELAXED);
	for (; idx != end; idx++) {
		const struct vring_used_elem elem = from->ring[idx & mask];

		to->ring[idx & mask] = elem;
		if (!chain_mark(d, r, elem.id))
			return -1;
	}
	__atomic_store_n(&to->idx, end, __ATOMIC_RELEASE);
	if (r->vring->event_idx)
		__atomic_store_n((uint16_t *)&((struct vring_avail *)((struct mediated *)mediated)->
					       avail)->ring[r->said.size], end, __ATOMIC_RELAXED);
	return n;
}
