/* SPDX-License-Identifier: BSD-3-Clause */
#include "shapes.h"

#define DIM(a) (sizeof(a) / sizeof((a)[0]))

static const uint16_t split_sizes[] = { 1, 2, 4, 128, 256, 1024, 32768 };
static const uint16_t packed_sizes[] = { 1, 2, 3, 7, 128, 255, 256, 1000, 32768 };

/* Where a ring starts, as distance to the end of what its position counts. */
static const uint16_t split_starts[] = { 0, 65535, 65500, 32767 };
static const struct { bool end, wrap; } packed_starts[] = {
	{ false, true }, { true, true }, { true, false }, { false, false },
};

static const struct shape kinds[] = {
	{ .name = "plain", .segs = 1 },
	{ .name = "event idx", .event_idx = true, .segs = 1 },
	{ .name = "mergeable, event idx", .event_idx = true, .mergeable = true, .segs = 2,
	  .rx_buf = 200 },
	{ .name = "indirect, mergeable", .indirect = true, .mergeable = true, .segs = 8,
	  .rx_buf = 500, .n_regions = 3 },
	{ .name = "in-order, indirect, event idx", .indirect = true, .in_order = true,
	  .event_idx = true, .segs = 4, .n_regions = 2 },
	{ .name = "in-order, mergeable", .in_order = true, .mergeable = true, .segs = 1 },
	{ .name = "legacy", .legacy = true, .indirect = true, .segs = 3 },
	{ .name = "legacy, mergeable", .legacy = true, .mergeable = true, .event_idx = true,
	  .segs = 1, .rx_buf = 400 },
};

static const uint16_t pairs[] = { 1, 4 };

static uint16_t
start_of(bool packed, uint16_t size, unsigned int i)
{
	if (!packed)
		return split_starts[i % DIM(split_starts)];
	return (uint16_t)((packed_starts[i % DIM(packed_starts)].end ? size - 1 : 0) |
			  (packed_starts[i % DIM(packed_starts)].wrap ? 0x8000 : 0));
}

static void
shape_fit(struct shape *s)
{
	/* Of a small ring every frame takes its part: longer chains would not leave any. */
	if (s->size < 16 && !s->indirect)
		s->segs = 1;
	/* A frame has to fit into all buffers together. */
	if (s->size < 16 && s->rx_buf > 0)
		s->rx_buf = (uint16_t)(s->size < 4 ? 1600 : 800);
}

/*
 * Sizes times kinds; the positions and the number of queues take turns over that, so that each
 * meets each in one of the runs.
 */
bool
shapes_next(bool packed, unsigned int i, struct shape *out)
{
	const uint16_t *sizes = packed ? packed_sizes : split_sizes;
	unsigned int n_sizes = packed ? DIM(packed_sizes) : DIM(split_sizes);
	unsigned int size = i % n_sizes, kind = i / n_sizes;

	/* Packed rings need VERSION_1 (virtio 1.2, 6.1). */
	if (kind >= DIM(kinds) || (packed && kinds[kind].legacy))
		return false;
	*out = kinds[kind];
	out->packed = packed;
	out->size = sizes[size];
	out->pairs = pairs[(size + kind) % DIM(pairs)];
	out->pos = start_of(packed, out->size, size + kind / 2);
	shape_fit(out);
	return true;
}

bool
shapes_few_next(bool packed, unsigned int i, struct shape *out)
{
	static const struct { uint16_t size, pairs, kind; } few[] = {
		{ 256, 1, 2 }, { 128, 4, 4 }, { 64, 1, 0 }, { 64, 2, 3 },
	};

	if (i >= DIM(few))
		return false;
	*out = kinds[few[i].kind];
	out->packed = packed;
	out->size = few[i].size;
	out->pairs = few[i].pairs;
	out->pos = start_of(packed, out->size, i + 1);
	return true;
}
