/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa_shadow_test.h"

#include "check.h"
#include "vdpa_shadow_walk.h"

#include <stdlib.h>

#define PACKED_1 (1 << 15)

/* Any legal size, both formats, at positions where something wraps. */
static const struct walk_conf walks[] = {
	{ "split 1", { .size = 1 }, 1, .n_regions = 1, .steps = 2000 },
	{ "split 2", { .size = 2, .pos = 65535 }, 4, .n_regions = 2, .steps = 2000 },
	{ "split 4, tables", { .size = 4, .table_len = 8, .pos = 0xfff0 }, 2, .n_regions = 3,
	  .steps = 4000 },
	{ "split 16", { .size = 16, .event_idx = true, .pos = 65530 }, 16, .n_regions = 8,
	  .steps = 8000 },
	{ "split 64, tables", { .size = 64, .event_idx = true, .table_len = 20, .shuffle = 7 }, 32,
	  .n_regions = 4, .steps = 8000 },
	{ "split 256", { .size = 256, .shuffle = 9, .pos = 32767, .edge = true }, 256,
	  .n_regions = 2, .steps = 12000 },
	{ "split 256, in order", { .size = 256, .in_order = true, .event_idx = true }, 256,
	  .n_regions = 1, .steps = 12000 },
	{ "split 1024, tables", { .size = 1024, .event_idx = true, .table_len = 60 }, 64,
	  .n_regions = 1, .steps = 12000 },
	{ "split 32768", { .size = 32768, .event_idx = true, .pos = 65000 }, 32768,
	  .n_regions = 1, .steps = 3000 },
	{ "packed 1", { .size = 1, .packed = true, .pos = PACKED_1 }, 1, .n_regions = 1,
	  .steps = 2000 },
	{ "packed 2", { .size = 2, .packed = true, .event_idx = true, .pos = 1 }, 2,
	  .n_regions = 1, .steps = 2000 },
	{ "packed 3", { .size = 3, .packed = true, .event_idx = true, .pos = PACKED_1 | 2 }, 8,
	  .n_regions = 3, .steps = 4000 },
	{ "packed 7, tables", { .size = 7, .packed = true, .table_len = 5, .pos = 3 }, 4,
	  .n_regions = 2, .steps = 4000 },
	{ "packed 37", { .size = 37, .packed = true, .event_idx = true, .pos = PACKED_1 | 36 },
	  16, .n_regions = 8, .steps = 8000 },
	{ "packed 256, tables", { .size = 256, .packed = true, .event_idx = true,
	  .table_len = 20, .pos = PACKED_1, .shuffle = 3 }, 128, .n_regions = 4, .steps = 12000 },
	{ "packed 255, in order", { .size = 255, .packed = true, .in_order = true, .pos = 254,
	  .edge = true }, 256, .n_regions = 1, .steps = 12000 },
	{ "packed 1000", { .size = 1000, .packed = true, .pos = PACKED_1 | 990 }, 64,
	  .n_regions = 2, .steps = 12000 },
	{ "packed 32768", { .size = 32768, .packed = true, .event_idx = true, .pos = 32700 },
	  1024, .n_regions = 1, .steps = 3000 },
};

/* Each of them for both directions, with a device that completes in order and with one that does
 * not. */
static void
walks_run(uint32_t seed)
{
	for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
		for (unsigned int how = 0; how < 4; how++) {
			struct walk_conf conf = walks[i];

			conf.tx = (how & 1) != 0;
			conf.shuffled = (how & 2) != 0;
			walk_run(&conf, seed + how);
		}
	}
}

int
main(int argc, char **argv)
{
	const uint32_t seed = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 1;

	printf("vdpa_shadow: seed %u\n", seed);
	test_bad();
	test_events();
	test_device();
	walks_run(seed);
	return check_done("vdpa_shadow");
}
