/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_BUS_H
#define VDPA_VIRTIO_BUS_H

/**
 * @file
 * One PCI function, however it is reached: the kernel's VFIO or a vfio-user server.
 *
 * Life     opened by a probe, closed by the remove.  What is mapped for DMA and which interrupts
 *          are set up is undone by bus_close() at the latest.
 * Threads  every call may come from any thread; a bus serialises where its transport needs it.
 * Units    bytes; I/O virtual addresses are what the device puts on the bus
 * Source   PCI Local Bus 3.0, linux/vfio.h, vfio-user specification
 *
 * Every call ends within BUS_TIMEOUT_MS: a device that does not answer is -ETIMEDOUT and one that
 * has left the bus -ENODEV, at once from then on.  Reads that fail give all ones, as on a bus.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Longest time that one call takes. */
#define BUS_TIMEOUT_MS 1000

#define BUS_BARS 6

struct bus;

/** Memory for the device to reach. */
struct bus_dma {
	void *va;
	uint64_t iova;
	uint64_t size;
	int fd;             /**< file behind it; -1: not known, only a bus in this process can map it */
	uint64_t fd_offset;
};

struct bus_ops {
	int (*cfg_read)(struct bus *bus, uint32_t off, void *buf, uint32_t len);
	int (*cfg_write)(struct bus *bus, uint32_t off, const void *buf, uint32_t len);
	int (*bar_read)(struct bus *bus, unsigned int bar, uint64_t off, void *buf, uint32_t len);
	int (*bar_write)(struct bus *bus, unsigned int bar, uint64_t off, const void *buf,
			uint32_t len);
	void *(*bar_map)(struct bus *bus, unsigned int bar, uint64_t off, uint64_t len);
	int (*dma_map)(struct bus *bus, const struct bus_dma *dma);
	int (*dma_unmap)(struct bus *bus, uint64_t iova, uint64_t size);
	int (*irq_set)(struct bus *bus, uint32_t first, uint32_t n, const int *fds);
	uint32_t (*irq_max)(struct bus *bus);
	int (*doorbell_fd)(struct bus *bus, unsigned int bar, uint64_t off, uint32_t len);
	int (*reset)(struct bus *bus);
	int (*gone_fd)(struct bus *bus);
	void (*close)(struct bus *bus);
};

/** A transport embeds this. */
struct bus {
	const struct bus_ops *ops;
	const char *name;       /**< what messages call the device */
};

/* registers */

/** Reads configuration space.  @return 0; -ETIMEDOUT; -ENODEV; -EINVAL: beyond its end */
static inline int
bus_cfg_read(struct bus *bus, uint32_t off, void *buf, uint32_t len)
{
	int rc = bus->ops->cfg_read(bus, off, buf, len);

	if (rc < 0)
		memset(buf, 0xff, len);
	return rc;
}

/** Writes configuration space.  @return as bus_cfg_read() */
static inline int
bus_cfg_write(struct bus *bus, uint32_t off, const void *buf, uint32_t len)
{
	return bus->ops->cfg_write(bus, off, buf, len);
}

/**
 * Reads a register in one access.
 *
 * @param len  1, 2, 4 or 8
 * @return     0; -ETIMEDOUT; -ENODEV; -EINVAL: no such BAR or beyond its end
 */
static inline int
bus_bar_read(struct bus *bus, unsigned int bar, uint64_t off, void *buf, uint32_t len)
{
	int rc = bus->ops->bar_read(bus, bar, off, buf, len);

	if (rc < 0)
		memset(buf, 0xff, len);
	return rc;
}

/** Writes a register in one access.  @return as bus_bar_read() */
static inline int
bus_bar_write(struct bus *bus, unsigned int bar, uint64_t off, const void *buf, uint32_t len)
{
	return bus->ops->bar_write(bus, bar, off, buf, len);
}

/** Maps a part of a BAR until bus_close().  @return NULL: this part cannot be mapped */
static inline void *
bus_bar_map(struct bus *bus, unsigned int bar, uint64_t off, uint64_t len)
{
	return bus->ops->bar_map(bus, bar, off, len);
}

/* memory */

/** Lets the device reach memory.  @return 0; -EINVAL: overlap or no file; -ENOMEM; -ENODEV */
static inline int
bus_dma_map(struct bus *bus, const struct bus_dma *dma)
{
	return bus->ops->dma_map(bus, dma);
}

/**
 * Takes memory away: after return the device cannot reach it any more.
 *
 * @return  0, also when the device has left; -ETIMEDOUT: the transport was cut instead, after
 *          which the device is -ENODEV
 */
static inline int
bus_dma_unmap(struct bus *bus, uint64_t iova, uint64_t size)
{
	return bus->ops->dma_unmap(bus, iova, size);
}

/* notifications */

/**
 * Sends MSI-X vectors to eventfds.
 *
 * @param fds  one per vector, -1: to nobody; the caller's, who may close them after return
 * @return     0; -ERANGE: more than bus_irq_max(); -ETIMEDOUT; -ENODEV
 */
static inline int
bus_irq_set(struct bus *bus, uint32_t first, uint32_t n, const int *fds)
{
	return bus->ops->irq_set(bus, first, n, fds);
}

/** How many MSI-X vectors there are; 0: none, the driver polls. */
static inline uint32_t
bus_irq_max(struct bus *bus)
{
	return bus->ops->irq_max(bus);
}

/**
 * Finds an eventfd whose write is a write to a doorbell register.
 *
 * @return  fd, the bus's until bus_close(); -ENOTSUP: write the register
 */
static inline int
bus_doorbell_fd(struct bus *bus, unsigned int bar, uint64_t off, uint32_t len)
{
	return bus->ops->doorbell_fd(bus, bar, off, len);
}

/* life */

/** Resets the function: it is as after power-on, and does no DMA.  @return 0; -ENOTSUP; -errno */
static inline int
bus_reset(struct bus *bus)
{
	return bus->ops->reset(bus);
}

/** An fd that is readable once the device has left or is asked for; -1: nobody tells. */
static inline int
bus_gone_fd(struct bus *bus)
{
	return bus->ops->gone_fd(bus);
}

/** NULL is allowed. */
static inline void
bus_close(struct bus *bus)
{
	if (bus != NULL)
		bus->ops->close(bus);
}

/* transports */

/**
 * Connects to a vfio-user server.
 *
 * @param path  its UNIX socket
 * @param name  for messages, lives as long as the bus
 * @return      0; -errno of connect(); -EPROTO: it does not speak vfio-user or is no PCI device;
 *              -ETIMEDOUT; -ENOMEM
 */
int bus_user_open(const char *path, const char *name, struct bus **out);

/**
 * Takes a PCI function from the kernel's VFIO, into a container of its own.
 *
 * @param addr  "DDDD:BB:DD.F", lives as long as the bus
 * @return      0; -ENOTSUP: there is no IOMMU for it; -EBUSY: its group is not free; -ENODEV: it
 *              is not on VFIO; -ENOMEM; a line in the log says what to do
 */
int bus_vfio_open(const char *addr, struct bus **out);

#endif
