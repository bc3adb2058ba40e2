/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame_guest.h"

#include "poison.h"

#include <sys/mman.h>

#define BASE_GPA 0x10000ull
#define GAP      16
#define FILL     0x5a

#define DESC_NEXT  1
#define DESC_WRITE 2
#define DESC_AVAIL (1 << 7)
#define DESC_USED  (1 << 15)

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t w[2]; /* split: flags, next; packed: id, flags */
};

void
guest_init(struct guest *g)
{
	struct gmem_region r = { .gpa = BASE_GPA, .size = GUEST_BYTES, .uva = BASE_GPA };

	g->base = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	FUZZ_CHECK(g->base != MAP_FAILED);
	memset(g->base, FILL, GUEST_BYTES);
	r.host = g->base;
	FUZZ_CHECK(gmem_create(&r, 1, 0, &g->mem) == 0);
	POISON(g->base, GUEST_BYTES);
}

/* 16-byte aligned, behind a gap, and with `shift` bytes in front of it that are not its own. */
static uint8_t *
take(struct guest *g, uint32_t len, uint32_t shift)
{
	uint32_t at = RTE_ALIGN_CEIL(g->end + GAP, 16) + shift;

	if (len > GUEST_BYTES - GAP - 16 || at > GUEST_BYTES - GAP - len)
		return NULL;
	g->end = at + len;
	UNPOISON(g->base + at, len);
	return g->base + at;
}

void
guest_begin(struct guest *g, bool packed, bool writable)
{
	uint32_t end = RTE_MIN(g->end + GAP, GUEST_BYTES);

	UNPOISON(g->base, end);
	memset(g->base, FILL, end);
	POISON(g->base, end);
	g->end = 0;
	g->packed = packed;
	g->writable = writable;
	g->n_slots = g->n_bufs = g->n_offered = g->slots_offered = 0;
	g->bad_tail = false;
	g->desc = take(g, GUEST_SLOTS * sizeof(struct desc), 0);
	g->driver = take(g, packed ? 4 : 4 + 2 * GUEST_SLOTS, 0);
	g->device = take(g, packed ? 4 : 4 + 8 * GUEST_SLOTS, 0);
	memset(g->desc, 0, GUEST_SLOTS * sizeof(struct desc));
	memset(g->driver, 0, packed ? 4 : 4 + 2 * GUEST_SLOTS);
	memset(g->device, 0, packed ? 4 : 4 + 8 * GUEST_SLOTS);
}

static uint64_t
gpa_of(const struct guest *g, const uint8_t *p)
{
	return BASE_GPA + (uint64_t)(p - g->base);
}

static void
desc_add(struct guest *g, uint64_t addr, uint32_t len, uint16_t id, bool more)
{
	uint16_t flags = (uint16_t)((more ? DESC_NEXT : 0) | (g->writable ? DESC_WRITE : 0));
	struct desc d = { .addr = addr, .len = len };

	d.w[0] = g->packed ? id : flags;
	d.w[1] = g->packed ? flags : (uint16_t)(g->n_slots + 1);
	memcpy(g->desc + g->n_slots++ * sizeof(d), &d, sizeof(d));
}

static void
head_add(struct guest *g, uint32_t slot)
{
	uint16_t head = (uint16_t)slot;

	if (!g->packed)
		memcpy(g->driver + 4 + 2 * g->n_bufs, &head, sizeof(head));
}

struct guest_buf *
guest_add(struct guest *g, const uint32_t *lens, uint32_t n)
{
	struct guest_buf *b = &g->bufs[g->n_bufs];
	uint32_t slot = g->n_slots;

	if (n > GUEST_PIECES || g->n_slots + n + 1 > GUEST_SLOTS)
		return NULL;
	*b = (struct guest_buf){ .n = n };
	for (uint32_t i = 0; i < n; i++) {
		b->pieces[i].at = take(g, lens[i], i % 3);
		b->pieces[i].len = lens[i];
		if (b->pieces[i].at == NULL)
			return NULL;
		b->len += lens[i];
	}
	for (uint32_t i = 0; i < n; i++)
		desc_add(g, gpa_of(g, b->pieces[i].at), lens[i], (uint16_t)g->n_bufs, i + 1 < n);
	head_add(g, slot);
	g->n_bufs++;
	return b;
}

void
guest_add_bad(struct guest *g)
{
	uint32_t slot = g->n_slots;

	desc_add(g, BASE_GPA, 0, 0, false);
	head_add(g, slot);
	g->bad_tail = true;
}

void
guest_offer(struct guest *g, uint32_t n)
{
	uint32_t slot = g->slots_offered;
	uint16_t heads;

	for (; n > 0 && g->n_offered < g->n_bufs; n--)
		g->slots_offered += g->bufs[g->n_offered++].n;
	heads = (uint16_t)g->n_offered;
	if (g->n_offered == g->n_bufs && g->bad_tail) {
		g->slots_offered = g->n_slots;
		heads++;
	}
	if (!g->packed)
		memcpy(g->driver + 2, &heads, sizeof(heads));
	for (; g->packed && slot < g->slots_offered; slot++)
		g->desc[slot * sizeof(struct desc) + 14] |= DESC_AVAIL;
}

void
guest_fill(const struct guest_buf *b, uint32_t off, const uint8_t *from, uint32_t len)
{
	for (uint32_t i = 0; i < b->n && len > 0; i++) {
		uint32_t some;

		if (off >= b->pieces[i].len) {
			off -= b->pieces[i].len;
			continue;
		}
		some = RTE_MIN(len, b->pieces[i].len - off);
		memcpy(b->pieces[i].at + off, from, some);
		from += some;
		len -= some;
		off = 0;
	}
}

void
guest_read(const struct guest_buf *b, uint8_t *to, uint32_t len)
{
	for (uint32_t i = 0; i < b->n && len > 0; i++) {
		uint32_t some = RTE_MIN(len, b->pieces[i].len);

		memcpy(to, b->pieces[i].at, some);
		to += some;
		len -= some;
	}
}

void
guest_ring(struct guest *g, struct vdev_ring *out)
{
	*out = (struct vdev_ring){
		.started = true, .enabled = true, .size = GUEST_SLOTS,
		.desc.v = gpa_of(g, g->desc), .driver.v = gpa_of(g, g->driver),
		.device.v = gpa_of(g, g->device), .kickfd = -1, .callfd = -1,
		.pos = { .avail_wrap = g->packed, .used_wrap = g->packed },
	};
	for (uint32_t i = 0; i < g->n_bufs && !g->writable; i++)
		for (uint32_t k = 0; k < g->bufs[i].n; k++) {
			const uint8_t *at = g->bufs[i].pieces[k].at;

			memcpy(g->sent + (at - g->base), at, g->bufs[i].pieces[k].len);
		}
}

static uint32_t
used_split(struct guest *g)
{
	uint16_t n;

	memcpy(&n, g->device + 2, sizeof(n));
	FUZZ_CHECK(n <= g->n_bufs);
	for (uint32_t i = 0, slot = 0; i < n; slot += g->bufs[i].n, i++) {
		uint32_t e[2];

		memcpy(e, g->device + 4 + 8 * i, sizeof(e));
		FUZZ_CHECK(e[0] == slot);
		g->bufs[i].used_len = e[1];
	}
	return n;
}

static uint32_t
used_packed(struct guest *g)
{
	uint32_t i, slot = 0;

	for (i = 0; i < g->n_bufs; slot += g->bufs[i].n, i++) {
		struct desc d;

		memcpy(&d, g->desc + slot * sizeof(d), sizeof(d));
		if ((d.w[1] & DESC_USED) == 0)
			break;
		FUZZ_CHECK((d.w[1] & DESC_AVAIL) != 0 && d.w[0] == i);
		g->bufs[i].used_len = d.len;
	}
	return i;
}

uint32_t
guest_used(struct guest *g)
{
	uint32_t n = g->packed ? used_packed(g) : used_split(g);

	for (uint32_t i = 0; i < n; i++)
		FUZZ_CHECK(g->bufs[i].used_len <= (g->writable ? g->bufs[i].len : 0));
	return n;
}

static bool
filled(const uint8_t *p, const uint8_t *end)
{
	while (p < end)
		if (*p++ != FILL)
			return false;
	return true;
}

/* What a piece is allowed to have become, `used` bytes of it written. */
static bool
piece_untouched(const struct guest *g, const uint8_t *at, uint32_t len, uint32_t used)
{
	if (!g->writable)
		return memcmp(at, g->sent + (at - g->base), len) == 0;
	return filled(at + used, at + len);
}

bool
guest_untouched(struct guest *g, uint32_t n_used)
{
	const uint8_t *at = g->device + (g->packed ? 4 : 4 + 8 * GUEST_SLOTS);

	UNPOISON(g->base, RTE_MIN(g->end + GAP, GUEST_BYTES));
	for (uint32_t i = 0; i < g->n_bufs; i++) {
		const struct guest_buf *b = &g->bufs[i];
		uint32_t used = i < n_used ? b->used_len : 0;

		for (uint32_t k = 0; k < b->n; k++) {
			uint32_t some = RTE_MIN(used, b->pieces[k].len);

			if (!filled(at, b->pieces[k].at) ||
			    !piece_untouched(g, b->pieces[k].at, b->pieces[k].len, some))
				return false;
			used -= some;
			at = b->pieces[k].at + b->pieces[k].len;
		}
	}
	return filled(at, g->base + RTE_MIN(g->end + GAP, GUEST_BYTES));
}
