/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_MEM_H
#define VDPA_VIRTIO_MEM_H

/**
 * @file
 * A guest's memory: where its addresses are in this process, and the same for the device, which
 * reaches it at I/O addresses that are the guest's own.
 *
 * Life     filled when a device is configured, empty again when it is closed: the application
 *          unmaps the memory after that.
 * Threads  changed while its device is stopped; lookups from any thread
 * Units    bytes
 * Source   rte_vhost.h
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most regions of a guest. */
#define MEM_REGIONS_MAX 64

struct bus;

struct mem_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	int fd;             /**< file behind it, the application's; -1: not known */
	uint64_t fd_offset; /**< of `hva` in it */
	bool mapped;        /**< the device reaches it */
};

struct mem {
	uint32_t n_regions;
	struct mem_region regions[MEM_REGIONS_MAX];
};

/**
 * Translates as much of a range as is contiguous here.
 *
 * @param len  in: bytes wanted; out: bytes that follow the pointer, at most as many
 * @return     pointer; NULL: the first byte is outside of the guest's memory
 */
static inline uint8_t *
mem_span(const struct mem *m, uint64_t gpa, uint64_t *len)
{
	for (uint32_t i = 0; i < m->n_regions; i++) {
		const struct mem_region *r = &m->regions[i];
		uint64_t off = gpa - r->gpa;

		if (off < r->size) {
			if (*len > r->size - off)
				*len = r->size - off;
			return r->hva + off;
		}
	}
	return NULL;
}

/** Translates a whole range.  @return NULL: not in one region */
static inline void *
mem_at(const struct mem *m, uint64_t gpa, uint64_t len)
{
	uint64_t n = len;
	uint8_t *p = mem_span(m, gpa, &n);

	return n == len ? p : NULL;
}

/**
 * Finds the guest's address of a range in this process.
 *
 * @return  0; -EFAULT: not in one region
 */
int mem_gpa(const struct mem *m, const void *hva, uint64_t len, uint64_t *gpa);

/** First multiple of `align`, a power of two, behind all of the guest's memory and 4 GiB. */
uint64_t mem_end(const struct mem *m, uint64_t align);

/**
 * Reads the table of a vhost device.
 *
 * @return  0; -ENODEV: no memory yet; -E2BIG: too many regions; -EINVAL: a region that wraps
 */
int mem_load(struct mem *m, int vid);

/** Lets the device reach all of it.  @return 0; -errno of bus_dma_map(), nothing is mapped then */
int mem_map(struct mem *m, struct bus *bus);

/** Takes all of it away from the device; idempotent. */
void mem_unmap(struct mem *m, struct bus *bus);

#endif
