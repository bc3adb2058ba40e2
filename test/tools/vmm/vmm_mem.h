/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_MEM_H
#define VMM_MEM_H

/**
 * @file
 * A guest's memory, and the containment oracle over it.
 *
 * Regions are memfds mapped shared, so that a backend in another process sees the same bytes.  With
 * a shadow, the memory keeps a second copy of every byte as the driver last knew it, and for every
 * byte whether the device may write it now.  What differs from the shadow where the device had
 * nothing offered was written by somebody who had no right to.
 *
 * With a twin, it keeps the image that a live migration builds: what the driver writes reaches both
 * at once, what the device writes reaches the twin only by vmm_mem_page_copy().  Where the two differ
 * at the end, the device wrote a page that its dirty log did not name.
 *
 * Life     one per guest; regions can be plugged and unplugged while it lives.
 * Threads  one at a time (the device writes the mapped bytes whenever it likes); calls under "Twin"
 *          from any other thread besides.
 * Units    gpa, sizes and offsets in bytes.
 * Source   virtio 1.2 clause 2.6 (who owns a buffer), vhost-user "Memory region description".
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm_fault.h"

/** As many regions as a memory table of vhost-user carries. */
#define VMM_REGIONS_MAX 8

/** No guest-physical address. */
#define VMM_GPA_NONE UINT64_MAX

/** One region, as SET_MEM_TABLE describes it and as it is mapped here. */
struct vmm_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t offset;        /* of the first byte within fd */
	uint64_t next;          /* where the next allocation starts, relative to gpa */
	uint8_t *host;
	uint8_t *shadow;        /* the bytes as the driver knows them, or NULL */
	uint8_t *open;          /* per byte: how many offers cover it */
	uint8_t *twin;          /* the migrated image, or NULL */
	int fd, twin_fd;
};

/** How a memory is to be laid out. */
struct vmm_mem_conf {
	unsigned int n_regions; /* 1..VMM_REGIONS_MAX; 0 is 1 */
	uint64_t size;          /* of all regions together; rounded up to pages each */
	bool shadow;            /* keep the containment oracle's copy */
	bool adjacent;          /* no holes: each region starts where the last one ends */
	bool twin;              /* keep a migrated image beside the live one */
};

/** A guest's memory. */
struct vmm_mem {
	struct vmm_region regions[VMM_REGIONS_MAX];
	unsigned int n_regions;
	unsigned int cursor;    /* region that the next allocation tries first */
	bool shadow, adjacent, twin;
	pthread_mutex_t lock;   /* of the twin, and of the table of regions */
	struct vmm_fault *fault;
};

/* Life */

/**
 * Creates a memory: the first region at address 0, the others above 4 GiB with holes between them;
 * odd regions start at a non-zero offset of their file, as QEMU's memory above 4 GiB does.
 *
 * @return 0; -EINVAL: number of regions; -errno of memfd_create, ftruncate, mmap
 */
int vmm_mem_create(struct vmm_mem **out, const struct vmm_mem_conf *conf, struct vmm_fault *fault);
void vmm_mem_destroy(struct vmm_mem *mem);

/** Adds a region above all others; nothing is allocated from it.
 *  @return its index; -ENOSPC: table full; -errno as for create */
int vmm_mem_plug(struct vmm_mem *mem, uint64_t size);

/** Removes the last region.  Nothing in it may be offered.  @return 0; -ENOENT: only one is left */
int vmm_mem_unplug(struct vmm_mem *mem);

/* Addresses */

/** Host pointer for `len` bytes at `gpa`; NULL when they do not lie within one region. */
void *vmm_mem_host(const struct vmm_mem *mem, uint64_t gpa, uint64_t len);

/** The front-end's own virtual address of `gpa`, which is what SET_VRING_ADDR carries; 0: none. */
uint64_t vmm_mem_uva(const struct vmm_mem *mem, uint64_t gpa);

/**
 * Reserves memory, walking over the regions from call to call so that what belongs together is
 * spread over the memory table.  Never given back before vmm_mem_destroy().
 *
 * @param align  a power of two
 * @return       address; VMM_GPA_NONE when no region has room
 */
uint64_t vmm_mem_alloc(struct vmm_mem *mem, uint64_t size, uint64_t align);

/* Containment */

/** The driver wrote here: its bytes are the truth now. */
void vmm_mem_wrote(struct vmm_mem *mem, uint64_t gpa, uint64_t len);

/** The driver writes `src` here. */
void vmm_mem_write(struct vmm_mem *mem, uint64_t gpa, const void *src, uint64_t len);

/** As vmm_mem_write(), in one store that a device which sees it may act upon at once. */
void vmm_mem_store16(struct vmm_mem *mem, uint64_t gpa, uint16_t value);

/** The device may write here from now on.  Offers nest. */
void vmm_mem_offer(struct vmm_mem *mem, uint64_t gpa, uint64_t len);

/** The device gave this back: what it left is the truth, and it may write here no longer. */
void vmm_mem_withdraw(struct vmm_mem *mem, uint64_t gpa, uint64_t len);

/**
 * Compares every byte that the device may not write with what the driver knows.
 *
 * @return 0; -EPROTO: fault names the first foreign byte
 */
int vmm_mem_check(struct vmm_mem *mem);

/* Twin */

/** Bytes of a page of guest memory, as a dirty log counts them. */
#define VMM_PAGE UINT64_C(4096)

/** Copies page number `page` to the twin.  @return false: that is no guest memory */
bool vmm_mem_page_copy(struct vmm_mem *mem, uint64_t page);

/** Copies everything, in ascending order. */
void vmm_mem_copy(struct vmm_mem *mem);

/** First address from `gpa` on whose byte differs from the twin's; VMM_GPA_NONE: none does. */
uint64_t vmm_mem_differs(const struct vmm_mem *mem, uint64_t gpa);

/** The twin becomes the live image, and the other way round: the guest goes on at its destination. */
void vmm_mem_swap(struct vmm_mem *mem);

#endif
