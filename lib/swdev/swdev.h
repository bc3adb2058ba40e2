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

/** A ring as workers see it.  The wrapper is immutable, the ring inside has one owner. */
struct swdev_ring {
	struct vring *ring;
	int kickfd;
	int callfd;
	bool enabled;
	uint16_t index;
	uint16_t port;
	uint16_t worker;         /**< transmit rings: who polls */
	struct stats *stats;
	struct swdev_ring_count *count;
};

/** Counters of one ring; by its owner of the moment. */
struct swdev_ring_count {
	uint64_t chains;
	uint64_t calls;
};

/** The receive rings of a running device. */
struct swdev_live {
	uint64_t features;
	uint16_t n_rx;           /**< started and enabled receive rings, dense */
	const struct swdev_ring *rx[];
};

struct swdev_view {
	const struct swdev_live *ports[SWDEV_PORTS_MAX]; /**< by port number; NULL: not running */
	struct {
		uint32_t n;
		const struct swdev_ring **rings; /**< transmit rings to poll */
	} workers[CROSS_WORKERS_MAX];
};

/** What the provider can serve. */
#define SWDEV_FEATURES swdev_features()
uint64_t swdev_features(void);

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

/** Moves a transmit ring to a worker, live: nothing is lost, nothing overtakes.
 *  @return 0; -ERANGE; -EINVAL */
int swdev_move(struct vdev *dev, uint16_t qid, uint32_t worker);

/* worker */

/** @role worker, between two quiescent points */
const struct swdev_view *swdev_view(const struct swdev_pool *pool);

/** Epoll set that the worker sleeps on: the kick descriptors of its rings and its wakefd. */
int swdev_epfd(const struct swdev_pool *pool, uint32_t worker);

#endif
