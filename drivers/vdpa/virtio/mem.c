/* SPDX-License-Identifier: BSD-3-Clause */
#include "mem.h"

#include "bus.h"

#include <rte_vhost.h>

#include <errno.h>
#include <stdlib.h>

#define GIB (1ULL << 30)

int
mem_gpa(const struct mem *m, const void *hva, uint64_t len, uint64_t *gpa)
{
	for (uint32_t i = 0; i < m->n_regions; i++) {
		const struct mem_region *r = &m->regions[i];
		uint64_t off = (uintptr_t)hva - (uintptr_t)r->hva;

		if (off >= r->size)
			continue;
		if (len > r->size - off)
			return -EFAULT;
		*gpa = r->gpa + off;
		return 0;
	}
	return -EFAULT;
}

uint64_t
mem_end(const struct mem *m, uint64_t align)
{
	uint64_t end = 4 * GIB;

	for (uint32_t i = 0; i < m->n_regions; i++)
		if (m->regions[i].gpa + m->regions[i].size > end)
			end = m->regions[i].gpa + m->regions[i].size;
	return (end + align - 1) & ~(align - 1);
}

static int
region_load(struct mem_region *r, const struct rte_vhost_mem_region *from)
{
	if (from->size == 0 || from->guest_phys_addr + from->size < from->guest_phys_addr)
		return -EINVAL;
	*r = (struct mem_region){
		.gpa = from->guest_phys_addr,
		.size = from->size,
		.hva = (uint8_t *)(uintptr_t)from->host_user_addr,
		.fd = from->fd,
		.fd_offset = from->host_user_addr - (uintptr_t)from->mmap_addr,
	};
	return 0;
}

int
mem_load(struct mem *m, int vid)
{
	struct rte_vhost_memory *table = NULL;
	int rc = 0;

	m->n_regions = 0;
	if (rte_vhost_get_mem_table(vid, &table) != 0 || table == NULL)
		return -ENODEV;
	if (table->nregions > MEM_REGIONS_MAX)
		rc = -E2BIG;
	for (uint32_t i = 0; rc == 0 && i < table->nregions; i++)
		rc = region_load(&m->regions[i], &table->regions[i]);
	if (rc == 0)
		m->n_regions = table->nregions;
	free(table);
	return rc;
}

void
mem_unmap(struct mem *m, struct bus *bus)
{
	for (uint32_t i = 0; i < m->n_regions; i++) {
		struct mem_region *r = &m->regions[i];

		if (r->mapped)
			bus_dma_unmap(bus, r->gpa, r->size);
		r->mapped = false;
	}
}

int
mem_map(struct mem *m, struct bus *bus)
{
	for (uint32_t i = 0; i < m->n_regions; i++) {
		struct mem_region *r = &m->regions[i];
		const struct bus_dma dma = {
			.va = r->hva, .iova = r->gpa, .size = r->size,
			.fd = r->fd, .fd_offset = r->fd_offset,
		};
		int rc = bus_dma_map(bus, &dma);

		if (rc < 0) {
			mem_unmap(m, bus);
			return rc;
		}
		r->mapped = true;
	}
	return 0;
}
