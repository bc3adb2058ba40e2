/* SPDX-License-Identifier: BSD-3-Clause */
#include "vring_impl.h"
#include "stats.h"

#include <stddef.h>

/*
 * Everything that is ever written into a guest's memory is marked here, by guest-physical address.
 * What SET_VRING_ADDR names as the place to log is no help: it is the used ring of a split ring,
 * but the event area of a packed one, whose descriptors are what is written.
 */

static void
mark(struct vring *r, const struct dirty *log, gpa_t gpa, uint64_t len)
{
	if (FAULT(REGION_BASE) || FAULT(REGION_FIRST) || FAULT(REMEMBERED))
		vring_fault_range(r, &gpa, &len);
	stats_add(&r->pages, dirty_mark(log, gpa, len));
}

/* Pages of one word, on their way into the log. */
struct gathered {
	uint64_t word;
	uint64_t bits;
	uint64_t fresh;
};

static inline void
gathered_mark(struct gathered *m, const struct dirty *log)
{
	if (m->bits != 0)
		m->fresh += dirty_word_mark(&log->words[m->word], m->bits);
	m->bits = 0;
}

/* A chain that is one piece within a page, as most are: buffers of a burst lie side by side. */
static inline bool
payload_gather(struct gathered *m, const struct dirty *log, const struct vring_chain *c)
{
	const uint64_t gpa = c->segs[0].gpa.v, page = gpa >> DIRTY_PAGE_SHIFT;

	if (unlikely(c->used > c->segs[0].len) || unlikely(page >= log->n_pages) ||
	    (gpa + c->used - 1) >> DIRTY_PAGE_SHIFT != page)
		return false;
	if (page / 64 != m->word) {
		gathered_mark(m, log);
		m->word = page / 64;
	}
	m->bits |= 1ULL << page % 64;
	return true;
}

static void
payload_mark(struct vring *r, const struct dirty *log, const struct vring_chain *c)
{
	uint32_t left = FAULTS_SEEDED ? vring_fault_payload(r, c) : c->used;

	for (const struct vring_seg *s = c->segs; left > 0; s++) {
		uint32_t some = RTE_MIN(left, s->len);

		mark(r, log, s->gpa, FAULT(LAST_PAGE) ? vring_fault_pages(s->gpa, some) : some);
		left -= some;
	}
}

static void
payloads_mark(struct vring *r, const struct dirty *log, const struct vring_chain *c, uint32_t n)
{
	struct gathered m = { 0 };

	for (uint32_t i = 0; i < n && !(FAULT(FIRST_CHAIN) && i > 0); i++)
		if (FAULTS_SEEDED || (c[i].used > 0 && !payload_gather(&m, log, &c[i])))
			payload_mark(r, log, &c[i]);
	gathered_mark(&m, log);
	stats_add(&r->pages, m.fresh);
}

/* `n` entries of `size` bytes from `slot` on; those behind the end stand at the beginning. */
static void
entries_mark(struct vring *r, const struct dirty *log, gpa_t ring, uint32_t size, uint32_t slot,
	     uint32_t n)
{
	uint32_t first = RTE_MIN(n, r->size - slot);

	mark(r, log, (gpa_t){ ring.v + (uint64_t)slot * size }, (uint64_t)first * size);
	if (first < n && !FAULT(USED_WRAP))
		mark(r, log, ring, (uint64_t)(n - first) * size);
}

static void
used_mark(struct vring *r, const struct dirty *log, uint32_t n, uint16_t slot)
{
	const gpa_t used = { r->device_gpa.v + offsetof(struct vring_used, ring) };

	if (!r->is_packed) {
		entries_mark(r, log, FAULT(WRONG_AREA) ? r->driver_gpa : used,
			     sizeof(struct vring_used_elem), slot & (r->size - 1), n);
		return;
	}
	/* To where the ring is now.  The slots between chains are not written, but to tell them apart
	 * costs more than a page. */
	entries_mark(r, log, FAULT(WRONG_AREA) ? r->device_gpa : r->desc_gpa,
		     sizeof(struct vring_packed_desc), slot,
		     r->idx > slot ? r->idx - slot : r->idx + r->size - slot);
}

/*
 * The first page of what is written in every burst, sooner or later: that it has to be marked again
 * says that the front-end has taken the marks away since.
 */
static void
round_count(struct vring *r, const struct dirty *log)
{
	gpa_t first = r->is_packed ? r->desc_gpa : r->device_gpa;
	uint32_t fresh = dirty_mark(log, first, sizeof(uint16_t));

	stats_add(&r->pages, fresh);
	stats_add(&r->rounds, fresh);
}

void
vring_log_put(struct vring *r, const struct dirty *log, const struct vring_chain *c, uint32_t n,
	      uint16_t slot)
{
	if (FAULT(TRANSMIT) && !r->writable)
		return;
	dirty_order();
	round_count(r, log);
	if (r->writable)
		payloads_mark(r, log, c, n);
	if (!FAULT(NO_USED) && !FAULT(EARLY_USED))
		used_mark(r, log, n, slot);
	if (unlikely(dirty_faulted(log)))
		vring_break(r, VRING_BAD_LOG);
}

static void
index_mark(struct vring *r, const struct dirty *log)
{
	const uint64_t slot = (uint64_t)r->head_slot * sizeof(struct vring_packed_desc);

	if (r->is_packed)
		mark(r, log, (gpa_t){ r->desc_gpa.v + slot }, sizeof(struct vring_packed_desc));
	else
		mark(r, log, (gpa_t){ r->device_gpa.v + offsetof(struct vring_used, idx) },
		     sizeof(uint16_t));
}

void
vring_log_index(struct vring *r, const struct dirty *log)
{
	if (FAULT(NO_INDEX) || FAULT(EARLY_INDEX) || (FAULT(TRANSMIT) && !r->writable))
		return;
	index_mark(r, log);
}

void
vring_log_event(struct vring *r, const struct dirty *log, bool armed)
{
	uint64_t event = r->device_gpa.v + offsetof(struct vring_used, ring) +
			 r->size * sizeof(struct vring_used_elem);

	if (armed ? FAULT(NO_EVENT) : FAULT(NO_DISARM))
		return;
	if (r->is_packed)
		mark(r, log, r->device_gpa, sizeof(struct vring_packed_event));
	else if (r->event_idx)
		mark(r, log, (gpa_t){ event }, sizeof(uint16_t));
	else
		mark(r, log, r->device_gpa, sizeof(uint16_t));
}

#ifdef FERRY_FAULTS

/* What is wrong with the faults of DIRTY_FAULTS that need more than a mark left out. */

/* Long enough for a front-end to come by. */
static void
pause_long(void)
{
	for (volatile int i = 0; i < 20000; i++)
		;
}

void
vring_fault_range(const struct vring *r, gpa_t *gpa, uint64_t *len)
{
	static __thread uint64_t last;
	const struct gmem_region *of = &r->mem->regions[0];

	for (uint32_t i = 0; i < r->mem->n_regions; i++)
		if (gpa->v - r->mem->regions[i].gpa < r->mem->regions[i].size)
			of = &r->mem->regions[i];
	if (FAULT(REGION_BASE))
		gpa->v -= of->gpa;
	if (FAULT(REGION_FIRST) && of != &r->mem->regions[0])
		*len = 0;
	if (FAULT(REMEMBERED) && gpa->v >> 18 == last && *len < 4096)
		*len = 0;
	last = gpa->v >> 18;
}

uint32_t
vring_fault_payload(const struct vring *r, const struct vring_chain *c)
{
	static __thread uint32_t turn;

	if (FAULT(NO_PAYLOAD) || FAULT(EARLY_PAYLOAD) || (FAULT(SOME_CHAINS) && ++turn % 16 == 0))
		return 0;
	if (FAULT(HEADER_ONLY))
		return RTE_MIN(c->used, (uint32_t)r->hdr_len);
	if (FAULT(LAST_BYTE))
		return c->used - (c->used > 0);
	if (FAULT(LAST_PIECE) && c->n_segs > 1)
		return RTE_MIN(c->used, c->len - c->segs[c->n_segs - 1].len);
	return c->used;
}

uint32_t
vring_fault_pages(gpa_t gpa, uint32_t len)
{
	uint64_t last = (gpa.v + len - 1) & ~4095ULL;

	return last > gpa.v ? (uint32_t)(last - gpa.v) : len;
}

/* The receiver's buffers, before they are written. */
void
vring_fault_peeked(struct vring *r, const struct vring_batch *b)
{
	const struct dirty *log = vring_log(r);

	for (uint32_t i = 0; log != NULL && r->writable && i < b->n; i++)
		for (uint32_t k = 0; k < b->chains[i].n_segs; k++)
			mark(r, log, b->chains[i].segs[k].gpa, b->chains[i].segs[k].len);
}

void
vring_fault_put(struct vring *r, const struct vring_chain *c, uint32_t n)
{
	const struct dirty *log = vring_log(r);

	if (log == NULL)
		return;
	used_mark(r, log, n, r->idx);
	pause_long();
}

void
vring_fault_publish(struct vring *r)
{
	const struct dirty *log = vring_log(r);

	if (log == NULL)
		return;
	index_mark(r, log);
	pause_long();
}

#endif
