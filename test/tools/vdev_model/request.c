/* SPDX-License-Identifier: BSD-3-Clause */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>
#include <unistd.h>

static int
dma_map(struct device *d, struct request *q)
{
	struct vfu_dma_map map;

	memcpy(&map, q->body, sizeof(map));
	q->len = 0;
	return maps_add(&d->dma.maps, &map, q->n_fds == 1 ? q->fds[0] : -1);
}

static int
dma_unmap(struct device *d, struct request *q)
{
	struct vfu_dma_unmap unmap;

	memcpy(&unmap, q->body, sizeof(unmap));
	return maps_del(&d->dma.maps, unmap.address, unmap.size);
}

static int
get_info(struct device *d, struct request *q)
{
	const struct vfu_info info = {
		.argsz = sizeof(info), .flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.n_regions = VFIO_PCI_NUM_REGIONS, .n_irqs = VFIO_PCI_NUM_IRQS,
	};

	memcpy(q->body, &info, sizeof(info));
	return 0;
}

static uint64_t
region_size(const struct device *d, uint32_t index)
{
	switch (index) {
	case BAR_REGS:
		return regs_size(d);
	case BAR_MSIX:
		return BAR_MSIX_SIZE;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return sizeof(d->config);
	default:
		return 0;
	}
}

static int
get_region_info(struct device *d, struct request *q)
{
	struct vfu_region_info info;

	memcpy(&info, q->body, sizeof(info));
	if (info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.cap_offset = 0;
	info.offset = 0;
	info.size = region_size(d, info.index);
	info.flags = info.size == 0 ? 0 : VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	memcpy(q->body, &info, sizeof(info));
	return 0;
}

/* A doorbell per ring; a client that takes fewer descriptors gets those of the first rings. */
static int
get_region_io_fds(struct device *d, struct request *q)
{
	struct vfu_io_fds io;
	unsigned int n = q->client_fds < d->n_rings ? q->client_fds : d->n_rings;

	memcpy(&io, q->body, sizeof(io));
	if (io.index != BAR_REGS || io.flags != 0)
		return -EINVAL;
	io.count = n;
	q->len = (uint32_t)(sizeof(io) + n * sizeof(struct vfu_io_fd));
	if (io.argsz < q->len)
		n = 0;
	io.argsz = q->len;
	q->len = (uint32_t)(sizeof(io) + n * sizeof(struct vfu_io_fd));
	memcpy(q->body, &io, sizeof(io));
	for (unsigned int i = 0; i < n; i++) {
		struct vfu_io_fd fd = { .offset = REGS_NOTIFY + i * regs_notify_step(d), .size = 2,
					.fd_index = i, .type = VFU_IO_FD_EVENTFD };

		memcpy(q->body + sizeof(io) + i * sizeof(fd), &fd, sizeof(fd));
		q->out_fds[q->n_out_fds++] = d->rings[i].doorbell;
	}
	return 0;
}

static int
get_irq_info(struct device *d, struct request *q)
{
	struct vfu_irq_info info;

	memcpy(&info, q->body, sizeof(info));
	if (info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.flags = info.index == VFIO_PCI_MSIX_IRQ_INDEX ? VFIO_IRQ_INFO_EVENTFD : 0;
	info.count = info.index == VFIO_PCI_MSIX_IRQ_INDEX ? VECTORS_MAX : 0;
	memcpy(q->body, &info, sizeof(info));
	return 0;
}

static int
irq_put(struct device *d, unsigned int vector, int fd)
{
	int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0 && own < 0)
		return -errno;
	if (own >= 0)
		fcntl(own, F_SETFL, O_NONBLOCK);        /* nobody who counts slowly stops us */
	if (d->irqs[vector] >= 0)
		close(d->irqs[vector]);
	d->irqs[vector] = own;
	return 0;
}

/* As the kernel has it: a count of 0 without data switches all of them off. */
static int
set_irqs(struct device *d, struct request *q)
{
	struct vfu_irq_set set;
	bool fds;
	int rc = 0;

	memcpy(&set, q->body, sizeof(set));
	q->len = 0;
	fds = set.flags == (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
	if (set.index != VFIO_PCI_MSIX_IRQ_INDEX || set.start > VECTORS_MAX ||
	    set.count > VECTORS_MAX - set.start)
		return -EINVAL;
	if (!fds && (set.flags != (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER) ||
		     set.count != 0))
		return -EINVAL;
	if (fds && q->n_fds != 0 && q->n_fds != set.count)
		return -EINVAL;
	if (!fds) {
		set.start = 0;
		set.count = VECTORS_MAX;
	}
	for (unsigned int i = 0; i < set.count && rc == 0; i++)
		rc = irq_put(d, set.start + i, i < q->n_fds ? q->fds[i] : -1);
	return rc;
}

/* Registers */

static void
region_read(struct device *d, const struct vfu_access *a, uint8_t *to)
{
	if (a->region == BAR_REGS)
		regs_read(d, a->offset, to, a->count);
	else if (a->region == VFIO_PCI_CONFIG_REGION_INDEX)
		pci_read(d, a->offset, to, a->count);
	else
		memcpy(to, d->msix_table + a->offset, a->count);
}

static void
region_write(struct device *d, const struct vfu_access *a, const uint8_t *from)
{
	if (a->region == BAR_REGS)
		regs_write(d, a->offset, from, a->count);
	else if (a->region == VFIO_PCI_CONFIG_REGION_INDEX)
		pci_write(d, a->offset, from, a->count);
	else
		memcpy(d->msix_table + a->offset, from, a->count);
}

/* As on a bus, an access to a BAR is one of 1, 2, 4 or 8 aligned bytes. */
static int
access_check(struct device *d, const struct vfu_access *a)
{
	uint64_t size = region_size(d, a->region);

	if (a->count == 0 || a->count > SERVER_ACCESS_MAX || a->count > size ||
	    a->offset > size - a->count)
		return -EINVAL;
	if (a->region != BAR_REGS)
		return 0;
	if (a->count > 8 || (a->count & (a->count - 1)) != 0 || a->offset % a->count != 0)
		return -EINVAL;
	return 0;
}

static int
region_access(struct device *d, struct request *q)
{
	bool write = q->command == VFU_REGION_WRITE;
	struct vfu_access a;
	int rc;

	memcpy(&a, q->body, sizeof(a));
	rc = access_check(d, &a);
	if (rc < 0 || q->len != sizeof(a) + (write ? a.count : 0))
		return -EINVAL;
	if (write)
		region_write(d, &a, q->body + sizeof(a));
	else
		region_read(d, &a, q->body + sizeof(a));
	q->len = (uint32_t)sizeof(a) + (write ? 0 : a.count);
	return 0;
}

static int
reset(struct device *d, struct request *q)
{
	if (fault_on(d, FAULT_stuck_stop) && d->faults.of[FAULT_stuck_stop].arg != 0)
		return -EIO;
	if (device_running(d))
		wire_settle();
	d->faults.stop_at = d->faults.late_until = 0;
	device_reset(d);
	d->reset_unread = false;
	return 0;
}

static const struct {
	int (*run)(struct device *d, struct request *q);
	uint32_t least;         /* bytes of its body */
	bool fds;               /* may come with descriptors */
} commands[] = {
	[VFU_DMA_MAP] =           { dma_map, sizeof(struct vfu_dma_map), true },
	[VFU_DMA_UNMAP] =         { dma_unmap, sizeof(struct vfu_dma_unmap), false },
	[VFU_GET_INFO] =          { get_info, sizeof(struct vfu_info), false },
	[VFU_GET_REGION_INFO] =   { get_region_info, sizeof(struct vfu_region_info), false },
	[VFU_GET_REGION_IO_FDS] = { get_region_io_fds, sizeof(struct vfu_io_fds), false },
	[VFU_GET_IRQ_INFO] =      { get_irq_info, sizeof(struct vfu_irq_info), false },
	[VFU_SET_IRQS] =          { set_irqs, sizeof(struct vfu_irq_set), true },
	[VFU_REGION_READ] =       { region_access, sizeof(struct vfu_access), false },
	[VFU_REGION_WRITE] =      { region_access, sizeof(struct vfu_access), false },
	[VFU_RESET] =             { reset, 0, false },
};

int
request_run(struct device *d, struct request *q)
{
	if (q->command >= sizeof(commands) / sizeof(commands[0]) ||
	    commands[q->command].run == NULL)
		return -ENOTSUP;
	if (q->len < commands[q->command].least || (q->n_fds > 0 && !commands[q->command].fds))
		return -EINVAL;
	return commands[q->command].run(d, q);
}
