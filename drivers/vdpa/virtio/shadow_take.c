/* SPDX-License-Identifier: BSD-3-Clause */
#include "shadow_impl.h"

#include <rte_prefetch.h>

/* Split: so many descriptors are on their way before the first is read. */
#define RUN_MAX 32

/* What tells, in a descriptor's flags, a chain of one direct descriptor of its ring's direction. */
#define SPLIT_PLAIN  (DESC_NEXT | DESC_INDIRECT | DESC_WRITE)
#define PACKED_PLAIN (SPLIT_PLAIN | DESC_AVAIL | DESC_USED)

/* What a run of plain chains needs to know, in registers. */
struct plain {
	uint64_t gpa, size; /* of the first region, which is the only one of most guests */
	const struct mem *mem;
};

static inline struct plain
plain_of(const struct shadow *s)
{
	const struct mem_region *first = &s->mem->regions[0];

	return (struct plain){ .gpa = first->gpa, .size = first->size, .mem = s->mem };
}

/* Whether a buffer is one that most are; if not, whoever walks it reads and judges it anew. */
static inline bool
plain_fits(const struct plain *p, uint64_t gpa, uint32_t len)
{
	const uint64_t off = gpa - p->gpa;

	if (unlikely(len < HDR_LEN))
		return false;
	if (likely(off < p->size) && likely(len <= p->size - off))
		return true;
	return mem_at(p->mem, gpa, len) != NULL;
}

/* Where the device's side of a run stands, in registers, too. */
struct post {
	struct split_desc *desc;
	uint16_t *ring;
	struct rec *recs;
	uint32_t mask, next, avail_idx;
	uint64_t flags; /* where a descriptor has them, behind its length */
};

static inline struct post
post_of(const struct shadow *s)
{
	return (struct post){
		.desc = s->dev.desc, .ring = s->dev.avail->ring, .recs = s->recs,
		.mask = s->dev.mask, .next = s->dev.next, .avail_idx = s->dev.avail_idx,
		.flags = s->tx ? 0 : (uint64_t)DESC_WRITE << 32,
	};
}

/* A chain of one descriptor goes to the device as it came; `len_id` is length and id. */
static inline void
plain_post(struct post *p, uint64_t addr, uint64_t len_id)
{
	const uint32_t head = p->next++ & p->mask;
	const uint64_t words[2] = { addr, (uint32_t)len_id | p->flags };

	memcpy(&p->desc[head], words, sizeof(words));
	p->ring[p->avail_idx++ & p->mask] = (uint16_t)head;
	p->recs[head].taken = REC_TAKEN(len_id, 1);
	p->recs[head].posted = REC_POSTED(1);
}

static inline void
post_end(struct shadow *s, const struct post *p, uint32_t n)
{
	s->dev.next = (uint16_t)p->next;
	s->dev.avail_idx = (uint16_t)p->avail_idx;
	s->n_out += (uint16_t)n;
	s->slots_out += (uint16_t)n;
}

/* Of so many chains, those that are sure to find room, were each of one descriptor. */
static inline uint32_t
run_len(const struct shadow *s, uint32_t n)
{
	n = RTE_MIN(n, (uint32_t)descs_free(s));
	return RTE_MIN(n, (uint32_t)RUN_MAX);
}

/* Takes the chain in s->walk, or finds what is wrong with it. */
static bool
chain_take(struct shadow *s, enum shadow_bad bad, bool discard)
{
	if (unlikely(bad != SHADOW_BAD_NONE)) {
		shadow_break(s, bad);
		return false;
	}
	if (discard) {
		shadow_skip(s);
		return true;
	}
	if (likely(s->walk.n <= s->dev.size))
		return shadow_post(s);
	shadow_skip(s);
	count_add(&s->n_dropped, 1);
	return true;
}

/* The index lies between what was taken and what the ring holds; it cannot go back. */
static uint32_t
split_ready(struct shadow *s, uint32_t max)
{
	uint16_t n = s->avail_seen - s->avail;

	if (n < max) {
		s->avail_seen = __atomic_load_n(&s->split.avail->idx, __ATOMIC_ACQUIRE);
		n = s->avail_seen - s->avail;
		if (unlikely(n + (uint32_t)s->slots_out > s->size)) {
			s->avail_seen = s->avail;
			shadow_break(s, SHADOW_BAD_INDEX);
			return 0;
		}
	}
	return RTE_MIN((uint32_t)n, max);
}

static inline uint16_t
split_head(const struct shadow *s, uint32_t at)
{
	return __atomic_load_n(&s->split.avail->ring[at], __ATOMIC_RELAXED);
}

/* What the heads name is on its way; it may be of no chain yet, and is not looked at. */
static inline void
heads_prefetch(const struct split_desc *table, const uint16_t *heads, uint32_t n, uint32_t mask)
{
	for (uint32_t i = 0; i < n; i++)
		rte_prefetch0(&table[__atomic_load_n(&heads[i], __ATOMIC_RELAXED) & mask]);
}

/* Takes plain chains up to the first that is not, and not past the end of the ring. */
static uint32_t
split_run(struct shadow *s, uint32_t n)
{
	const struct plain p = plain_of(s);
	const struct split_desc *table = s->split.desc;
	const uint32_t size = s->size, at = s->avail & (size - 1);
	const uint16_t *heads = &s->split.avail->ring[at];
	const uint16_t flags = s->tx ? 0 : DESC_WRITE;
	struct post post = post_of(s);
	uint32_t i;

	n = run_len(s, RTE_MIN(n, size - at));
	heads_prefetch(table, heads, n, size - 1);
	for (i = 0; i < n; i++) {
		const uint16_t head = __atomic_load_n(&heads[i], __ATOMIC_RELAXED);
		const uint64_t *words;
		uint64_t addr, rest;

		if (unlikely(head >= size))
			break;
		words = (const uint64_t *)&table[head];
		addr = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
		rest = __atomic_load_n(&words[1], __ATOMIC_RELAXED);
		if ((rest >> 32 & SPLIT_PLAIN) != flags || !plain_fits(&p, addr, (uint32_t)rest))
			break;
		plain_post(&post, addr, (uint32_t)rest | (uint64_t)head << 32);
	}
	post_end(s, &post, i);
	s->avail += (uint16_t)i;
	return i;
}

static bool
split_chain(struct shadow *s, bool discard)
{
	const uint16_t head = split_head(s, s->avail & (s->size - 1u));

	if (descs_free(s) == 0 || !chain_take(s, shadow_walk_split(s, head), discard))
		return false;
	s->slots_out++;
	s->avail++;
	return true;
}

static uint32_t
split_take(struct shadow *s, uint32_t max, bool discard)
{
	const uint32_t end = split_ready(s, max);
	uint32_t n = 0, some;

	while (n < end) {
		some = discard ? 0 : split_run(s, end - n);
		if (some == 0 && !split_chain(s, discard))
			break;
		n += RTE_MAX(some, 1u);
	}
	return n;
}

/*
 * One load of eight bytes has a descriptor's flags and what they vouch for, so that nothing else
 * need be asked before it is known to be available; the address is read behind it.
 */
static uint32_t
packed_run(struct shadow *s, uint32_t n)
{
	const struct plain p = plain_of(s);
	const uint16_t flags = (s->tx ? 0 : DESC_WRITE) | (s->avail_wrap ? DESC_AVAIL : DESC_USED);
	struct packed_desc *d = &s->packed.desc[s->avail];
	struct post post = post_of(s);
	uint32_t i;

	n = RTE_MIN(n, (uint32_t)(s->size - s->avail));
	n = run_len(s, RTE_MIN(n, (uint32_t)(s->size - s->slots_out)));
	for (i = 0; i < n; i++, d++) {
		const uint64_t word = __atomic_load_n((uint64_t *)&d->len, __ATOMIC_ACQUIRE);
		uint64_t addr;

		if ((word >> 48 & PACKED_PLAIN) != flags)
			break;
		addr = __atomic_load_n(&d->addr, __ATOMIC_RELAXED);
		if (!plain_fits(&p, addr, (uint32_t)word))
			break;
		plain_post(&post, addr, word & 0xffffffffffff);
	}
	post_end(s, &post, i);
	packed_advance(s, &s->avail, &s->avail_wrap, i);
	return i;
}

static bool
packed_chain(struct shadow *s, bool discard)
{
	const uint16_t flags = __atomic_load_n(&s->packed.desc[s->avail].flags, __ATOMIC_ACQUIRE);

	/* A ring whose slots are all taken has none that is available, whatever it says. */
	if (!packed_available(flags, s->avail_wrap) || s->slots_out == s->size ||
	    descs_free(s) == 0 || !chain_take(s, shadow_walk_packed(s), discard))
		return false;
	s->slots_out += (uint16_t)s->walk.n_slots;
	packed_advance(s, &s->avail, &s->avail_wrap, s->walk.n_slots);
	return true;
}

static uint32_t
packed_take(struct shadow *s, uint32_t max, bool discard)
{
	uint32_t n = 0, some;

	while (n < max) {
		some = discard ? 0 : packed_run(s, max - n);
		if (some == 0 && !packed_chain(s, discard))
			break;
		n += RTE_MAX(some, 1u);
	}
	return n;
}

static uint32_t
take(struct shadow *s, uint32_t max, bool discard)
{
	uint32_t n;

	if (unlikely(!running(s)) || (s->blocked && !discard))
		return 0;
	n = s->is_packed ? packed_take(s, max, discard) : split_take(s, max, discard);
	if (n > 0)
		shadow_show(s);
	return n;
}

uint32_t
shadow_submit(struct shadow *s, uint32_t max, bool *doorbell)
{
	const uint16_t before = s->dev.avail_idx;
	const uint32_t n = take(s, max, false);

	*doorbell = s->dev.avail_idx != before && shadow_dev_publish(s, before);
	return n;
}

uint32_t
shadow_discard(struct shadow *s, uint32_t max)
{
	return take(s, max, true);
}
