/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_WORKER_IMPL_H
#define FERRY_WORKER_IMPL_H

/* Inside of lib/worker. */

#include "idle.h"
#include "worker.h"

#include <pthread.h>

struct worker {
	struct worker_set *set;
	uint32_t index;
	int cpu;
	pthread_t thread;
	bool started;
	struct fwd *fwd;
	struct idle idle;
	/* Written by the worker; read by whoever asks. */
	struct worker_info info;
} __rte_cache_aligned;

struct worker_set {
	struct cross *cross;
	struct swdev_pool *pool;
	uint32_t n;
	_Atomic bool ending;     /* control: store; workers: read */
	struct worker workers[];
};

/* The body of a worker's thread. */
void *worker_loop(void *arg);
/* Lets others on this thread's processor in before a tick. */
void worker_slice_set(void);

#endif
