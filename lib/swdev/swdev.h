/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_SWDEV_H
#define FERRY_SWDEV_H

/**
 * @file
 * The software provider: a guest's rings moved by our workers.
 *
 * It owns which worker polls which ring and publishes that as a view.  A ring's inside is written
 * by one thread at a time: the worker that polls it (transmit rings), the holder of its claim
 * (receive rings), or nobody (after stop() has waited a grace period).
 *
 * Life     a pool per process, created after the crossings; a device per port.
 * Threads  pool and devices: control or vhost, each device under its port's mutex; publishing is
 *          serialised inside.  Views: workers.
 */

#include "cross.h"
#include "stats.h"
#include "vdev.h"
#include "vring.h"

#include <stdbool.h>
#include <stdint.h>

#define SWDEV_PORTS_MAX 1024

struct swdev_pool;

/** What moves in a ring; written by its owner of the moment. */
struct swdev_state {
	struct vring ring;
	_Atomic uint32_t claim;  /**< receive rings: 0 free, else worker + 1 */
	bool reported;           /**< EVENT_RING_BROKEN was sent */
	uint64_t first;          /**< time stamp counter at the first publish; 0: none yet */
	uint64_t chains;         /**< given back */
	uint64_t calls;          /**< interrupts sent */
} __rte_cache_aligned;

/** A ring as workers see it: immutable, but for what `state` points to. */
struct swdev_ring {
	struct swdev_state *state;
	int kickfd;
	int callfd;
	bool enabled;
	uint16_t index;
	uint16_t port;
	uint16_t worker;         /**< transmit rings: who polls */
	uint16_t home;           /**< transmit rings: who polled first; what is chosen by worker is
				      chosen by this, so that a move does not reorder a flow */
	struct stats *stats;     /**< of the port */
};

/** Views in which a port's guest was not reached: from a version on, until before another. */
struct swdev_gap {
	uint64_t from, to;
};

/** So many gaps are told apart; those before them are one. */
#define SWDEV_GAPS 8

/** The receive rings of a running device that a guest can be reached through. */
struct swdev_live {
	uint64_t features;
	struct swdev_gap gaps[SWDEV_GAPS]; /**< until it was published, the latest last */
	uint64_t since;          /**< cycle counter: published */
	uint16_t n_rx;           /**< started, enabled and good when published; dense */
	const struct swdev_ring *rx[];
};

struct swdev_view {
	uint64_t version;        /**< another one with every view */
	const struct swdev_live *ports[SWDEV_PORTS_MAX]; /**< by port number; NULL: not running */
	struct {
		uint32_t n;
		const struct swdev_ring **rings; /**< transmit rings to poll */
	} workers[CROSS_WORKERS_MAX];
};

/** Virtio features that the provider and the datapath above it can serve. */
extern const uint64_t swdev_features;

/* life */

/** @return 0; -ENOMEM; -errno of epoll_create1() */
int swdev_pool_create(struct cross *x, struct swdev_pool **out);
void swdev_pool_destroy(struct swdev_pool *pool);

/**
 * Creates the software provider of a port.
 *
 * @param stats  the port's counters
 * @return       0; -ENOMEM
 */
int swdev_create(struct swdev_pool *pool, uint16_t port, uint16_t n_pairs_max,
		 struct stats *stats, struct vdev **out);

/** Moves a transmit ring to a worker, live: nothing is lost, nothing overtakes.  One that is not
 *  running will be polled there when it starts.  @return 0; -ERANGE; -EINVAL; -ENOMEM */
int swdev_move(struct vdev *dev, uint16_t qid, uint32_t worker);

/* worker */

/** @role worker, between two quiescent points */
const struct swdev_view *swdev_view(const struct swdev_pool *pool);

/** Whether a guest was reached through its port in an earlier view, too. */
static inline bool
swdev_reached(const struct swdev_live *live, uint64_t version)
{
	for (uint32_t i = 0; i < SWDEV_GAPS; i++)
		if (version >= live->gaps[i].from && version < live->gaps[i].to)
			return false;
	return true;
}

/** Epoll set that the worker sleeps on: the kick descriptors of its rings and its wakefd. */
int swdev_epfd(const struct swdev_pool *pool, uint32_t worker);

/** Takes a receive ring for one burst.  @return false: another worker has it */
static inline bool
swdev_claim(const struct swdev_ring *r, uint32_t worker)
{
	uint32_t nobody = 0;

	return atomic_compare_exchange_strong_explicit(&r->state->claim, &nobody, worker + 1,
						       memory_order_acquire, memory_order_relaxed);
}

/** Gives it back, its writes visible to the next holder. */
static inline void
swdev_release(const struct swdev_ring *r)
{
	atomic_store_explicit(&r->state->claim, 0, memory_order_release);
}

/** Publishes what was given back and interrupts the guest if it wants that. @role the owner */
void swdev_publish(const struct swdev_ring *r, uint32_t worker);

/** Reports a ring that was found broken, once.  @role the owner */
void swdev_report(struct swdev_pool *pool, const struct swdev_ring *r);

#endif
