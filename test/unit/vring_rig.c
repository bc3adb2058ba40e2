/* SPDX-License-Identifier: BSD-3-Clause */
#include "vring_rig.h"

#include <stdlib.h>
#include <sys/mman.h>

static struct gmem *mem;
struct vring ring;
struct vring_batch *batch;

void *
at(uint64_t gpa, uint64_t len)
{
	return gmem_at(mem, (gpa_t){ gpa }, len);
}

static void
memory_make(void)
{
	struct gmem_region r[5] = {
		{ .gpa = LOW, .size = SEAM - LOW }, { .gpa = SEAM, .size = END - SEAM },
		{ .gpa = HUGE, .size = HUGE_SIZE }, { .gpa = TOP, .size = 0x1000 },
		{ .gpa = 0, .size = 0x1000 },
	};

	for (int i = 0; i < 5; i++) {
		r[i].uva = 0x7f0000000000ULL + r[i].gpa % (1ULL << 40);
		r[i].host = mmap(NULL, r[i].size, i == 2 ? PROT_NONE : PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		CHECK(r[i].host != MAP_FAILED);
	}
	CHECK(gmem_create(r, 5, 0, &mem) == 0);
}

enum vring_bad
ring_make(uint64_t features, uint16_t size, bool writable, uint16_t idx, bool wrap)
{
	const struct vring_opts opts = {
		.mem = mem, .features = features, .size = size, .writable = writable,
		.desc.v = DESC, .driver.v = DRIVER, .device.v = DEVICE,
		.pos = { .avail = idx, .used = idx, .avail_wrap = wrap, .used_wrap = wrap },
	};

	memset(at(DESC, 1), 0, 0xf0000);
	if ((features & F_PACKED) == 0) {
		((struct vring_used *)at(DEVICE, 4))->idx = idx;
		((struct vring_avail *)at(DRIVER, 4))->idx = idx;
	}
	vring_batch_reset(batch);
	return vring_init(&ring, &opts);
}

static void
bytes_put(uint64_t gpa, const void *from, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		*(uint8_t *)at(gpa + i, 1) = ((const uint8_t *)from)[i];
}

void
split_write(uint64_t gpa, const struct desc *d)
{
	const struct vring_split_desc s = { d->addr, d->len, d->flags, d->next };

	bytes_put(gpa, &s, sizeof(s));
}

void
packed_write(uint64_t gpa, const struct desc *d, uint16_t id, uint16_t avail)
{
	const struct vring_packed_desc p = { d->addr, d->len, id, d->flags | avail };

	bytes_put(gpa, &p, sizeof(p));
}

void
split_offer(uint16_t n, uint32_t len, uint16_t flags)
{
	struct vring_avail *avail = at(DRIVER, 4);

	for (uint16_t i = 0; i < n; i++) {
		split_write(DESC + i * 16u, &(struct desc){ BUF, len, flags, 0 });
		avail->ring[(uint16_t)(ring.idx + i) & (ring.size - 1)] = i;
	}
	avail->idx = (uint16_t)(ring.idx + n);
}

void
rig_init(void)
{
	batch = malloc(sizeof(*batch));
	CHECK(batch != NULL);
	memory_make();
}

void
rig_fini(void)
{
	gmem_destroy(mem);
	free(batch);
}
