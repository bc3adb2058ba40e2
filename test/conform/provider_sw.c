/* SPDX-License-Identifier: BSD-3-Clause */
/* The software provider: two ports of the switch, two workers. */
#include "provider_sw.h"

#include "testbed.h"

#include <errno.h>
#include <stdlib.h>

struct wire {
	struct testbed bed;
};

static int
sw_open(struct wire **out)
{
	const struct testbed_opts opts = { .n_workers = 2, .threads = true, .n_ports = 2 };
	struct wire *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return -ENOMEM;
	rc = testbed_create(&w->bed, &opts);
	if (rc < 0) {
		free(w);
		return rc;
	}
	*out = w;
	return 0;
}

static void
sw_close(struct wire *w)
{
	testbed_destroy(&w->bed);
	free(w);
}

static int
sw_make(struct wire *w, uint16_t port, uint16_t n_pairs, struct vdev **out)
{
	return swdev_create(w->bed.pool, port, n_pairs, w->bed.stats[port], out);
}

static uint64_t
sw_drops(const struct wire *w)
{
	return testbed_drops(&w->bed);
}

static void
sw_tend(struct wire *w)
{
	testbed_control(&w->bed);
}

const struct provider provider_sw = {
	.name = "sw", .open = sw_open, .close = sw_close, .make = sw_make, .drops = sw_drops,
	.tend = sw_tend,
};
