/* SPDX-License-Identifier: BSD-3-Clause */
#include "own.h"

#include "bus.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

void
own_init(struct own *o)
{
	*o = (struct own){ .fd = -1 };
}

void
own_fini(struct own *o)
{
	if (o->va != NULL)
		munmap(o->va, o->size);
	if (o->fd >= 0)
		close(o->fd);
	own_init(o);
}

static int
grow(struct own *o, uint64_t size)
{
	own_fini(o);
	o->fd = memfd_create("vdpa_virtio", MFD_CLOEXEC);
	if (o->fd < 0 || ftruncate(o->fd, (off_t)size) < 0)
		return -ENOMEM;
	o->va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
	if (o->va == MAP_FAILED) {
		o->va = NULL;
		return -ENOMEM;
	}
	o->size = size;
	return 0;
}

static uint64_t
align(uint64_t size)
{
	return (size + OWN_ALIGN - 1) & ~(uint64_t)(OWN_ALIGN - 1);
}

int
own_reserve(struct own *o, uint64_t size)
{
	o->used = 0;
	if (align(size) > o->size) {
		int rc = grow(o, align(size));

		if (rc < 0)
			own_fini(o);
		return rc;
	}
	memset(o->va, 0, o->size);
	return 0;
}

int
own_map(struct own *o, struct bus *bus, uint64_t iova)
{
	const struct bus_dma dma = { .va = o->va, .iova = iova, .size = o->size, .fd = o->fd };
	int rc = bus_dma_map(bus, &dma);

	if (rc == 0)
		o->iova = iova;
	return rc;
}

struct own_part
own_take(struct own *o, uint64_t size)
{
	struct own_part part = { o->va + o->used, o->iova + o->used };

	o->used += align(size);
	return part;
}

void
own_unmap(struct own *o, struct bus *bus)
{
	if (o->iova != 0)
		bus_dma_unmap(bus, o->iova, o->size);
	o->iova = 0;
}
