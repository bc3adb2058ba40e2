/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_SWDEV_IMPL_H
#define FERRY_SWDEV_IMPL_H

/* Inside of lib/swdev. */

#include "swdev.h"

#include <pthread.h>

#define WORKER_NONE UINT16_MAX

/*
 * What one device publishes: immutable once published.  Rings stand by index; those that were not
 * started have no state.
 */
struct swdev_set {
	uint16_t n_rings;
	struct swdev_ring *rings;
	struct swdev_live *live;
};

struct swdev {
	struct vdev vdev;
	struct swdev_pool *pool;
	uint16_t port;
	struct stats *stats;
	uint64_t features;
	uint16_t n_rings;             /* 0: stopped */
	struct swdev_state *states;   /* n_rings, from start to stop */
	bool *started;                /* n_rings */
	struct swdev_set *set;        /* published */
	const struct dirty *log;      /* NULL: not logged */
	uint16_t n_reserved;          /* rings that the pool has room for; kept over stops */
	struct {
		uint64_t chains, calls, pages, rounds;
	} before[VDEV_RINGS_MAX];     /* counted until the last stop */
	uint16_t workers[VDEV_RINGS_MAX]; /* who polls a transmit ring; kept over restarts */
	uint16_t homes[VDEV_RINGS_MAX];   /* who polled it first */
};

/* Builds what a device publishes, with the fds and flags of `rings`. */
int swdev_set_create(const struct swdev *d, const struct swdev_ring *rings, struct swdev_set **out);
void swdev_set_destroy(struct swdev_set *set);

/*
 * Makes room for a set of so many rings, so that publishing itself cannot fail.
 *
 * Everything below takes the pool's mutex and returns after a grace period: nobody sees the
 * device's former set any more.
 */
int pool_reserve(struct swdev_pool *pool, struct swdev *d, uint16_t n_rings);
void pool_publish(struct swdev_pool *pool, struct swdev *d, struct swdev_set *set);
/* Returns after a grace period. */
void pool_wait(const struct swdev_pool *pool);
/* Assigns a transmit ring to the worker that has the fewest. */
uint16_t pool_assign(struct swdev_pool *pool);
void pool_reassign(struct swdev_pool *pool, uint16_t from, uint16_t to);
uint32_t pool_n_workers(const struct swdev_pool *pool);
void pool_wake_all(const struct swdev_pool *pool);
/* @return false: the event was lost, say it again */
bool pool_report(struct swdev_pool *pool, uint16_t port, uint16_t index, enum vring_bad bad);

#endif
