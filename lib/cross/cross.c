/* SPDX-License-Identifier: BSD-3-Clause */
#include "cross_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* A turn is often over within these; past them whoever shares the processor is let on. */
#define PAUSES      100
#define NAP_MIN_NS  10000
#define NAP_MAX_NS  320000

int
cross_ring_create(uint32_t elem_size, uint32_t slots, struct rte_ring **out)
{
	ssize_t size = rte_ring_get_memsize_elem(elem_size, slots);
	struct rte_ring *r;
	int rc;

	if (size < 0)
		return (int)size;
	r = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL((size_t)size, RTE_CACHE_LINE_SIZE));
	if (r == NULL)
		return -ENOMEM;
	rc = rte_ring_init(r, "cross", slots, RING_F_SC_DEQ);
	if (rc < 0) {
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

static int
eventfd_create(int *out)
{
	*out = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return *out < 0 ? -errno : 0;
}

static int
worker_init(struct cross_worker *w)
{
	int rc = cross_ring_create(sizeof(struct mail), MAIL_SLOTS, &w->mail);

	return rc < 0 ? rc : eventfd_create(&w->wakefd);
}

static int
qsbr_create(uint32_t n_workers, struct rte_rcu_qsbr **out)
{
	size_t size = RTE_ALIGN_CEIL(rte_rcu_qsbr_get_memsize(n_workers), RTE_CACHE_LINE_SIZE);
	struct rte_rcu_qsbr *q = aligned_alloc(RTE_CACHE_LINE_SIZE, size);

	if (q == NULL)
		return -ENOMEM;
	rte_rcu_qsbr_init(q, n_workers);
	for (uint32_t i = 0; i < n_workers; i++)
		rte_rcu_qsbr_thread_register(q, i);
	*out = q;
	return 0;
}

static int
cross_init(struct cross *x)
{
	int rc = qsbr_create(x->n_workers, &x->qsbr);

	if (rc == 0)
		rc = cross_ring_create(sizeof(struct event), EVENT_SLOTS, &x->events);
	if (rc == 0)
		rc = eventfd_create(&x->eventfd);
	for (uint32_t i = 0; rc == 0 && i < x->n_workers; i++)
		rc = worker_init(&x->workers[i]);
	return rc;
}

int
cross_create(uint32_t n_workers, struct cross **out)
{
	struct cross *x;
	int rc;

	if (n_workers == 0 || n_workers > CROSS_WORKERS_MAX)
		return -EINVAL;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return -ENOMEM;
	x->n_workers = n_workers;
	x->eventfd = -1;
	for (uint32_t i = 0; i < n_workers; i++)
		x->workers[i].wakefd = -1;
	rc = cross_init(x);
	if (rc < 0) {
		cross_destroy(x);
		return rc;
	}
	*out = x;
	return 0;
}

void
cross_destroy(struct cross *x)
{
	if (x == NULL)
		return;
	for (uint32_t i = 0; i < x->n_workers; i++) {
		free(x->workers[i].mail);
		if (x->workers[i].wakefd >= 0)
			close(x->workers[i].wakefd);
	}
	if (x->eventfd >= 0)
		close(x->eventfd);
	free(x->events);
	free(x->qsbr);
	free(x);
}

uint32_t
cross_n_workers(const struct cross *x)
{
	return x->n_workers;
}

void
cross_online(struct cross *x, uint32_t worker)
{
	rte_rcu_qsbr_thread_online(x->qsbr, worker);
}

void
cross_offline(struct cross *x, uint32_t worker)
{
	rte_rcu_qsbr_thread_offline(x->qsbr, worker);
}

void
cross_quiescent(struct cross *x, uint32_t worker)
{
	rte_rcu_qsbr_quiescent(x->qsbr, worker);
}

int
cross_wakefd(const struct cross *x, uint32_t worker)
{
	return x->workers[worker].wakefd;
}

/*
 * A nap is as long as it says only without the slack of 50 us that a thread's timers have.  Where
 * the worker shares this processor each one takes it away for a moment, so they become longer.
 */
static void
naps(struct cross *x, uint64_t token)
{
	struct timespec nap = { .tv_nsec = NAP_MIN_NS };
	int slack = prctl(PR_GET_TIMERSLACK);

	prctl(PR_SET_TIMERSLACK, 1UL);
	while (rte_rcu_qsbr_check(x->qsbr, token, false) == 0) {
		nanosleep(&nap, NULL);
		nap.tv_nsec = RTE_MIN(2 * nap.tv_nsec, NAP_MAX_NS);
	}
	prctl(PR_SET_TIMERSLACK, (unsigned long)slack);
}

/*
 * No yield: whoever is let on by it keeps the processor to the end of its slice, a tick and more,
 * if it does not sleep.
 */
void
cross_wait(struct cross *x)
{
	uint64_t token = rte_rcu_qsbr_start(x->qsbr);

	for (uint32_t i = 0; i < PAUSES; i++) {
		if (rte_rcu_qsbr_check(x->qsbr, token, false) != 0)
			return;
		rte_pause();
	}
	naps(x, token);
}

void
cross_wake(const struct cross *x, uint32_t worker)
{
	eventfd_write(x->workers[worker].wakefd, 1);
}

void
cross_wake_all(const struct cross *x)
{
	for (uint32_t w = 0; w < x->n_workers; w++)
		cross_wake(x, w);
}
