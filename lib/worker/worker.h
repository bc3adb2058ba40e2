/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_WORKER_H
#define FERRY_WORKER_H

/**
 * @file
 * Workers: the threads that forward.  A worker polls while there is traffic and sleeps in epoll
 * when there is none.
 *
 * Life     a set per process, from start to stop; pinned to one CPU each, or not pinned.
 * Threads  control, but for the loops themselves
 * Units    cycles of the time stamp counter
 */

#include "fwd.h"

#include <stdbool.h>
#include <stdint.h>

struct worker_set;

struct worker_opts {
	struct cross *cross;     /**< as many workers as it was created for */
	const int *cpus;         /**< one CPU a worker; NULL: none is pinned */
	struct fwd_opts fwd;     /**< `worker` is filled in for each */
};

/** What a worker has done; counters only grow. */
struct worker_info {
	int cpu;                 /**< -1: not pinned */
	bool sleeping;
	bool bounded;            /**< last sleep was a bounded one: a device has no interrupts */
	uint64_t turns;
	uint64_t frames;         /**< taken from rings and devices */
	uint64_t sleeps;
	uint64_t busy_cycles;    /**< in turns that moved a frame */
	uint64_t idle_cycles;    /**< in turns that did not */
	uint64_t sleep_cycles;
	uint64_t hz;             /**< cycles per second */
	uint32_t n_rings;        /**< transmit rings that it polls */
	uint32_t n_queues;       /**< receive queues of devices that it polls */
};

/**
 * Starts the workers.
 *
 * @return  0; -ENOMEM; -errno of pthread_create(); -EINVAL: a CPU that is not there
 */
int worker_set_create(const struct worker_opts *opts, struct worker_set **out);

/** Stops and joins all; NULL is allowed. */
void worker_set_destroy(struct worker_set *ws);

uint32_t worker_count(const struct worker_set *ws);

/** @return 0; -ERANGE */
int worker_info(const struct worker_set *ws, uint32_t worker, struct worker_info *out);

/**
 * Has a port's worker announce an address as if the guest had sent it (RARP, RFC 903).
 *
 * @param id  port_id(): a port that has taken the number over meanwhile announces nothing
 * @role  any but a worker
 */
void worker_announce(struct worker_set *ws, uint16_t port, uint32_t id,
		     const struct rte_ether_addr *mac);

#endif
