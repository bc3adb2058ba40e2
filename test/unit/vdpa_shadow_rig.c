/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa_shadow_rig.h"

#include "check.h"

#include <linux/virtio_ring.h>
#include <stdlib.h>

#define AVAIL (1u << 7)
#define USED  (1u << 15)

struct rig rig;

static uint8_t low[RIG_BORDER], high[RIG_END - RIG_BORDER], last[4096]
	__attribute__((aligned(4096)));

static bool
packed(void)
{
	return (rig.opts.features & F_PACKED) != 0;
}

void
rig_lay(uint64_t features, bool tx, uint16_t dev_size, uint64_t dev_features)
{
	memset(&rig, 0, sizeof(rig));
	memset(low, 0, sizeof(low));
	memset(high, 0, sizeof(high));
	rig.mem = (struct mem){
		.n_regions = 3,
		.regions = {
			{ .gpa = 0, .size = sizeof(low), .hva = low },
			{ .gpa = RIG_BORDER, .size = sizeof(high), .hva = high },
			{ .gpa = RIG_LAST, .size = sizeof(last), .hva = last },
		},
	};
	dev_init(&rig.d, NULL, dev_size, dev_features);
	rig.opts = (struct shadow_opts){
		.mem = &rig.mem, .features = features, .desc = RIG_DESC, .driver = RIG_DRIVER,
		.device = RIG_DEVICE, .size = RIG_SIZE, .tx = tx,
		.pos = (features & F_PACKED) != 0 ? 1 << 15 : 0,
		.dev_size = dev_size, .dev_features = dev_features,
		.dev_mem = rig.d.mem, .dev_iova = rig.d.iova,
	};
}

void
rig_start(void)
{
	struct vring_used *used = rig_at(RIG_DEVICE);
	struct vring_avail *avail = rig_at(RIG_DRIVER);

	rig.slot = packed() ? rig.opts.pos & 0x7fff : rig.opts.pos;
	rig.wrap = rig.opts.pos >> 15 != 0;
	if (!packed())
		used->idx = avail->idx = rig.opts.pos;
	CHECK(shadow_create(&rig.s, &rig.opts) == 0);
	dev_start(&rig.d, rig.s);
}

void
rig_end(void)
{
	shadow_destroy(rig.s);
	dev_fini(&rig.d);
}

void *
rig_at(uint64_t gpa)
{
	void *p = mem_at(&rig.mem, gpa, 1);

	if (p == NULL)
		abort();
	return p;
}

/* Byte by byte: entries may lie across a border. */
static void
guest_write(uint64_t gpa, const void *from, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		*(uint8_t *)rig_at(gpa + i) = ((const uint8_t *)from)[i];
}

void
rig_entry(uint64_t table, uint16_t i, const struct ent *e)
{
	const struct vring_desc s = { e->addr, e->len, e->flags, e->next };
	const struct vring_packed_desc p = { e->addr, e->len, e->next, e->flags };

	guest_write(table + 16u * i, packed() ? (const void *)&p : (const void *)&s, 16);
}

void
rig_desc(uint16_t i, const struct ent *e)
{
	rig_entry(RIG_DESC, i, e);
}

static void
split_push(uint16_t head)
{
	struct vring_avail *avail = rig_at(RIG_DRIVER);

	avail->ring[avail->idx & (rig.opts.size - 1)] = head;
	avail->idx++;
}

void
rig_push(uint16_t head, uint16_t n)
{
	struct vring_packed_desc *ring = rig_at(RIG_DESC);
	bool wrap = rig.wrap;

	rig.posted++;
	if (!packed()) {
		split_push(head);
		return;
	}
	for (uint16_t i = 0; i < n; i++, head++) {
		if (head == rig.opts.size) {
			head = 0;
			wrap = !wrap;
		}
		ring[head].flags |= wrap ? AVAIL : USED;
	}
}

void
rig_post(uint16_t n)
{
	const uint16_t size = rig.opts.size, first = rig.slot % size;

	for (uint16_t i = 0; i < n; i++) {
		const struct ent e = {
			.addr = RIG_BUF + 0x1000u * ((first + i) % size), .len = 100,
			.flags = (rig.opts.tx ? 0 : RIG_WRITE) | (i + 1 < n ? RIG_NEXT : 0),
			.next = packed() ? first : (uint16_t)((first + i + 1) % size),
		};

		rig_desc((first + i) % size, &e);
	}
	rig_push(first, n);
	if (packed() && first + n >= size)
		rig.wrap = !rig.wrap;
	rig.slot = packed() ? (uint16_t)((first + n) % size) : (uint16_t)(rig.slot + n);
}

uint16_t
rig_used(void)
{
	const struct vring_used *used = rig_at(RIG_DEVICE);
	struct shadow_stats st;

	shadow_stats(rig.s, &st);
	if (!packed())
		CHECK(used->idx == st.used);
	return st.used;
}

uint32_t
rig_used_len(uint16_t i)
{
	const struct vring_used *used = rig_at(RIG_DEVICE);
	const struct vring_packed_desc *ring = rig_at(RIG_DESC);

	return packed() ? ring[i].len : used->ring[i & (rig.opts.size - 1)].len;
}
