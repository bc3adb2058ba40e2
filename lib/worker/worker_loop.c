/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker_impl.h"
#include "clock.h"
#include "mail.h"
#include "stats.h"

#include <rte_branch_prediction.h>
#include <rte_lcore.h>

#include <sys/epoll.h>

#define EPOLL_EVENTS 64

/* A sleep and its wake-up cost ferryd and the guest some tens of microseconds together. */
#define PATIENCE_MIN_US 20
#define PATIENCE_MAX_US 200
#define BOUNDED_US      1000

/* Mail is looked at every so many turns while traffic runs. */
#define MAIL_TURNS 64

static inline void
flag_set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELAXED);
}

/*
 * Offline means that nobody waits for us and that no view may be used.  What was armed before is
 * disarmed by the views as they are after the sleep: a ring that came meanwhile was disarmed by
 * whoever started it, one that went is nobody's.
 */
static void
doze(struct worker *w, bool bounded)
{
	struct epoll_event events[EPOLL_EVENTS];
	struct cross *x = w->set->cross;
	uint64_t start = rte_rdtsc(), now;
	int n;

	cross_offline(x, w->index);
	flag_set(&w->info.sleeping, true);
	flag_set(&w->info.bounded, bounded);
	n = epoll_wait(swdev_epfd(w->set->pool, w->index), events, EPOLL_EVENTS,
		       idle_timeout_ms(&w->idle, bounded));
	flag_set(&w->info.sleeping, false);
	cross_online(x, w->index);
	stats_add(&w->info.sleeps, 1);
	now = rte_rdtsc();
	stats_add(&w->info.sleep_cycles, now - start);
	if (n == 0)
		idle_timed_out(&w->idle, now);
	else
		idle_woke(&w->idle, now);
}

static void
nap(struct worker *w)
{
	bool bounded;

	if (!fwd_arm(w->fwd, &bounded))
		doze(w, bounded);
	fwd_disarm(w->fwd);
}

/* The share of a turn is settled after it: whether it moved anything is known only then. */
static inline void
account(struct worker *w, const struct fwd_turn *turn, uint64_t cycles)
{
	stats_add(&w->info.turns, 1);
	if (turn->frames > 0) {
		stats_add(&w->info.busy_cycles, cycles);
		stats_add(&w->info.frames, turn->frames);
	} else {
		stats_add(&w->info.idle_cycles, cycles);
	}
}

static inline void
step(struct worker *w, uint64_t *last, uint32_t *turns)
{
	struct fwd_turn turn;
	uint64_t now;

	cross_quiescent(w->set->cross, w->index);
	fwd_turn(w->fwd, &turn);
	if (unlikely(turn.frames == 0 || ++*turns % MAIL_TURNS == 0))
		mail_run(w->set->cross, w->index);
	now = rte_rdtsc();
	account(w, &turn, now - *last);
	*last = now;
	if (turn.frames > 0 || turn.left) {
		idle_next(&w->idle, 1, now);
	} else if (idle_next(&w->idle, 0, now) == IDLE_SLEEP) {
		nap(w);
		*last = rte_rdtsc();
	}
}

void *
worker_loop(void *arg)
{
	struct worker *w = arg;
	const struct idle_opts opts = {
		.patience_min = clock_us_to_cycles(PATIENCE_MIN_US),
		.patience_max = clock_us_to_cycles(PATIENCE_MAX_US),
		.bounded_us = BOUNDED_US,
	};
	uint64_t last = rte_rdtsc();
	uint32_t turns = 0;

	/* For the caches of mempools; without an lcore id they work, only slower. */
	rte_thread_register();
	worker_slice_set();
	idle_init(&w->idle, &opts, last);
	cross_online(w->set->cross, w->index);
	while (!atomic_load_explicit(&w->set->ending, memory_order_relaxed))
		step(w, &last, &turns);
	cross_offline(w->set->cross, w->index);
	rte_thread_unregister();
	return NULL;
}
