/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CROSS_IMPL_H
#define FERRY_CROSS_IMPL_H

/* Inside of lib/cross: who writes each field is said beside it. */

#include "event.h"
#include "mail.h"

#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#define MAIL_SLOTS  256
#define EVENT_SLOTS 8192

struct mail {
	mail_fn *fn;
	void *arg;
};

struct cross_worker {
	struct rte_ring *mail; /* any: enqueue; worker: dequeue */
	int wakefd;
};

struct cross {
	uint32_t n_workers;
	struct rte_rcu_qsbr *qsbr;
	struct cross_worker workers[CROSS_WORKERS_MAX];
	struct rte_ring *events; /* any: enqueue; control: dequeue */
	int eventfd;
	_Atomic uint64_t lost; /* any: add; any: read */
	struct {
		event_fn *fn;
		void *arg;
	} handlers[EVENT_KINDS]; /* control, before workers start */
};

/* A ring in plain memory: it needs neither a memzone nor a name that is unique. */
int cross_ring_create(uint32_t elem_size, uint32_t slots, struct rte_ring **out);

#endif
