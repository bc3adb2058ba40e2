/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_MAPS_H
#define VDEV_MODEL_MAPS_H

/**
 * @file
 * What a device can reach of its client's memory: its IOMMU.
 *
 * Life     embedded; emptied when the client goes.
 * Threads  one.
 * Units    IOVA and sizes in bytes.
 * Source   vfio-user, DMA_MAP and DMA_UNMAP.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto.h"

#define MAPS_MAX 128

struct map {
	uint64_t iova, size;
	uint8_t *host;
	bool readable, writable;
};

struct maps {
	struct map maps[MAPS_MAX];
	unsigned int n;
};

/**
 * Adds a map; `fd` stays the caller's.
 *
 * @return 0; -EINVAL: empty, not of whole pages, beyond the file's end, wraps, no descriptor;
 *         -EEXIST: overlaps another; -ENOSPC; -errno of mmap
 */
int maps_add(struct maps *m, const struct vfu_dma_map *req, int fd);

/** From here on a page that vanishes under a map is one of zeros.  @return 0; -errno */
int maps_guard(void);

/** Takes a map away that was added just so.  @return 0; -ENOENT */
int maps_del(struct maps *m, uint64_t iova, uint64_t size);
void maps_clear(struct maps *m);

/**
 * Where a device finds an address.
 *
 * @param len  out: how much of `len` lies in one piece
 * @return     NULL: not mapped for this
 */
void *maps_find(const struct maps *m, uint64_t iova, uint64_t *len, bool write);

#endif
