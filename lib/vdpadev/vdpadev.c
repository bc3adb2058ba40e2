/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "vdpadev_impl.h"
#include "call.h"
#include "event.h"
#include "vdpa_abi.h"

#include <rte_version.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

LOG_USE(vdpadev);
LOG_REGISTER(vdpadev);

#define LOG_ALL (1ULL << VHOST_F_LOG_ALL)

static const struct rte_vdpa_dev_ops *
driver(const struct vdpadev *d)
{
	return d->device->ops;
}

int
vdpadev_init(void)
{
	if (rte_version_year() != RTE_VER_YEAR || rte_version_month() != RTE_VER_MONTH) {
		LOG(ERR, "vDPA: built for DPDK %u.%02u, running with %u.%02u", RTE_VER_YEAR,
		    RTE_VER_MONTH, rte_version_year(), rte_version_month());
		return -ENOTSUP;
	}
	return vdpadev_vid_check();
}

static void
guest_forget(struct vdpadev *d)
{
	pthread_mutex_lock(&d->lock);
	for (uint16_t i = 0; i < d->n_rings; i++)
		vdpadev_ring_fini(&d->rings[i]);
	d->bound = false;
	d->mem = NULL;
	d->log = NULL;
	d->n_rings = 0;
	pthread_mutex_unlock(&d->lock);
}

/* From here on the driver's questions are answered. */
static int
guest_take(struct vdpadev *d, const struct vdev_cfg *cfg)
{
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	d->mem = cfg->mem;
	d->log = cfg->log;
	d->features = cfg->features | (cfg->log != NULL ? LOG_ALL : 0);
	d->packed = (cfg->features >> VIRTIO_F_RING_PACKED & 1) != 0;
	d->n_rings = cfg->n_rings;
	for (uint16_t i = 0; rc == 0 && i < cfg->n_rings; i++)
		if (cfg->rings[i].started)
			rc = vdpadev_ring_init(d, i, cfg);
	d->bound = rc == 0;
	pthread_mutex_unlock(&d->lock);
	if (rc < 0)
		guest_forget(d);
	return rc;
}

static bool
any_live(const struct vdpadev *d)
{
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].live)
			return true;
	return false;
}

/* What the driver knows of enabled rings outlives a configuration. */
static void
states_set(struct vdpadev *d, bool on)
{
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].live && d->rings[i].said.enabled)
			driver(d)->set_vring_state(d->vid, i, on);
}

static void
rings_arm(struct vdpadev *d, uint32_t *saved)
{
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].live)
			saved[i] = vdpadev_ring_arm(d, &d->rings[i]);
}

static void
rings_unarm(struct vdpadev *d, const uint32_t *saved)
{
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].live)
			vdpadev_ring_unarm(d, &d->rings[i], saved[i]);
}

static void
counts_read(struct vdpadev *d)
{
	struct vdpadev_told told;

	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].said.started)
			vdpadev_counts_read(d, i, &told);
}

/* As librte_vhost calls a driver for a connection that is ready. */
static int
device_configure(struct vdpadev *d)
{
	uint32_t saved[VDEV_RINGS_MAX];
	int rc;

	if (!any_live(d))
		return 0;
	rings_arm(d, saved);
	states_set(d, true);
	rc = driver(d)->set_features(d->vid);
	if (rc == 0)
		rc = driver(d)->dev_conf(d->vid);
	d->used = true;
	d->configured = rc == 0;
	if (rc == 0)
		return 0;
	driver(d)->dev_close(d->vid);
	states_set(d, false);
	rings_unarm(d, saved);
	LOG_RL(ERR, "%s: driver does not take the guest's rings: %d (its own lines above say why)",
	       d->name, rc);
	return atomic_load(&d->failed) != NULL ? -ENODEV : -ENOTSUP;
}

/* The device lets go; positions are in the rings' records afterwards. */
static void
device_close(struct vdpadev *d)
{
	if (!d->configured)
		return;
	counts_read(d);
	if (driver(d)->dev_close(d->vid) != 0)
		LOG_RL(ERR, "%s: driver says that it has not closed the device", d->name);
	d->configured = false;
	counts_read(d);
	states_set(d, false);
	pthread_mutex_lock(&d->lock);
	for (uint16_t i = 0; i < d->n_rings; i++) {
		struct vdpadev_ring *r = &d->rings[i];

		if (!r->live)
			continue;
		if (!r->stored && d->packed)
			LOG_RL(ERR, "%s: ring %u: driver does not tell the position", d->name, i);
		r->said.pos = vdpadev_ring_pos(d, r);
		r->stored = false;
		vdpadev_ring_mark(d, r);
	}
	pthread_mutex_unlock(&d->lock);
}

static int
vdpadev_start(struct vdev *dev, const struct vdev_cfg *cfg)
{
	struct vdpadev *d = vdpadev_of(dev);
	int rc;

	if (d->bound)
		return -EBUSY;
	if (atomic_load(&d->failed) != NULL)
		return -ENODEV;
	if ((cfg->features & ~dev->features) != 0 || (cfg->log != NULL && !dev->can_log))
		return -ENOTSUP;
	rc = guest_take(d, cfg);
	if (rc == 0)
		rc = device_configure(d);
	if (rc < 0) {
		guest_forget(d);
		return rc;
	}
	for (uint16_t i = 0; i < d->n_rings; i++) {
		struct vdpadev_ring *r = &d->rings[i];
		struct vdpadev_told told;

		if (!r->said.started)
			continue;
		vdpadev_counts_read(d, i, &told);
		r->start_chains = told.counts[0];
		vdpadev_bad_report(d, i);
	}
	return 0;
}

static void
vdpadev_stop(struct vdev *dev, struct vring_pos *pos)
{
	struct vdpadev *d = vdpadev_of(dev);

	device_close(d);
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].said.started)
			pos[i] = d->rings[i].said.pos;
	guest_forget(d);
}

static void
kick_all(struct vdev *dev)
{
	struct vdpadev *d = vdpadev_of(dev);

	for (uint16_t i = 0; i < d->n_rings; i++) {
		if (!d->rings[i].said.started)
			continue;
		call_send(d->rings[i].said.kickfd);
		call_send(d->rings[i].said.callfd);
	}
}

/* A driver that cannot change something under way does so between a stop and a start. */
static int
restart(struct vdpadev *d, const struct dirty *log)
{
	int rc;

	device_close(d);
	pthread_mutex_lock(&d->lock);
	d->log = log;
	d->features = (d->features & ~LOG_ALL) | (log != NULL ? LOG_ALL : 0);
	pthread_mutex_unlock(&d->lock);
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].live)
			vdpadev_ring_move(&d->rings[i], log);
	rc = device_configure(d);
	if (rc == 0) {
		kick_all(&d->vdev);
		return 0;
	}
	vdpadev_fail(d, "restart");
	return rc;
}

static int
vdpadev_ring_set(struct vdev *dev, uint16_t qid, const struct vdev_ring_set *how)
{
	struct vdpadev *d = vdpadev_of(dev);
	struct vdpadev_ring *r = &d->rings[qid];
	bool was;
	int rc = 0;

	if (qid >= d->n_rings || !r->said.started)
		return -ERANGE;
	pthread_mutex_lock(&d->lock);
	was = r->said.enabled;
	r->said.enabled = how->enabled;
	r->said.kickfd = how->kickfd;
	r->said.callfd = how->callfd;
	pthread_mutex_unlock(&d->lock);
	if (!d->configured || !r->live)
		return 0;
	/* As librte_vhost does, but for a driver that would take the ring to be disabled meanwhile. */
	if (was && how->enabled && !d->attentive)
		rc = driver(d)->set_vring_state(d->vid, qid, 0);
	if (rc == 0)
		rc = driver(d)->set_vring_state(d->vid, qid, how->enabled);
	if (rc != 0)
		LOG_RL(WARNING, "%s: ring %u: driver does not take its change: %d; starting all rings again",
		       d->name, qid, rc);
	return rc != 0 ? restart(d, d->log) : 0;
}

/*
 * Switched on under way: which every driver that logs does.  Off, or to another log, is more than
 * drivers promise: the device begins again.
 */
static int
vdpadev_log_set(struct vdev *dev, const struct dirty *log)
{
	struct vdpadev *d = vdpadev_of(dev);
	int rc = 0;

	if (!d->bound || log == d->log)
		return 0;
	if (!d->configured || d->log != NULL)
		return restart(d, log);
	pthread_mutex_lock(&d->lock);
	d->log = log;
	d->features |= LOG_ALL;
	pthread_mutex_unlock(&d->lock);
	rc = driver(d)->set_features(d->vid);
	if (rc == 0)
		return 0;
	LOG_RL(WARNING, "%s: driver does not log: %d", d->name, rc);
	pthread_mutex_lock(&d->lock);
	d->log = NULL;
	d->features &= ~LOG_ALL;
	pthread_mutex_unlock(&d->lock);
	return -ENOTSUP;
}

static void
destroy(struct vdev *dev)
{
	vdpadev_destroy(vdpadev_of(dev));
}

const struct vdev_ops vdpadev_ops = {
	.start = vdpadev_start,
	.stop = vdpadev_stop,
	.ring_set = vdpadev_ring_set,
	.log_set = vdpadev_log_set,
	.kick_all = kick_all,
	.stats = vdpadev_stats,
	.destroy = destroy,
};
