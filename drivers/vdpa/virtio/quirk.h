/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_QUIRK_H
#define VDPA_VIRTIO_QUIRK_H

/**
 * @file
 * What devices can do beyond virtio 1.x: take and tell ring positions, log what they write.  One
 * row a device; a device without a row is driven as the specification knows it.
 *
 * Threads  one at a time
 * Units    positions as vhost's: split the index, packed the slot | wrap counter << 15
 */

#include "pci.h"

#include <stdbool.h>
#include <stdint.h>

#define QUIRK_POSITIONS 1u      /**< rings start anywhere, and tell where they stand */
#define QUIRK_LOGGING   2u      /**< writes are logged, a bit for each 4096 bytes of I/O address */

struct quirk {
	const char *name;
	bool (*match)(const struct pci *p);
	uint32_t (*bits)(struct pci *p);
	/** Before the queue is enabled. */
	void (*pos_set)(struct pci *p, uint16_t queue, uint16_t avail, uint16_t used);
	/** Stops all queues where they are.  @return 0; -ETIMEDOUT; -errno of an access */
	int (*freeze)(struct pci *p);
	/** While frozen. */
	void (*pos_get)(struct pci *p, uint16_t queue, uint16_t *avail, uint16_t *used);
	/** Logs all writes after return; size 0: none.  @return as freeze() */
	int (*log_set)(struct pci *p, uint64_t iova, uint64_t size);
};

/** The row of a device, and what the device says of itself.  @return NULL: none */
const struct quirk *quirk_find(struct pci *p, uint32_t *bits);

#endif
