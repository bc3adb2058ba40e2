/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"
#include "log.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

LOG_USE(port);

/* Descriptors: of a port its socket and its front-end's connection, of a ring's kick and call the
 * library's and ours each; and what the process has besides. */
#define FDS_PORT  2
#define FDS_PAIR  8
#define FDS_OTHER 128

static uint64_t
first_of(uint64_t a, uint64_t b)
{
	return a == 0 ? b : RTE_MIN(a, b);
}

/* A ring that is stopped no longer says what it has counted. */
void
port_log_info_fold(struct port *p)
{
	struct port_log_info *sum = &p->log_info[p->vdev == p->hw && p->hw != NULL];
	struct port_log_info now = { 0 };
	struct vdev_ring_stats st;

	for (uint16_t i = 0; i < 2 * p->opts.n_queues; i++) {
		if (vdev_stats(p->vdev, i, &st) < 0)
			continue;
		now.pages += st.pages;
		now.rounds = RTE_MAX(now.rounds, st.rounds);
		if (st.first != 0 && i % 2 == 0)
			now.first_receive = first_of(now.first_receive, st.first);
		if (st.first != 0 && i % 2 == 1)
			now.first_transmit = first_of(now.first_transmit, st.first);
	}
	sum->pages = RTE_MAX(sum->pages, now.pages);
	sum->rounds = RTE_MAX(sum->rounds, now.rounds);
	if (now.first_receive != 0)
		sum->first_receive = now.first_receive;
	if (now.first_transmit != 0)
		sum->first_transmit = now.first_transmit;
}

void
port_log_info(struct port *p, struct port_log_info *out)
{
	const struct port_log_info *sw = &p->log_info[0], *hw = &p->log_info[1];

	pthread_mutex_lock(&p->lock);
	if (p->running)
		port_log_info_fold(p);
	out->pages = sw->pages + hw->pages;
	out->rounds = sw->rounds + hw->rounds;
	out->first_receive = RTE_MAX(sw->first_receive, hw->first_receive);
	out->first_transmit = RTE_MAX(sw->first_transmit, hw->first_transmit);
	pthread_mutex_unlock(&p->lock);
}

static void
on_quiesce(void *owner, struct vring_pos *pos)
{
	port_provider_quiesce(owner, pos);
}

static void
logging_set(struct port *p, bool on)
{
	if (p->logging == on)
		return;
	p->logging = on;
	if (p->ports->ops.logging != NULL)
		p->ports->ops.logging(p->ports->ops_arg, p, on);
}

static int
on_run(void *owner, const struct vdev_cfg *cfg)
{
	struct port *p = owner;
	int rc;

	p->features = cfg->features;
	rc = port_provider_run(p, cfg);
	if (rc < 0) {
		LOG_RL(ERR, "%s: cannot run the rings: %s", p->opts.name, strerror(-rc));
		return rc;
	}
	logging_set(p, cfg->log != NULL);
	return 0;
}

static int
on_ring_set(void *owner, uint16_t qid, const struct vdev_ring_set *how)
{
	return port_provider_ring_set(owner, qid, how);
}

static int
on_log_set(void *owner, const struct dirty *log)
{
	struct port *p = owner;

	if (!p->running)
		return 0;
	logging_set(p, log != NULL);
	return port_provider_log_set(p, log);
}

static void
on_leaving(void *owner, uint64_t features, uint16_t n_rx)
{
	struct port *p = owner;

	if (p->ports->ops.leaving != NULL)
		p->ports->ops.leaving(p->ports->ops_arg, p, features, n_rx);
}

static void
on_arrived(void *owner, uint64_t features, bool restored)
{
	struct port *p = owner;

	if (p->ports->ops.arrived != NULL)
		p->ports->ops.arrived(p->ports->ops_arg, p, features, restored);
}

static void
on_announce(void *owner, const struct rte_ether_addr *mac)
{
	struct port *p = owner;

	if (p->ports->ops.announce != NULL)
		p->ports->ops.announce(p->ports->ops_arg, p, mac, p->features);
}

static void
on_moment(void *owner, enum moment moment, uint64_t value)
{
	const struct port *p = owner;

	moment_send(p->ports->cross, p->number, moment, value);
}

static void
on_changed(void *owner)
{
	struct port *p = owner;

	if (!session_connected(p->session)) {
		logging_set(p, false);
		atomic_store(&p->mover.elsewhere, PORT_NONE);
	}
	if (p->ports->ops.changed != NULL)
		p->ports->ops.changed(p->ports->ops_arg, p);
}

static const struct session_ops session_ops = {
	.quiesce = on_quiesce,
	.run = on_run,
	.ring_set = on_ring_set,
	.log_set = on_log_set,
	.leaving = on_leaving,
	.arrived = on_arrived,
	.announce = on_announce,
	.moment = on_moment,
	.changed = on_changed,
};

static unsigned long long
fds_limit(void)
{
	struct rlimit r = { .rlim_cur = RLIM_INFINITY };

	getrlimit(RLIMIT_NOFILE, &r);
	return r.rlim_cur;
}

/* A guest that brings more eventfds than there is room for is disconnected, late and far away. */
static void
fds_judge(const struct ports *ps)
{
	unsigned long long most = FDS_OTHER, limit = fds_limit();

	for (uint32_t i = 0; i < PORT_MAX; i++)
		if (ps->ports[i] != NULL && ps->ports[i]->opts.type == PORT_VHOST_USER)
			most += FDS_PORT + FDS_PAIR * ps->ports[i]->opts.n_queues;
	if (most > limit)
		LOG_RL(WARNING, "ports may need %llu file descriptors when their guests use all "
		       "queues, and the limit is %llu: raise it (LimitNOFILE= of the unit, "
		       "ulimit -n), or give ports fewer queues", most, limit);
}

static int
session_refused(const struct port *p, int rc, char *why, size_t size)
{
	const char *path = p->opts.socket;

	switch (rc) {
	case -EADDRINUSE:
		return port_refuse(why, size, rc, "%s: a live process answers on this socket", path);
	case -ENOENT:
		return port_refuse(why, size, rc, "%s: the folder does not exist, make it first", path);
	case -EEXIST:
		return port_refuse(why, size, rc, "%s: exists and is no socket, ferryd does not "
				   "replace it", path);
	case -EMFILE:
		return port_refuse(why, size, rc, "%s: no file descriptor is left of %llu: raise "
				   "the limit (LimitNOFILE= of the unit, ulimit -n)", path,
				   fds_limit());
	case -ENAMETOOLONG:
		return port_refuse(why, size, rc, "%s: longer than a socket's path may be", path);
	}
	return port_refuse(why, size, rc, "%s: %s", path, strerror(-rc));
}

/* What the guest negotiates, whoever moves its rings can do. */
static uint64_t
features_offered(const struct port *p)
{
	uint64_t device = p->hw != NULL ? port_features_moved(~p->hw->features) : 0;

	return p->sw->features & ~device;
}

int
port_vhost_start(struct port *p, char *why, size_t size)
{
	struct session_opts opts = {
		.path = p->opts.socket, .client = p->opts.client, .port = p->number,
		.name = p->opts.name, .mtu = p->opts.mtu, .mode = p->opts.mode, .group = p->opts.gid,
		.lock = &p->lock, .ops = &session_ops, .owner = p,
	};
	int rc = port_provider_create(p, why, size);

	if (rc < 0)
		return rc;
	for (uint16_t q = 0; q < p->opts.n_workers; q++)
		if (p->opts.workers[q] != PORT_WORKER_NONE)
			swdev_move(p->sw, 2 * q + 1, p->opts.workers[q]);
	opts.n_pairs_max = p->opts.n_queues;
	opts.features = features_offered(p);
	opts.can_log = p->sw->can_log;
	rc = session_create(&opts, &p->session);
	if (rc < 0)
		return session_refused(p, rc, why, size);
	fds_judge(p->ports);
	return 0;
}

void
port_vhost_stop(struct port *p)
{
	session_destroy(p->session);
	p->session = NULL;
	port_provider_destroy(p);
}
