/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmm_mem.h"

#include <string.h>

bool
vmm_mem_page_copy(struct vmm_mem *mem, uint64_t page)
{
	uint64_t gpa = page * VMM_PAGE;
	bool found = false;

	pthread_mutex_lock(&mem->lock);
	for (unsigned int i = 0; i < mem->n_regions && !found; i++) {
		const struct vmm_region *rg = &mem->regions[i];

		found = gpa >= rg->gpa && gpa - rg->gpa < rg->size;
		if (found && rg->twin != NULL)
			memcpy(rg->twin + (gpa - rg->gpa), rg->host + (gpa - rg->gpa), VMM_PAGE);
	}
	pthread_mutex_unlock(&mem->lock);
	return found;
}

void
vmm_mem_copy(struct vmm_mem *mem)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		uint64_t page = mem->regions[i].gpa / VMM_PAGE;

		for (uint64_t n = mem->regions[i].size / VMM_PAGE; n > 0; n--)
			vmm_mem_page_copy(mem, page++);
	}
}

/* First offset from `at` on where a region differs from its twin; its size: nowhere. */
static uint64_t
region_differs(const struct vmm_region *rg, uint64_t at)
{
	while (at < rg->size) {
		uint64_t end = (at / VMM_PAGE + 1) * VMM_PAGE;

		if (memcmp(rg->host + at, rg->twin + at, end - at) == 0) {
			at = end;
			continue;
		}
		while (rg->host[at] == rg->twin[at])
			at++;
		return at;
	}
	return at;
}

uint64_t
vmm_mem_differs(const struct vmm_mem *mem, uint64_t gpa)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct vmm_region *rg = &mem->regions[i];
		uint64_t at = gpa > rg->gpa ? gpa - rg->gpa : 0;

		at = region_differs(rg, at);
		if (at < rg->size)
			return rg->gpa + at;
	}
	return VMM_GPA_NONE;
}

void
vmm_mem_swap(struct vmm_mem *mem)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		struct vmm_region *rg = &mem->regions[i];
		uint8_t *host = rg->host;
		int fd = rg->fd;

		rg->host = rg->twin;
		rg->fd = rg->twin_fd;
		rg->twin = host;
		rg->twin_fd = fd;
	}
}
