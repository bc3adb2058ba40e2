/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_LOG_H
#define VMM_LOG_H

/**
 * @file
 * The dirty log of a live migration, as the front-end owns it, and the one who harvests it.
 *
 * One bit per page of guest memory, the page at 0 first.  The harvester exchanges the words with 0
 * and copies the pages that they name to the memory's twin; it may do so in a thread of its own,
 * without a pause, so that a page which is marked before it is written is lost.  It also plays a
 * second device of the same guest: it sets bits of pages that nobody else writes, and they must
 * still be there when it looks.  QEMU gives all vhost-user devices of a guest one log.
 *
 * Life     a log is created for a migration, handed to the backend, retired, destroyed; a harvester
 *          is embedded.
 * Threads  the owner's; the harvester's own thread runs between start and stop, and is held while
 *          another call works.
 * Units    pages of 4096 bytes, words of 64 bits, sizes in bytes.
 * Source   the vhost-user specification ("Migration"), QEMU's vhost_log_chunk_t.
 */

#include "vmm_mem.h"

/** Guest memory that one word of a log covers. */
#define VMM_LOG_WORD (64 * VMM_PAGE)

#define VMM_LOGS_MAX 64

/** A log. */
struct vmm_log {
	uint64_t *words;
	uint64_t n_words;
	int fd;
};

/** Bytes that a log needs for this memory: QEMU's vhost_get_log_size(). */
uint64_t vmm_log_size(const struct vmm_mem *mem);

/**
 * Creates an empty log.
 *
 * @param sealed  nobody can change its size any more, as QEMU has it
 * @return        0; -errno of memfd_create, ftruncate, fcntl, mmap
 */
int vmm_log_create(struct vmm_log **out, uint64_t size, bool sealed);
void vmm_log_destroy(struct vmm_log *log);

/** The harvester of one guest. */
struct vmm_harvest {
	struct vmm_mem *mem;
	struct vmm_log *log;            /* the one in use; NULL: none */
	struct vmm_log *retired[VMM_LOGS_MAX];
	unsigned int n_retired;
	pthread_t thread;
	bool running, stop;
	uint32_t pause_us;              /* between two rounds of the thread */
	uint32_t rng;
	bool witness;                   /* play the second device */
	uint64_t witness_gpas[VMM_REGIONS_MAX]; /* pages that nobody writes */
	unsigned int n_witnesses;
	uint64_t rounds, pages;         /* only grow */
	struct vmm_fault fault;
};

/** Prepares a harvester; reserves a page of each region for the second device. */
void vmm_harvest_init(struct vmm_harvest *h, struct vmm_mem *mem, uint32_t seed);

/** Ends the thread and destroys all logs. */
void vmm_harvest_fini(struct vmm_harvest *h);

/** Runs rounds in a thread until vmm_harvest_stop().  @return 0; -errno of pthread_create */
int vmm_harvest_start(struct vmm_harvest *h);
void vmm_harvest_stop(struct vmm_harvest *h);

/** One round over all of the log.  @return 0; -EPROTO: as the fault says */
int vmm_harvest_round(struct vmm_harvest *h);

/**
 * Makes `log` the one in use, once the backend has agreed to it; NULL: none.  The one before is
 * harvested a last time and watched from then on.  @return as vmm_harvest_round()
 */
int vmm_harvest_turn(struct vmm_harvest *h, struct vmm_log *log);

/** Nothing was marked in a log after it was retired.  @return 0; -EPROTO */
int vmm_harvest_check(struct vmm_harvest *h);

/** Forgets the retired logs. */
void vmm_harvest_forget(struct vmm_harvest *h);

#endif
