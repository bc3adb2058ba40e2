/* SPDX-License-Identifier: BSD-3-Clause */
#include "park_buf.h"

#include <rte_common.h>
#include <rte_cycles.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/*
 * `head` and `tail` count bytes since the beginning; a record never goes over the end of the
 * memory: where it would, a record without a frame fills the rest.
 */
#define ALIGN     8ULL

int
park_buf_create(uint64_t size, struct park_buf **out)
{
	struct park_buf *b = aligned_alloc(_Alignof(struct park_buf), sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	*b = (struct park_buf){ .size = RTE_ALIGN_CEIL(size, ALIGN) };
	b->mem = mmap(NULL, b->size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (b->mem == MAP_FAILED) {
		free(b);
		return -ENOMEM;
	}
	*out = b;
	return 0;
}

void
park_buf_destroy(struct park_buf *b)
{
	if (b == NULL)
		return;
	munmap(b->mem, b->size);
	free(b);
}

static uint64_t
record_size(uint32_t len)
{
	return RTE_ALIGN_CEIL(sizeof(struct park_frame) + len, ALIGN);
}

struct park_frame *
park_buf_room(struct park_buf *b, uint32_t len)
{
	uint64_t head = atomic_load_explicit(&b->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&b->tail, memory_order_acquire);
	uint64_t at = head % b->size, size = record_size(len);
	uint64_t skipped = at + size > b->size ? b->size - at : 0;

	if (head + skipped + size - tail > b->size)
		return NULL;
	if (skipped > 0) {
		((struct park_frame *)(b->mem + at))->len = PARK_SKIP;
		atomic_store_explicit(&b->head, head + skipped, memory_order_release);
		at = 0;
	}
	return (struct park_frame *)(b->mem + at);
}

void
park_buf_put(struct park_buf *b, struct park_frame *pf, uint32_t len)
{
	uint64_t head = atomic_load_explicit(&b->head, memory_order_relaxed);
	uint64_t now = rte_rdtsc();

	pf->len = len;
	pf->when = now;
	atomic_store_explicit(&b->last, now, memory_order_relaxed);
	if (atomic_load_explicit(&b->first, memory_order_relaxed) == 0)
		atomic_store_explicit(&b->first, now, memory_order_relaxed);
	atomic_store_explicit(&b->head, head + record_size(len), memory_order_release);
}

const struct park_frame *
park_buf_next(const struct park_buf *b, uint64_t *at)
{
	uint64_t head = atomic_load_explicit(&b->head, memory_order_acquire);
	const struct park_frame *pf;

	if (*at == 0)
		*at = atomic_load_explicit(&b->tail, memory_order_relaxed);
	while (*at != head) {
		pf = (const struct park_frame *)(b->mem + *at % b->size);
		if (pf->len != PARK_SKIP) {
			*at += record_size(pf->len);
			return pf;
		}
		*at += b->size - *at % b->size;
	}
	return NULL;
}

void
park_buf_take(struct park_buf *b, uint64_t at)
{
	if (at != 0)
		atomic_store_explicit(&b->tail, at, memory_order_release);
}
