/* SPDX-License-Identifier: BSD-3-Clause */
#include "chain_log.h"

#include <sys/mman.h>
#include <unistd.h>

#define LOG_BYTES 4096u
#define LOG_PAGES (8u * LOG_BYTES)
#define WORDS     (LOG_BYTES / 8)

struct book {
	int fd;
	struct dirty *log;
	bool gone;
	uint64_t must[WORDS], may[WORDS];
};

static struct book books[2];
static struct book *now;      /* in use, or the last one that was */
static bool opened, on;
static uint64_t n_marked;     /* and taken, or retired */

void
log_init(void)
{
	dirty_fault_init();
	FUZZ_CHECK(gmem_guard_init() == 0);
}

/* The last page of the memory, of its own. */
static uint64_t
page_last(void)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < arena.n; i++)
		last = RTE_MAX(last, (arena.regions[i].gpa + arena.regions[i].size - 1) >> 12);
	return last;
}

static void
book_open(struct book *b)
{
	*b = (struct book){ .fd = memfd_create("log", MFD_CLOEXEC) };
	FUZZ_CHECK(b->fd >= 0 && ftruncate(b->fd, LOG_BYTES) == 0);
	FUZZ_CHECK(dirty_map(b->fd, 0, LOG_BYTES, 0, &b->log) == 0);
}

static void
book_close(struct book *b)
{
	dirty_destroy(b->log);
	close(b->fd);
}

void
log_open(const struct gmem *mem)
{
	for (uint32_t i = 0; i < 2; i++)
		book_open(&books[i]);
	now = &books[0];
	opened = true;
	on = page_last() < LOG_PAGES;
	n_marked = 0;
	FUZZ_CHECK(dirty_covers(now->log, mem) == on);
	if (!on)
		log_close();
}

void
log_close(void)
{
	for (uint32_t i = 0; opened && i < 2; i++)
		book_close(&books[i]);
	opened = on = false;
}

const struct dirty *
log_now(void)
{
	return on ? now->log : NULL;
}

bool
log_gone(void)
{
	return on && now->gone;
}

bool
log_lost(void)
{
	return opened && (books[0].gone || books[1].gone);
}

/* Takes the marks away, and counts them. */
static void
take(struct book *b)
{
	for (uint32_t i = 0; !b->gone && i < WORDS; i++)
		n_marked += (uint64_t)__builtin_popcountll(atomic_exchange(&b->log->words[i], 0));
	memset(b->must, 0, sizeof(b->must));
	memset(b->may, 0, sizeof(b->may));
}

void
log_swap(void)
{
	if (!opened)
		return;
	now = now == &books[0] ? &books[1] : &books[0];
	take(now);
}

void
log_switch(void)
{
	on = opened && !on;
}

void
log_take(void)
{
	if (opened)
		take(now);
}

void
log_truncate(void)
{
	if (!on)
		return;
	now->gone = true;
	FUZZ_CHECK(ftruncate(now->fd, 0) == 0);
}

static void
note(uint64_t *bits, gpa_t gpa, uint64_t len)
{
	for (uint64_t page = gpa.v >> 12; len > 0 && page <= (gpa.v + len - 1) >> 12; page++)
		bits[page / 64] |= 1ULL << page % 64;
}

void
log_must(gpa_t gpa, uint64_t len)
{
	if (on)
		note(now->must, gpa, len);
}

void
log_may(gpa_t gpa, uint64_t len)
{
	if (on)
		note(now->may, gpa, len);
}

bool
log_marked(gpa_t gpa)
{
	uint64_t page = gpa.v >> 12;

	return (atomic_load(&now->log->words[page / 64]) >> page % 64 & 1) != 0;
}

void
log_recount(void)
{
	n_marked = 0;
	for (uint32_t b = 0; opened && b < 2; b++)
		for (uint32_t i = 0; !books[b].gone && i < WORDS; i++)
			n_marked -= (uint64_t)__builtin_popcountll(books[b].log->words[i]);
}

void
log_check(const struct vring *r)
{
	uint64_t n = n_marked;

	for (uint32_t b = 0; opened && b < 2; b++)
		for (uint32_t i = 0; !books[b].gone && i < WORDS; i++) {
			uint64_t is = atomic_load(&books[b].log->words[i]);

			FUZZ_CHECK((books[b].must[i] & ~is) == 0);
			FUZZ_CHECK((is & ~books[b].must[i] & ~books[b].may[i]) == 0);
			n += (uint64_t)__builtin_popcountll(is);
		}
	if (opened && !log_lost())
		FUZZ_CHECK(r->pages == n);
}
