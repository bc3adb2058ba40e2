/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_OWN_H
#define VDPA_VIRTIO_OWN_H

/**
 * @file
 * Memory of the driver's own that its device reaches: control queue, shadow rings, the device's
 * log.  It is a file without a name, so that a device in another process can map it.
 *
 * Life     kept from one start of the device to the next, mapped for it while it runs
 * Threads  those of the device's control
 * Units    bytes, multiples of OWN_ALIGN
 */

#include <stddef.h>
#include <stdint.h>

#define OWN_ALIGN 4096

struct bus;

struct own {
	int fd;
	uint8_t *va;
	uint64_t size;
	uint64_t used;
	uint64_t iova;          /**< while it is mapped; 0: it is not */
};

/** A part of it. */
struct own_part {
	void *va;
	uint64_t iova;
};

void own_init(struct own *o);

/** Makes room for so many bytes, which are zero then.  @return 0; -ENOMEM */
int own_reserve(struct own *o, uint64_t size);

/** Lets the device reach it at `iova`.  @return as bus_dma_map() */
int own_map(struct own *o, struct bus *bus, uint64_t iova);

/** Takes the next part of what was reserved and mapped. */
struct own_part own_take(struct own *o, uint64_t size);

/** Takes it away from the device; idempotent. */
void own_unmap(struct own *o, struct bus *bus);

void own_fini(struct own *o);

#endif
