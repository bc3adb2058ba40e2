/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function behind the kernel's VFIO, in a container of its own: what the container maps is
 * all that the device reaches.  Registers are reached through the kernel, which keeps its word
 * about a function that has left; only what is asked for is mapped.
 */
#include "bus_abi.h"
#include "bus.h"
#include "log.h"

#include <rte_common.h>
#include <rte_vfio.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Parts of BARs that are mapped: a doorbell page per queue at most. */
#define MAPS_MAX 256

struct region {
	uint64_t size;          /* 0: there is none */
	uint64_t offset;        /* in the device's file */
	bool mappable;
};

struct bus_map {
	void *p;
	size_t len;
};

struct bus_vfio {
	struct bus bus;
	const char *addr;       /* PCI address, the kernel's and the library's name of it */
	int container_fd;
	int device_fd;
	int gone_fd;
	uint32_t n_irqs;
	struct region config;
	struct region bars[BUS_BARS];
	pthread_mutex_t lock;   /* the maps */
	unsigned int n_maps;
	struct bus_map maps[MAPS_MAX];
};

static struct bus_vfio *
vfio_of(struct bus *bus)
{
	return container_of(bus, struct bus_vfio, bus);
}

/* What the kernel says of a function that does not answer any more. */
static int
errno_of(int err)
{
	return err == EIO || err == ENXIO ? -ENODEV : -err;
}

static int
region_read(struct bus_vfio *v, const struct region *r, uint64_t off, void *buf, uint32_t len)
{
	ssize_t n;

	if (off > r->size || len > r->size - off)
		return -EINVAL;
	n = pread(v->device_fd, buf, len, (off_t)(r->offset + off));
	if (n < 0)
		return errno_of(errno);
	return n == (ssize_t)len ? 0 : -ENODEV;
}

static int
region_write(struct bus_vfio *v, const struct region *r, uint64_t off, const void *buf,
	     uint32_t len)
{
	ssize_t n;

	if (off > r->size || len > r->size - off)
		return -EINVAL;
	n = pwrite(v->device_fd, buf, len, (off_t)(r->offset + off));
	if (n < 0)
		return errno_of(errno);
	return n == (ssize_t)len ? 0 : -ENODEV;
}

static int
vfio_cfg_read(struct bus *bus, uint32_t off, void *buf, uint32_t len)
{
	return region_read(vfio_of(bus), &vfio_of(bus)->config, off, buf, len);
}

static int
vfio_cfg_write(struct bus *bus, uint32_t off, const void *buf, uint32_t len)
{
	return region_write(vfio_of(bus), &vfio_of(bus)->config, off, buf, len);
}

static int
vfio_bar_read(struct bus *bus, unsigned int bar, uint64_t off, void *buf, uint32_t len)
{
	if (bar >= BUS_BARS)
		return -EINVAL;
	return region_read(vfio_of(bus), &vfio_of(bus)->bars[bar], off, buf, len);
}

static int
vfio_bar_write(struct bus *bus, unsigned int bar, uint64_t off, const void *buf, uint32_t len)
{
	if (bar >= BUS_BARS)
		return -EINVAL;
	return region_write(vfio_of(bus), &vfio_of(bus)->bars[bar], off, buf, len);
}

static void *
map_add(struct bus_vfio *v, const struct region *r, uint64_t from, uint64_t len)
{
	void *p;

	if (v->n_maps == MAPS_MAX)
		return NULL;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, v->device_fd,
		 (off_t)(r->offset + from));
	if (p == MAP_FAILED)
		return NULL;
	v->maps[v->n_maps++] = (struct bus_map){ .p = p, .len = len };
	return p;
}

static void *
vfio_bar_map(struct bus *bus, unsigned int bar, uint64_t off, uint64_t len)
{
	struct bus_vfio *v = vfio_of(bus);
	const struct region *r = bar < BUS_BARS ? &v->bars[bar] : NULL;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = off & ~(page - 1);
	uint8_t *p;

	if (r == NULL || !r->mappable || len == 0 || off > r->size || len > r->size - off)
		return NULL;
	pthread_mutex_lock(&v->lock);
	p = map_add(v, r, from, RTE_ALIGN_CEIL(off + len, page) - from);
	pthread_mutex_unlock(&v->lock);
	return p != NULL ? p + (off - from) : NULL;
}

/* Not by the library: that takes an overlap for success, and a container's maps for those of the
 * next one in its slot. */
static int
vfio_dma_map(struct bus *bus, const struct bus_dma *dma)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .vaddr = (uintptr_t)dma->va, .iova = dma->iova, .size = dma->size,
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
	};

	if (ioctl(vfio_of(bus)->container_fd, VFIO_IOMMU_MAP_DMA, &map) == 0)
		return 0;
	return errno == EEXIST ? -EINVAL : -errno;
}

static int
vfio_dma_unmap(struct bus *bus, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = iova, .size = size,
	};

	return ioctl(vfio_of(bus)->container_fd, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0 ? -errno : 0;
}

/* @return 0; a count: so many vectors could have been had; -errno */
static int
irqs_to_fds(struct bus_vfio *v, uint32_t index, uint32_t first, uint32_t n, const int *fds)
{
	size_t size = sizeof(struct vfio_irq_set) + n * sizeof(int);
	struct vfio_irq_set *set = calloc(1, size);
	int rc;

	if (set == NULL)
		return -ENOMEM;
	set->argsz = (uint32_t)size;
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = index;
	set->start = first;
	set->count = n;
	memcpy(set->data, fds, n * sizeof(int));
	rc = ioctl(v->device_fd, VFIO_DEVICE_SET_IRQS, set);
	rc = rc < 0 ? errno_of(errno) : rc;
	free(set);
	return rc;
}

static int
vfio_irq_set(struct bus *bus, uint32_t first, uint32_t n, const int *fds)
{
	struct bus_vfio *v = vfio_of(bus);

	if (first > v->n_irqs || n > v->n_irqs - first)
		return -ERANGE;
	return n > 0 ? irqs_to_fds(v, VFIO_PCI_MSIX_IRQ_INDEX, first, n, fds) : 0;
}

static uint32_t
vfio_irq_max(struct bus *bus)
{
	return vfio_of(bus)->n_irqs;
}

static int
vfio_doorbell_fd(struct bus *bus, unsigned int bar, uint64_t off, uint32_t len)
{
	return -ENOTSUP;        /* the kernel's have the value in them: a mapped register costs less */
}

static int
vfio_reset(struct bus *bus)
{
	if (ioctl(vfio_of(bus)->device_fd, VFIO_DEVICE_RESET) == 0)
		return 0;
	return errno == EINVAL || errno == ENOTTY ? -ENOTSUP : errno_of(errno);
}

static int
vfio_gone_fd(struct bus *bus)
{
	return vfio_of(bus)->gone_fd;
}

static void
vfio_close(struct bus *bus)
{
	struct bus_vfio *v = vfio_of(bus);

	while (v->n_maps > 0) {
		v->n_maps--;
		munmap(v->maps[v->n_maps].p, v->maps[v->n_maps].len);
	}
	if (v->device_fd >= 0)
		rte_vfio_release_device(rte_pci_get_sysfs_path(), v->addr, v->device_fd);
	if (v->container_fd >= 0)
		rte_vfio_container_destroy(v->container_fd);
	if (v->gone_fd >= 0)
		close(v->gone_fd);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static const struct bus_ops vfio_ops = {
	.cfg_read = vfio_cfg_read, .cfg_write = vfio_cfg_write,
	.bar_read = vfio_bar_read, .bar_write = vfio_bar_write, .bar_map = vfio_bar_map,
	.dma_map = vfio_dma_map, .dma_unmap = vfio_dma_unmap,
	.irq_set = vfio_irq_set, .irq_max = vfio_irq_max, .doorbell_fd = vfio_doorbell_fd,
	.reset = vfio_reset, .gone_fd = vfio_gone_fd, .close = vfio_close,
};

/* The library puts a group into the container that was bound to it before. */
static int
group_bind(struct bus_vfio *v)
{
	int group, rc;

	rc = rte_vfio_get_group_num(rte_pci_get_sysfs_path(), v->addr, &group);
	if (rc <= 0) {
		LOG(ERR, "%s: no IOMMU group: the device needs an IOMMU that is on", v->addr);
		return -ENOTSUP;
	}
	v->container_fd = rte_vfio_container_create();
	if (v->container_fd < 0)
		return -ENODEV;
	if (rte_vfio_container_group_bind(v->container_fd, group) < 0) {
		LOG(ERR, "%s: cannot have IOMMU group %d: bind all that is in it to vfio-pci, and use it here only",
		    v->addr, group);
		return -EBUSY;
	}
	return 0;
}

static int
device_open(struct bus_vfio *v)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int rc = group_bind(v);

	if (rc < 0)
		return rc;
	rc = rte_vfio_setup_device(rte_pci_get_sysfs_path(), v->addr, &v->device_fd, &info);
	if (rc != 0) {
		v->device_fd = -1;
		LOG(ERR, "%s: not to be had from VFIO: bind it to vfio-pci", v->addr);
		return -ENODEV;
	}
	if (ioctl(v->container_fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) {
		LOG(ERR, "%s: VFIO has no IOMMU for it", v->addr);
		return -ENOTSUP;
	}
	return 0;
}

static void
region_open(struct bus_vfio *v, uint32_t index, struct region *r)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(v->device_fd, VFIO_DEVICE_GET_REGION_INFO, &info) < 0)
		return;
	r->size = info.size;
	r->offset = info.offset;
	r->mappable = (info.flags & VFIO_REGION_INFO_FLAG_MMAP) != 0;
}

/* The kernel opens a function with its memory and its mastership off. */
static int
function_enable(struct bus_vfio *v)
{
	uint16_t command;
	int rc = region_read(v, &v->config, PCI_COMMAND, &command, sizeof(command));

	if (rc < 0)
		return rc;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	return region_write(v, &v->config, PCI_COMMAND, &command, sizeof(command));
}

static uint32_t
irqs_of(struct bus_vfio *v, uint32_t index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(v->device_fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0 ||
	    (info.flags & VFIO_IRQ_INFO_EVENTFD) == 0)
		return 0;
	return info.count;
}

/* All vectors at once, to nobody: kernels before 6.5 cannot add one later. */
static int
msix_open(struct bus_vfio *v)
{
	uint32_t n = irqs_of(v, VFIO_PCI_MSIX_IRQ_INDEX);
	int *fds, rc = 0;

	if (n == 0)
		return 0;
	fds = malloc(n * sizeof(*fds));
	if (fds == NULL)
		return -ENOMEM;
	memset(fds, 0xff, n * sizeof(*fds));
	rc = irqs_to_fds(v, VFIO_PCI_MSIX_IRQ_INDEX, 0, n, fds);
	if (rc > 0 && (uint32_t)rc < n) {
		n = (uint32_t)rc;
		rc = irqs_to_fds(v, VFIO_PCI_MSIX_IRQ_INDEX, 0, n, fds);
	}
	free(fds);
	v->n_irqs = rc == 0 ? n : 0;
	return RTE_MIN(rc, 0);
}

/* Asked for back by the kernel, or in error as AER tells: to the driver that is the same. */
static int
gone_open(struct bus_vfio *v)
{
	static const uint32_t indexes[] = { VFIO_PCI_REQ_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX };
	int rc = 0;

	v->gone_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (v->gone_fd < 0)
		return -errno;
	for (unsigned int i = 0; i < RTE_DIM(indexes) && rc == 0; i++)
		if (irqs_of(v, indexes[i]) > 0)
			rc = irqs_to_fds(v, indexes[i], 0, 1, &v->gone_fd);
	return RTE_MIN(rc, 0);
}

static int
vfio_setup(struct bus_vfio *v)
{
	int rc = device_open(v);

	if (rc < 0)
		return rc;
	region_open(v, VFIO_PCI_CONFIG_REGION_INDEX, &v->config);
	for (uint32_t i = 0; i < BUS_BARS; i++)
		region_open(v, VFIO_PCI_BAR0_REGION_INDEX + i, &v->bars[i]);
	rc = function_enable(v);
	if (rc == 0)
		rc = msix_open(v);
	return rc == 0 ? gone_open(v) : rc;
}

int
bus_vfio_open(const char *addr, struct bus **out)
{
	struct bus_vfio *v = calloc(1, sizeof(*v));
	int rc;

	if (v == NULL)
		return -ENOMEM;
	v->bus = (struct bus){ .ops = &vfio_ops, .name = addr };
	v->addr = addr;
	v->container_fd = -1;
	v->device_fd = -1;
	v->gone_fd = -1;
	pthread_mutex_init(&v->lock, NULL);
	rc = vfio_setup(v);
	if (rc < 0) {
		vfio_close(&v->bus);
		return rc;
	}
	*out = &v->bus;
	return 0;
}
