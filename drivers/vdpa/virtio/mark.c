/* SPDX-License-Identifier: BSD-3-Clause */
#include "mark.h"

#include <rte_vhost.h>

#include <stdatomic.h>
#include <stddef.h>

bool
mark_load(struct mark *m, int vid)
{
	uint64_t base = 0, size = 0;

	*m = (struct mark){ 0 };
	if (rte_vhost_get_log_base(vid, &base, &size) != 0 || base == 0)
		return false;
	m->bits = (_Atomic uint8_t *)(uintptr_t)base;
	m->n_pages = size * 8;
	return true;
}

/* A bit that stands already means that the copy is still to come: the caller's fence keeps this
 * look behind the write. */
static uint32_t
page_mark(const struct mark *m, uint64_t page)
{
	uint8_t bit = (uint8_t)(1u << page % 8);
	_Atomic uint8_t *at = &m->bits[page / 8];

	if ((atomic_load_explicit(at, memory_order_relaxed) & bit) != 0)
		return 0;
	return (atomic_fetch_or_explicit(at, bit, memory_order_release) & bit) == 0;
}

uint32_t
mark_range(const struct mark *m, uint64_t gpa, uint64_t len)
{
	uint64_t last = (gpa + len - 1) >> MARK_PAGE_SHIFT;
	uint32_t fresh = 0;

	if (len == 0 || m->bits == NULL)
		return 0;
	for (uint64_t page = gpa >> MARK_PAGE_SHIFT; page <= last && page < m->n_pages; page++)
		fresh += page_mark(m, page);
	return fresh;
}
