/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmm_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm_rng.h"

uint64_t
vmm_log_size(const struct vmm_mem *mem)
{
	uint64_t n_words = 0;

	for (unsigned int i = 0; i < mem->n_regions; i++) {
		uint64_t last = mem->regions[i].gpa + mem->regions[i].size - 1;

		if (last / VMM_LOG_WORD + 1 > n_words)
			n_words = last / VMM_LOG_WORD + 1;
	}
	return n_words * sizeof(uint64_t);
}

static int
log_map(struct vmm_log *log, uint64_t size, bool sealed)
{
	void *words;

	log->fd = memfd_create("vhost-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (log->fd < 0 || ftruncate(log->fd, (off_t)size) < 0)
		return -errno;
	if (sealed && fcntl(log->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	if (words == MAP_FAILED)
		return -errno;
	log->words = words;
	log->n_words = size / sizeof(uint64_t);
	return 0;
}

int
vmm_log_create(struct vmm_log **out, uint64_t size, bool sealed)
{
	struct vmm_log *log = calloc(1, sizeof(*log));
	int rc;

	if (log == NULL)
		return -ENOMEM;
	rc = log_map(log, size, sealed);
	if (rc < 0) {
		vmm_log_destroy(log);
		return rc;
	}
	*out = log;
	return 0;
}

void
vmm_log_destroy(struct vmm_log *log)
{
	if (log == NULL)
		return;
	if (log->words != NULL)
		munmap(log->words, log->n_words * sizeof(uint64_t));
	if (log->fd >= 0)
		close(log->fd);
	free(log);
}

/* Harvesting */

void
vmm_harvest_init(struct vmm_harvest *h, struct vmm_mem *mem, uint32_t seed)
{
	memset(h, 0, sizeof(*h));
	h->mem = mem;
	h->rng = seed;
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		uint64_t gpa = vmm_mem_alloc(mem, VMM_PAGE, VMM_PAGE);

		if (gpa != VMM_GPA_NONE)
			h->witness_gpas[h->n_witnesses++] = gpa;
	}
}

void
vmm_harvest_forget(struct vmm_harvest *h)
{
	while (h->n_retired > 0)
		vmm_log_destroy(h->retired[--h->n_retired]);
}

void
vmm_harvest_fini(struct vmm_harvest *h)
{
	if (h->mem == NULL)
		return;
	vmm_harvest_stop(h);
	vmm_harvest_forget(h);
	vmm_log_destroy(h->log);
	memset(h, 0, sizeof(*h));
}

/* Most words are 0 most of the time: look before the exchange, as QEMU does. */
static uint64_t
word_take(struct vmm_log *log, uint64_t at)
{
	if (__atomic_load_n(&log->words[at], __ATOMIC_RELAXED) == 0)
		return 0;
	return __atomic_exchange_n(&log->words[at], 0, __ATOMIC_SEQ_CST);
}

static void
pages_copy(struct vmm_harvest *h, uint64_t at, uint64_t bits)
{
	for (; bits != 0; bits &= bits - 1) {
		uint64_t page = at * 64 + (uint64_t)__builtin_ctzll(bits);

		h->pages++;
		if (!vmm_mem_page_copy(h->mem, page))
			vmm_fault_set(&h->fault, "log: page 0x%" PRIx64 " is marked, and is no guest"
				      " memory", page * VMM_PAGE);
	}
}

/* The second device marks its page; it is gone only if somebody's OR was not atomic. */
static void
witness_run(struct vmm_harvest *h, uint64_t gpa)
{
	uint64_t at = gpa / VMM_LOG_WORD, bit = 1ULL << gpa / VMM_PAGE % 64, bits;

	if (at >= h->log->n_words)
		return;
	__atomic_fetch_or(&h->log->words[at], bit, __ATOMIC_SEQ_CST);
	for (uint32_t n = vmm_rng(&h->rng, 100); n > 0; n--)
		__asm__ volatile("" ::: "memory");
	bits = __atomic_exchange_n(&h->log->words[at], 0, __ATOMIC_SEQ_CST);
	if ((bits & bit) == 0)
		vmm_fault_set(&h->fault, "log: the mark of page 0x%" PRIx64 ", set by another device"
			      ", has vanished", gpa);
	pages_copy(h, at, bits & ~bit);
}

static void
words_take(struct vmm_harvest *h, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to && at < h->log->n_words; at++)
		pages_copy(h, at, word_take(h->log, at));
}

/* The words of guest memory only: quick enough to come between a mark and a write. */
static void
round_quick(struct vmm_harvest *h)
{
	struct vmm_mem *mem = h->mem;
	unsigned int n = __atomic_load_n(&mem->n_regions, __ATOMIC_RELAXED);

	for (unsigned int i = 0; h->witness && i < h->n_witnesses; i++)
		witness_run(h, h->witness_gpas[i]);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t from = mem->regions[i].gpa, to = from + mem->regions[i].size - 1;

		words_take(h, from / VMM_LOG_WORD, to / VMM_LOG_WORD + 1);
	}
	h->rounds++;
}

static void *
harvest_run(void *arg)
{
	struct vmm_harvest *h = arg;

	while (!__atomic_load_n(&h->stop, __ATOMIC_ACQUIRE)) {
		if (h->log != NULL)
			round_quick(h);
		if (h->pause_us > 0)
			usleep(h->pause_us);
	}
	return NULL;
}

int
vmm_harvest_start(struct vmm_harvest *h)
{
	int rc;

	h->stop = false;
	rc = pthread_create(&h->thread, NULL, harvest_run, h);
	h->running = rc == 0;
	return -rc;
}

void
vmm_harvest_stop(struct vmm_harvest *h)
{
	if (!h->running)
		return;
	__atomic_store_n(&h->stop, true, __ATOMIC_RELEASE);
	pthread_join(h->thread, NULL);
	h->running = false;
}

static int
fault_tell(struct vmm_harvest *h)
{
	if (!vmm_fault_found(&h->fault))
		return 0;
	return vmm_fault_set(h->mem->fault, "%s", h->fault.text);
}

int
vmm_harvest_round(struct vmm_harvest *h)
{
	bool running = h->running;
	int rc = 0;

	vmm_harvest_stop(h);
	if (h->log != NULL)
		words_take(h, 0, h->log->n_words);
	h->rounds++;
	if (running)
		rc = vmm_harvest_start(h);
	return rc < 0 ? rc : fault_tell(h);
}

static void
log_retire(struct vmm_harvest *h)
{
	if (h->n_retired == VMM_LOGS_MAX) {
		vmm_log_destroy(h->retired[0]);
		memmove(h->retired, h->retired + 1, --h->n_retired * sizeof(h->log));
	}
	h->retired[h->n_retired++] = h->log;
}

int
vmm_harvest_turn(struct vmm_harvest *h, struct vmm_log *log)
{
	bool running = h->running;
	int rc = 0;

	vmm_harvest_stop(h);
	if (h->log != NULL) {
		words_take(h, 0, h->log->n_words);
		log_retire(h);
	}
	h->log = log;
	if (running)
		rc = vmm_harvest_start(h);
	return rc < 0 ? rc : fault_tell(h);
}

int
vmm_harvest_check(struct vmm_harvest *h)
{
	for (unsigned int i = 0; i < h->n_retired; i++)
		for (uint64_t at = 0; at < h->retired[i]->n_words; at++)
			if (h->retired[i]->words[at] != 0)
				return vmm_fault_set(h->mem->fault, "log: word %" PRIu64 " became"
						     " 0x%" PRIx64 " in a log that was retired", at,
						     h->retired[i]->words[at]);
	return fault_tell(h);
}
