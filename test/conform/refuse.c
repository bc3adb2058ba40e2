/* SPDX-License-Identifier: BSD-3-Clause */
/* What start() refuses, with nothing changed, and what stats() tells. */
#include "conform.h"

#include <errno.h>
#include <string.h>

/* Refused, nothing written, and a good start goes on from there. */
static int
refused(struct conform *c, const struct vdev_cfg *cfg, int expected)
{
	uint8_t *copy = side_copy(&c->a);
	struct vdev_ring_stats st;
	int rc = vdev_start(c->a.dev, cfg);

	if (rc == 0)
		vdev_stop(c->a.dev, (struct vring_pos[SIDE_RINGS_MAX]){ 0 });
	NEED(c, side_same(&c->a, copy));
	NEED(c, rc == expected);
	NEED(c, vdev_stats(c->a.dev, 0, &st) == -ERANGE);
	TRY(conform_start(c));
	TRY(conform_traffic(c, 10));
	TRY(conform_stop(c));
	return conform_sum(c);
}

static int
unknown_features(struct conform *c)
{
	struct vdev_cfg cfg = side_cfg(&c->a);

	for (unsigned int bit = 0; bit < 64; bit++) {
		if (c->a.dev->features >> bit & 1)
			continue;
		cfg.features = c->a.g->front->features | 1ULL << bit;
		NEED(c, vdev_start(c->a.dev, &cfg) == -ENOTSUP);
	}
	return refused(c, &cfg, -ENOTSUP);
}

static int
no_memory(struct conform *c)
{
	struct vdev_cfg cfg = side_cfg(&c->a);

	cfg.mem = NULL;
	return refused(c, &cfg, -EINVAL);
}

static int
too_many_rings(struct conform *c)
{
	static struct vdev_ring many[VDEV_RINGS_MAX + 1];
	struct vdev_cfg cfg = side_cfg(&c->a);

	cfg.rings = many;
	cfg.n_rings = (uint16_t)(2 * c->a.dev->n_pairs_max + 1);
	NEED(c, vdev_start(c->a.dev, &cfg) == -EINVAL);
	cfg.n_rings = VDEV_RINGS_MAX + 1;
	return refused(c, &cfg, -EINVAL);
}

static int
no_rings(struct conform *c)
{
	struct vdev_cfg cfg = side_cfg(&c->a);

	cfg.rings = NULL;
	NEED(c, vdev_start(c->a.dev, &cfg) == -EINVAL);
	cfg = side_cfg(&c->a);
	cfg.n_rings = 0;
	return refused(c, &cfg, -EINVAL);
}

static int
ranges(struct conform *c)
{
	const struct vdev_ring_set how = { .enabled = true, .kickfd = -1, .callfd = -1 };
	struct vdev_ring_stats st;

	TRY(conform_start(c));
	NEED(c, vdev_ring_set(c->a.dev, c->a.n_rings, &how) == -ERANGE);
	NEED(c, vdev_stats(c->a.dev, c->a.n_rings, &st) == -ERANGE);
	NEED(c, vdev_stats(c->a.dev, UINT16_MAX, &st) == -ERANGE);
	TRY(conform_traffic(c, 10));
	TRY(conform_stop(c));
	return conform_sum(c);
}

/* Until a provider can log, nobody may believe that it does. */
static int
log_refused(struct conform *c)
{
	const struct dirty *log = (const struct dirty *)&c->fault;

	if (c->a.dev->can_log)
		return 0;
	NEED(c, vdev_log_set(c->a.dev, log) == -ENOTSUP);
	TRY(conform_start(c));
	NEED(c, vdev_log_set(c->a.dev, log) == -ENOTSUP);
	TRY(conform_traffic(c, 10));
	TRY(conform_stop(c));
	return conform_sum(c);
}

/* Rings that were not started are left alone, their positions too. */
static int
some_started(struct conform *c)
{
	const struct vring_pos odd = { .avail = 7, .used = 5, .avail_wrap = true };
	struct vring_pos pos[SIDE_RINGS_MAX];
	struct vdev_ring_stats st;
	struct vdev_cfg cfg;

	for (uint16_t q = 0; q < c->a.n_rings; q++)
		pos[q] = odd;
	c->a.rings[0].started = false;
	cfg = side_cfg(&c->a);
	NEED(c, side_start(&c->b) == 0);
	NEED(c, vdev_start(c->a.dev, &cfg) == 0);
	vdev_kick_all(c->a.dev);
	TRY(traffic_run(&c->ab, 30));
	NEED(c, vdev_stats(c->a.dev, 0, &st) == -ERANGE);
	NEED(c, vdev_stats(c->a.dev, 1, &st) == 0 && st.running);
	vdev_stop(c->a.dev, pos);
	NEED(c, memcmp(&pos[0], &odd, sizeof(odd)) == 0);
	for (uint16_t q = 1; q < c->a.n_rings; q++)
		c->a.rings[q].pos = pos[q];
	c->a.rings[0].started = true;
	TRY(conform_settle(c, &c->a));
	side_stop(&c->b);
	TRY(conform_settle(c, &c->b));
	return conform_sum(c);
}

/* Counters never go back, over stops and starts too, and in the end are the guest's own. */
static int
stats_grow(struct conform *c)
{
	struct vdev_ring_stats last[SIDE_RINGS_MAX], now;
	uint64_t base[SIDE_RINGS_MAX];

	for (int i = 0; i < 4; i++) {
		TRY(conform_start(c));
		for (uint16_t q = 0; q < c->a.n_rings; q++) {
			NEED(c, vdev_stats(c->a.dev, q, &now) == 0);
			NEED(c, i == 0 || now.chains >= last[q].chains);
			NEED(c, i == 0 || now.calls >= last[q].calls);
			if (i == 0)
				base[q] = now.chains - c->a.g->queues[q].ring->stats.used;
		}
		TRY(conform_traffic(c, 50));
		TRY(conform_unsent(c, &c->a));
		for (uint16_t q = 0; q < c->a.n_rings; q++) {
			const struct vmm_ring *r = c->a.g->queues[q].ring;

			NEED(c, vdev_stats(c->a.dev, q, &last[q]) == 0);
			NEED(c, last[q].running && last[q].bad == VRING_BAD_NONE);
			if (c->provider->mute && side_packed(&c->a))
				continue;
			NEED(c, last[q].chains - base[q] == r->stats.used);
			NEED(c, last[q].pos.used == (vmm_ring_pos(r) &
						     (side_packed(&c->a) ? 0x7fff : 0xffff)));
		}
		TRY(conform_stop(c));
	}
	return conform_sum(c);
}

static int
legacy(struct conform *c)
{
	struct vdev_cfg cfg = side_cfg(&c->a);
	struct vdev_ring_stats st;
	uint8_t *copy = side_copy(&c->a);

	NEED(c, vdev_start(c->a.dev, &cfg) == -ENOTSUP);
	NEED(c, side_same(&c->a, copy));
	NEED(c, vdev_stats(c->a.dev, 0, &st) == -ERANGE);
	return 0;
}

const struct conform_case legacy_cases[] = {
	{ "a guest of before virtio 1", legacy },
};

const unsigned int n_legacy_cases = sizeof(legacy_cases) / sizeof(legacy_cases[0]);

const struct conform_case refuse_cases[] = {
	{ "unknown features", unknown_features },
	{ "no memory", no_memory },
	{ "more rings than the provider has", too_many_rings },
	{ "no rings", no_rings },
	{ "rings that are not there", ranges },
	{ "a log that the provider cannot keep", log_refused },
	{ "only some rings are started", some_started },
	{ "counters only grow", stats_grow },
};

const unsigned int n_refuse_cases = sizeof(refuse_cases) / sizeof(refuse_cases[0]);
