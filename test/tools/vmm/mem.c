/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmm_mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE VMM_PAGE
#define HOLE (64ULL << 20)
#define HIGH (4ULL << 30)

static uint64_t
round_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static void
image_fini(uint8_t *host, uint64_t size, int fd)
{
	if (host != NULL)
		munmap(host, size);
	if (fd >= 0)
		close(fd);
}

static void
region_fini(struct vmm_region *rg)
{
	image_fini(rg->host, rg->size, rg->fd);
	image_fini(rg->twin, rg->size, rg->twin_fd);
	free(rg->shadow);
	free(rg->open);
	*rg = (struct vmm_region){ .fd = -1, .twin_fd = -1 };
}

static int
image_map(const struct vmm_region *rg, uint8_t **out, int *fd)
{
	void *host;

	*fd = memfd_create("vmm", MFD_CLOEXEC);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, rg->offset + rg->size) < 0)
		return -errno;
	host = mmap(NULL, rg->size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, rg->offset);
	if (host == MAP_FAILED)
		return -errno;
	*out = host;
	return 0;
}

static int
region_init(struct vmm_region *rg, uint64_t gpa, uint64_t size, uint64_t offset, bool shadow,
	    bool twin)
{
	int rc;

	*rg = (struct vmm_region){ .gpa = gpa, .size = size, .offset = offset, .fd = -1,
				   .twin_fd = -1 };
	rc = image_map(rg, &rg->host, &rg->fd);
	if (rc == 0 && twin)
		rc = image_map(rg, &rg->twin, &rg->twin_fd);
	if (rc == 0 && shadow) {
		rg->shadow = calloc(1, size);
		rg->open = calloc(1, size);
		if (rg->shadow == NULL || rg->open == NULL)
			rc = -ENOMEM;
	}
	if (rc < 0)
		region_fini(rg);
	return rc;
}

static int
region_add(struct vmm_mem *mem, uint64_t size)
{
	unsigned int i = mem->n_regions;
	const struct vmm_region *last = i > 0 ? &mem->regions[i - 1] : NULL;
	uint64_t gpa = 0;
	int rc;

	if (i == VMM_REGIONS_MAX)
		return -ENOSPC;
	if (i == 1 && !mem->adjacent)
		gpa = HIGH;
	else if (last != NULL)
		gpa = last->gpa + last->size + (mem->adjacent ? 0 : HOLE);
	rc = region_init(&mem->regions[i], gpa, round_up(size, PAGE), (i & 1) * 2 * PAGE,
			 mem->shadow, mem->twin);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&mem->lock);
	mem->n_regions++;
	pthread_mutex_unlock(&mem->lock);
	return (int)i;
}

int
vmm_mem_plug(struct vmm_mem *mem, uint64_t size)
{
	int i = region_add(mem, size);

	/* Nothing is allocated from it: it must be free to go again. */
	if (i >= 0)
		mem->regions[i].next = mem->regions[i].size;
	return i;
}

int
vmm_mem_unplug(struct vmm_mem *mem)
{
	if (mem->n_regions <= 1)
		return -ENOENT;
	pthread_mutex_lock(&mem->lock);
	region_fini(&mem->regions[--mem->n_regions]);
	pthread_mutex_unlock(&mem->lock);
	mem->cursor = 0;
	return 0;
}

int
vmm_mem_create(struct vmm_mem **out, const struct vmm_mem_conf *conf, struct vmm_fault *fault)
{
	unsigned int n = conf->n_regions > 0 ? conf->n_regions : 1;
	struct vmm_mem *mem;
	int rc;

	if (n > VMM_REGIONS_MAX)
		return -EINVAL;
	mem = calloc(1, sizeof(*mem));
	if (mem == NULL)
		return -ENOMEM;
	mem->shadow = conf->shadow;
	mem->adjacent = conf->adjacent;
	mem->twin = conf->twin;
	pthread_mutex_init(&mem->lock, NULL);
	mem->fault = fault;
	while (mem->n_regions < n) {
		rc = region_add(mem, conf->size / n);
		if (rc < 0) {
			vmm_mem_destroy(mem);
			return rc;
		}
	}
	/* Address 0 stays unused: a zeroed descriptor must not point at anything that matters. */
	mem->regions[0].next = PAGE;
	*out = mem;
	return 0;
}

void
vmm_mem_destroy(struct vmm_mem *mem)
{
	if (mem == NULL)
		return;
	while (mem->n_regions > 0)
		region_fini(&mem->regions[--mem->n_regions]);
	pthread_mutex_destroy(&mem->lock);
	free(mem);
}

static struct vmm_region *
region_find(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct vmm_region *rg = &mem->regions[i];

		if (gpa >= rg->gpa && gpa - rg->gpa < rg->size && len <= rg->size - (gpa - rg->gpa))
			return (struct vmm_region *)rg;
	}
	return NULL;
}

void *
vmm_mem_host(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	const struct vmm_region *rg = region_find(mem, gpa, len);

	return rg == NULL ? NULL : rg->host + (gpa - rg->gpa);
}

uint64_t
vmm_mem_uva(const struct vmm_mem *mem, uint64_t gpa)
{
	return (uint64_t)(uintptr_t)vmm_mem_host(mem, gpa, 1);
}

uint64_t
vmm_mem_alloc(struct vmm_mem *mem, uint64_t size, uint64_t align)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		struct vmm_region *rg = &mem->regions[(mem->cursor + i) % mem->n_regions];
		uint64_t at = round_up(rg->gpa + rg->next, align) - rg->gpa;

		if (at > rg->size || size > rg->size - at)
			continue;
		rg->next = at + size;
		mem->cursor = (mem->cursor + i + 1) % mem->n_regions;
		return rg->gpa + at;
	}
	return VMM_GPA_NONE;
}

/* The harness wrote past its own memory: no result would be true. */
static struct vmm_region *
region_must(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	struct vmm_region *rg = region_find(mem, gpa, len);

	if (rg == NULL)
		abort();
	return rg;
}

/* What is there is the truth now, whoever wrote it. */
static void
shadow_take(struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	struct vmm_region *rg = region_find(mem, gpa, len);

	if (mem->shadow && rg != NULL)
		memcpy(rg->shadow + (gpa - rg->gpa), rg->host + (gpa - rg->gpa), len);
}

/* The driver's bytes go to the twin by themselves: a page of them would hide the device's. */
static void
twin_write(struct vmm_mem *mem, struct vmm_region *rg, uint64_t at, const void *src, uint64_t len)
{
	pthread_mutex_lock(&mem->lock);
	if (src != rg->host + at)
		memcpy(rg->host + at, src, len);
	memcpy(rg->twin + at, src, len);
	pthread_mutex_unlock(&mem->lock);
}

void
vmm_mem_wrote(struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	struct vmm_region *rg = region_find(mem, gpa, len);

	if (rg == NULL)
		return;
	if (rg->twin != NULL)
		twin_write(mem, rg, gpa - rg->gpa, rg->host + (gpa - rg->gpa), len);
	shadow_take(mem, gpa, len);
}

void
vmm_mem_write(struct vmm_mem *mem, uint64_t gpa, const void *src, uint64_t len)
{
	struct vmm_region *rg = region_must(mem, gpa, len);
	uint64_t at = gpa - rg->gpa;

	if (rg->twin != NULL)
		twin_write(mem, rg, at, src, len);
	else
		memcpy(rg->host + at, src, len);
	if (rg->shadow != NULL)
		memcpy(rg->shadow + at, src, len);
}

void
vmm_mem_store16(struct vmm_mem *mem, uint64_t gpa, uint16_t value)
{
	struct vmm_region *rg = region_must(mem, gpa, sizeof(value));
	uint64_t at = gpa - rg->gpa;

	if (rg->shadow != NULL)
		memcpy(rg->shadow + at, &value, sizeof(value));
	pthread_mutex_lock(&mem->lock);
	if (rg->twin != NULL)
		memcpy(rg->twin + at, &value, sizeof(value));
	__atomic_store_n((uint16_t *)(rg->host + at), value, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&mem->lock);
}

static void
open_add(struct vmm_mem *mem, uint64_t gpa, uint64_t len, int by)
{
	struct vmm_region *rg = region_find(mem, gpa, len);

	if (rg == NULL)
		return;
	for (uint64_t at = gpa - rg->gpa, end = at + len; at < end; at++)
		rg->open[at] = (uint8_t)(rg->open[at] + by);
}

void
vmm_mem_offer(struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	if (mem->shadow)
		open_add(mem, gpa, len, 1);
}

void
vmm_mem_withdraw(struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	if (!mem->shadow)
		return;
	open_add(mem, gpa, len, -1);
	shadow_take(mem, gpa, len);
}

static int
region_check(const struct vmm_region *rg, uint64_t from, uint64_t to, struct vmm_fault *fault)
{
	for (uint64_t at = from; at < to; at++) {
		if (rg->host[at] == rg->shadow[at] || rg->open[at] != 0)
			continue;
		return vmm_fault_set(fault, "containment: byte at gpa 0x%" PRIx64
				     " became 0x%02x, was 0x%02x, and was not offered",
				     rg->gpa + at, rg->host[at], rg->shadow[at]);
	}
	return 0;
}

int
vmm_mem_check(struct vmm_mem *mem)
{
	int rc = 0;

	if (!mem->shadow)
		return 0;
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct vmm_region *rg = &mem->regions[i];

		for (uint64_t at = 0; at < rg->size && rc == 0; at += PAGE)
			if (memcmp(rg->host + at, rg->shadow + at, PAGE) != 0)
				rc = region_check(rg, at, at + PAGE, mem->fault);
	}
	return rc;
}
