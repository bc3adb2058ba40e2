/* SPDX-License-Identifier: BSD-3-Clause */
#include "maps.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE_MASK 4095ULL

static bool
overlaps(const struct maps *m, uint64_t iova, uint64_t size)
{
	for (unsigned int i = 0; i < m->n; i++) {
		const struct map *o = &m->maps[i];

		if (iova < o->iova + o->size && o->iova < iova + size)
			return true;
	}
	return false;
}

/* A map beyond the file's end would be a fault in this process at the first access. */
static bool
in_file(const struct vfu_dma_map *req, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && req->offset + req->size >= req->size &&
	       req->offset + req->size <= (uint64_t)st.st_size;
}

static bool
sound(const struct vfu_dma_map *req, int fd)
{
	uint64_t last = req->address + req->size - 1;

	return fd >= 0 && req->size > 0 && last >= req->address && last != UINT64_MAX &&
	       ((req->address | req->size | req->offset) & PAGE_MASK) == 0 &&
	       (req->flags & (VFU_MAP_READ | VFU_MAP_WRITE)) != 0 && in_file(req, fd);
}

/* A client that cuts its file short: a device that has the pages pinned would not notice. */
static void
page_replace(int signo, siginfo_t *info, void *context)
{
	void *page = (void *)((uintptr_t)info->si_addr & ~PAGE_MASK);

	if (mmap(page, PAGE_MASK + 1, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
}

int
maps_guard(void)
{
	struct sigaction act = { .sa_sigaction = page_replace, .sa_flags = SA_SIGINFO };

	return sigaction(SIGBUS, &act, NULL) < 0 ? -errno : 0;
}

int
maps_add(struct maps *m, const struct vfu_dma_map *req, int fd)
{
	struct map map = { .iova = req->address, .size = req->size,
			   .readable = (req->flags & VFU_MAP_READ) != 0,
			   .writable = (req->flags & VFU_MAP_WRITE) != 0 };
	int prot = PROT_READ | (map.writable ? PROT_WRITE : 0);

	if (!sound(req, fd))
		return -EINVAL;
	if (overlaps(m, map.iova, map.size))
		return -EEXIST;
	if (m->n == MAPS_MAX)
		return -ENOSPC;
	map.host = mmap(NULL, map.size, prot, MAP_SHARED, fd, (off_t)req->offset);
	if (map.host == MAP_FAILED)
		return -errno;
	m->maps[m->n++] = map;
	return 0;
}

int
maps_del(struct maps *m, uint64_t iova, uint64_t size)
{
	for (unsigned int i = 0; i < m->n; i++) {
		struct map *map = &m->maps[i];

		if (map->iova != iova || map->size != size)
			continue;
		munmap(map->host, map->size);
		*map = m->maps[--m->n];
		return 0;
	}
	return -ENOENT;
}

void
maps_clear(struct maps *m)
{
	while (m->n > 0)
		maps_del(m, m->maps[0].iova, m->maps[0].size);
}

void *
maps_find(const struct maps *m, uint64_t iova, uint64_t *len, bool write)
{
	for (unsigned int i = 0; i < m->n; i++) {
		const struct map *map = &m->maps[i];
		uint64_t offset = iova - map->iova;

		if (iova < map->iova || offset >= map->size)
			continue;
		if (write ? !map->writable : !map->readable)
			return NULL;
		if (*len > map->size - offset)
			*len = map->size - offset;
		return map->host + offset;
	}
	return NULL;
}
