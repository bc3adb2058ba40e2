/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_PROTO_H
#define VDEV_MODEL_PROTO_H

/**
 * @file
 * Messages of vfio-user, as many of them as a PCI device without migration needs.
 *
 * Every message is a header and a body; a reply repeats id and command.  An error has no body.
 *
 * Life     plain values.
 * Threads  any.
 * Units    bytes; numbers in the host's order.
 * Source   QEMU, docs/interop/vfio-user; linux/vfio.h for indexes and flags that are not here.
 */

#include <stdint.h>

enum vfu_command {
	VFU_VERSION = 1,
	VFU_DMA_MAP = 2,
	VFU_DMA_UNMAP = 3,
	VFU_GET_INFO = 4,
	VFU_GET_REGION_INFO = 5,
	VFU_GET_REGION_IO_FDS = 6,
	VFU_GET_IRQ_INFO = 7,
	VFU_SET_IRQS = 8,
	VFU_REGION_READ = 9,
	VFU_REGION_WRITE = 10,
	VFU_RESET = 13,
};

/** Flags of a header. */
#define VFU_TYPE_MASK  0xfU
#define VFU_REPLY      1U
#define VFU_NO_REPLY   (1U << 4)
#define VFU_ERROR      (1U << 5)

#define VFU_MAJOR 0
#define VFU_MINOR 1

struct vfu_header {
	uint16_t id, command;
	uint32_t size;          /* header included */
	uint32_t flags;
	uint32_t error;         /* errno, in a reply with VFU_ERROR */
};

/** VERSION, both ways; a JSON text with its end follows. */
struct vfu_version {
	uint16_t major, minor;
};

#define VFU_MAP_READ  1U
#define VFU_MAP_WRITE 2U

/** DMA_MAP; one descriptor comes with it. */
struct vfu_dma_map {
	uint32_t argsz, flags;
	uint64_t offset, address, size;
};

/** DMA_UNMAP, both ways. */
struct vfu_dma_unmap {
	uint32_t argsz, flags;
	uint64_t address, size;
};

struct vfu_info {
	uint32_t argsz, flags, n_regions, n_irqs;
};

struct vfu_region_info {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t size, offset;
};

struct vfu_irq_info {
	uint32_t argsz, flags, index, count;
};

/** SET_IRQS; descriptors as its flags say. */
struct vfu_irq_set {
	uint32_t argsz, flags, index, start, count;
};

/** REGION_READ and REGION_WRITE, both ways; bytes follow in a write and in the reply to a read. */
struct vfu_access {
	uint64_t offset;
	uint32_t region, count;
};

/** GET_REGION_IO_FDS, both ways; sub-regions follow in the reply. */
struct vfu_io_fds {
	uint32_t argsz, flags, index, count;
};

/** A span of a region, a write to which is the same as a write to an eventfd. */
struct vfu_io_fd {
	uint64_t offset, size;
	uint32_t fd_index, type, flags, padding;
	uint64_t datamatch;
};

#define VFU_IO_FD_EVENTFD 0U

#endif
