/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"
#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_REGISTER(port);
LOG_USE(port);

/* Two cables to one network melt it unless they do not hear each other. */
#define GROUP_UPLINK "uplink"

#define PAYLOAD_MAX 65535

int
port_refuse(char *why, size_t size, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return rc;
}

int
ports_create(struct cross *x, struct swdev_pool *pool, const struct port_ops *ops, void *arg,
	     struct ports **out)
{
	struct ports *ps = calloc(1, sizeof(*ps));
	int rc;

	if (ps == NULL)
		return -ENOMEM;
	ps->cross = x;
	ps->pool = pool;
	ps->ops = *ops;
	ps->ops_arg = arg;
	rc = port_view_publish(ps);
	if (rc < 0) {
		free(ps);
		return rc;
	}
	*out = ps;
	return 0;
}

void
ports_destroy(struct ports *ps)
{
	if (ps == NULL)
		return;
	for (uint32_t i = 0; i < PORT_MAX; i++)
		if (ps->ports[i] != NULL)
			port_del(ps, ps->ports[i]);
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		free(ps->groups[i]);
	port_view_destroy(ps->view);
	free(ps);
}

/* Groups are never forgotten: their names are few and their numbers stay what they were. */
static int
group_number(struct ports *ps, const char *name)
{
	uint32_t i;

	if (name == NULL || name[0] == '\0')
		return 0;
	for (i = 1; i < GROUPS_MAX && ps->groups[i] != NULL; i++)
		if (strcmp(ps->groups[i], name) == 0)
			return (int)i;
	if (i == GROUPS_MAX)
		return -ENOSPC;
	ps->groups[i] = strdup(name);
	return ps->groups[i] == NULL ? -ENOMEM : (int)i;
}

static bool
name_valid(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= PORT_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && strchr("-_.", name[i]) == NULL)
			return false;
	return true;
}

static int
workers_check(const struct ports *ps, const struct port_opts *o, uint16_t n_queues, char *why,
	      size_t size)
{
	uint32_t n = cross_n_workers(ps->cross);

	if (o->n_workers > n_queues)
		return port_refuse(why, size, -EINVAL, "workers: expected at most %u, one for each "
				   "queue, not %u", n_queues, o->n_workers);
	for (uint16_t q = 0; q < o->n_workers; q++)
		if (o->workers[q] != PORT_WORKER_NONE && o->workers[q] >= n)
			return port_refuse(why, size, -EINVAL, "workers: expected 0 to %u, not %u",
					   n - 1, o->workers[q]);
	return 0;
}

/* Of a device it is not known before it is open how many queues it has. */
static uint16_t
queues_most(const struct port_opts *o)
{
	if (o->n_queues > 0)
		return o->n_queues;
	return o->type == PORT_VHOST_USER ? PORT_QUEUES_DEFAULT : PORT_QUEUES_MAX;
}

static int
opts_check(const struct ports *ps, const struct port_opts *o, char *why, size_t size)
{
	bool vhost = o->type == PORT_VHOST_USER;
	int rc;

	if (o->name == NULL || !name_valid(o->name))
		return port_refuse(why, size, -EINVAL,
				   "name: expected 1 to %d letters, digits, '-', '_' or '.', not \"%s\"",
				   PORT_NAME_MAX - 1, o->name != NULL ? o->name : "");
	if (port_find(ps, o->name) != NULL)
		return port_refuse(why, size, -EEXIST, "name: there is a port \"%s\" already", o->name);
	if (vhost && (o->socket == NULL || o->socket[0] == '\0'))
		return port_refuse(why, size, -EINVAL, "socket: a vhost-user port needs a path");
	if (!vhost && (o->devargs == NULL || o->devargs[0] == '\0'))
		return port_refuse(why, size, -EINVAL, "devargs: an ethdev port needs a device");
	if (o->n_queues > PORT_QUEUES_MAX)
		return port_refuse(why, size, -EINVAL, "queues: expected 1 to %d, not %u",
				   PORT_QUEUES_MAX, o->n_queues);
	for (uint32_t i = 0; vhost && i < PORT_MAX; i++)
		if (ps->ports[i] != NULL && ps->ports[i]->opts.socket != NULL &&
		    strcmp(ps->ports[i]->opts.socket, o->socket) == 0)
			return port_refuse(why, size, -EEXIST, "socket: port \"%s\" has %s already",
					   ps->ports[i]->opts.name, o->socket);
	rc = port_provider_check(ps, o, why, size);
	return rc < 0 ? rc : workers_check(ps, o, queues_most(o), why, size);
}

static char *
copy(const char *s)
{
	return s != NULL ? strdup(s) : NULL;
}

static void
opts_free(struct port_opts *o)
{
	free((char *)(uintptr_t)o->name);
	free((char *)(uintptr_t)o->socket);
	free((char *)(uintptr_t)o->devargs);
	free((char *)(uintptr_t)o->group);
	free((char *)(uintptr_t)o->vdpa);
	free((char *)(uintptr_t)o->uplink);
}

static int
opts_copy(struct port_opts *to, const struct port_opts *from)
{
	const char *group = from->group;

	if (group == NULL && from->type == PORT_ETHDEV)
		group = GROUP_UPLINK;
	*to = *from;
	to->name = copy(from->name);
	to->socket = copy(from->socket);
	to->devargs = copy(from->devargs);
	to->group = copy(group);
	to->vdpa = copy(from->vdpa);
	to->uplink = copy(from->uplink);
	if ((from->vdpa != NULL && to->vdpa == NULL) ||
	    (from->uplink != NULL && to->uplink == NULL))
		return -ENOMEM;
	if (to->name == NULL || (from->socket != NULL && to->socket == NULL) ||
	    (from->devargs != NULL && to->devargs == NULL) || (group != NULL && to->group == NULL))
		return -ENOMEM;
	return 0;
}

/* Frees what is left of a port that no worker sees. */
static void
port_destroy(struct port *p)
{
	port_vhost_stop(p);
	port_eth_close(p->eth);
	stats_destroy(p->stats);
	opts_free(&p->opts);
	pthread_mutex_destroy(&p->lock);
	free(p->live);
	free(p->bare);
	free(p);
}

static int
number_find(const struct ports *ps)
{
	for (int i = 0; i < PORT_MAX; i++)
		if (ps->ports[i] == NULL)
			return i;
	return -ENOSPC;
}

static int
port_create(struct ports *ps, const struct port_opts *opts, struct port **out)
{
	int number = number_find(ps), group = group_number(ps, opts->group);
	struct port *p;
	int rc;

	if (number < 0 || group < 0)
		return number < 0 ? number : group;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->ports = ps;
	p->number = (uint16_t)number;
	p->id = ++ps->last_id;
	pthread_mutex_init(&p->lock, NULL);
	atomic_init(&p->mover.uplink, PORT_NONE);
	atomic_init(&p->mover.elsewhere, PORT_NONE);
	rc = opts_copy(&p->opts, opts);
	if (rc == 0)
		rc = group = group_number(ps, p->opts.group);
	if (rc >= 0)
		rc = stats_create(cross_n_workers(ps->cross) + 1, &p->stats);
	if (rc < 0) {
		port_destroy(p);
		return rc;
	}
	p->group = (uint16_t)group;
	*out = p;
	return 0;
}

static uint16_t
port_mtu(const struct port *p)
{
	uint16_t mtu = p->eth != NULL ? p->eth->mtu : p->opts.mtu;

	return mtu > 0 ? mtu : PAYLOAD_MAX;
}

static int
live_create(struct port *p)
{
	p->live = calloc(1, sizeof(*p->live));
	if (p->live == NULL)
		return -ENOMEM;
	p->live->number = p->number;
	p->live->group = p->group;
	p->live->id = p->id;
	p->live->type = p->opts.type;
	p->live->frame_max = (uint32_t)port_mtu(p) + RTE_ETHER_HDR_LEN;
	p->live->stats = p->stats;
	if (p->opts.vdpa != NULL)
		p->live->elsewhere = &p->mover.elsewhere;
	if (p->eth == NULL)
		return 0;
	p->bare = malloc(sizeof(*p->bare));
	if (p->bare == NULL)
		return -ENOMEM;
	*p->bare = *p->live;
	p->live->eth_id = p->eth->id;
	p->live->n_txq = p->eth->n_txq;
	p->live->txqs = p->eth->txqs;
	p->live->eth_tx_offloads = p->eth->tx_offloads;
	p->live->pool = p->eth->pool;
	return 0;
}

static int
port_show_workers(struct port *p)
{
	int rc = live_create(p);

	if (rc < 0)
		return rc;
	p->ports->ports[p->number] = p;
	rc = port_view_publish(p->ports);
	if (rc < 0) {
		p->ports->ports[p->number] = NULL;
		return rc;
	}
	for (uint16_t q = 0; p->eth != NULL && q < p->eth->n_rxq; q++)
		port_eth_watch(p->ports, p->eth, q, true);
	return 0;
}

/* Without memory for a view the old one stays; memory comes back. */
static void
publish_at_last(struct ports *ps)
{
	while (port_view_publish(ps) < 0)
		rte_delay_us_sleep(1000);
}

static void
port_hide(struct port *p)
{
	if (p->eth != NULL)
		port_eth_unwatch(p->ports, p->eth);
	p->ports->ports[p->number] = NULL;
	publish_at_last(p->ports);
}

/*
 * Workers see a port before its session takes connections: the rings of a front-end that is quick
 * never belong to a port that is not there.
 */
static int
port_start(struct port *p, char *why, size_t size)
{
	int rc = 0;

	if (p->opts.type == PORT_ETHDEV)
		rc = port_eth_open(p, why, size, &p->eth);
	if (rc < 0)
		return rc;
	rc = port_show_workers(p);
	if (rc < 0)
		return port_refuse(why, size, rc, "%s: %s", p->opts.name, strerror(-rc));
	if (p->opts.type == PORT_VHOST_USER)
		rc = port_vhost_start(p, why, size);
	if (rc < 0)
		port_hide(p);
	return rc;
}

int
port_add(struct ports *ps, const struct port_opts *opts, char *why, size_t why_size,
	 struct port **out)
{
	struct port *p;
	int rc = opts_check(ps, opts, why, why_size);

	if (rc < 0)
		return rc;
	rc = port_create(ps, opts, &p);
	if (rc < 0)
		return port_refuse(why, why_size, rc, rc == -ENOSPC ?
				   "there are %d ports, or %d groups, already: remove one" :
				   "out of memory", PORT_MAX, GROUPS_MAX);
	rc = port_start(p, why, why_size);
	if (rc < 0) {
		port_destroy(p);
		return rc;
	}
	port_provider_uplinks(ps, NULL);
	LOG(INFO, "%s: added, port %u", p->opts.name, p->number);
	if (ps->ops.added != NULL)
		ps->ops.added(ps->ops_arg, p);
	if (out != NULL)
		*out = p;
	return 0;
}

void
port_del(struct ports *ps, struct port *p)
{
	LOG(INFO, "%s: removed", p->opts.name);
	port_provider_uplinks(ps, p);
	port_vhost_stop(p);
	port_hide(p);
	if (ps->ops.removed != NULL)
		ps->ops.removed(ps->ops_arg, p);
	port_destroy(p);
}

struct port *
port_find(const struct ports *ps, const char *name)
{
	for (uint32_t i = 0; i < PORT_MAX; i++)
		if (ps->ports[i] != NULL && strcmp(ps->ports[i]->opts.name, name) == 0)
			return ps->ports[i];
	return NULL;
}

struct port *
port_by_number(const struct ports *ps, uint16_t number)
{
	return number < PORT_MAX ? ps->ports[number] : NULL;
}

struct port *
port_next(const struct ports *ps, uint32_t *iter)
{
	while (*iter < PORT_MAX) {
		struct port *p = ps->ports[(*iter)++];

		if (p != NULL)
			return p;
	}
	return NULL;
}

const char *
port_name(const struct port *p)
{
	return p->opts.name;
}

uint16_t
port_number(const struct port *p)
{
	return p->number;
}

uint32_t
port_id(const struct port *p)
{
	return p->id;
}

const struct port_opts *
port_opts(const struct port *p)
{
	return &p->opts;
}

void
port_device_gone(struct ports *ps, struct port *p)
{
	struct port_live *whole = p->live;

	if (p->eth == NULL || !atomic_load(&p->eth->gone) || p->eth->hidden)
		return;
	port_eth_unwatch(ps, p->eth);
	p->eth->hidden = true;
	p->live = p->bare;
	publish_at_last(ps);
	p->bare = whole;
}

static int
eth_move(struct ports *ps, struct port *p, uint16_t queue, uint32_t worker)
{
	struct port_eth *e = p->eth;
	uint16_t n = e->n_rxq;
	int rc;

	if (queue >= n || e->hidden)
		return -ERANGE;
	/* Out of all views first: what its worker took is delivered before the next one looks. */
	port_eth_watch(ps, e, queue, false);
	e->parked[queue] = true;
	rc = port_view_publish(ps);
	e->parked[queue] = false;
	if (rc == 0) {
		e->workers[queue] = worker;
		publish_at_last(ps);
	}
	port_eth_watch(ps, e, queue, true);
	return rc;
}

/* What was said of a place is kept for config.save; what was said of none is not made up. */
static void
place_note(struct port_opts *o, uint16_t queue, uint16_t worker)
{
	while (o->n_workers <= queue)
		o->workers[o->n_workers++] = PORT_WORKER_NONE;
	o->workers[queue] = worker;
	while (o->n_workers > 0 && o->workers[o->n_workers - 1] == PORT_WORKER_NONE)
		o->n_workers--;
}

static int
vhost_move(struct port *p, uint16_t ring, uint32_t worker)
{
	int rc;

	pthread_mutex_lock(&p->lock);
	rc = swdev_move(p->sw, ring, worker);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int
port_queue_move(struct ports *ps, struct port *p, uint16_t ring, uint32_t worker)
{
	int rc;

	if (worker >= cross_n_workers(ps->cross))
		return -EINVAL;
	rc = p->eth != NULL ? eth_move(ps, p, ring, worker) : vhost_move(p, ring, worker);
	if (rc == 0)
		place_note(&p->opts, p->eth != NULL ? ring : ring / 2, (uint16_t)worker);
	return rc;
}

int
port_place(struct ports *ps, struct port *p, const struct port_opts *opts, char *why, size_t why_size)
{
	uint16_t n = p->eth != NULL ? p->eth->n_rxq : p->opts.n_queues;
	int rc = workers_check(ps, opts, n, why, why_size);

	for (uint16_t q = 0; rc == 0 && q < n; q++) {
		uint16_t worker = q < opts->n_workers ? opts->workers[q] : PORT_WORKER_NONE;
		uint16_t now = q < p->opts.n_workers ? p->opts.workers[q] : PORT_WORKER_NONE;

		if (worker == PORT_WORKER_NONE)
			place_note(&p->opts, q, worker);
		else if (worker != now)
			rc = port_queue_move(ps, p, p->eth != NULL ? q : 2 * q + 1, worker);
		if (rc < 0)
			port_refuse(why, why_size, rc, "workers: queue %u: %s", q, strerror(-rc));
	}
	return rc;
}

void
port_mem_fault(struct ports *ps, uint16_t number)
{
	struct port *p = port_by_number(ps, number);

	if (p == NULL || p->session == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	/* The report may be older than the memory of now. */
	if (session_faulted(p->session))
		session_break(p->session, "guest memory vanished while it was in use");
	pthread_mutex_unlock(&p->lock);
}
