/* SPDX-License-Identifier: BSD-3-Clause */
#include "swdev_impl.h"
#include "event.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

LOG_REGISTER(swdev);
LOG_USE(swdev);

/*
 * Two views take turns: one is seen by the workers, the other is written and then published.
 * Their lists have room for every ring of every device, made when a device starts, so that
 * publishing and with it stop() cannot fail.
 */
struct swdev_pool {
	struct cross *cross;
	pthread_mutex_t lock;
	_Atomic(struct swdev_view *) view;
	struct swdev_view *spare;
	const struct swdev_ring **lists[2];  /* of view and spare, by turn */
	uint32_t turn;
	uint64_t version;                    /* of the view */
	uint32_t room;                       /* length of each list */
	uint32_t reserved;                   /* rings that devices may publish */
	struct swdev_set *sets[SWDEV_PORTS_MAX];
	uint32_t loads[CROSS_WORKERS_MAX];   /* transmit rings assigned, running or not */
	int epfds[CROSS_WORKERS_MAX];
	struct swdev_gap gaps[SWDEV_PORTS_MAX][SWDEV_GAPS]; /* see struct swdev_live */
	uint64_t lost[SWDEV_PORTS_MAX];      /* version in which it was reached no more */
};

static int
epfd_create(struct swdev_pool *pool, uint32_t worker)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	pool->epfds[worker] = fd;
	ev.data.fd = cross_wakefd(pool->cross, worker);
	return epoll_ctl(fd, EPOLL_CTL_ADD, ev.data.fd, &ev) < 0 ? -errno : 0;
}

int
swdev_pool_create(struct cross *x, struct swdev_pool **out)
{
	struct swdev_pool *pool = calloc(1, sizeof(*pool));
	int rc = 0;

	if (pool == NULL)
		return -ENOMEM;
	pool->cross = x;
	pthread_mutex_init(&pool->lock, NULL);
	memset(pool->epfds, -1, sizeof(pool->epfds));
	pool->view = calloc(1, sizeof(struct swdev_view));
	pool->spare = calloc(1, sizeof(struct swdev_view));
	if (pool->view == NULL || pool->spare == NULL)
		rc = -ENOMEM;
	for (uint32_t w = 0; rc == 0 && w < cross_n_workers(x); w++)
		rc = epfd_create(pool, w);
	if (rc < 0) {
		swdev_pool_destroy(pool);
		return rc;
	}
	*out = pool;
	return 0;
}

void
swdev_pool_destroy(struct swdev_pool *pool)
{
	if (pool == NULL)
		return;
	for (uint32_t w = 0; w < CROSS_WORKERS_MAX; w++)
		if (pool->epfds[w] >= 0)
			close(pool->epfds[w]);
	pthread_mutex_destroy(&pool->lock);
	free(pool->lists[0]);
	free(pool->lists[1]);
	free(pool->spare);
	free(pool->view);
	free(pool);
}

const struct swdev_view *
swdev_view(const struct swdev_pool *pool)
{
	return view_load(&pool->view);
}

int
swdev_epfd(const struct swdev_pool *pool, uint32_t worker)
{
	return pool->epfds[worker];
}

static bool
polled(const struct swdev_ring *r)
{
	return r->state != NULL && r->index % 2 == 1;
}

/* Fills the view that nobody sees: each worker's rings stand together in one list. */
static void
view_build(const struct swdev_pool *pool, struct swdev_view *v, const struct swdev_ring **list)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < cross_n_workers(pool->cross); w++) {
		v->workers[w].rings = list + n;
		v->workers[w].n = 0;
		for (uint32_t p = 0; p < SWDEV_PORTS_MAX; p++) {
			const struct swdev_set *set = pool->sets[p];

			for (uint16_t i = 0; set != NULL && i < set->n_rings; i++)
				if (polled(&set->rings[i]) && set->rings[i].worker == w) {
					list[n++] = &set->rings[i];
					v->workers[w].n++;
				}
		}
	}
	for (uint32_t p = 0; p < SWDEV_PORTS_MAX; p++)
		v->ports[p] = pool->sets[p] != NULL ? pool->sets[p]->live : NULL;
}

static void
view_swap(struct swdev_pool *pool)
{
	struct swdev_view *next = pool->spare;

	pool->turn ^= 1;
	next->version = ++pool->version;
	view_build(pool, next, pool->lists[pool->turn]);
	pool->spare = atomic_load_explicit(&pool->view, memory_order_relaxed);
	view_publish(&pool->view, next);
	cross_wait(pool->cross);
}

int
pool_reserve(struct swdev_pool *pool, struct swdev *d, uint16_t n_rings)
{
	uint32_t room;
	int rc = 0;

	pthread_mutex_lock(&pool->lock);
	/* By device, not by port: while a port changes its device it has two. */
	pool->reserved += n_rings - d->n_reserved;
	d->n_reserved = n_rings;
	room = RTE_MAX(pool->room, pool->reserved);
	if (room > pool->room) {
		/* Published lists cannot be moved: a view on new ones replaces the old. */
		const struct swdev_ring **a = calloc(2 * room, sizeof(*a));
		const struct swdev_ring **b = calloc(2 * room, sizeof(*b));

		if (a == NULL || b == NULL) {
			free(a);
			free(b);
			rc = -ENOMEM;
		} else {
			const struct swdev_ring **old[2] = { pool->lists[0], pool->lists[1] };

			pool->lists[0] = a;
			pool->lists[1] = b;
			pool->room = 2 * room;
			view_swap(pool);
			free(old[0]);
			free(old[1]);
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

/* The descriptor is in the set of the worker that sleeps on it from before the ring is seen until
 * after it is no longer. */
static void
kick_watch(const struct swdev_pool *pool, const struct swdev_ring *r, int op)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.fd = r->kickfd };

	if (!polled(r) || r->kickfd < 0)
		return;
	if (epoll_ctl(pool->epfds[r->worker], op, r->kickfd, &ev) < 0)
		LOG_RL(ERR, "port %u ring %u: kick descriptor: %s", r->port, r->index,
		       strerror(errno));
}

static void
set_watch(const struct swdev_pool *pool, const struct swdev_set *set, int op)
{
	for (uint16_t i = 0; set != NULL && i < set->n_rings; i++)
		kick_watch(pool, &set->rings[i], op);
}

static bool
reached(const struct swdev_set *set)
{
	return set != NULL && set->live->n_rx > 0;
}

/* The oldest one takes in the next where there is no room. */
static void
gap_add(struct swdev_gap *gaps, struct swdev_gap gap)
{
	gaps[1].from = gaps[0].to > 0 ? gaps[0].from : gaps[1].from;
	memmove(&gaps[0], &gaps[1], (SWDEV_GAPS - 1) * sizeof(*gaps));
	gaps[SWDEV_GAPS - 1] = gap;
}

/* While a front-end starts ring after ring, or changes its memory, the port is out of sight for
 * moments: who floods then does not reach it. */
static void
reach_note(struct swdev_pool *pool, uint16_t port, struct swdev_set *set)
{
	const bool was = reached(pool->sets[port]), is = reached(set);
	const uint64_t next = pool->version + 1;

	if (was && !is)
		pool->lost[port] = next;
	if (is && !was)
		gap_add(pool->gaps[port], (struct swdev_gap){ pool->lost[port], next });
	if (set == NULL)
		return;
	memcpy(set->live->gaps, pool->gaps[port], sizeof(set->live->gaps));
	set->live->since = rte_rdtsc();
}

void
pool_publish(struct swdev_pool *pool, struct swdev *d, struct swdev_set *set)
{
	struct swdev_set *old = d->set;

	pthread_mutex_lock(&pool->lock);
	/* Before the new ones come: a descriptor that stays can be in the set only once. */
	set_watch(pool, old, EPOLL_CTL_DEL);
	set_watch(pool, set, EPOLL_CTL_ADD);
	reach_note(pool, d->port, set);
	pool->sets[d->port] = set;
	d->set = set;
	view_swap(pool);
	pthread_mutex_unlock(&pool->lock);
	swdev_set_destroy(old);
	/* A sleeper does not know the new rings: it has to look at them once and arm them. */
	if (set != NULL)
		pool_wake_all(pool);
}

void
pool_wait(const struct swdev_pool *pool)
{
	cross_wait(pool->cross);
}

uint16_t
pool_assign(struct swdev_pool *pool)
{
	uint16_t best = 0;

	pthread_mutex_lock(&pool->lock);
	for (uint32_t w = 1; w < cross_n_workers(pool->cross); w++)
		if (pool->loads[w] < pool->loads[best])
			best = (uint16_t)w;
	pool->loads[best]++;
	pthread_mutex_unlock(&pool->lock);
	return best;
}

void
pool_reassign(struct swdev_pool *pool, uint16_t from, uint16_t to)
{
	pthread_mutex_lock(&pool->lock);
	if (from != WORKER_NONE)
		pool->loads[from]--;
	if (to != WORKER_NONE)
		pool->loads[to]++;
	pthread_mutex_unlock(&pool->lock);
}

uint32_t
pool_n_workers(const struct swdev_pool *pool)
{
	return cross_n_workers(pool->cross);
}

void
pool_wake_all(const struct swdev_pool *pool)
{
	cross_wake_all(pool->cross);
}

bool
pool_report(struct swdev_pool *pool, uint16_t port, uint16_t index, enum vring_bad bad)
{
	const struct event ev = {
		.kind = bad == VRING_BAD_MEMORY ? EVENT_MEM_FAULT : EVENT_RING_BROKEN,
		.port = port, .index = index, .reason = bad,
	};

	return event_send(pool->cross, &ev);
}
