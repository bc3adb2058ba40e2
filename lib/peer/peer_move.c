/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_move_impl.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>

LOG_USE(peer);

/* How soon what comes late goes on, and what time decides is decided. */
#define TICK_US 5000

static void
on_gone(void *arg, struct peer *p)
{
	peer_in_gone(arg, p);
	peer_out_gone(arg, p);
}

int
peer_moves_create(const struct peer_moves_opts *opts, struct peer_moves **out)
{
	static const struct peer_ops ops = {
		.arrived = peer_out_arrived, .frame = peer_in_frame, .done = peer_in_done,
		.room = peer_out_room, .gone = on_gone,
	};
	struct peer_moves *pm = calloc(1, sizeof(*pm));
	int rc;

	if (pm == NULL)
		return -ENOMEM;
	pm->opts = *opts;
	rc = peer_set_create(opts->loop, &ops, pm, &pm->set);
	if (rc < 0) {
		peer_moves_destroy(pm);
		return rc;
	}
	*out = pm;
	return 0;
}

void
peer_moves_destroy(struct peer_moves *pm)
{
	if (pm == NULL)
		return;
	while (pm->ins != NULL)
		peer_in_forget(pm, pm->ins->port);
	while (pm->outs != NULL)
		peer_out_forget(pm, pm->outs->port);
	peer_set_destroy(pm->set);
	loop_watch_destroy(pm->watch);
	free(pm);
}

struct peer_set *
peer_moves_set(struct peer_moves *pm)
{
	return pm->set;
}

static void
on_tick(void *arg)
{
	struct peer_moves *pm = arg;
	uint64_t now = peer_now_us();

	peer_set_resume(pm->set);
	peer_in_tick(pm, now);
	peer_out_tick(pm, now);
	if (pm->ins != NULL || pm->outs != NULL)
		return;
	loop_watch_destroy(pm->watch);
	pm->watch = NULL;
}

void
peer_moves_watch(struct peer_moves *pm)
{
	if (pm->watch == NULL && loop_timer(pm->opts.loop, TICK_US, on_tick, pm, &pm->watch) < 0)
		LOG_RL(ERR, "no timer for guests on their way");
}

void
peer_moves_forget(struct peer_moves *pm, uint16_t port)
{
	peer_in_forget(pm, port);
	peer_out_forget(pm, port);
}
