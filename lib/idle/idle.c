/* SPDX-License-Identifier: BSD-3-Clause */
#include "idle.h"

void
idle_init(struct idle *g, const struct idle_opts *opts, uint64_t now)
{
	g->opts = *opts;
	g->patience = opts->patience_min;
	g->last_work = now;
	g->slept_at = 0;
}

static uint64_t
clamp(const struct idle *g, uint64_t patience)
{
	if (patience < g->opts.patience_min)
		return g->opts.patience_min;
	return patience > g->opts.patience_max ? g->opts.patience_max : patience;
}

enum idle_step
idle_next(struct idle *g, uint32_t frames, uint64_t now)
{
	if (frames > 0) {
		g->last_work = now;
		return IDLE_POLL;
	}
	if (now - g->last_work < g->patience)
		return IDLE_POLL;
	g->slept_at = now;
	return IDLE_SLEEP;
}

void
idle_woke(struct idle *g, uint64_t now)
{
	uint64_t slept = now - g->slept_at;

	/* A frame that came soon would have met a poller with more patience; one that came late
	 * makes the polling before it look wasted. */
	if (slept < g->opts.patience_max)
		g->patience = clamp(g, g->patience * 2);
	else
		g->patience = clamp(g, g->patience / 2);
	g->last_work = now;
}

void
idle_timed_out(struct idle *g, uint64_t now)
{
	g->last_work = now - g->patience;
}

int
idle_timeout_ms(const struct idle *g, bool bounded)
{
	if (!bounded)
		return -1;
	return g->opts.bounded_us < 1000 ? 1 : (int)(g->opts.bounded_us / 1000);
}
