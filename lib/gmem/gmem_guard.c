/* SPDX-License-Identifier: BSD-3-Clause */
#include "gmem.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

/* Two tables may be guarded for a port while its memory changes. */
#define TABLES_MAX 4096

/*
 * A handler can neither lock nor allocate, so the tables stand in a fixed array of atomic
 * pointers.  A slot is emptied only after every reader of the table is gone, and the handler runs
 * on such a reader's stack: what it finds here lives as long as it looks.
 */
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

static struct gmem *
table_find(const uint8_t *p)
{
	for (uint32_t i = 0; i < TABLES_MAX; i++) {
		struct gmem *m = atomic_load_explicit(&tables[i], memory_order_acquire);

		if (m != NULL && region_find(m, p) != NULL)
			return m;
	}
	return NULL;
}

/*
 * A hugetlbfs mapping takes a replacement only in whole huge pages, and what size its pages have
 * is not known here: the sizes of this machine are tried, smallest first.  Replacing more than
 * what vanished is harmless: the port breaks anyway.
 */
static int
page_replace(const uint8_t *p)
{
	static const uint64_t sizes[] = { 1ULL << 12, 1ULL << 21, 1ULL << 30 };

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uintptr_t start = (uintptr_t)p & ~(uintptr_t)(sizes[i] - 1);

		if (mmap((void *)start, sizes[i], PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) !=
		    MAP_FAILED)
			return 0;
	}
	return -EFAULT;
}

static void
fault_mark(struct gmem *m)
{
	if (m != NULL)
		atomic_store_explicit(&m->faulted, true, memory_order_release);
	else
		thread_faulted = 1;
}

static void
on_sigbus(int signo, siginfo_t *info, void *context)
{
	int saved = errno;
	struct gmem *m = table_find(info->si_addr);

	if ((m != NULL || thread_guarded) && page_replace(info->si_addr) == 0)
		fault_mark(m);
	else
		sigaction(SIGBUS, &previous, NULL); /* the access repeats and ends the process */
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
			return;
	}
}

bool
gmem_guard_thread(bool on)
{
	bool faulted = thread_faulted != 0;

	thread_guarded = on;
	thread_faulted = 0;
	return faulted;
}
