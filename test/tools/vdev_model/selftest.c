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
	more.shadow = true;
	rc = rig_start(&r, 2, rows[i].options, NULL);
	if (rc == 0)
		rc = pair_open(d, &r, &more);
	if (rc == 0)
		rc = pair_stream(d, 500, rows[i].len_most, rows[i].flows);
	CHECK(rc == 0);
	if (rc < 0)
		fprintf(stderr, "%s: %d %s%s\n%s\n", rows[i].story, rc, d[0].fault.text, d[1].fault.text,
			rig_ask(&r, "stats"));
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
	if (argc != 2)
		return 2;
	rig_program = argv[1];
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		row_run(i);
	return check_done("vdev_model");
}
