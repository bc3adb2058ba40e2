/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_DIRTY_H
#define FERRY_DIRTY_H

/**
 * @file
 * The dirty log: one bit for each page of guest memory, shared with the front-end, which takes the
 * bits away while we set them and copies those pages to where the guest goes.
 *
 * A page is marked after it was written: the front-end that takes the bit copies the page behind
 * that, and a bit that came before the write would be taken for nothing.  So a burst is
 *
 *   writes, dirty_order(), dirty_mark() of each, and only then the index that shows them
 *
 * The mark looks before it sets: where the bit stands already, the copy is still to come.  That is
 * true only behind dirty_order(), which keeps the look from overtaking the write.
 *
 * Life     mapped when the front-end sends it, unmapped after a grace period without it.
 * Threads  dirty_map(), _destroy(): the session's; marks: any number of workers.
 * Units    pages of 4096 bytes, whatever the guest's or the host's are
 * Source   vhost-user specification, "Migration"; linux/vhost.h, VHOST_PAGE_SIZE
 */

#include "dirty_fault.h"
#include "gmem.h"

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_common.h>

#define DIRTY_PAGE_SHIFT 12

struct dirty {
	_Atomic uint64_t *words;
	uint64_t n_pages;
	struct gmem *guard;      /**< its `faulted`: the log shrank, marks were lost */
	void *map;
	uint64_t map_len;
};

/**
 * Maps a log.
 *
 * @param fd      stays the caller's; a file of at least `offset` + `size` bytes, open for both
 * @param offset  multiple of 4096
 * @param port    who is told when the file shrinks (struct gmem's port)
 * @return        0; -EINVAL: empty, unaligned or wrapping; -ENOMEM; -ENOSPC; -errno of mmap()
 */
int dirty_map(int fd, uint64_t offset, uint64_t size, uint16_t port, struct dirty **out);

/** Unmaps it; nobody may mark any more.  NULL is allowed. */
void dirty_destroy(struct dirty *d);

/** Whether each page of the memory has its bit: else nothing may be written. */
bool dirty_covers(const struct dirty *d, const struct gmem *mem);

/** Whether marks were lost, so that the guest must not be written to any more. */
static inline bool
dirty_faulted(const struct dirty *d)
{
	return atomic_load_explicit(&d->guard->faulted, memory_order_relaxed);
}

/** Stands between writes and their marks. */
static inline void
dirty_order(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

/* Sets bits of one word; returns how many of them were not set. */
static inline uint32_t
dirty_word_mark(_Atomic uint64_t *word, uint64_t bits)
{
	uint64_t old;

	bits = rte_cpu_to_le_64(bits);
	old = atomic_load_explicit(word, memory_order_relaxed);
	if (likely((old & bits) == bits))
		return 0;
	if (FAULT(NON_ATOMIC)) {
		for (volatile int i = 0; i < 200; i++)
			;
		atomic_store_explicit(word, old | bits, memory_order_relaxed);
	} else {
		old = atomic_fetch_or_explicit(word, bits, memory_order_release);
	}
	return (uint32_t)__builtin_popcountll(bits & ~old);
}

/**
 * Marks the pages of a range, which the log covers.
 *
 * @param len  may be 0
 * @return     pages that were not marked before
 * @cost       a load for each 64 pages that are marked already, else an atomic operation
 */
static inline uint32_t
dirty_mark(const struct dirty *d, gpa_t gpa, uint64_t len)
{
	uint64_t page = gpa.v >> DIRTY_PAGE_SHIFT;
	uint64_t last = (gpa.v + len - 1) >> DIRTY_PAGE_SHIFT;
	uint32_t fresh = 0;

	if (unlikely(len == 0 || last >= d->n_pages))
		return 0;
	while (page <= last) {
		uint64_t word = page / 64;
		uint64_t n = RTE_MIN(last - page + 1, 64 - page % 64);

		fresh += dirty_word_mark(&d->words[FAULT(FIRST_WORDS) ? word % 32 : word],
					 (n == 64 ? UINT64_MAX : (1ULL << n) - 1) << page % 64);
		page += n;
	}
	return fresh;
}

#endif
