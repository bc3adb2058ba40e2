/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_CTRL_H
#define VDPA_VIRTIO_CTRL_H

/**
 * @file
 * The device's control queue: how many queue pairs it uses, and which addresses it hears.
 *
 * It is the driver's own; a guest's control queue is its front-end's business.  Each command waits
 * for its answer by looking: they come at a start, not in between.
 *
 * Life     from DRIVER_OK to the reset
 * Threads  one at a time
 * Source   virtio 1.2, 5.1.6.5
 */

#include "own.h"
#include "pci.h"

#include <stdbool.h>
#include <stdint.h>

/** Longest time that a command may take. */
#define CTRL_TIMEOUT_MS 500

/** Memory that it takes. */
#define CTRL_BYTES 4096

struct ctrl {
	struct pci *pci;
	const struct pci_doorbell *door;
	struct own_part mem;
	bool packed;
	uint16_t size;
	uint16_t next;          /**< split: of the available ring; packed: slot */
	bool wrap;              /**< packed: the driver's wrap counter */
};

/**
 * Prepares a queue in zeroed memory, for pci_queue_set().
 *
 * @param packed  the ring's format, as negotiated
 * @param size    the queue's largest
 * @return        0; -EINVAL: it holds no command
 */
int ctrl_init(struct ctrl *c, struct pci *pci, const struct pci_doorbell *door, bool packed,
		uint16_t size, struct own_part mem, struct pci_queue *out);

/* commands: 0; -EIO: the device refuses; -ETIMEDOUT: it does not answer; -errno of a doorbell */

/** Receives into the first `n` queue pairs. */
int ctrl_pairs(struct ctrl *c, uint16_t n);

/** Hears every address. */
int ctrl_promiscuous(struct ctrl *c);

/** Hears this address and all groups. */
int ctrl_mac(struct ctrl *c, const uint8_t mac[6]);

#endif
