/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_TESTBED_H
#define FERRY_TESTBED_H

/**
 * @file
 * The switch without sessions and without control: crossings, pool, FDB, forwarding and workers as
 * ferryd starts them, and a table of ports that a test fills in by itself.
 *
 * It stands in for lib/port alone, of which the datapath sees nothing but `struct port_view`.
 *
 * Life     one at a time; EAL is started by the first and stays.
 * Threads  the test's, which is control here; with `threads`, workers beside it.
 */

#include "event.h"
#include "fwd.h"
#include "park.h"
#include "worker.h"

#define TESTBED_PORTS  8
#define TESTBED_PORT_ID(number) ((number) + 1000u)
#define TESTBED_EVENTS 256

struct testbed_opts {
	uint32_t n_workers;
	bool threads;        /**< false: the test takes the workers' turns by itself */
	uint32_t park_timeout_ms; /**< 0: frames for guests that leave are not parked */
	uint32_t park_bytes;
	uint16_t n_ports;
	uint32_t capacity;       /**< addresses; 0: few */
	struct {
		uint16_t mtu;    /**< 0: no limit */
		uint16_t group;
	} ports[TESTBED_PORTS];
};

struct testbed {
	struct cross *cross;
	struct swdev_pool *pool;
	struct fdb *fdb;
	struct capture *capture;
	struct park_set *parks;  /**< NULL without a time-out; addresses follow as in ferryd */
	struct ports *ports;
	struct worker_set *workers;
	struct fwd *fwds[CROSS_WORKERS_MAX];
	struct stats *stats[TESTBED_PORTS];
	/** Rings that were reported broken, in order. */
	struct event broken[TESTBED_EVENTS];
	uint32_t n_broken;
	uint32_t n_wanted;       /**< parks that have begun */
};

/** @return 0; -errno */
int testbed_create(struct testbed *b, const struct testbed_opts *opts);

/** All vdevs are gone; half-built is allowed. */
void testbed_destroy(struct testbed *b);

/** Does what control does: learns addresses, notes broken rings. */
void testbed_control(struct testbed *b);

/** A turn of a worker that has no thread.  @return frames */
uint32_t testbed_turn(struct testbed *b, uint32_t worker);

/** Takes a port out of the workers' sight, as one that is deleted.  Without threads. */
void testbed_port_hide(struct testbed *b, uint16_t port);

uint64_t testbed_count(const struct testbed *b, uint16_t port, enum count c);
uint64_t testbed_drop(const struct testbed *b, uint16_t port, enum drop d);

/** Drops of all names on all ports. */
uint64_t testbed_drops(const struct testbed *b);

#endif
