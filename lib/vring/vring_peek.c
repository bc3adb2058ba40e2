/* SPDX-License-Identifier: BSD-3-Clause */
#include "vring_impl.h"

#include <rte_branch_prediction.h>
#include <rte_prefetch.h>
#include <string.h>

/* Descriptors are on their way so many chains ahead. */
#define PREFETCH 8

/* Reads a descriptor once: the guest may rewrite it at any moment.  Both formats have 16 bytes. */
static inline struct vring_split_desc
desc_load(const void *p)
{
	uint64_t words[2];
	struct vring_split_desc d;

	words[0] = __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
	words[1] = __atomic_load_n((const uint64_t *)p + 1, __ATOMIC_RELAXED);
	memcpy(&d, words, sizeof(d));
	return d;
}

static inline struct vring_packed_desc
packed_load(const void *p)
{
	struct vring_split_desc raw = desc_load(p);
	struct vring_packed_desc d;

	memcpy(&d, &raw, sizeof(d));
	return d;
}

/* Adds a buffer to the chain, in as many pieces as the guest's memory has here. */
static inline enum vring_bad
seg_add(const struct vring *r, struct vring_batch *b, struct vring_chain *c, gpa_t gpa,
	uint32_t len, uint16_t flags)
{
	if (unlikely(len == 0))
		return VRING_BAD_ZERO;
	if (unlikely(((flags & DESC_WRITE) != 0) != r->writable))
		return VRING_BAD_DIRECTION;
	c->len = c->len + len < c->len ? UINT32_MAX : c->len + len;
	do {
		struct vring_seg *s = &c->segs[c->n_segs];
		uint64_t got = len;

		if (unlikely(s == &b->segs[VRING_SEGS_MAX]))
			return VRING_BAD_LOOP;
		s->host = gmem_span(r->mem, gpa, &got);
		if (unlikely(s->host == NULL))
			return VRING_BAD_RANGE;
		s->gpa = gpa;
		s->len = (uint32_t)got;
		c->n_segs++;
		gpa.v += got;
		len -= (uint32_t)got;
		/* Behind the last address comes none, whatever the guest has at the first. */
		if (unlikely(len > 0 && gpa.v == 0))
			return VRING_BAD_RANGE;
	} while (unlikely(len > 0));
	return VRING_BAD_NONE;
}

static enum vring_bad
table_gather(const struct vring *r, struct vring_batch *b, gpa_t gpa, uint32_t len)
{
	uint8_t *to = (uint8_t *)b->table;

	while (len > 0) {
		uint64_t got = len;
		const uint8_t *from = gmem_span(r->mem, gpa, &got);

		if (from == NULL)
			return VRING_BAD_RANGE;
		memcpy(to, from, got);
		to += got;
		gpa.v += got;
		len -= (uint32_t)got;
		if (len > 0 && gpa.v == 0)
			return VRING_BAD_RANGE;
	}
	return VRING_BAD_NONE;
}

/* Finds an indirect table; one that crosses regions or is not aligned is legal and gathered. */
static enum vring_bad
table_find(const struct vring *r, struct vring_batch *b, gpa_t gpa, uint32_t len,
	   const struct vring_split_desc **out)
{
	if (!r->indirect || len == 0 || len % sizeof(**out) != 0 || len > sizeof(b->table))
		return VRING_BAD_INDIRECT;
	*out = gmem_at(r->mem, gpa, len);
	if (likely(*out != NULL && (uintptr_t)*out % sizeof((*out)->addr) == 0))
		return VRING_BAD_NONE;
	*out = b->table;
	return table_gather(r, b, gpa, len);
}

/* Split: follows `next` through a table of n descriptors, the indirect one included. */
static enum vring_bad
table_walk(const struct vring *r, struct vring_batch *b, struct vring_chain *c,
	   const struct vring_split_desc *table, uint32_t n)
{
	uint32_t i = 0;

	for (uint32_t steps = 0; steps < n; steps++) {
		struct vring_split_desc d = desc_load(&table[i]);
		enum vring_bad bad;

		if (unlikely(d.flags & DESC_INDIRECT))
			return VRING_BAD_INDIRECT;
		bad = seg_add(r, b, c, (gpa_t){ d.addr }, d.len, d.flags);
		if (unlikely(bad != VRING_BAD_NONE) || (d.flags & DESC_NEXT) == 0)
			return bad;
		i = d.next;
		if (unlikely(i >= n))
			return VRING_BAD_HEAD;
	}
	return VRING_BAD_LOOP;
}

static enum vring_bad
split_indirect(const struct vring *r, struct vring_batch *b, struct vring_chain *c,
	       const struct vring_split_desc *d)
{
	const struct vring_split_desc *table;
	enum vring_bad bad = table_find(r, b, (gpa_t){ d->addr }, d->len, &table);

	if (unlikely(bad != VRING_BAD_NONE))
		return bad;
	return table_walk(r, b, c, table, d->len / sizeof(*table));
}

/* A chain may end in one indirect table (2.7.5.3.2), and nothing may follow that. */
static inline enum vring_bad
split_walk(const struct vring *r, struct vring_batch *b, struct vring_chain *c, uint16_t head)
{
	uint16_t i = head;

	for (uint32_t steps = 0; steps < r->size; steps++) {
		struct vring_split_desc d;
		enum vring_bad bad;

		if (unlikely(i >= r->size))
			return VRING_BAD_HEAD;
		d = desc_load(&r->split.desc[i]);
		if (d.flags & DESC_INDIRECT)
			return d.flags & DESC_NEXT ? VRING_BAD_INDIRECT : split_indirect(r, b, c, &d);
		bad = seg_add(r, b, c, (gpa_t){ d.addr }, d.len, d.flags);
		if (unlikely(bad != VRING_BAD_NONE) || (d.flags & DESC_NEXT) == 0)
			return bad;
		i = d.next;
	}
	return VRING_BAD_LOOP;
}

static enum vring_bad
packed_indirect(const struct vring *r, struct vring_batch *b, struct vring_chain *c,
		const struct vring_packed_desc *d)
{
	const struct vring_split_desc *table;
	enum vring_bad bad = table_find(r, b, (gpa_t){ d->addr }, d->len, &table);

	for (uint32_t i = 0; bad == VRING_BAD_NONE && i < d->len / sizeof(*table); i++) {
		struct vring_packed_desc e = packed_load(&table[i]);

		if (unlikely(e.flags & DESC_INDIRECT))
			return VRING_BAD_INDIRECT;
		/* NEXT is reserved here: the table's length tells its end (2.8.7). */
		bad = seg_add(r, b, c, (gpa_t){ e.addr }, e.len, e.flags);
	}
	return bad;
}

/* A list is of direct descriptors or is one indirect one (2.8.7); the id is in its last. */
static inline enum vring_bad
packed_walk(const struct vring *r, struct vring_batch *b, struct vring_chain *c, uint16_t slot)
{
	bool wrap = false;

	while (c->n_slots < r->size) {
		struct vring_packed_desc d = packed_load(&r->packed.desc[slot]);
		enum vring_bad bad;

		c->n_slots++;
		c->id = d.id;
		if (d.flags & DESC_INDIRECT)
			return c->n_slots > 1 || (d.flags & DESC_NEXT) ? VRING_BAD_INDIRECT :
			       packed_indirect(r, b, c, &d);
		bad = seg_add(r, b, c, (gpa_t){ d.addr }, d.len, d.flags);
		if (unlikely(bad != VRING_BAD_NONE) || (d.flags & DESC_NEXT) == 0)
			return bad;
		packed_advance(r, &slot, &wrap, 1);
	}
	return VRING_BAD_LOOP;
}

/* A chain is in the batch or it is not: a bad one leaves no trace but its name. */
static inline bool
chain_end(struct vring *r, struct vring_batch *b, struct vring_chain *c, enum vring_bad bad)
{
	if (likely(bad == VRING_BAD_NONE) && unlikely(c->len < r->hdr_len))
		bad = VRING_BAD_SHORT;
	if (likely(bad == VRING_BAD_NONE)) {
		b->n++;
		b->n_segs += c->n_segs;
		return true;
	}
	/* Chains before it are good: the ring breaks when they are done. */
	if (b->n == 0)
		vring_break(r, bad);
	return false;
}

static inline struct vring_chain *
chain_begin(struct vring_batch *b, uint16_t id, uint16_t n_slots)
{
	struct vring_chain *c = &b->chains[b->n];

	c->segs = &b->segs[b->n_segs];
	c->n_segs = 0;
	c->len = 0;
	c->used = 0;
	c->id = id;
	c->n_slots = n_slots;
	return c;
}

/* Whether another chain of full length is sure to fit; the first one always does. */
static inline bool
batch_room(const struct vring *r, const struct vring_batch *b)
{
	return b->n == 0 || (b->n < VRING_CHAINS_MAX &&
			     b->n_segs + r->size + GMEM_REGIONS_MAX <= VRING_SEGS_MAX);
}

/* Chains that are sure to fit, were each of one piece. */
static inline uint32_t
batch_left(const struct vring_batch *b)
{
	return RTE_MIN(VRING_CHAINS_MAX - b->n, VRING_SEGS_MAX - b->n_segs);
}

/* What a run of plain chains needs to know of its ring, in registers. */
struct plain {
	const struct gmem *mem;
	struct gmem_region first; /* which is the only one of most guests */
	uint32_t hdr_len;
	uint16_t flags;
};

static inline struct plain
plain_of(const struct vring *r)
{
	return (struct plain){ .mem = r->mem, .first = r->mem->regions[0], .hdr_len = r->hdr_len,
			       .flags = r->writable ? DESC_WRITE : 0 };
}

static inline uint8_t *
plain_at(struct plain p, gpa_t gpa, uint32_t len)
{
	uint64_t off = gpa.v - p.first.gpa;

	if (likely(off < p.first.size) && likely(len <= p.first.size - off))
		return p.first.host + off;
	return gmem_at(p.mem, gpa, len);
}

/*
 * Fills in the chain that most are: one direct descriptor, whole in one region.  False: it is not
 * that, or it is bad; whoever walks it then reads and judges it anew.
 */
static inline bool
chain_plain(struct plain p, struct vring_chain *c, struct vring_seg *s, gpa_t gpa, uint32_t len,
	    uint16_t flags, uint16_t id)
{
	uint8_t *host;

	if (unlikely((flags & (DESC_NEXT | DESC_INDIRECT | DESC_WRITE)) != p.flags) ||
	    unlikely(len < p.hdr_len))
		return false;
	host = plain_at(p, gpa, len);
	if (unlikely(host == NULL))
		return false;
	/* With the virtio-net header in front the smallest frame takes two lines. */
	rte_prefetch0(host);
	rte_prefetch0(host + RTE_CACHE_LINE_SIZE);
	s->host = host;
	s->gpa = gpa;
	s->len = len;
	c->segs = s;
	c->n_segs = 1;
	c->len = len;
	c->id = id;
	c->n_slots = 1;
	c->used = 0;
	return true;
}

static inline void
batch_grow(struct vring_batch *b, uint32_t n)
{
	b->n += n;
	b->n_segs += n;
}

static uint32_t
split_ready(struct vring *r, uint16_t next, uint32_t max)
{
	uint16_t n = r->avail_seen - next;

	if (n < max) {
		r->avail_seen = __atomic_load_n(&r->split.avail->idx, __ATOMIC_ACQUIRE);
		n = r->avail_seen - next;
		if (unlikely((uint16_t)(r->avail_seen - r->idx) > r->size)) {
			r->avail_seen = next;
			vring_break(r, VRING_BAD_INDEX);
			return 0;
		}
	}
	return RTE_MIN((uint32_t)n, max);
}

static inline uint16_t
split_head(const struct vring_avail *avail, uint16_t at)
{
	return __atomic_load_n(&avail->ring[at], __ATOMIC_RELAXED);
}

/* Adds plain chains up to the first that is not.  @return chains */
static __rte_noinline uint32_t
split_run(const struct vring *r, struct vring_batch *b, uint32_t n)
{
	const struct plain p = plain_of(r);
	const struct vring_split_desc *table = r->split.desc;
	const struct vring_avail *avail = r->split.avail;
	const uint16_t mask = r->size - 1, next = b->next;
	struct vring_chain *c = &b->chains[b->n];
	struct vring_seg *s = &b->segs[b->n_segs];
	uint32_t i;

	n = RTE_MIN(n, batch_left(b));
	for (i = 0; i < n; i++) {
		const uint16_t head = split_head(avail, (next + i) & mask);
		struct vring_split_desc d;

		/* What it names may be of no chain yet: it is not looked at. */
		rte_prefetch0(&table[split_head(avail, (next + i + PREFETCH) & mask) & mask]);
		if (unlikely(head > mask))
			break;
		d = desc_load(&table[head]);
		if (!chain_plain(p, c++, s++, (gpa_t){ d.addr }, d.len, d.flags, head))
			break;
	}
	batch_grow(b, i);
	b->next += i;
	return i;
}

static bool
split_chain(struct vring *r, struct vring_batch *b)
{
	uint16_t head = split_head(r->split.avail, b->next & (r->size - 1));
	struct vring_chain *c;

	if (!batch_room(r, b))
		return false;
	c = chain_begin(b, head, 1);
	if (!chain_end(r, b, c, split_walk(r, b, c, head)))
		return false;
	rte_prefetch0(c->segs[0].host);
	b->next++;
	return true;
}

static uint32_t
split_peek(struct vring *r, struct vring_batch *b, uint32_t max)
{
	uint32_t n = split_ready(r, b->next, max);
	uint32_t before = b->n;

	for (;;) {
		split_run(r, b, n - (b->n - before));
		if (b->n - before == n || !split_chain(r, b))
			return b->n - before;
	}
}

static __rte_noinline uint32_t
packed_run(const struct vring *r, struct vring_batch *b, uint32_t n)
{
	const struct plain p = plain_of(r);
	const struct vring_packed_desc *at = r->packed.desc;
	struct vring_chain *c = &b->chains[b->n];
	struct vring_seg *s = &b->segs[b->n_segs];
	const uint16_t size = r->size;
	uint16_t slot = b->next;
	bool wrap = b->next_wrap;
	uint32_t i;

	n = RTE_MIN(n, batch_left(b));
	for (i = 0; i < n; i++) {
		struct vring_packed_desc d;

		if (!packed_available(__atomic_load_n(&at[slot].flags, __ATOMIC_ACQUIRE), wrap))
			break;
		d = packed_load(&at[slot]);
		if (!chain_plain(p, c++, s++, (gpa_t){ d.addr }, d.len, d.flags, d.id))
			break;
		if (unlikely(++slot == size)) {
			slot = 0;
			wrap = !wrap;
		}
	}
	batch_grow(b, i);
	b->next = slot;
	b->next_wrap = wrap;
	return i;
}

static bool
packed_chain(struct vring *r, struct vring_batch *b)
{
	uint16_t flags = __atomic_load_n(&r->packed.desc[b->next].flags, __ATOMIC_ACQUIRE);
	struct vring_chain *c;

	if (!batch_room(r, b) || !packed_available(flags, b->next_wrap))
		return false;
	c = chain_begin(b, 0, 0);
	if (!chain_end(r, b, c, packed_walk(r, b, c, b->next)))
		return false;
	rte_prefetch0(c->segs[0].host);
	packed_advance(r, &b->next, &b->next_wrap, c->n_slots);
	return true;
}

static uint32_t
packed_peek(struct vring *r, struct vring_batch *b, uint32_t max)
{
	uint32_t before = b->n;

	for (;;) {
		packed_run(r, b, max - (b->n - before));
		if (b->n - before == max || !packed_chain(r, b))
			return b->n - before;
	}
}

uint32_t
vring_peek(struct vring *r, struct vring_batch *b, uint32_t max)
{
	if (unlikely(atomic_load_explicit(&r->mem->faulted, memory_order_relaxed)))
		vring_break(r, VRING_BAD_MEMORY);
	if (unlikely(vring_bad(r) != VRING_BAD_NONE))
		return 0;
	if (b->n == 0) {
		b->next = r->idx;
		b->next_wrap = r->wrap;
	}
	return r->is_packed ? packed_peek(r, b, max) : split_peek(r, b, max);
}
