/* SPDX-License-Identifier: BSD-3-Clause */
#include "swdev_impl.h"
#include "call.h"

#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#define BIT(n) (1ULL << (n))

/* VIRTIO_RING_F_INDIRECT_DESC and VIRTIO_RING_F_EVENT_IDX: their header has a `struct vring` too. */
#define RING_F_INDIRECT_DESC 28
#define RING_F_EVENT_IDX     29

#define PROTOCOL_FEATURES 30 /* VHOST_USER_F_PROTOCOL_FEATURES */

const uint64_t swdev_features =
	BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
	BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |
	BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
	BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
	BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_MTU) |
	BIT(VIRTIO_F_ANY_LAYOUT) | BIT(RING_F_INDIRECT_DESC) | BIT(RING_F_EVENT_IDX) |
	BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER) |
	BIT(PROTOCOL_FEATURES);

static struct swdev *
swdev_of(struct vdev *dev)
{
	return RTE_PTR_SUB(dev, offsetof(struct swdev, vdev));
}

static bool
reachable(const struct swdev_ring *r)
{
	return r->state != NULL && r->index % 2 == 0 && r->enabled &&
	       vring_bad(&r->state->ring) == VRING_BAD_NONE;
}

void
swdev_set_destroy(struct swdev_set *set)
{
	if (set == NULL)
		return;
	free(set->rings);
	free(set->live);
	free(set);
}

int
swdev_set_create(const struct swdev *d, const struct swdev_ring *rings, struct swdev_set **out)
{
	struct swdev_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return -ENOMEM;
	set->n_rings = d->n_rings;
	set->rings = calloc(d->n_rings, sizeof(*set->rings));
	set->live = calloc(1, sizeof(*set->live) + d->n_rings * sizeof(set->live->rx[0]));
	if (set->rings == NULL || set->live == NULL) {
		swdev_set_destroy(set);
		return -ENOMEM;
	}
	memcpy(set->rings, rings, d->n_rings * sizeof(*rings));
	set->live->features = d->features;
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (reachable(&set->rings[i]))
			set->live->rx[set->live->n_rx++] = &set->rings[i];
	*out = set;
	return 0;
}

static void
states_destroy(struct swdev *d)
{
	free(d->states);
	free(d->started);
	d->states = NULL;
	d->started = NULL;
	d->n_rings = 0;
}

static int
states_create(struct swdev *d, const struct vdev_cfg *cfg)
{
	size_t size = RTE_MAX(cfg->n_rings, 1) * sizeof(*d->states);

	d->n_rings = cfg->n_rings;
	d->features = cfg->features;
	d->log = FAULT(RESTARTED) && d->before[1].chains > 0 ? NULL : cfg->log;
	d->states = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	d->started = calloc(RTE_MAX(cfg->n_rings, 1), sizeof(*d->started));
	if (d->states == NULL || d->started == NULL) {
		states_destroy(d);
		return -ENOMEM;
	}
	memset(d->states, 0, size);
	return 0;
}

static void
ring_prepare(struct swdev *d, const struct vdev_cfg *cfg, uint16_t i, struct swdev_ring *out)
{
	const struct vdev_ring *r = &cfg->rings[i];
	const struct vring_opts opts = {
		.mem = cfg->mem, .features = cfg->features, .size = r->size, .writable = i % 2 == 0,
		.desc = r->desc, .driver = r->driver, .device = r->device, .pos = r->pos, .told = r->told,
		.log = FAULT(RECEIVE_1) && i % 2 == 0 && i > 0 ? NULL : d->log,
	};
	struct swdev_state *state = &d->states[i];

	vring_init(&state->ring, &opts);
	/* What the last backend left there must not keep the driver from its kicks, or at them. */
	vring_disarm(&state->ring);
	if (i % 2 == 1 && d->workers[i] == WORKER_NONE)
		d->homes[i] = d->workers[i] = pool_assign(d->pool);
	*out = (struct swdev_ring){
		.state = state, .kickfd = r->kickfd, .callfd = r->callfd, .enabled = r->enabled,
		.index = i, .port = d->port, .worker = d->workers[i], .home = d->homes[i],
		.stats = d->stats,
	};
}

static void
bad_report(struct swdev *d, uint16_t i)
{
	struct swdev_state *state = &d->states[i];

	if (vring_bad(&state->ring) == VRING_BAD_NONE || state->reported)
		return;
	state->reported = pool_report(d->pool, d->port, i, vring_bad(&state->ring));
}

static int
swdev_start(struct vdev *dev, const struct vdev_cfg *cfg)
{
	struct swdev *d = swdev_of(dev);
	struct swdev_ring rings[VDEV_RINGS_MAX];
	struct swdev_set *set;
	int rc;

	if (d->n_rings > 0)
		return -EBUSY;
	if ((cfg->features & ~dev->features) != 0)
		return -ENOTSUP;
	rc = pool_reserve(d->pool, d, cfg->n_rings);
	if (rc == 0)
		rc = states_create(d, cfg);
	if (rc < 0)
		return rc;
	memset(rings, 0, sizeof(rings));
	for (uint16_t i = 0; i < cfg->n_rings; i++) {
		d->started[i] = cfg->rings[i].started;
		rings[i].index = i;
		if (d->started[i])
			ring_prepare(d, cfg, i, &rings[i]);
	}
	rc = swdev_set_create(d, rings, &set);
	if (rc < 0) {
		states_destroy(d);
		return rc;
	}
	/* Said before workers see the rings: from then on `reported` is theirs. */
	for (uint16_t i = 0; i < cfg->n_rings; i++)
		if (d->started[i])
			bad_report(d, i);
	pool_publish(d->pool, d, set);
	return 0;
}

static void
swdev_stop(struct vdev *dev, struct vring_pos *pos)
{
	struct swdev *d = swdev_of(dev);

	pool_publish(d->pool, d, NULL);
	for (uint16_t i = 0; i < d->n_rings; i++) {
		if (!d->started[i])
			continue;
		pos[i] = vring_pos(&d->states[i].ring);
		/* Counters only grow, but what counted goes. */
		d->before[i].chains += d->states[i].chains;
		d->before[i].calls += d->states[i].calls;
		d->before[i].pages += d->states[i].ring.pages;
		d->before[i].rounds += d->states[i].ring.rounds;
	}
	states_destroy(d);
}

static int
set_replace(struct swdev *d, const struct swdev_ring *rings)
{
	struct swdev_set *set;
	int rc = swdev_set_create(d, rings, &set);

	if (rc == 0)
		pool_publish(d->pool, d, set);
	return rc;
}

static int
swdev_ring_set(struct vdev *dev, uint16_t qid, const struct vdev_ring_set *how)
{
	struct swdev *d = swdev_of(dev);
	struct swdev_ring rings[VDEV_RINGS_MAX];

	if (qid >= d->n_rings || !d->started[qid])
		return -ERANGE;
	memcpy(rings, d->set->rings, d->n_rings * sizeof(rings[0]));
	rings[qid].enabled = how->enabled;
	rings[qid].kickfd = how->kickfd;
	rings[qid].callfd = how->callfd;
	if (FAULT(RING_SET))
		vring_log_set(&d->states[qid].ring, NULL);
	return set_replace(d, rings);
}

/* Marks of before the call may still be under way during it: they are in the old log in time. */
static int
swdev_log_set(struct vdev *dev, const struct dirty *log)
{
	struct swdev *d = swdev_of(dev);

	if (FAULT(SECOND_LOG) && d->log != NULL && log != NULL)
		return 0;
	d->log = log;
	for (uint16_t i = 0; i < d->n_rings; i++)
		vring_log_set(&d->states[i].ring, log);
	pool_wait(d->pool);
	return 0;
}

static void
swdev_kick_all(struct vdev *dev)
{
	struct swdev *d = swdev_of(dev);

	pool_wake_all(d->pool);
	for (uint16_t i = 0; d->set != NULL && i < d->n_rings; i++)
		if (d->started[i])
			call_send(d->set->rings[i].callfd);
}

static uint64_t
read64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static int
swdev_stats(const struct vdev *dev, uint16_t qid, struct vdev_ring_stats *out)
{
	const struct swdev *d = swdev_of((struct vdev *)(uintptr_t)dev);
	const struct swdev_state *state;
	struct vring_asked asked;
	uint32_t shown;

	if (qid >= d->n_rings || !d->started[qid])
		return -ERANGE;
	state = &d->states[qid];
	shown = atomic_load_explicit(&state->ring.shown, memory_order_relaxed);
	memset(out, 0, sizeof(*out));
	out->pos = state->ring.is_packed ? vring_pos_decode(true, shown) :
		   vring_pos_decode(false, shown & 0xffff);
	out->bad = vring_bad(&state->ring);
	out->running = out->bad == VRING_BAD_NONE;
	out->worker = qid % 2 == 1 ? d->workers[qid] : WORKER_NONE;
	out->chains = d->before[qid].chains + read64(&state->chains);
	out->calls = d->before[qid].calls + read64(&state->calls);
	out->pages = d->before[qid].pages + read64(&state->ring.pages);
	out->rounds = d->before[qid].rounds + read64(&state->ring.rounds);
	out->first = read64(&state->first);
	out->asked = vring_asked(&state->ring, &asked);
	out->waiting = out->asked && asked.waiting;
	out->kicks_wanted = out->asked && asked.kicks;
	out->calls_wanted = out->asked && asked.calls;
	return 0;
}

static void
swdev_destroy(struct vdev *dev)
{
	struct swdev *d = swdev_of(dev);

	pool_reserve(d->pool, d, 0);
	for (uint32_t i = 0; i < VDEV_RINGS_MAX; i++)
		pool_reassign(d->pool, d->workers[i], WORKER_NONE);
	free(d);
}

static const struct vdev_ops ops = {
	.start = swdev_start,
	.stop = swdev_stop,
	.ring_set = swdev_ring_set,
	.log_set = swdev_log_set,
	.kick_all = swdev_kick_all,
	.stats = swdev_stats,
	.destroy = swdev_destroy,
};

int
swdev_create(struct swdev_pool *pool, uint16_t port, uint16_t n_pairs_max, struct stats *stats,
	     struct vdev **out)
{
	struct swdev *d;

	if (port >= SWDEV_PORTS_MAX || n_pairs_max == 0 || 2 * n_pairs_max > VDEV_RINGS_MAX)
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->vdev = (struct vdev){
		.ops = &ops, .provider = "sw", .features = swdev_features,
		.n_pairs_max = n_pairs_max, .can_log = true, .any_position = true,
	};
	d->pool = pool;
	d->port = port;
	d->stats = stats;
	for (uint32_t i = 0; i < VDEV_RINGS_MAX; i++)
		d->workers[i] = WORKER_NONE;
	*out = &d->vdev;
	return 0;
}

static void
place(struct swdev *d, uint16_t qid, uint16_t worker)
{
	pool_reassign(d->pool, d->workers[qid], worker);
	if (d->workers[qid] == WORKER_NONE)
		d->homes[qid] = worker;
	d->workers[qid] = worker;
}

/*
 * The ring leaves its worker, all frames it had taken are delivered, and only then the next worker
 * sees it.
 */
static int
move_running(struct swdev *d, uint16_t qid, uint16_t worker)
{
	struct swdev_ring rings[VDEV_RINGS_MAX];
	struct swdev_set *without, *with;
	int rc;

	memcpy(rings, d->set->rings, d->n_rings * sizeof(rings[0]));
	rings[qid].worker = worker;
	rc = swdev_set_create(d, rings, &with);
	if (rc < 0)
		return rc;
	rings[qid].state = NULL;
	rc = swdev_set_create(d, rings, &without);
	if (rc < 0) {
		swdev_set_destroy(with);
		return rc;
	}
	place(d, qid, worker);
	pool_publish(d->pool, d, without);
	pool_publish(d->pool, d, with);
	return 0;
}

int
swdev_move(struct vdev *dev, uint16_t qid, uint32_t worker)
{
	struct swdev *d = swdev_of(dev);

	if (qid >= 2 * dev->n_pairs_max || qid % 2 == 0)
		return -ERANGE;
	if (worker >= pool_n_workers(d->pool))
		return -EINVAL;
	if (qid < d->n_rings && d->started[qid])
		return move_running(d, qid, (uint16_t)worker);
	place(d, qid, (uint16_t)worker);
	return 0;
}

void
swdev_publish(const struct swdev_ring *r, uint32_t worker)
{
	struct swdev_state *state = r->state;

	if (unlikely(state->first == 0) && state->ring.unpublished > 0)
		stats_add(&state->first, rte_rdtsc());
	if (!vring_publish(&state->ring))
		return;
	call_send(r->callfd);
	stats_add(&state->calls, 1);
	stats_count(&r->stats->lanes[worker], COUNT_CALLS, 1);
}

void
swdev_report(struct swdev_pool *pool, const struct swdev_ring *r)
{
	struct swdev_state *state = r->state;

	if (state->reported)
		return;
	/* Lost in a full queue it is said again when the ring comes by again. */
	state->reported = pool_report(pool, r->port, r->index, vring_bad(&state->ring));
}
