/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CROSS_H
#define FERRY_CROSS_H

/**
 * @file
 * What crosses threads.  There are five ways and no sixth:
 *
 *   view    immutable data published by pointer, retired after a grace period (here)
 *   number  one atomic that only grows
 *   mail    a small action for one worker (mail.h)
 *   event   a 32-byte value to control (event.h)
 *   count   counters written by their owner alone (stats.h)
 *
 * Life     one per process, created before the first worker, destroyed after the last.
 * Threads  each call says.
 * Source   rte_rcu_qsbr.h
 */

#include <stdatomic.h>
#include <stdint.h>

#define CROSS_WORKERS_MAX 64

struct cross;

/**
 * Creates the crossings between control and `n_workers` workers, all of them offline.
 *
 * @return  0; -EINVAL: none or too many workers; -ENOMEM; -errno of eventfd()
 */
int cross_create(uint32_t n_workers, struct cross **out);

/** Frees it; NULL and half-built are allowed. */
void cross_destroy(struct cross *x);

uint32_t cross_n_workers(const struct cross *x);

/* worker */

/** Joins the readers of views: from here on publishers wait for this worker. */
void cross_online(struct cross *x, uint32_t worker);

/** Leaves the readers of views: no view may be used until the next cross_online(). */
void cross_offline(struct cross *x, uint32_t worker);

/** Says that no view loaded before this call is used any more; once a turn. */
void cross_quiescent(struct cross *x, uint32_t worker);

/** Eventfd that cross_wake() writes: the worker sleeps on it, edge-triggered, and never reads it. */
int cross_wakefd(const struct cross *x, uint32_t worker);

/* publishers */

/**
 * Waits until every worker has passed a quiescent point or is offline: what was unpublished
 * before the call is seen by nobody after it.
 *
 * @role  any but a worker; may hold a port's mutex
 * @cost  at most one turn of the slowest worker and as long again; asleep, but for some
 *        microseconds
 */
void cross_wait(struct cross *x);

/** Wakes a worker if it sleeps. */
void cross_wake(const struct cross *x, uint32_t worker);

/** Wakes all of them: what was published has to be looked at once, also by those that sleep. */
void cross_wake_all(const struct cross *x);

/** Publishes a view: what it points to is written before the pointer is seen. */
#define view_publish(slot, view) \
	atomic_store_explicit(slot, view, memory_order_release)

/** Loads a view; good until the caller's next quiescent point. */
#define view_load(slot) \
	atomic_load_explicit(slot, memory_order_acquire)

#endif
