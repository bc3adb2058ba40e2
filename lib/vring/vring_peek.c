/* SPDX-License-Identifier: BSD-3-Clause */
#include "vring_impl.h"

#include <rte_branch_prediction.h>
#include <rte_prefetch.h>
#include <string.h>

/* Split: so many descriptors are on their way before the first is read. */
#define RUN_MAX 32

/* Packed: flags that tell a chain of one direct descriptor, available and of its ring's direction. */
#define PLAIN_FLAGS (DESC_NEXT | DESC_INDIRECT | DESC_WRITE | DESC_AVAIL | DESC_USED)

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

/* The second half of a packed descriptor: length, id and flags, in one load. */
static inline uint64_t
packed_word_load(const struct vring_packed_desc *d)
{
	return __atomic_load_n((const uint64_t *)&d->len, __ATOMIC_ACQUIRE);
}

static inline uint32_t
packed_word_flags(uint64_t word)
{
	return (uint32_t)(word >> 48);
}

static inline uint16_t
packed_word_id(uint64_t word)
{
	return (uint16_t)(word >> 32);
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

/* Of so many chains, those that are sure to fit, were each of one piece. */
static inline uint32_t
run_len(const struct vring_batch *b, uint32_t n, uint32_t max)
{
	const uint32_t left = RTE_MIN(VRING_CHAINS_MAX - b->n, VRING_SEGS_MAX - b->n_segs);

	n = RTE_MIN(n, left);
	return RTE_MIN(n, max);
}

/* What a run of plain chains needs to know of its ring, in registers. */
struct plain {
	uint64_t gpa, size; /* of the first region, which is the only one of most guests */
	uint8_t *host;
	uint32_t hdr_len;
	const struct gmem *mem;
};

static inline struct plain
plain_of(const struct vring *r)
{
	const struct gmem_region *first = &r->mem->regions[0];

	return (struct plain){ .mem = r->mem, .gpa = first->gpa, .size = first->size,
			       .host = first->host, .hdr_len = r->hdr_len };
}

static __rte_noinline uint8_t *
plain_elsewhere(const struct gmem *mem, uint64_t gpa, uint32_t len)
{
	return gmem_at(mem, (gpa_t){ gpa }, len);
}

static inline bool
plain_at(const struct plain *p, uint64_t gpa, uint32_t len, uint8_t **host)
{
	const uint64_t off = gpa - p->gpa, end = off + len;

	if (likely(end <= p->size) && likely(end >= len)) {
		*host = p->host + off;
		return true;
	}
	*host = plain_elsewhere(p->mem, gpa, len);
	return *host != NULL;
}

/*
 * Fills in the chain that most are: one direct descriptor, whole in one region; the caller has seen
 * in its flags that it is one.  False: it is not that, or it is bad; whoever walks it then reads
 * and judges it anew.
 */
static inline bool
chain_plain(const struct plain *p, struct vring_chain *c, struct vring_seg *s, uint64_t gpa,
	    uint32_t len, uint16_t id)
{
	uint8_t *host;

	if (unlikely(len < p->hdr_len) || unlikely(!plain_at(p, gpa, len, &host)))
		return false;
	/* With the virtio-net header in front the smallest frame takes two lines. */
	rte_prefetch0(host);
	rte_prefetch0(host + RTE_CACHE_LINE_SIZE);
	s->host = host;
	s->gpa.v = gpa;
	s->len = len;
	c->segs = s;
	c->len = len;
	c->n_segs = 1;
	c->n_slots = 1;
	c->elem = id;
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

/* What the heads name is on its way; it may be of no chain yet, and is not looked at. */
static inline void
heads_prefetch(const struct vring_split_desc *table, const uint16_t *heads, uint32_t n,
	       uint32_t mask)
{
	for (uint32_t i = 0; i < n; i++)
		rte_prefetch0(&table[__atomic_load_n(&heads[i], __ATOMIC_RELAXED) & mask]);
}

/*
 * Adds plain chains up to the first that is not, not past the end of the ring and no more than are
 * on their way.
 */
static __rte_noinline void
split_run(const struct vring *r, struct vring_batch *b, uint32_t n)
{
	const struct plain p = plain_of(r);
	const struct vring_split_desc *table = r->split.desc;
	const uint32_t size = r->size, mask = size - 1, at = b->next & mask;
	const uint16_t *heads = &r->split.avail->ring[at], *end;
	const uint16_t flags = r->writable ? DESC_WRITE : 0;
	struct vring_chain *c = &b->chains[b->n];
	struct vring_seg *s = &b->segs[b->n_segs];

	n = run_len(b, n, RTE_MIN(size - at, (uint32_t)RUN_MAX));
	heads_prefetch(table, heads, n, mask);
	for (end = heads + n; heads < end; heads++) {
		const uint32_t head = __atomic_load_n(heads, __ATOMIC_RELAXED);
		struct vring_split_desc d;

		if (unlikely(head >= size))
			break;
		d = desc_load(&table[head]);
		if (unlikely((d.flags & (DESC_NEXT | DESC_INDIRECT | DESC_WRITE)) != flags) ||
		    !chain_plain(&p, c++, s++, d.addr, d.len, head))
			break;
	}
	n -= (uint32_t)(end - heads);
	batch_grow(b, n);
	b->next += n;
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
	const uint32_t before = b->n, end = before + split_ready(r, b->next, max);

	for (uint32_t n = before; n < end; n = b->n) {
		split_run(r, b, end - n);
		if (b->n == n && !split_chain(r, b))
			break;
	}
	return b->n - before;
}

/* Lines that are read now and written when the chains are given back come as the writer's. */
static inline void
prefetch_owned(const void *p)
{
#ifdef RTE_ARCH_X86
	/* Of the baseline that DPDK is built for the compiler does not know it; it harms nowhere. */
	asm volatile("prefetchw %0" : : "m" (*(const volatile char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

/* A driver that has made one available mostly has done so with the next. */
static inline void
packed_prefetch(const struct vring_packed_desc *d, const struct vring_packed_desc *end)
{
	for (; d < end; d += RTE_CACHE_LINE_SIZE / sizeof(*d))
		prefetch_owned(d);
}

/*
 * Adds plain chains up to the first that is not, and not past the end of the ring.  One load of
 * eight bytes has a descriptor's flags and what they vouch for, so that nothing else need be asked
 * before it is known to be available; the address is read behind it.
 */
static __rte_noinline void
packed_run(const struct vring *r, struct vring_batch *b, uint32_t n)
{
	const struct plain p = plain_of(r);
	const struct vring_packed_desc *d = &r->packed.desc[b->next], *end;
	const uint32_t flags = (r->writable ? DESC_WRITE : 0) | (b->next_wrap ? DESC_AVAIL : DESC_USED);
	struct vring_chain *c = &b->chains[b->n];
	struct vring_seg *s = &b->segs[b->n_segs];

	n = run_len(b, n, r->size - b->next);
	end = d + n;
	if ((packed_word_flags(packed_word_load(d)) & PLAIN_FLAGS) == flags)
		packed_prefetch(d + 1, end);
	for (; d < end; d++) {
		const uint64_t word = packed_word_load(d);

		if ((packed_word_flags(word) & PLAIN_FLAGS) != flags ||
		    !chain_plain(&p, c++, s++, __atomic_load_n(&d->addr, __ATOMIC_RELAXED),
				 (uint32_t)word, packed_word_id(word)))
			break;
	}
	n -= (uint32_t)(end - d);
	batch_grow(b, n);
	packed_advance(r, &b->next, &b->next_wrap, (uint16_t)n);
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
	const uint32_t before = b->n, end = before + max;

	for (uint32_t n = before; n < end; n = b->n) {
		packed_run(r, b, end - n);
		if (b->n == n && !packed_chain(r, b))
			break;
	}
	return b->n - before;
}

uint32_t
vring_peek(struct vring *r, struct vring_batch *b, uint32_t max)
{
	uint32_t n;

	if (unlikely(atomic_load_explicit(&r->mem->faulted, memory_order_relaxed)))
		vring_break(r, VRING_BAD_MEMORY);
	if (unlikely(vring_bad(r) != VRING_BAD_NONE))
		return 0;
	if (b->n == 0) {
		b->next = r->idx;
		b->next_wrap = r->wrap;
	}
	n = r->is_packed ? packed_peek(r, b, max) : split_peek(r, b, max);
	if (FAULT(EARLY_PAYLOAD))
		vring_fault_peeked(r, b);
	return n;
}
