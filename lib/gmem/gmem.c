/* SPDX-License-Identifier: BSD-3-Clause */
#include "gmem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
wraps(uint64_t start, uint64_t size)
{
	return size == 0 || start + size - 1 < start;
}

static bool
overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a - b < b_size || b - a < a_size;
}

static bool
regions_valid(const struct gmem_region *regions, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct gmem_region *r = &regions[i];

		if (wraps(r->gpa, r->size) || wraps(r->uva, r->size) || r->host == NULL)
			return false;
		for (uint32_t k = 0; k < i; k++)
			if (overlap(r->gpa, r->size, regions[k].gpa, regions[k].size))
				return false;
	}
	return true;
}

int
gmem_create(const struct gmem_region *regions, uint32_t n, uint16_t port, struct gmem **out)
{
	struct gmem *m;

	if (n == 0 || n > GMEM_REGIONS_MAX || !regions_valid(regions, n))
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	m->n_regions = n;
	m->port = port;
	memcpy(m->regions, regions, n * sizeof(*regions));
	*out = m;
	return 0;
}

void
gmem_destroy(struct gmem *m)
{
	if (m == NULL)
		return;
	gmem_unguard(m);
	free(m);
}

int
gmem_gpa(const struct gmem *m, uva_t uva, uint64_t len, gpa_t *out)
{
	for (uint32_t i = 0; i < m->n_regions; i++) {
		const struct gmem_region *r = &m->regions[i];
		uint64_t off = uva.v - r->uva;

		if (off < r->size && len <= r->size - off) {
			out->v = r->gpa + off;
			return 0;
		}
	}
	return -EFAULT;
}
