/* SPDX-License-Identifier: BSD-3-Clause */
#include "gmem.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

/* Two tables may be guarded for a port while its memory changes. */
#define TABLES_MAX 4096

#define PAGE (1ULL << 12)

/*
 * A handler can neither lock nor allocate, so the tables stand in a fixed array of atomic
 * pointers.  It looks at all of them, those of other ports too: who empties a slot waits until no
 * handler is inside.
 */
static _Atomic uint32_t inside;
static _Atomic(struct gmem *) tables[TABLES_MAX];
static struct sigaction previous;

/* This thread: guarded whatever it touches; something had vanished there. */
static _Thread_local volatile sig_atomic_t thread_guarded, thread_faulted;

static struct gmem_region *
region_find(struct gmem *m, const uint8_t *p)
{
	for (uint32_t i = 0; i < m->n_regions; i++) {
		struct gmem_region *r = &m->regions[i];

		if (p >= r->host && p < r->host + r->size)
			return r;
	}
	return NULL;
}

static int
range_replace(uintptr_t start, uint64_t size)
{
	void *p = mmap((void *)start, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? -EFAULT : 0;
}

/*
 * A hugetlbfs mapping takes a replacement only in whole huge pages, and what size its pages have
 * is not known here: the sizes of this machine are tried, smallest first.  Replacing more than
 * what vanished is harmless: the port breaks anyway.
 */
static int
page_replace(const uint8_t *p)
{
	static const uint64_t sizes[] = { PAGE, 1ULL << 21, 1ULL << 30 };

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (range_replace((uintptr_t)p & ~(uintptr_t)(sizes[i] - 1), sizes[i]) == 0)
			return 0;
	return -EFAULT;
}

/*
 * All of the region that follows goes with the page: a guest that has one buffer in every second
 * page of memory that is gone would else cost more mappings than a process may have.
 */
static int
rest_replace(const uint8_t *p, const struct gmem_region *r)
{
	uintptr_t start = (uintptr_t)p & ~(uintptr_t)(PAGE - 1);
	uintptr_t end = ((uintptr_t)r->host + r->size + PAGE - 1) & ~(uintptr_t)(PAGE - 1);

	return range_replace(start, end - start) < 0 ? page_replace(p) : 0;
}

/* While a port's memory changes an address is in two tables: the port learns it from either. */
static bool
tables_mark(const uint8_t *p)
{
	bool found = false;

	for (uint32_t i = 0; i < TABLES_MAX; i++) {
		struct gmem *m = atomic_load_explicit(&tables[i], memory_order_acquire);
		const struct gmem_region *r = m != NULL ? region_find(m, p) : NULL;

		if (r == NULL)
			continue;
		if (!found && rest_replace(p, r) < 0)
			return false;
		found = true;
		atomic_store_explicit(&m->faulted, true, memory_order_release);
	}
	return found;
}

static bool
thread_mark(const uint8_t *p)
{
	if (!thread_guarded || page_replace(p) < 0)
		return false;
	thread_faulted = 1;
	return true;
}

static void
on_sigbus(int signo, siginfo_t *info, void *context)
{
	int saved = errno;

	atomic_fetch_add(&inside, 1);
	if (!tables_mark(info->si_addr) && !thread_mark(info->si_addr))
		sigaction(SIGBUS, &previous, NULL); /* the access repeats and ends the process */
	atomic_fetch_sub(&inside, 1);
	errno = saved;
}

int
gmem_guard_init(void)
{
	struct sigaction act;

	memset(&act, 0, sizeof(act));
	act.sa_sigaction = on_sigbus;
	act.sa_flags = SA_SIGINFO;
	return sigaction(SIGBUS, &act, &previous) < 0 ? -errno : 0;
}

int
gmem_guard(struct gmem *m)
{
	for (uint32_t i = 0; i < TABLES_MAX; i++) {
		struct gmem *none = NULL;

		if (atomic_compare_exchange_strong(&tables[i], &none, m))
			return 0;
	}
	return -ENOSPC;
}

void
gmem_unguard(struct gmem *m)
{
	for (uint32_t i = 0; i < TABLES_MAX; i++) {
		struct gmem *same = m;

		if (atomic_compare_exchange_strong(&tables[i], &same, NULL))
			break;
	}
	while (atomic_load(&inside) > 0)
		sched_yield();
}

bool
gmem_guard_thread(bool on)
{
	bool faulted = thread_faulted != 0;

	thread_guarded = on;
	thread_faulted = 0;
	return faulted;
}
