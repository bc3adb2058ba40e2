/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "session_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

LOG_USE(session);

/* What every machine of a guest is a multiple of; rings are aligned in guest-physical terms, so
 * the mapping must not shift them. */
#define PAGE 4096ULL

static bool
wraps(uint64_t start, uint64_t size)
{
	return start + size - 1 < start;
}

static bool
overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a - b < b_size || b - a < a_size;
}

/* NULL: a region that can be mapped; else what is wrong with it. */
static const char *
region_fault(const struct vhu_region *r)
{
	if (r->size == 0)
		return "is empty";
	if (wraps(r->gpa, r->size) || wraps(r->uva, r->size) || wraps(r->mmap_offset, r->size))
		return "wraps around";
	if (((r->gpa | r->uva | r->mmap_offset) & (PAGE - 1)) != 0)
		return "is not aligned to a page";
	return NULL;
}

/*
 * Memory that its owner serves page by page, over FUSE or a network, would have us wait for it at
 * the first touch, for ever if it likes.
 */
static bool
is_local(int fd)
{
	static const uint32_t kinds[] = {
		TMPFS_MAGIC, HUGETLBFS_MAGIC, RAMFS_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,
		BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < RTE_DIM(kinds); i++)
		if ((uint32_t)fs.f_type == kinds[i])
			return true;
	return false;
}

/*
 * The library maps without looking: a file that is shorter than what is announced becomes a
 * SIGBUS at the first touch.
 */
const char *
session_file_fault(int fd, uint64_t offset, uint64_t size)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return "has no usable descriptor";
	if (!S_ISREG(st.st_mode))
		return "is not in a file";
	if ((flags & O_ACCMODE) != O_RDWR || (flags & O_PATH) != 0)
		return "is in a file that is not open for reading and writing";
	if (!is_local(fd))
		return "is in a file system that may keep us waiting";
	if (size > (uint64_t)st.st_size || offset > (uint64_t)st.st_size - size)
		return "leaves its file";
	return NULL;
}

static const char *
table_fault(const struct vhu_memory *t, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (overlap(t->regions[i].gpa, t->regions[i].size, t->regions[k].gpa,
			    t->regions[k].size) ||
		    overlap(t->regions[i].uva, t->regions[i].size, t->regions[k].uva,
			    t->regions[k].size))
			return "overlaps another";
	return NULL;
}

/* As the library maps a region: from the start of its file. */
static void *
region_map(int fd, const struct vhu_region *r)
{
	return mmap(NULL, r->mmap_offset + r->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/*
 * The library finds out that it cannot map a region (sealed, too large, too few huge pages) after
 * it has dropped the old memory, and then forgets to close that descriptor.  So all regions are
 * mapped here for a moment, which costs no page.
 *
 * Returns the region that cannot be mapped; n: all can.
 */
static uint32_t
table_map_try(const struct vhu_msg_context *m)
{
	const struct vhu_memory *t = &m->payload.memory;
	void *maps[VHU_FDS_MAX];
	uint32_t n = 0;

	while (n < t->n_regions) {
		maps[n] = region_map(m->fds[n], &t->regions[n]);
		if (maps[n] == MAP_FAILED)
			break;
		n++;
	}
	for (uint32_t i = 0; i < n; i++)
		munmap(maps[i], t->regions[i].mmap_offset + t->regions[i].size);
	return n;
}

static int
table_check(struct session *s, const struct vhu_msg_context *m)
{
	const struct vhu_memory *t = &m->payload.memory;
	uint32_t n = t->n_regions;
	uint32_t mapped;

	if (n == 0 || n > VHU_FDS_MAX || m->fd_num != (int)n)
		return session_refuse(s, "%u memory regions with %d descriptors", n, m->fd_num);
	if (m->size < offsetof(struct vhu_memory, regions) + n * sizeof(t->regions[0]))
		return session_refuse(s, "memory table is cut at %u bytes", m->size);
	for (uint32_t i = 0; i < n; i++) {
		const char *fault = region_fault(&t->regions[i]);

		if (fault == NULL)
			fault = table_fault(t, i);
		if (fault == NULL)
			fault = session_file_fault(m->fds[i], t->regions[i].mmap_offset,
						   t->regions[i].size);
		if (fault != NULL)
			return session_refuse(s, "memory region %u %s", i, fault);
	}
	mapped = table_map_try(m);
	if (mapped < n)
		return session_refuse(s, "memory region %u cannot be mapped", mapped);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

bool
session_mem_faulted(const struct session *s)
{
	return s->mem != NULL && atomic_load_explicit(&s->mem->faulted, memory_order_acquire);
}

void
session_mem_drop(struct session *s)
{
	if (s->mem == NULL)
		return;
	s->repair = session_mem_faulted(s);
	gmem_destroy(s->mem);
	s->mem = NULL;
}

/* SET_MEM_TABLE: the library unmaps the guest's memory without a word, so nobody may be left. */
int
session_mem_pre(struct session *s, const struct vhu_msg_context *m)
{
	int result = table_check(s, m);

	if (result != RTE_VHOST_MSG_RESULT_NOT_HANDLED)
		return result;
	session_hold(s);
	session_mem_drop(s);
	gmem_guard_thread(true); /* the library reads used indexes in what it is about to map */
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/*
 * A table equal to the last is ignored by the library, which keeps a mapping in which the guard
 * may have put zero pages over holes.  Mapping the files once more shows what they are now.
 */
static int
remap(const struct rte_vhost_memory *t)
{
	for (uint32_t i = 0; i < t->nregions; i++) {
		const struct rte_vhost_mem_region *r = &t->regions[i];

		if (mmap(r->mmap_addr, r->mmap_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, r->fd, 0) == MAP_FAILED)
			return -errno;
	}
	return 0;
}

static int
table_take(struct session *s, const struct rte_vhost_memory *t)
{
	struct gmem_region regions[GMEM_REGIONS_MAX];
	int rc;

	if (t->nregions > GMEM_REGIONS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < t->nregions; i++)
		regions[i] = (struct gmem_region){
			.gpa = t->regions[i].guest_phys_addr,
			.size = t->regions[i].size,
			.uva = t->regions[i].guest_user_addr,
			.host = (uint8_t *)(uintptr_t)t->regions[i].host_user_addr,
			.fd = t->regions[i].fd,
			.fd_offset = t->regions[i].host_user_addr -
				     (uintptr_t)t->regions[i].mmap_addr,
		};
	rc = gmem_create(regions, t->nregions, s->opts.port, &s->mem);
	if (rc < 0)
		return rc;
	rc = gmem_guard(s->mem);
	if (rc < 0)
		session_mem_drop(s);
	return rc;
}

static int
table_fetch(struct session *s)
{
	struct rte_vhost_memory *t;
	int rc = 0;

	if (rte_vhost_get_mem_table(s->vid, &t) < 0)
		return -ENOMEM;
	if (s->repair)
		rc = remap(t);
	if (rc == 0)
		rc = table_take(s, t);
	free(t);
	return rc;
}

void
session_mem_post(struct session *s, const struct vhu_msg_context *m)
{
	int rc = gmem_guard_thread(false) ? -EFAULT : table_fetch(s);

	s->broken[0] = '\0';
	s->repair = rc == -EFAULT;
	if (rc < 0) {
		snprintf(s->broken, sizeof(s->broken), "memory table: %s", strerror(-rc));
		LOG_RL(ERR, "%s: %s", s->opts.name, s->broken);
	}
}
