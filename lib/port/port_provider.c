/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"
#include "clock.h"
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_USE(port);

/* A guest that has come is soon seen by the network; until then what was kept does not go out. */
#define ARRIVAL_NS (500 * 1000 * 1000ULL)

void
ports_devices(struct ports *ps, const struct port_devices *devices)
{
	ps->devices = *devices;
}

void
port_provider_tell(struct port *p, const char *fmt, ...)
{
	char text[192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	LOG_RL(INFO, "%s: %s", p->opts.name, text);
	if (p->ports->ops.provider != NULL)
		p->ports->ops.provider(p->ports->ops_arg, p, text);
}

/* options */

static int
uplink_check(const struct ports *ps, const struct port_opts *o, char *why, size_t size)
{
	const struct port *up = port_find(ps, o->uplink);

	if (strcmp(o->uplink, o->name) == 0)
		return port_refuse(why, size, -EINVAL, "uplink: expected another port than \"%s\" "
				   "itself", o->name);
	if (up != NULL && up->opts.vdpa != NULL)
		return port_refuse(why, size, -EINVAL, "uplink: \"%s\" has a device itself, and "
				   "cannot stand for the wire of another", o->uplink);
	return 0;
}

int
port_provider_check(const struct ports *ps, const struct port_opts *o, char *why, size_t size)
{
	if (o->vdpa == NULL && o->provider != PORT_AUTO)
		return port_refuse(why, size, -EINVAL, "provider: a choice needs a device, and "
				   "\"vdpa\" names none");
	if (o->vdpa == NULL && o->uplink != NULL)
		return port_refuse(why, size, -EINVAL, "uplink: stands for the wire of a device, and "
				   "\"vdpa\" names none");
	if (o->vdpa != NULL && o->type != PORT_VHOST_USER)
		return port_refuse(why, size, -EINVAL, "vdpa: only a vhost-user port has rings for it");
	if (o->vdpa != NULL && o->vdpa[0] == '\0')
		return port_refuse(why, size, -EINVAL, "vdpa: expected the name of a device");
	for (uint32_t i = 0; o->vdpa != NULL && i < PORT_MAX; i++)
		if (ps->ports[i] != NULL && ps->ports[i]->opts.uplink != NULL &&
		    strcmp(ps->ports[i]->opts.uplink, o->name) == 0)
			return port_refuse(why, size, -EINVAL, "vdpa: \"%s\" is the uplink of \"%s\", "
					   "and cannot have a device itself", o->name,
					   ps->ports[i]->opts.name);
	return o->uplink == NULL ? 0 : uplink_check(ps, o, why, size);
}

void
port_provider_uplinks(struct ports *ps, const struct port *goes)
{
	for (uint32_t i = 0; i < PORT_MAX; i++) {
		struct port *p = ps->ports[i], *up;

		if (p == NULL || p->opts.uplink == NULL)
			continue;
		up = port_find(ps, p->opts.uplink);
		pthread_mutex_lock(&p->lock);
		atomic_store(&p->mover.uplink, up == NULL || up == goes ? PORT_NONE : up->number);
		if (atomic_load(&p->mover.elsewhere) != PORT_NONE)
			port_provider_follow(p);
		pthread_mutex_unlock(&p->lock);
	}
}

/* life */

static int
device_create(const struct port *p, char *why, size_t size, struct vdev **out)
{
	const struct vdpadev_opts opts = {
		.device = p->opts.vdpa, .port = p->number, .n_pairs_max = p->opts.n_queues,
		.mtu = p->opts.mtu, .cross = p->ports->cross,
	};
	char text[160] = "";
	int rc;

	if (p->ports->devices.create == NULL)
		return port_refuse(why, size, -ENOTSUP, "vdpa: this ferryd has no devices");
	rc = p->ports->devices.create(&opts, text, sizeof(text), out);
	return rc < 0 ? port_refuse(why, size, rc, "vdpa: %s", text) : 0;
}

int
port_provider_create(struct port *p, char *why, size_t size)
{
	struct port_mover *m = &p->mover;
	uint16_t n_pairs = p->opts.n_queues > 0 ? p->opts.n_queues : PORT_QUEUES_DEFAULT;
	int rc = p->opts.vdpa != NULL ? device_create(p, why, size, &p->hw) : 0;

	if (rc < 0)
		return rc;
	if (p->opts.vdpa != NULL)
		snprintf(m->device, sizeof(m->device), "%.*s", (int)strcspn(p->opts.vdpa, ","),
			 p->opts.vdpa);
	if (p->hw != NULL)
		n_pairs = RTE_MIN(n_pairs, p->hw->n_pairs_max);
	rc = swdev_create(p->ports->pool, p->number, n_pairs, p->stats, &p->sw);
	if (rc < 0)
		return port_refuse(why, size, rc, "%s: %s", p->opts.name, strerror(-rc));
	m->rings = calloc(2 * n_pairs, sizeof(*m->rings));
	m->pos = calloc(2 * n_pairs, sizeof(*m->pos));
	if (m->rings == NULL || m->pos == NULL)
		return port_refuse(why, size, -ENOMEM, "%s: out of memory", p->opts.name);
	p->vdev = p->sw;
	p->opts.n_queues = n_pairs;
	return 0;
}

void
port_provider_destroy(struct port *p)
{
	vdev_destroy(p->hw);
	vdev_destroy(p->sw);
	p->vdev = p->hw = p->sw = NULL;
	free(p->mover.rings);
	free(p->mover.pos);
	p->mover.rings = NULL;
	p->mover.pos = NULL;
}

/* choice */

static bool
begun(const struct vdev_ring *r)
{
	return r->started && r->pos.avail != 0;
}

static struct port_facts
facts_of(const struct port *p, bool guest)
{
	const struct port_mover *m = &p->mover;
	struct port_facts f = {
		.want = p->opts.provider, .device = p->opts.vdpa != NULL ? m->device : NULL,
		.failed = m->failed[0] != '\0' ? m->failed : NULL,
	};

	if (p->hw != NULL) {
		f.device_features = p->hw->features;
		f.device_pairs = p->hw->n_pairs_max;
		f.can_log = p->hw->can_log;
		f.any_position = p->hw->any_position;
	}
	if (!guest)
		return f;
	f.features = m->cfg.features;
	f.logged = m->cfg.log != NULL;
	f.kept = !p->opts.no_park && atomic_load(&m->uplink) != PORT_NONE;
	f.arriving = m->arriving;
	f.refused = m->refused[0] != '\0' ? m->refused : NULL;
	for (uint16_t i = 0; i < m->cfg.n_rings; i++) {
		f.begun |= begun(&m->rings[i]);
		if (m->rings[i].started)
			f.n_pairs = i / 2 + 1;
		f.half |= m->rings[i].started != m->rings[i ^ 1].started;
	}
	return f;
}

/* A device that runs the rings takes them at any position that it has brought them to. */
static struct vdev *
choose(struct port *p, bool guest)
{
	struct port_provider_info *info = &p->mover.info;
	struct port_facts f = facts_of(p, guest);

	if (p->running && p->vdev == p->hw)
		f.begun = false;
	info->hw = port_choose(&f, info->why, sizeof(info->why));
	return info->hw ? p->hw : p->sw;
}

/* run */

static void
cfg_keep(struct port *p, const struct vdev_cfg *cfg)
{
	struct port_mover *m = &p->mover;

	m->cfg = *cfg;
	m->cfg.rings = m->rings;
	memcpy(m->rings, cfg->rings, cfg->n_rings * sizeof(*m->rings));
	m->refused[0] = '\0';
	for (uint16_t i = 0; i < cfg->n_rings; i++)
		if (begun(&m->rings[i]) && m->rings[i].told) {
			m->arriving = true;
			m->arrived_ns = clock_ns();
		}
}

static void
refusal_note(struct port *p, int rc)
{
	snprintf(p->mover.refused, sizeof(p->mover.refused), "%s", strerror(-rc));
	port_provider_tell(p, "%s did not take the rings: %s", p->mover.device, strerror(-rc));
}

int
port_provider_run(struct port *p, const struct vdev_cfg *cfg)
{
	struct vdev *before = p->vdev, *dev;
	int rc;

	cfg_keep(p, cfg);
	dev = choose(p, true);
	rc = port_rings_start(p, dev);
	if (rc < 0 && dev != p->sw) {
		refusal_note(p, rc);
		rc = port_rings_start(p, choose(p, true));
	}
	if (rc < 0)
		return rc;
	vdev_kick_all(p->vdev);
	if (p->opts.vdpa != NULL)
		port_provider_follow(p);
	if (p->vdev != before)
		port_provider_tell(p, "rings are moved by %s: %s", p->vdev == p->hw ? p->mover.device :
				   "software", p->mover.info.why);
	return 0;
}

void
port_provider_quiesce(struct port *p, struct vring_pos *pos)
{
	struct port_mover *m = &p->mover;

	if (p->running)
		port_rings_stop(p);
	for (uint16_t i = 0; m->halted && i < m->cfg.n_rings; i++)
		if (m->rings[i].started)
			pos[i] = m->rings[i].pos;
	m->halted = false;
}

int
port_provider_ring_set(struct port *p, uint16_t qid, const struct vdev_ring_set *how)
{
	struct vdev_ring *r = &p->mover.rings[qid];
	int rc = p->running ? vdev_ring_set(p->vdev, qid, how) : 0;

	if (rc < 0 || qid >= p->mover.cfg.n_rings)
		return rc;
	r->enabled = how->enabled;
	r->kickfd = how->kickfd;
	r->callfd = how->callfd;
	return 0;
}

/* Before the return every write is logged, or nobody writes. */
int
port_provider_log_set(struct port *p, const struct dirty *log)
{
	struct port_mover *m = &p->mover;
	const struct event ev = { .kind = EVENT_PROVIDER, .port = p->number };
	int rc = 0;

	if (!p->running)
		return 0;
	m->cfg.log = log;
	if (p->vdev == p->sw || choose(p, true) == p->vdev)
		rc = vdev_log_set(p->vdev, log);
	if (rc < 0 && p->vdev == p->hw)
		refusal_note(p, rc);
	if (p->vdev == p->hw && choose(p, true) == p->sw)
		return port_handover(p, p->sw, m->info.why);
	if (log == NULL && p->hw != NULL)
		event_send(p->ports->cross, &ev); /* the way back is control's */
	return rc;
}

/* control */

static void
failure_look(struct port *p)
{
	const char *failed = p->hw != NULL ? p->ports->devices.failed(p->hw) : NULL;

	if (failed == NULL || p->mover.failed[0] != '\0')
		return;
	snprintf(p->mover.failed, sizeof(p->mover.failed), "%s", failed);
	p->mover.info.failed = true;
	port_provider_tell(p, "%s failed: %s", p->mover.device, failed);
}

/* A device that finds a ring bad says so when it is asked. */
static void
bad_look(const struct port *p)
{
	struct vdev_ring_stats st;

	for (uint16_t i = 0; p->running && p->vdev == p->hw && i < p->mover.cfg.n_rings; i++)
		vdev_stats(p->vdev, i, &st);
}

static void
arrival_look(struct port *p)
{
	struct port_mover *m = &p->mover;
	const struct ports *ps = p->ports;

	if (!m->arriving || clock_ns() - m->arrived_ns < ARRIVAL_NS)
		return;
	m->arriving = ps->ops.awaited != NULL && ps->ops.awaited(ps->ops_arg, p);
}

static int
look(struct port *p)
{
	struct vdev *dev;
	char why[sizeof(p->mover.info.why)];
	int rc = 0;

	failure_look(p);
	bad_look(p);
	arrival_look(p);
	dev = choose(p, p->running);
	if (!p->running || dev == p->vdev)
		return 0;
	memcpy(why, p->mover.info.why, sizeof(why));
	rc = port_handover(p, dev, why);
	if (rc < 0 && dev == p->hw)
		refusal_note(p, rc);
	choose(p, true);
	if (p->mover.halted)
		session_break(p->session, "nobody can go on with the rings");
	return rc;
}

void
port_provider_look(struct ports *ps, struct port *p)
{
	if (p->opts.vdpa == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	look(p);
	pthread_mutex_unlock(&p->lock);
}

/* A device that failed is made anew: what it was is gone, and the rings are in software. */
static int
device_renew(struct port *p, char *why, size_t size)
{
	struct vdev *old, *dev = NULL;
	int rc;

	pthread_mutex_lock(&p->lock);
	look(p);
	old = p->mover.failed[0] != '\0' && p->vdev == p->sw ? p->hw : NULL;
	if (old != NULL)
		p->hw = NULL;
	rc = p->hw != NULL ? 0 : -ENODEV;
	pthread_mutex_unlock(&p->lock);
	vdev_destroy(old);
	if (rc == 0)
		return 0;
	rc = device_create(p, why, size, &dev);
	pthread_mutex_lock(&p->lock);
	p->hw = dev;
	p->mover.info.failed = rc < 0;
	snprintf(p->mover.failed, sizeof(p->mover.failed), "%s", rc < 0 ? why : "");
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int
port_provider_set(struct ports *ps, struct port *p, enum port_want want, char *why, size_t size)
{
	int rc;

	if (p->opts.vdpa == NULL)
		return port_refuse(why, size, -EINVAL, "%s has no device", p->opts.name);
	p->opts.provider = want;
	rc = want == PORT_HW ? device_renew(p, why, size) : 0;
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&p->lock);
	p->mover.refused[0] = '\0';
	rc = look(p);
	if (want == PORT_HW && rc == 0 && !p->mover.info.hw)
		rc = -ENOTSUP;
	if (rc < 0)
		port_refuse(why, size, rc, "%s", p->mover.info.why);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

void
port_provider_info(struct port *p, struct port_provider_info *out)
{
	pthread_mutex_lock(&p->lock);
	*out = p->mover.info;
	out->device = p->opts.vdpa;
	out->uplink = atomic_load(&p->mover.uplink);
	if (p->running)
		out->hw = p->vdev == p->hw && p->hw != NULL;
	pthread_mutex_unlock(&p->lock);
}

uint16_t
port_elsewhere(const struct port *p)
{
	return atomic_load(&p->mover.elsewhere);
}

bool
port_device_mac(struct port *p, struct rte_ether_addr *out)
{
	struct vdpadev_info info = { .has_mac = false };

	pthread_mutex_lock(&p->lock);
	if (p->hw != NULL && p->ports->devices.info != NULL)
		p->ports->devices.info(p->hw, &info);
	pthread_mutex_unlock(&p->lock);
	memcpy(out, info.mac, sizeof(*out));
	return info.has_mac && rte_is_valid_assigned_ether_addr(out);
}

bool
port_device_stats_next(struct port *p, uint16_t qid, uint32_t *iter, struct vdpadev_stat *out)
{
	bool found = false;

	pthread_mutex_lock(&p->lock);
	if (p->hw != NULL && p->ports->devices.stats_next != NULL)
		found = p->ports->devices.stats_next(p->hw, qid, iter, out);
	pthread_mutex_unlock(&p->lock);
	return found;
}
