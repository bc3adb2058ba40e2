/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_DMA_H
#define VDEV_MODEL_DMA_H

/**
 * @file
 * Every access of a device to its client's memory: through the maps, counted where it is refused,
 * and logged where it writes.
 *
 * Life     embedded in a device.
 * Threads  one (the client's run in another process).
 * Units    IOVA in bytes; the log has a bit for 4096 of them.
 * Source   none.
 */

#include "maps.h"

struct dma {
	struct maps maps;
	uint64_t refused;       /* accesses outside of the maps */
	uint64_t log_base, log_size;
	bool logging;
	bool log_bad;           /* a fault: marks are lost */
	uint64_t marks;
};

/** All of an area can be reached; counts nothing.  */
bool dma_reaches(const struct dma *d, uint64_t iova, uint64_t len, bool write);

/** Copies.  @return 0; -EFAULT: refused, some of it may have been done */
int dma_read(struct dma *d, uint64_t iova, void *to, uint64_t len);
int dma_write(struct dma *d, uint64_t iova, const void *from, uint64_t len);

/**
 * One aligned number, with the order that a ring needs: what is read after a load was written
 * before the store that it saw, what was written before a store is seen by who sees it.
 *
 * @return 0; -EFAULT
 */
int dma_load16(struct dma *d, uint64_t iova, uint16_t *value);
int dma_store16(struct dma *d, uint64_t iova, uint16_t value);

/** Orders a store before it with a load behind it. */
static inline void
dma_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
