/* SPDX-License-Identifier: BSD-3-Clause */
#include "dirty.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE (1ULL << DIRTY_PAGE_SHIFT)

static int
guard(struct dirty *d, uint16_t port)
{
	const struct gmem_region region = {
		.gpa = 0, .size = d->map_len, .uva = 0, .host = d->map,
	};
	int rc = gmem_create(&region, 1, port, &d->guard);

	return rc < 0 ? rc : gmem_guard(d->guard);
}

/* From the start of the file, and to the end of a page of it: it may be on huge ones. */
static int
map(struct dirty *d, int fd, uint64_t len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	d->map_len = RTE_ALIGN_CEIL(len, RTE_MAX(PAGE, (uint64_t)st.st_blksize));
	d->map = mmap(NULL, d->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return d->map == MAP_FAILED ? -errno : 0;
}

int
dirty_map(int fd, uint64_t offset, uint64_t size, uint16_t port, struct dirty **out)
{
	struct dirty *d;
	int rc;

	if (size == 0 || offset % PAGE != 0 || size > INT64_MAX - offset)
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->map = MAP_FAILED;
	rc = map(d, fd, offset + size);
	if (rc == 0)
		rc = guard(d, port);
	if (rc < 0) {
		dirty_destroy(d);
		return rc;
	}
	d->words = (void *)((uint8_t *)d->map + offset);
	d->n_pages = size * 8;
	*out = d;
	return 0;
}

void
dirty_destroy(struct dirty *d)
{
	if (d == NULL)
		return;
	gmem_destroy(d->guard);
	if (d->map != MAP_FAILED)
		munmap(d->map, d->map_len);
	free(d);
}

bool
dirty_covers(const struct dirty *d, const struct gmem *mem)
{
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gmem_region *r = &mem->regions[i];

		if ((r->gpa + r->size - 1) >> DIRTY_PAGE_SHIFT >= d->n_pages)
			return false;
	}
	return true;
}
