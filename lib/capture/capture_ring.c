/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_ring.h"

#include <stddef.h>
#include <sys/mman.h>

#define MASK (CAPTURE_RING_SIZE - 1)

struct capture_ring *
ring_create(void)
{
	void *p = mmap(NULL, sizeof(struct capture_ring), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
ring_destroy(struct capture_ring *r)
{
	if (r != NULL)
		munmap(r, sizeof(*r));
}

static struct capture_record *
record_at(struct capture_ring *r, uint64_t at)
{
	return (struct capture_record *)&r->bytes[at & MASK];
}

static bool
has_room(struct capture_ring *r, uint64_t end)
{
	if (end - r->tail_seen <= CAPTURE_RING_SIZE)
		return true;
	r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	return end - r->tail_seen <= CAPTURE_RING_SIZE;
}

struct capture_record *
ring_reserve(struct capture_ring *r, uint32_t cap_len)
{
	const uint32_t size = RTE_ALIGN_CEIL(sizeof(struct capture_record) + cap_len, 8);
	const uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	const uint32_t left = CAPTURE_RING_SIZE - (head & MASK);
	const uint32_t skip = size > left ? left : 0;

	if (!has_room(r, head + skip + size))
		return NULL;
	if (skip > 0) {
		record_at(r, head)->size = skip;
		/* What is left at the end may be shorter than a record: nothing else is written. */
		if (skip >= sizeof(struct capture_record))
			record_at(r, head)->dir = 0;
	}
	r->reserved = head + skip;
	record_at(r, r->reserved)->size = size;
	record_at(r, r->reserved)->cap_len = cap_len;
	return record_at(r, r->reserved);
}

bool
ring_commit(struct capture_ring *r)
{
	const uint64_t head = r->reserved + record_at(r, r->reserved)->size;

	atomic_store_explicit(&r->head, head, memory_order_release);
	if (head - r->tail_seen <= CAPTURE_RING_SIZE / 2)
		return false;
	r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	return head - r->tail_seen > CAPTURE_RING_SIZE / 2;
}

static bool
is_skip(struct capture_ring *r, uint64_t at)
{
	const uint32_t left = CAPTURE_RING_SIZE - (at & MASK);

	return left < sizeof(struct capture_record) || record_at(r, at)->dir == 0;
}

static void
advance(struct capture_ring *r, uint64_t at)
{
	atomic_store_explicit(&r->tail, at + record_at(r, at)->size, memory_order_release);
}

const struct capture_record *
ring_peek(struct capture_ring *r)
{
	const uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail == head)
		return NULL;
	if (is_skip(r, tail)) {
		advance(r, tail);
		tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	}
	return record_at(r, tail);
}

void
ring_drop(struct capture_ring *r)
{
	advance(r, atomic_load_explicit(&r->tail, memory_order_relaxed));
}
