/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus.h"

#include "user_sock.h"

#include <rte_common.h>

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define REGIONS     (VFIO_PCI_CONFIG_REGION_INDEX + 1)
#define AREAS_MAX   16
#define MAPS_MAX    64
#define DOORBELLS_MAX 256
#define ACCESS_MAX  4096

#define IO_FD_DATAMATCH 1       /* KVM_IOEVENTFD_FLAG_DATAMATCH */

struct access {
	uint64_t off;
	uint32_t region;
	uint32_t count;
};

struct dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset;
	uint64_t addr;
	uint64_t size;
};

struct dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t addr;
	uint64_t size;
};

struct io_fds {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

struct io_fd {
	uint64_t off;
	uint64_t size;
	uint32_t fd_index;
	uint32_t type;          /* 0: ioeventfd */
	uint32_t flags;
	uint32_t padding;
	uint64_t datamatch;
};

struct area {
	uint64_t off;
	uint64_t size;
};

struct region {
	uint64_t size;
	uint64_t fd_offset;
	int fd;                 /* to map its areas; -1: none */
	uint32_t n_areas;
	struct area areas[AREAS_MAX];
	bool io_asked;
};

struct doorbell {
	unsigned int bar;
	uint64_t off;
	uint64_t size;
	int fd;
};

struct bus_user {
	struct bus bus;
	struct user_sock sock;
	struct region regions[REGIONS];
	uint32_t n_irqs;
	bool can_reset;
	struct iovec maps[MAPS_MAX];
	uint32_t n_maps;
	struct doorbell doorbells[DOORBELLS_MAX];
	uint32_t n_doorbells;
	int door_fds[USER_FDS_MAX * BUS_BARS];
	uint32_t n_door_fds;
};

static struct bus_user *
of(struct bus *bus)
{
	return container_of(bus, struct bus_user, bus);
}

static bool
in_region(const struct bus_user *u, uint32_t region, uint64_t off, uint32_t len)
{
	uint64_t size = u->regions[region].size;

	return len <= ACCESS_MAX && len <= size && off <= size - len;
}

static int
region_read(struct bus_user *u, uint32_t region, uint64_t off, void *buf, uint32_t len)
{
	struct access req = { off, region, len };
	struct {
		struct access a;
		uint8_t data[ACCESS_MAX];
	} reply;
	struct user_call call = {
		.command = USER_REGION_READ, .req = &req, .req_len = sizeof(req),
		.reply = &reply, .reply_size = (uint32_t)sizeof(req) + len,
	};
	int rc;

	if (!in_region(u, region, off, len))
		return -EINVAL;
	rc = user_sock_call(&u->sock, &call);
	if (rc < 0)
		return rc;
	if (call.reply_len != sizeof(req) + len || reply.a.count != len)
		return -EIO;
	memcpy(buf, reply.data, len);
	return 0;
}

static int
region_write(struct bus_user *u, uint32_t region, uint64_t off, const void *buf, uint32_t len)
{
	struct access req = { off, region, len }, reply;
	struct user_call call = {
		.command = USER_REGION_WRITE, .req = &req, .req_len = sizeof(req),
		.data = buf, .data_len = len, .reply = &reply, .reply_size = sizeof(reply),
	};

	if (!in_region(u, region, off, len))
		return -EINVAL;
	return user_sock_call(&u->sock, &call);
}

static int
user_cfg_read(struct bus *bus, uint32_t off, void *buf, uint32_t len)
{
	return region_read(of(bus), VFIO_PCI_CONFIG_REGION_INDEX, off, buf, len);
}

static int
user_cfg_write(struct bus *bus, uint32_t off, const void *buf, uint32_t len)
{
	return region_write(of(bus), VFIO_PCI_CONFIG_REGION_INDEX, off, buf, len);
}

static int
user_bar_read(struct bus *bus, unsigned int bar, uint64_t off, void *buf, uint32_t len)
{
	return bar < BUS_BARS ? region_read(of(bus), bar, off, buf, len) : -EINVAL;
}

static int
user_bar_write(struct bus *bus, unsigned int bar, uint64_t off, const void *buf, uint32_t len)
{
	return bar < BUS_BARS ? region_write(of(bus), bar, off, buf, len) : -EINVAL;
}

static bool
can_map(const struct region *r, uint64_t off, uint64_t len)
{
	if (r->fd < 0)
		return false;
	for (uint32_t i = 0; i < r->n_areas; i++) {
		const struct area *a = &r->areas[i];

		if (off >= a->off && off - a->off < a->size && len <= a->size - (off - a->off))
			return true;
	}
	return false;
}

static void *
user_bar_map(struct bus *bus, unsigned int bar, uint64_t off, uint64_t len)
{
	struct bus_user *u = of(bus);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t first = off & ~(page - 1);
	uint64_t size = off + len - first;
	void *p;

	if (bar >= BUS_BARS || u->n_maps == MAPS_MAX || !can_map(&u->regions[bar], off, len))
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, u->regions[bar].fd,
		(off_t)(u->regions[bar].fd_offset + first));
	if (p == MAP_FAILED)
		return NULL;
	u->maps[u->n_maps++] = (struct iovec){ p, size };
	return (uint8_t *)p + (off - first);
}

static int
user_dma_map(struct bus *bus, const struct bus_dma *dma)
{
	struct dma_map req = {
		.argsz = sizeof(req), .flags = 3,       /* readable, writeable */
		.offset = dma->fd_offset, .addr = dma->iova, .size = dma->size,
	};
	struct user_call call = {
		.command = USER_DMA_MAP, .req = &req, .req_len = sizeof(req),
		.fds = &dma->fd, .n_fds = 1,
	};

	return dma->fd < 0 ? -EINVAL : user_sock_call(&of(bus)->sock, &call);
}

static int
user_dma_unmap(struct bus *bus, uint64_t iova, uint64_t size)
{
	struct dma_unmap req = { .argsz = sizeof(req), .addr = iova, .size = size }, reply;
	struct user_call call = {
		.command = USER_DMA_UNMAP, .req = &req, .req_len = sizeof(req),
		.reply = &reply, .reply_size = sizeof(reply),
	};
	int rc = user_sock_call(&of(bus)->sock, &call);

	return rc == -ENODEV ? 0 : rc;
}

/* One message: the descriptors of neighbours, or none, which takes theirs away. */
static int
irq_run(struct bus_user *u, uint32_t first, uint32_t n, const int *fds)
{
	const struct vfio_irq_set req = {
		.argsz = sizeof(req), .index = VFIO_PCI_MSIX_IRQ_INDEX,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.start = first, .count = n,
	};
	struct user_call call = {
		.command = USER_SET_IRQS, .req = &req, .req_len = sizeof(req),
		.fds = fds, .n_fds = fds[0] >= 0 ? n : 0,
	};

	return user_sock_call(&u->sock, &call);
}

static int
user_irq_set(struct bus *bus, uint32_t first, uint32_t n, const int *fds)
{
	struct bus_user *u = of(bus);

	if (first > u->n_irqs || n > u->n_irqs - first)
		return -ERANGE;
	for (uint32_t i = 0, len; i < n; i += len) {
		int rc;

		for (len = 1; i + len < n && (fds[i + len] >= 0) == (fds[i] >= 0); len++)
			if (fds[i] >= 0 && len == u->sock.fds_max)
				break;
		rc = irq_run(u, first + i, len, &fds[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static uint32_t
user_irq_max(struct bus *bus)
{
	return of(bus)->n_irqs;
}

static void
doorbell_add(struct bus_user *u, unsigned int bar, const struct io_fd *e, const int *fds,
		uint32_t n_fds)
{
	if (e->type != 0 || (e->flags & IO_FD_DATAMATCH) != 0 || e->fd_index >= n_fds)
		return;
	if (u->n_doorbells < DOORBELLS_MAX)
		u->doorbells[u->n_doorbells++] = (struct doorbell){
			.bar = bar, .off = e->off, .size = e->size, .fd = fds[e->fd_index],
		};
}

/* Asks once for the eventfds that stand for registers of a BAR. */
static void
doorbells_load(struct bus_user *u, unsigned int bar)
{
	struct {
		struct io_fds h;
		struct io_fd e[DOORBELLS_MAX];
	} reply = { 0 };
	const struct io_fds req = { .argsz = sizeof(reply), .index = bar };
	int *fds = &u->door_fds[u->n_door_fds];
	struct user_call call = {
		.command = USER_GET_REGION_IO_FDS, .req = &req, .req_len = sizeof(req),
		.reply = &reply, .reply_size = sizeof(reply), .reply_fds = fds,
	};

	if (u->regions[bar].io_asked)
		return;
	u->regions[bar].io_asked = true;
	if (user_sock_call(&u->sock, &call) < 0)
		return;
	u->n_door_fds += call.n_reply_fds;
	for (uint32_t i = 0; i < reply.h.count && i < DOORBELLS_MAX; i++)
		if (sizeof(reply.h) + (i + 1) * sizeof(reply.e[0]) <= call.reply_len)
			doorbell_add(u, bar, &reply.e[i], fds, call.n_reply_fds);
}

static int
user_doorbell_fd(struct bus *bus, unsigned int bar, uint64_t off, uint32_t len)
{
	struct bus_user *u = of(bus);

	if (bar >= BUS_BARS)
		return -ENOTSUP;
	doorbells_load(u, bar);
	for (uint32_t i = 0; i < u->n_doorbells; i++) {
		const struct doorbell *d = &u->doorbells[i];

		if (d->bar == bar && d->off == off && (d->size == 0 || d->size == len))
			return d->fd;
	}
	return -ENOTSUP;
}

static int
user_reset(struct bus *bus)
{
	struct user_call call = { .command = USER_DEVICE_RESET };

	return of(bus)->can_reset ? user_sock_call(&of(bus)->sock, &call) : -ENOTSUP;
}

static int
user_gone_fd(struct bus *bus)
{
	return of(bus)->sock.gone_fd;
}

static void
user_close(struct bus *bus)
{
	struct bus_user *u = of(bus);

	for (uint32_t i = 0; i < u->n_maps; i++)
		munmap(u->maps[i].iov_base, u->maps[i].iov_len);
	for (uint32_t i = 0; i < u->n_door_fds; i++)
		close(u->door_fds[i]);
	for (uint32_t i = 0; i < REGIONS; i++)
		if (u->regions[i].fd >= 0)
			close(u->regions[i].fd);
	user_sock_close(&u->sock);
	free(u);
}

static const struct bus_ops user_ops = {
	.cfg_read = user_cfg_read,
	.cfg_write = user_cfg_write,
	.bar_read = user_bar_read,
	.bar_write = user_bar_write,
	.bar_map = user_bar_map,
	.dma_map = user_dma_map,
	.dma_unmap = user_dma_unmap,
	.irq_set = user_irq_set,
	.irq_max = user_irq_max,
	.doorbell_fd = user_doorbell_fd,
	.reset = user_reset,
	.gone_fd = user_gone_fd,
	.close = user_close,
};

/* The parts of a region that can be mapped: all of it, unless a capability says which. */
static void
areas_load(struct region *r, const uint8_t *info, uint32_t len, uint32_t at)
{
	r->n_areas = 1;
	r->areas[0] = (struct area){ 0, r->size };
	for (int steps = 0; at != 0 && steps < 16; steps++) {
		struct vfio_region_info_cap_sparse_mmap cap;

		if (at > len || len - at < sizeof(cap))
			return;
		memcpy(&cap, info + at, sizeof(cap));
		if (cap.header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
			r->n_areas = RTE_MIN(cap.nr_areas, (uint32_t)AREAS_MAX);
			r->n_areas = RTE_MIN(r->n_areas,
				(uint32_t)((len - at - sizeof(cap)) / sizeof(struct area)));
			memcpy(r->areas, info + at + sizeof(cap), r->n_areas * sizeof(struct area));
			return;
		}
		at = cap.header.next;
	}
}

static int
region_load(struct bus_user *u, uint32_t index)
{
	struct region *r = &u->regions[index];
	int fds[USER_FDS_MAX];
	union {
		struct vfio_region_info info;
		uint8_t bytes[1024];
	} reply = { 0 };
	const struct vfio_region_info req = { .argsz = sizeof(reply), .index = index };
	struct user_call call = {
		.command = USER_GET_REGION_INFO, .req = &req, .req_len = sizeof(req),
		.reply = &reply, .reply_size = sizeof(reply), .reply_fds = fds,
	};
	int rc = user_sock_call(&u->sock, &call);

	if (rc < 0)
		return rc;
	for (uint32_t i = 1; i < call.n_reply_fds; i++)
		close(fds[i]);
	if (call.n_reply_fds > 0)
		r->fd = fds[0];
	if (call.reply_len < sizeof(reply.info))
		return -EPROTO;
	r->size = reply.info.size;
	r->fd_offset = reply.info.offset;
	areas_load(r, reply.bytes, call.reply_len,
		(reply.info.flags & VFIO_REGION_INFO_FLAG_CAPS) != 0 ? reply.info.cap_offset : 0);
	return 0;
}

static int
irqs_load(struct bus_user *u)
{
	const struct vfio_irq_info req = {
		.argsz = sizeof(req), .index = VFIO_PCI_MSIX_IRQ_INDEX,
	};
	struct vfio_irq_info reply = { 0 };
	struct user_call call = {
		.command = USER_GET_IRQ_INFO, .req = &req, .req_len = sizeof(req),
		.reply = &reply, .reply_size = sizeof(reply),
	};
	int rc = user_sock_call(&u->sock, &call);

	if (rc == 0 && (reply.flags & VFIO_IRQ_INFO_EVENTFD) != 0)
		u->n_irqs = RTE_MIN(reply.count, 2048U);
	return rc;
}

static int
info_load(struct bus_user *u)
{
	const struct vfio_device_info req = { .argsz = 16 };
	struct vfio_device_info reply = { 0 };
	struct user_call call = {
		.command = USER_GET_INFO, .req = &req, .req_len = 16,
		.reply = &reply, .reply_size = sizeof(reply),
	};
	int rc = user_sock_call(&u->sock, &call);

	if (rc < 0)
		return rc;
	if ((reply.flags & VFIO_DEVICE_FLAGS_PCI) == 0 || reply.num_regions < REGIONS)
		return -EPROTO;
	u->can_reset = (reply.flags & VFIO_DEVICE_FLAGS_RESET) != 0;
	for (uint32_t i = 0; rc == 0 && i < REGIONS; i++)
		rc = i == VFIO_PCI_ROM_REGION_INDEX ? 0 : region_load(u, i);
	return rc == 0 ? irqs_load(u) : rc;
}

int
bus_user_open(const char *path, const char *name, struct bus **out)
{
	struct bus_user *u = calloc(1, sizeof(*u));
	int rc;

	if (u == NULL)
		return -ENOMEM;
	u->bus.ops = &user_ops;
	u->bus.name = name;
	for (uint32_t i = 0; i < REGIONS; i++)
		u->regions[i].fd = -1;
	rc = user_sock_open(&u->sock, path);
	if (rc == 0)
		rc = info_load(u);
	if (rc < 0) {
		user_close(&u->bus);
		return rc;
	}
	*out = &u->bus;
	return 0;
}
