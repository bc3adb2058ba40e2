/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"
#include "clock.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

LOG_USE(port);

/* How often the uplink is looked at while it drains, and for how long when nobody serves it. */
#define LOOK_US   20
#define SETTLE_NS (50 * 1000 * 1000ULL)

static void
sleep_us(uint32_t us)
{
	const struct timespec t = { .tv_nsec = (long)us * 1000 };

	nanosleep(&t, NULL);
}

static uint16_t
provider_index(const struct port *p, const struct vdev *dev)
{
	return dev != NULL && dev == p->hw;
}

/* Counters only grow, and who moves the rings next counts from what it has counted itself. */
static void
counts_note(struct port *p)
{
	uint16_t own = provider_index(p, p->vdev);
	struct vdev_ring_stats st;

	for (uint16_t i = 0; i < p->mover.cfg.n_rings; i++) {
		if (vdev_stats(p->vdev, i, &st) < 0)
			continue;
		p->mover.before[own][i].chains = st.chains;
		p->mover.before[own][i].calls = st.calls;
		p->mover.before[own][i].pages = st.pages;
		p->mover.before[own][i].rounds = st.rounds;
	}
}

int
port_provider_stats(const struct port *p, uint16_t qid, struct vdev_ring_stats *out)
{
	uint16_t other = !provider_index(p, p->vdev);
	int rc = vdev_stats(p->vdev, qid, out);

	if (rc < 0)
		return rc;
	out->chains += p->mover.before[other][qid].chains;
	out->calls += p->mover.before[other][qid].calls;
	out->pages += p->mover.before[other][qid].pages;
	out->rounds += p->mover.before[other][qid].rounds;
	return 0;
}

void
port_rings_stop(struct port *p)
{
	struct port_mover *m = &p->mover;

	port_log_info_fold(p);
	counts_note(p);
	for (uint16_t i = 0; i < m->cfg.n_rings; i++)
		m->pos[i] = m->rings[i].pos;
	vdev_stop(p->vdev, m->pos);
	for (uint16_t i = 0; i < m->cfg.n_rings; i++) {
		if (!m->rings[i].started)
			continue;
		m->rings[i].pos = m->pos[i];
		m->rings[i].told = false;
	}
	p->running = false;
	m->halted = true;
}

int
port_rings_start(struct port *p, struct vdev *dev)
{
	struct vdev_cfg cfg = p->mover.cfg;
	int rc;

	/* What is between guest and front-end a device need not know. */
	cfg.features &= dev->features | port_features_moved(cfg.features);
	rc = vdev_start(dev, &cfg);
	if (rc < 0)
		return rc;
	p->vdev = dev;
	p->running = true;
	p->mover.halted = false;
	return 0;
}

static uint16_t
n_reachable(const struct port_mover *m)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < m->cfg.n_rings; i += 2)
		n += m->rings[i].started && m->rings[i].enabled;
	return n;
}

/* The lock keeps the uplink's port from going: port_provider_uplinks() wants it, too. */
static struct port *
uplink_of(const struct port *p)
{
	return port_by_number(p->ports, atomic_load(&p->mover.uplink));
}

/*
 * Whether chains wait that were there when it was asked first.  What came later comes behind them, and
 * of a ring no more than its size can have been there.
 */
static bool
rings_waiting(struct port *up, uint64_t *until)
{
	struct vdev_ring_stats st;
	bool waiting = false;

	pthread_mutex_lock(&up->lock);
	for (uint16_t i = 1; up->running && i < up->mover.cfg.n_rings; i += 2) {
		if (vdev_stats(up->vdev, i, &st) < 0 || !st.asked)
			continue;
		if (until[i] == 0)
			until[i] = st.chains + up->mover.rings[i].size;
		waiting |= st.waiting && st.chains < until[i];
	}
	pthread_mutex_unlock(&up->lock);
	return waiting;
}

static void
rings_settle(struct port *up, uint64_t deadline)
{
	uint64_t until[VDEV_RINGS_MAX] = { 0 };

	while (rings_waiting(up, until) && clock_ns() < deadline)
		sleep_us(LOOK_US);
}

/* A device does not tell what waits in it: it is drained when nothing has come for a while. */
static void
device_settle(const struct port *up, uint64_t deadline)
{
	struct stats_lane lane;
	uint64_t before = UINT64_MAX;
	uint32_t quiet = 0;

	while (quiet < 4 && clock_ns() < deadline) {
		stats_fold(up->stats, &lane);
		quiet = lane.counts[COUNT_RX_FRAMES] == before ? quiet + 1 : 0;
		before = lane.counts[COUNT_RX_FRAMES];
		sleep_us(LOOK_US);
	}
}

/*
 * Frames that the guest gave to the device have left it, and wait where they come in here: once
 * they are delivered, newer ones cannot overtake them.
 */
static void
uplink_settle(struct port *p)
{
	struct port *up = uplink_of(p);

	if (up == NULL)
		return;
	if (up->eth != NULL)
		device_settle(up, clock_ns() + p->opts.drain_us * NS_PER_US);
	else
		rings_settle(up, clock_ns() + SETTLE_NS);
	cross_wait(p->ports->cross);
}

static void
elsewhere_set(struct port *p)
{
	uint16_t uplink = atomic_load(&p->mover.uplink);
	bool away = p->vdev == p->hw && p->hw != NULL;

	atomic_store(&p->mover.elsewhere, !away ? PORT_NONE : uplink != PORT_NONE ? uplink :
		     PORT_AWAY);
}

void
port_provider_follow(struct port *p)
{
	const struct event ev = { .kind = EVENT_PROVIDER, .port = p->number };

	elsewhere_set(p);
	event_send(p->ports->cross, &ev); /* a lost one is made up for once in a while */
}

/* From the return on frames for the guest are kept, and those before have arrived. */
static void
begin(struct port *p, const struct port_handover *h)
{
	if (p->ports->ops.handing_over != NULL)
		p->ports->ops.handing_over(p->ports->ops_arg, p, h);
	if (h->to_hw)
		return;
	/* What is flooded now reaches the device and is kept as well: better twice than never. */
	atomic_store(&p->mover.elsewhere, PORT_NONE);
	if (h->uplink != PORT_NONE && p->opts.drain_us > 0)
		sleep_us(p->opts.drain_us);
}

static void
note(struct port *p, bool to_hw, uint64_t gap_ns, const char *why)
{
	struct port_provider_info *info = &p->mover.info;

	*(to_hw ? &info->n_to_hw : &info->n_to_sw) += 1;
	info->gap_us = gap_ns / NS_PER_US;
	info->time_ns = clock_wall_ns();
	snprintf(info->last, sizeof(info->last), "%s", why);
	port_provider_tell(p, "rings are moved by %s after %" PRIu64 " us: %s",
			   to_hw ? p->mover.device : "software", info->gap_us, why);
}

/* Where they were, else in software: that takes any. */
static void
go_back(struct port *p, struct vdev *from, struct vdev *to)
{
	int rc = port_rings_start(p, from);

	if (rc < 0 && from != p->sw && to != p->sw)
		rc = port_rings_start(p, p->sw);
	if (rc < 0)
		LOG_RL(ERR, "%s: nobody can go on with the rings: %s", p->opts.name,
		       strerror(-rc));
}

int
port_handover(struct port *p, struct vdev *to, const char *why)
{
	struct vdev *from = p->vdev;
	struct port_handover h = {
		.to_hw = to == p->hw, .features = p->features, .n_rx = n_reachable(&p->mover),
		.uplink = atomic_load(&p->mover.uplink),
	};
	uint64_t since;
	int rc;

	begin(p, &h);
	since = clock_ns();
	port_rings_stop(p);
	if (from == p->hw)
		uplink_settle(p);
	rc = port_rings_start(p, to);
	if (rc < 0)
		go_back(p, from, to);
	if (!p->running)
		return rc;
	vdev_kick_all(p->vdev);
	since = clock_ns() - since;
	port_provider_follow(p);
	if (p->vdev != from)
		note(p, p->vdev == p->hw, since, why);
	h.to_hw = p->vdev == p->hw;
	if (p->ports->ops.handed_over != NULL)
		p->ports->ops.handed_over(p->ports->ops_arg, p, &h);
	return rc;
}
