/* SPDX-License-Identifier: BSD-3-Clause */
#include "cross_impl.h"

#include <sched.h>

void
mail_send(struct cross *x, uint32_t worker, mail_fn *fn, void *arg)
{
	struct mail m = { .fn = fn, .arg = arg };

	while (rte_ring_mp_enqueue_elem(x->workers[worker].mail, &m, sizeof(m)) != 0) {
		cross_wake(x, worker);
		sched_yield();
	}
	cross_wake(x, worker);
}

uint32_t
mail_run(struct cross *x, uint32_t worker)
{
	struct rte_ring *box = x->workers[worker].mail;
	struct mail m;
	uint32_t n = 0;

	while (n < MAIL_SLOTS && rte_ring_sc_dequeue_elem(box, &m, sizeof(m)) == 0) {
		m.fn(worker, m.arg);
		n++;
	}
	return n;
}
