/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_GMEM_H
#define FERRY_GMEM_H

/**
 * @file
 * A guest's memory as this process sees it, and the only way to turn a guest's address into a
 * pointer.
 *
 * Life     a table is immutable; a change of memory makes a new one.  The mapping itself belongs
 *          to librte_vhost, so every user is quiesced before the library unmaps.
 * Threads  lookups: any; the rest: the thread of the session.
 * Units    bytes
 * Source   vhost-user specification, "Memory region description"
 */

#include <rte_branch_prediction.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most regions that librte_vhost maps. */
#define GMEM_REGIONS_MAX 8

/** Guest-physical address: what descriptors carry. */
typedef struct { uint64_t v; } gpa_t;

/** Front-end-virtual address: what SET_VRING_ADDR carries. */
typedef struct { uint64_t v; } uva_t;

struct gmem_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uva;
	uint8_t *host;
	/** What is mapped, for devices that map it too; the mapping's owner's.  -1: not known. */
	int fd;
	uint64_t fd_offset;  /**< of the region's first byte */
};

struct gmem {
	uint32_t n_regions;
	struct gmem_region regions[GMEM_REGIONS_MAX];
	/** Set by the guard when a page vanished under us; never cleared. */
	_Atomic bool faulted;
	/** Who is told so (struct event's port). */
	uint16_t port;
};

/**
 * Creates a table.
 *
 * @param regions  what the front-end announced and where it is mapped
 * @return         0; -EINVAL: none, too many, empty, wrapping or overlapping regions; -ENOMEM
 */
int gmem_create(const struct gmem_region *regions, uint32_t n, uint16_t port, struct gmem **out);

/** Frees a table that nobody looks at any more; the mapping stays.  NULL is allowed. */
void gmem_destroy(struct gmem *m);

/**
 * Translates as much of a range as is contiguous here.
 *
 * @param len  in: bytes wanted; out: bytes that follow the pointer, at most as many
 * @return     pointer; NULL: the first byte is outside of the guest's memory
 */
static inline uint8_t *
gmem_span(const struct gmem *m, gpa_t gpa, uint64_t *len)
{
	for (uint32_t i = 0; i < m->n_regions; i++) {
		const struct gmem_region *r = &m->regions[i];
		uint64_t off = gpa.v - r->gpa;

		if (off < r->size) {
			if (*len > r->size - off)
				*len = r->size - off;
			return r->host + off;
		}
	}
	return NULL;
}

/**
 * Translates a whole range.
 *
 * @return  pointer to `len` contiguous bytes; NULL: not in one region
 */
static inline void *
gmem_at(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *end = &m->regions[m->n_regions];

	for (const struct gmem_region *r = m->regions; r < end; r++) {
		uint64_t off = gpa.v - r->gpa;

		if (likely(off < r->size))
			return likely(len <= r->size - off) ? r->host + off : NULL;
	}
	return NULL;
}

/**
 * Finds the guest-physical address of a front-end-virtual range.
 *
 * @return  0; -EFAULT: the range is not in one region
 */
int gmem_gpa(const struct gmem *m, uva_t uva, uint64_t len, gpa_t *out);

/* guard */

/**
 * Installs the handler for memory that shrinks under us (ftruncate, a hole in hugetlbfs): SIGBUS
 * in a guarded range puts a zero page there, marks the table `faulted` and goes on; any other
 * SIGBUS is a bug of ours and ends the process as before.
 *
 * @return  0; -errno of sigaction()
 */
int gmem_guard_init(void);

/**
 * Guards the ranges of a table until gmem_unguard().
 *
 * @return  0; -ENOSPC: more tables than the process can guard
 */
int gmem_guard(struct gmem *m);

/** Ends the guard.  Call it when no reader is left and before the mapping goes; idempotent. */
void gmem_unguard(struct gmem *m);

/**
 * Guards whatever the calling thread touches until it is switched off: for librte_vhost, which
 * looks at a memory table that it is given before anybody else can know where it has mapped it.
 *
 * @return  whether something that is in no table vanished under this thread since it was last set
 */
bool gmem_guard_thread(bool on);

#endif
