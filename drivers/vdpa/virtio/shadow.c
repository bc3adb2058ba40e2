/* SPDX-License-Identifier: BSD-3-Clause */
#include "shadow_impl.h"

#include <errno.h>
#include <stdlib.h>

#define X(id, name) [SHADOW_BAD_##id] = name,
const char *const shadow_bad_names[SHADOW_BAD_N] = { SHADOW_BADS(X) };
#undef X

#define X(id, name) [SHADOW_FAULT_##id] = name,
const char *const shadow_fault_names[SHADOW_FAULT_N] = { SHADOW_FAULTS(X) };
#undef X

static bool
power_of_two(uint16_t size)
{
	return size > 0 && (size & (size - 1)) == 0;
}

/* Where the parts of the device's ring are in its memory. */
struct layout {
	size_t avail, used, tables, bytes;
};

static struct layout
layout_of(uint16_t size, uint64_t features)
{
	struct layout l;

	l.avail = size * sizeof(struct split_desc);
	l.used = RTE_CACHE_LINE_ROUNDUP(l.avail + sizeof(struct split_avail) + 2u * (size + 1u));
	l.tables = RTE_CACHE_LINE_ROUNDUP(l.used + sizeof(struct split_used) + 8u * size + 2u);
	l.bytes = l.tables;
	if (has(features, F_INDIRECT_DESC))
		l.bytes += (size_t)size * TABLE_LEN * sizeof(struct split_desc);
	return l;
}

size_t
shadow_dev_bytes(uint16_t dev_size, uint64_t dev_features)
{
	return layout_of(dev_size, dev_features).bytes;
}

static void
device_init(struct shadow *s, const struct shadow_opts *o)
{
	const struct layout l = layout_of(o->dev_size, o->dev_features);
	uint8_t *mem = o->dev_mem;

	memset(mem, 0, l.tables);
	s->dev.desc = (void *)mem;
	s->dev.avail = (void *)(mem + l.avail);
	s->dev.used = (void *)(mem + l.used);
	s->dev.iova = o->dev_iova;
	if (l.bytes > l.tables) {
		s->dev.tables = (void *)(mem + l.tables);
		s->dev.tables_iova = o->dev_iova + l.tables;
	}
	s->dev.size = o->dev_size;
	s->dev.mask = o->dev_size - 1;
	s->dev.event_idx = has(o->dev_features, F_EVENT_IDX);
}

void
shadow_queue(const struct shadow *s, struct shadow_queue *out)
{
	const uint8_t *mem = (const uint8_t *)s->dev.desc;

	*out = (struct shadow_queue){
		.desc = s->dev.iova,
		.driver = s->dev.iova + (uint64_t)((const uint8_t *)s->dev.avail - mem),
		.device = s->dev.iova + (uint64_t)((const uint8_t *)s->dev.used - mem),
		.size = s->dev.size,
	};
}

/* A region may begin at any address: what is aligned for the guest need not be so here. */
static void *
area(const struct shadow *s, uint64_t gpa, uint64_t len, uint64_t align)
{
	void *p = mem_at(s->mem, gpa, len);

	return (gpa | (uintptr_t)p) % align == 0 ? p : NULL;
}

static bool
split_map(struct shadow *s)
{
	const uint64_t event = s->event_idx ? sizeof(uint16_t) : 0;

	s->split.desc = area(s, s->desc_gpa, s->size * sizeof(struct split_desc), 16);
	s->split.avail = area(s, s->driver_gpa, 4 + 2ULL * s->size + event, 2);
	s->split.used = area(s, s->device_gpa, 4 + 8ULL * s->size + event, 4);
	return s->split.desc != NULL && s->split.avail != NULL && s->split.used != NULL;
}

static bool
packed_map(struct shadow *s)
{
	s->packed.desc = area(s, s->desc_gpa, s->size * sizeof(struct packed_desc), 16);
	s->packed.driver = area(s, s->driver_gpa, sizeof(struct packed_event), 4);
	s->packed.device = area(s, s->device_gpa, sizeof(struct packed_event), 4);
	return s->packed.desc != NULL && s->packed.driver != NULL && s->packed.device != NULL;
}

static enum shadow_bad
map(struct shadow *s)
{
	if (s->size == 0 || s->size > SIZE_MAX_DESCS || (!s->is_packed && !power_of_two(s->size)))
		return SHADOW_BAD_SIZE;
	if (!(s->is_packed ? packed_map(s) : split_map(s)))
		return SHADOW_BAD_ADDR;
	return s->is_packed && s->used >= s->size ? SHADOW_BAD_INDEX : SHADOW_BAD_NONE;
}

static void
guest_init(struct shadow *s, const struct shadow_opts *o)
{
	enum shadow_bad bad;

	s->mem = o->mem;
	s->size = o->size;
	s->tx = o->tx;
	s->is_packed = has(o->features, F_RING_PACKED);
	s->event_idx = has(o->features, F_EVENT_IDX);
	s->indirect = has(o->features, F_INDIRECT_DESC);
	s->desc_gpa = o->desc;
	s->driver_gpa = o->driver;
	s->device_gpa = o->device;
	s->used = s->is_packed ? o->pos & 0x7fff : o->pos;
	s->used_wrap = s->is_packed && o->pos >> 15 != 0;
	bad = map(s);
	if (bad == SHADOW_BAD_NONE && !s->is_packed)
		s->used = __atomic_load_n(&s->split.used->idx, __ATOMIC_ACQUIRE);
	s->avail = s->avail_seen = s->used;
	s->avail_wrap = s->used_wrap;
	atomic_store_explicit(&s->bad, bad, memory_order_relaxed);
	shadow_show(s);
}

static int
books_create(struct shadow *s)
{
	s->recs = calloc(s->dev.size, sizeof(*s->recs));
	s->walk.pieces = calloc(s->dev.size, sizeof(*s->walk.pieces));
	s->walk.max = s->dev.size;
	return s->recs == NULL || s->walk.pieces == NULL ? -ENOMEM : 0;
}

int
shadow_create(struct shadow **out, const struct shadow_opts *opts)
{
	struct shadow *s;
	int rc;

	if (!power_of_two(opts->dev_size))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	device_init(s, opts);
	rc = books_create(s);
	if (rc < 0) {
		shadow_destroy(s);
		return rc;
	}
	guest_init(s, opts);
	shadow_log_set(s, opts->mark, opts->mark_arg);
	*out = s;
	return 0;
}

void
shadow_destroy(struct shadow *s)
{
	if (s == NULL)
		return;
	free(s->recs);
	free(s->walk.pieces);
	free(s);
}

void
shadow_log_set(struct shadow *s, shadow_mark_t mark, void *arg)
{
	s->mark = mark;
	s->mark_arg = arg;
}

void
shadow_break(struct shadow *s, enum shadow_bad why)
{
	atomic_store_explicit(&s->bad, why, memory_order_relaxed);
}

enum shadow_bad
shadow_bad(const struct shadow *s)
{
	return (enum shadow_bad)atomic_load_explicit(&s->bad, memory_order_relaxed);
}

enum shadow_fault
shadow_fault(const struct shadow *s)
{
	return (enum shadow_fault)atomic_load_explicit(&s->fault, memory_order_relaxed);
}

void
shadow_stats(const struct shadow *s, struct shadow_stats *out)
{
	*out = (struct shadow_stats){
		.chains = atomic_load_explicit(&s->n_chains, memory_order_relaxed),
		.skipped = atomic_load_explicit(&s->n_skipped, memory_order_relaxed),
		.dropped = atomic_load_explicit(&s->n_dropped, memory_order_relaxed),
		.avail = atomic_load_explicit(&s->shown_avail, memory_order_relaxed),
		.used = atomic_load_explicit(&s->shown_used, memory_order_relaxed),
		.in_flight = atomic_load_explicit(&s->shown_out, memory_order_relaxed),
	};
}

uint32_t
shadow_complete(struct shadow *s, uint32_t max, bool *call)
{
	return shadow_give(s, shadow_dev_ready(s, max), call);
}

/* Into what it has not completed a device may have written, too. */
static void
unfinished_mark(const struct shadow *s)
{
	guest_fence();
	for (uint16_t desc = s->dev.first; desc != s->dev.next; desc += rec_at(s, desc)->n_descs)
		if (rec_at(s, desc)->state == REC_OUT)
			shadow_payload_mark(s, desc, rec_at(s, desc)->len);
}

/* Where the youngest chain stands that the device, which may do so in any order, has completed. */
static uint16_t
completed_last(const struct shadow *s)
{
	uint16_t last = s->dev.first;

	for (uint16_t desc = last; desc != s->dev.next; desc += rec_at(s, desc)->n_descs)
		if (rec_at(s, desc)->state == REC_DONE)
			last = desc;
	return last;
}

/* Chains up to that one are settled. */
static void
settle(struct shadow *s)
{
	const uint16_t last = completed_last(s);

	for (uint16_t desc = s->dev.first; desc != last; desc += rec_at(s, desc)->n_descs) {
		struct rec *r = rec_at(s, desc);

		if (r->state == REC_OUT) {
			r->len = 0;
			r->state = REC_DONE;
		}
	}
}

/* What is younger is the guest's again, as if it had never been taken. */
static void
rewind_taken(struct shadow *s)
{
	s->dev.first = s->dev.next;
	s->n_out = s->slots_out = 0;
	s->avail = s->avail_seen = s->used;
	s->avail_wrap = s->used_wrap;
	shadow_show(s);
}

uint32_t
shadow_stop(struct shadow *s, uint16_t *pos, bool *call)
{
	uint32_t n;

	shadow_reap(s, shadow_dev_ready(s, UINT32_MAX));
	if (s->mark != NULL && !s->tx)
		unfinished_mark(s);
	settle(s);
	n = shadow_give(s, 0, call);
	rewind_taken(s);
	*pos = s->is_packed ? (uint16_t)(s->used | s->used_wrap << 15) : s->used;
	return n;
}
