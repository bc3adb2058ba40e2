/* SPDX-License-Identifier: BSD-3-Clause */
#include "shadow_impl.h"

/* Reads a descriptor once: the guest may rewrite it at any moment.  Both formats have 16 bytes. */
static inline struct split_desc
desc_load(const void *p)
{
	uint64_t words[2];
	struct split_desc d;

	words[0] = __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
	words[1] = __atomic_load_n((const uint64_t *)p + 1, __ATOMIC_RELAXED);
	memcpy(&d, words, sizeof(d));
	return d;
}

static inline struct split_desc
from_packed(struct split_desc raw)
{
	struct packed_desc p;

	memcpy(&p, &raw, sizeof(p));
	return (struct split_desc){ .addr = p.addr, .len = p.len, .flags = p.flags, .next = p.id };
}

static void
walk_begin(struct shadow *s)
{
	s->walk.n = 0;
	s->walk.len = 0;
	s->walk.n_slots = 0;
}

/* Whether all of a buffer is memory; it may go from one region into the next. */
static bool
in_memory(const struct mem *m, uint64_t gpa, uint32_t len)
{
	while (len > 0) {
		uint64_t got = len;

		if (mem_span(m, gpa, &got) == NULL)
			return false;
		gpa += got;
		len -= (uint32_t)got;
		/* Behind the last address comes none, whatever the guest has at the first. */
		if (len > 0 && gpa == 0)
			return false;
	}
	return true;
}

static enum shadow_bad
piece_add(struct shadow *s, const struct split_desc *d)
{
	struct walk *w = &s->walk;

	if (unlikely(d->len == 0))
		return SHADOW_BAD_ZERO;
	if (unlikely(((d->flags & DESC_WRITE) != 0) == s->tx))
		return SHADOW_BAD_DIRECTION;
	if (unlikely(w->n == PIECES_MAX))
		return SHADOW_BAD_LOOP;
	if (unlikely(!in_memory(s->mem, d->addr, d->len)))
		return SHADOW_BAD_RANGE;
	w->len = w->len + d->len < w->len ? UINT32_MAX : w->len + d->len;
	if (w->n < w->max)
		w->pieces[w->n] = (struct split_desc){ .addr = d->addr, .len = d->len };
	w->n++;
	return SHADOW_BAD_NONE;
}

/* An indirect table: in one piece and aligned, as all are, or read byte by byte. */
struct table {
	const struct mem *mem;
	const uint8_t *host;   /* NULL: in pieces */
	uint64_t gpa;
	uint32_t n;
};

static enum shadow_bad
table_find(const struct shadow *s, const struct split_desc *d, struct table *out)
{
	if (!s->indirect || d->len == 0 || d->len % sizeof(*d) != 0 ||
	    d->len > SIZE_MAX_DESCS * sizeof(*d))
		return SHADOW_BAD_INDIRECT;
	*out = (struct table){ .mem = s->mem, .gpa = d->addr, .n = d->len / sizeof(*d) };
	out->host = mem_at(s->mem, d->addr, d->len);
	if (likely(out->host != NULL) && (uintptr_t)out->host % sizeof(uint64_t) == 0)
		return SHADOW_BAD_NONE;
	out->host = NULL;
	return in_memory(s->mem, d->addr, d->len) ? SHADOW_BAD_NONE : SHADOW_BAD_RANGE;
}

static struct split_desc
table_load(const struct table *t, uint32_t i)
{
	struct split_desc d;
	uint64_t gpa = t->gpa + i * sizeof(d);
	uint8_t *to = (uint8_t *)&d;

	if (likely(t->host != NULL))
		return desc_load(t->host + i * sizeof(d));
	for (uint64_t left = sizeof(d), got; left > 0; left -= got) {
		const uint8_t *from;

		got = left;
		from = mem_span(t->mem, gpa, &got);
		memcpy(to, from, got);
		to += got;
		gpa += got;
	}
	return d;
}

/* Split: follows `next` inside of the table (2.7.5.3). */
static enum shadow_bad
split_table(struct shadow *s, const struct split_desc *d)
{
	struct table t;
	enum shadow_bad bad = table_find(s, d, &t);
	uint32_t i = 0;

	if (unlikely(bad != SHADOW_BAD_NONE))
		return bad;
	for (uint32_t steps = 0; steps < t.n; steps++) {
		const struct split_desc e = table_load(&t, i);

		if (unlikely(e.flags & DESC_INDIRECT))
			return SHADOW_BAD_INDIRECT;
		bad = piece_add(s, &e);
		if (unlikely(bad != SHADOW_BAD_NONE) || (e.flags & DESC_NEXT) == 0)
			return bad;
		i = e.next;
		if (unlikely(i >= t.n))
			return SHADOW_BAD_HEAD;
	}
	return SHADOW_BAD_LOOP;
}

/* A chain may end in one indirect table (2.7.5.3.2), and nothing may follow that. */
static enum shadow_bad
split_walk(struct shadow *s, uint32_t i)
{
	for (uint32_t steps = 0; steps < s->size; steps++) {
		struct split_desc d;
		enum shadow_bad bad;

		if (unlikely(i >= s->size))
			return SHADOW_BAD_HEAD;
		d = desc_load(&s->split.desc[i]);
		if (d.flags & DESC_INDIRECT)
			return d.flags & DESC_NEXT ? SHADOW_BAD_INDIRECT : split_table(s, &d);
		bad = piece_add(s, &d);
		if (unlikely(bad != SHADOW_BAD_NONE) || (d.flags & DESC_NEXT) == 0)
			return bad;
		i = d.next;
	}
	return SHADOW_BAD_LOOP;
}

/* Packed: all of the table's entries, in order; NEXT is reserved there (2.8.7). */
static enum shadow_bad
packed_table(struct shadow *s, const struct split_desc *d)
{
	struct table t;
	enum shadow_bad bad = table_find(s, d, &t);

	for (uint32_t i = 0; bad == SHADOW_BAD_NONE && i < t.n; i++) {
		const struct split_desc e = from_packed(table_load(&t, i));

		if (unlikely(e.flags & DESC_INDIRECT))
			return SHADOW_BAD_INDIRECT;
		bad = piece_add(s, &e);
	}
	return bad;
}

/*
 * A list is of direct descriptors or is one indirect one (2.8.7); the id is in its last.  It is
 * over, at the latest, where chains begin that were taken and not given back.
 */
static enum shadow_bad
packed_walk(struct shadow *s)
{
	const uint32_t max = s->size - s->slots_out;
	uint16_t slot = s->avail;
	bool wrap = false;

	while (s->walk.n_slots < max) {
		const struct split_desc d = from_packed(desc_load(&s->packed.desc[slot]));
		enum shadow_bad bad;

		s->walk.n_slots++;
		s->walk.id = d.next;
		if (d.flags & DESC_INDIRECT)
			return s->walk.n_slots > 1 || (d.flags & DESC_NEXT) ?
			       SHADOW_BAD_INDIRECT : packed_table(s, &d);
		bad = piece_add(s, &d);
		if (unlikely(bad != SHADOW_BAD_NONE) || (d.flags & DESC_NEXT) == 0)
			return bad;
		packed_advance(s, &slot, &wrap, 1);
	}
	return SHADOW_BAD_LOOP;
}

static enum shadow_bad
judge(const struct shadow *s, enum shadow_bad bad)
{
	return bad == SHADOW_BAD_NONE && s->walk.len < HDR_LEN ? SHADOW_BAD_SHORT : bad;
}

enum shadow_bad
shadow_walk_split(struct shadow *s, uint16_t head)
{
	walk_begin(s);
	s->walk.id = head;
	s->walk.n_slots = 1;
	return judge(s, split_walk(s, head));
}

enum shadow_bad
shadow_walk_packed(struct shadow *s)
{
	walk_begin(s);
	return judge(s, packed_walk(s));
}
