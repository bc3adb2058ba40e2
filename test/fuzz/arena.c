/* SPDX-License-Identifier: BSD-3-Clause */
#include "arena.h"

#include "poison.h"

#include <rte_common.h>

#include <sys/mman.h>

#define PAGE 4096u

/* A class has a place of its own for each region, with a guard page in front and behind; what is
 * smaller than a page stands at its end, and ASan knows of the rest. */
static const uint32_t sizes[] = { 64, 256, 1024, PAGE, 2 * PAGE, 4 * PAGE, 16 * PAGE, 256 * PAGE };

struct arena arena;
static uint8_t *places[RTE_DIM(sizes)][GMEM_REGIONS_MAX];
static uint8_t models[ARENA_BYTES_MAX + GMEM_REGIONS_MAX * 64]; /* the smallest always fit */

static uint32_t
place_size(uint32_t class)
{
	return RTE_ALIGN_CEIL(sizes[class], PAGE);
}

void
arena_init(void)
{
	size_t all = PAGE;
	uint8_t *at;

	for (uint32_t c = 0; c < RTE_DIM(sizes); c++)
		all += GMEM_REGIONS_MAX * (place_size(c) + PAGE);
	at = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	FUZZ_CHECK(at != MAP_FAILED);
	for (uint32_t c = 0; c < RTE_DIM(sizes); c++)
		for (uint32_t i = 0; i < GMEM_REGIONS_MAX; i++) {
			at += PAGE;
			FUZZ_CHECK(mprotect(at, place_size(c), PROT_READ | PROT_WRITE) == 0);
			POISON(at, place_size(c));
			places[c][i] = at;
			at += place_size(c);
		}
}

static void
arena_clear(void)
{
	for (uint32_t i = 0; i < arena.n; i++) {
		memset(arena.regions[i].host, 0, arena.regions[i].size);
		POISON(arena.regions[i].host, arena.regions[i].size);
	}
	arena.n = 0;
}

/* Where the next region begins in the guest's view. */
static uint64_t
place_gpa(struct fuzz_in *in, uint32_t how, uint64_t size)
{
	const struct gmem_region *before = arena.n > 0 ? &arena.regions[arena.n - 1] : NULL;
	uint64_t end = before != NULL ? before->gpa + before->size : 0;

	switch (how) {
	case 0: /* right behind the one before */
		return end;
	case 1: /* with a hole between */
		return end + PAGE;
	case 2: /* at the very end of all addresses */
		return -size;
	case 3: /* over the last byte of the one before */
		return end - 1;
	case 4: /* right in front of the one before */
		return before != NULL ? before->gpa - size : 0;
	}
	return fuzz_u64(in);
}

static void
region_lay(struct fuzz_in *in, uint32_t class, uint32_t how, uint8_t *model)
{
	struct gmem_region *r = &arena.regions[arena.n];

	r->size = sizes[class];
	r->gpa = place_gpa(in, how, r->size);
	r->uva = r->gpa;
	r->host = places[class][arena.n] + place_size(class) - sizes[class];
	UNPOISON(r->host, r->size);
	arena.models[arena.n] = model;
	memset(model, 0, r->size);
	arena.n++;
}

/* Of its own, so that it can tell when gmem_create() is wrong. */
static bool
regions_sound(void)
{
	for (uint32_t i = 0; i < arena.n; i++) {
		unsigned __int128 a = arena.regions[i].gpa, a_end = a + arena.regions[i].size;

		if (a_end > (unsigned __int128)1 << 64)
			return false;
		for (uint32_t k = i + 1; k < arena.n; k++) {
			unsigned __int128 b = arena.regions[k].gpa;

			if (a < b + arena.regions[k].size && b < a_end)
				return false;
		}
	}
	return true;
}

bool
arena_lay(struct fuzz_in *in)
{
	uint32_t n = 1 + fuzz_u8(in) % GMEM_REGIONS_MAX, used = 0;

	arena_clear();
	for (uint32_t i = 0; i < n; i++) {
		uint8_t spec = fuzz_u8(in);
		uint32_t class = spec % RTE_DIM(sizes);

		if (used + sizes[class] > ARENA_BYTES_MAX)
			class = 0;
		region_lay(in, class, spec / RTE_DIM(sizes) % 6, &models[used]);
		used += sizes[class];
	}
	return regions_sound();
}

gpa_t
arena_ref(struct fuzz_in *in)
{
	const struct gmem_region *r = &arena.regions[fuzz_u8(in) % arena.n];

	return (gpa_t){ r->gpa + fuzz_u16(in) };
}

int
arena_region(uint64_t gpa)
{
	for (uint32_t i = 0; i < arena.n; i++)
		if (gpa >= arena.regions[i].gpa &&
		    gpa - arena.regions[i].gpa < arena.regions[i].size)
			return (int)i;
	return -1;
}

typedef void piece_fn(uint32_t region, uint64_t off, uint64_t done, uint64_t len, void *arg);

/* Walks the pieces of a range, region by region.  @return false: it leaves the memory */
static bool
pieces(uint64_t gpa, uint64_t len, piece_fn *fn, void *arg)
{
	uint64_t done = 0;

	while (done < len) {
		int i = arena_region(gpa + done);
		uint64_t off, some;

		if (i < 0 || gpa + done < gpa)
			return false;
		off = gpa + done - arena.regions[i].gpa;
		some = RTE_MIN(len - done, arena.regions[i].size - off);
		fn((uint32_t)i, off, done, some, arg);
		done += some;
	}
	return true;
}

static void
piece_read(uint32_t region, uint64_t off, uint64_t done, uint64_t len, void *arg)
{
	memcpy((uint8_t *)arg + done, arena.regions[region].host + off, len);
}

static void
piece_model(uint32_t region, uint64_t off, uint64_t done, uint64_t len, void *arg)
{
	memcpy(arena.models[region] + off, (const uint8_t *)arg + done, len);
}

static void
piece_write(uint32_t region, uint64_t off, uint64_t done, uint64_t len, void *arg)
{
	memcpy(arena.regions[region].host + off, (const uint8_t *)arg + done, len);
	piece_model(region, off, done, len, arg);
}

bool
arena_read(gpa_t gpa, void *out, uint64_t len)
{
	return pieces(gpa.v, len, piece_read, out);
}

void
arena_write(gpa_t gpa, const void *data, uint64_t len)
{
	pieces(gpa.v, len, piece_write, (void *)(uintptr_t)data);
}

void
arena_model(gpa_t gpa, const void *data, uint64_t len)
{
	pieces(gpa.v, len, piece_model, (void *)(uintptr_t)data);
}

void
arena_accept(const uint8_t *host, uint64_t len)
{
	for (uint32_t i = 0; i < arena.n; i++) {
		const struct gmem_region *r = &arena.regions[i];

		if (host >= r->host && host < r->host + r->size)
			memcpy(arena.models[i] + (host - r->host), host, len);
	}
}

bool
arena_same(void)
{
	for (uint32_t i = 0; i < arena.n; i++)
		if (memcmp(arena.regions[i].host, arena.models[i], arena.regions[i].size) != 0)
			return false;
	return true;
}
