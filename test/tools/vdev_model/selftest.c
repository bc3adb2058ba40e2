/* SPDX-License-Identifier: BSD-3-Clause */
/* The model itself: usage: vdev_model_selftest MODEL, the path of the program. */
#include "selftest.h"

extern const char *rig_program;
const char *rig_program;

static const struct {
	const char *story, *options;
	struct vmm_guest_conf conf;
	uint32_t len_most;
	unsigned int flows;
} rows[] = {
	{ "split", "", { .rx_buf = 2048 }, 1500, 1 },
	{ "split, event index", ",event_idx", { .rx_buf = 2048, .event_idx = true }, 1500, 1 },
	{ "split, indirect", ",indirect",
	  { .rx_buf = 2048, .indirect = true, .segs = 4 }, 1500, 1 },
	{ "split, chains", "", { .rx_buf = 2048, .segs = 4, .split_header = true }, 1500, 1 },
	{ "split, mergeable, small buffers", "", { .rx_buf = 200, .mergeable = true }, 1500, 1 },
	{ "split, several regions", ",event_idx,indirect",
	  { .rx_buf = 600, .mergeable = true, .event_idx = true, .indirect = true, .segs = 3,
	    .n_regions = 4 }, 1500, 1 },
	{ "split, tiny ring", ",event_idx",
	  { .rx_buf = 2048, .event_idx = true, .size = 2 }, 1500, 1 },
	{ "packed", ",packed", { .rx_buf = 2048, .packed = true }, 1500, 1 },
	{ "packed, event index", ",packed,event_idx",
	  { .rx_buf = 2048, .packed = true, .event_idx = true }, 1500, 1 },
	{ "packed, indirect", ",packed,indirect",
	  { .rx_buf = 2048, .packed = true, .indirect = true, .segs = 4 }, 1500, 1 },
	{ "packed, mergeable, chains, odd size", ",packed,event_idx",
	  { .rx_buf = 300, .packed = true, .mergeable = true, .event_idx = true, .segs = 3,
	    .size = 201 }, 1500, 1 },
	{ "queues", ",queues=3,event_idx",
	  { .rx_buf = 2048, .event_idx = true, .pairs = 3 }, 1500, 3 },
	{ "queues, packed", ",queues=2,packed,page_per_vq",
	  { .rx_buf = 2048, .packed = true, .pairs = 2, .mergeable = true }, 1500, 2 },
};

static void
row_run(unsigned int i)
{
	struct vmm_guest_conf conf = rows[i].conf, more;
	struct driver d[2] = { { .c.fd = -1 }, { .c.fd = -1 } };
	struct rig r = { .control = -1 };
	int rc;

	vmm_guest_conf_init(&more);
	more.packed = conf.packed;
	more.pos = conf.packed ? 1 << 15 : 0;
	more.mergeable = conf.mergeable;
	more.indirect = conf.indirect;
	more.event_idx = conf.event_idx;
	more.pairs = conf.pairs == 0 ? 1 : conf.pairs;
	more.rx_buf = conf.rx_buf;
	more.split_header = conf.split_header;
	more.segs = conf.segs == 0 ? 1 : conf.segs;
	more.size = conf.size == 0 ? more.size : conf.size;
	more.n_regions = conf.n_regions == 0 ? 1 : conf.n_regions;
	more.shadow = true;
	rc = rig_start(&r, 2, rows[i].options, NULL);
	if (rc == 0)
		rc = pair_open(d, &r, &more);
	if (rc == 0)
		rc = pair_stream(d, 500, rows[i].len_most, rows[i].flows);
	CHECK(rc == 0);
	if (rc < 0)
		fprintf(stderr, "%s: %d %s%s\n%s\n", rows[i].story, rc, d[0].fault.text,
			d[1].fault.text, rig_ask(&r, "stats"));
	for (unsigned int k = 0; k < 2 && rc == 0; k++) {
		CHECK(vmm_mem_check(d[k].g->mem) == 0);
		CHECK(rig_count(&r, k, "violations") == 0);
		CHECK(rig_count(&r, k, "refused_dma") == 0);
	}
	pair_close(d);
	CHECK(rig_end(&r) == 0);
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	rig_program = argv[1];
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		row_run(i);
	stories_wire();
	stories_strict();
	stories_vendor();
	stories_fault();
	stories_message();
	stories_offload();
	return check_done("vdev_model");
}
