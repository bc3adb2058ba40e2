/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"
#include "log.h"

#include <rte_dev.h>

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_USE(port);

static void
changed(const struct port_eth *e)
{
	const struct ports *ps = e->port->ports;

	if (ps->ops.changed != NULL)
		ps->ops.changed(ps->ops_arg, e->port);
}

static int
on_link(uint16_t id, enum rte_eth_event_type type, void *arg, void *ret)
{
	const struct port_eth *e = arg;
	struct rte_eth_link link = { 0 };

	rte_eth_link_get_nowait(id, &link);
	LOG_RL(INFO, "%s: link is %s", e->port->opts.name,
	       link.link_status == RTE_ETH_LINK_UP ? "up" : "down");
	changed(e);
	return 0;
}

static void
gone(struct port_eth *e)
{
	if (atomic_exchange(&e->gone, true))
		return;
	LOG(ERR, "%s: device %s was removed", e->port->opts.name, e->name);
	changed(e);
}

static int
on_removed(uint16_t id, enum rte_eth_event_type type, void *arg, void *ret)
{
	gone(arg);
	return 0;
}

/* VFIO asks for a device back this way; the kernel waits until port_del() has closed it. */
static void
on_bus_event(const char *name, enum rte_dev_event_type event, void *arg)
{
	if (event == RTE_DEV_EVENT_REMOVE)
		gone(arg);
}

static void
events_watch(struct port_eth *e)
{
	rte_eth_dev_callback_register(e->id, RTE_ETH_EVENT_INTR_LSC, on_link, e);
	rte_eth_dev_callback_register(e->id, RTE_ETH_EVENT_INTR_RMV, on_removed, e);
	rte_dev_event_callback_register(e->name, on_bus_event, e);
}

/* A callback that runs at this moment is waited for: it uses what is freed next. */
static void
events_unwatch(struct port_eth *e)
{
	while (rte_eth_dev_callback_unregister(e->id, RTE_ETH_EVENT_INTR_LSC, on_link, e) ==
	       -EAGAIN)
		rte_delay_us_sleep(100);
	while (rte_eth_dev_callback_unregister(e->id, RTE_ETH_EVENT_INTR_RMV, on_removed, e) ==
	       -EAGAIN)
		rte_delay_us_sleep(100);
	while (rte_dev_event_callback_unregister(e->name, on_bus_event, e) == -EAGAIN)
		rte_delay_us_sleep(100);
}

int
port_eth_open(struct port *p, char *why, size_t size, struct port_eth **out)
{
	struct port_eth *e = calloc(1, sizeof(*e));
	int rc;

	if (e == NULL)
		return port_refuse(why, size, -ENOMEM, "%s: out of memory", p->opts.name);
	e->port = p;
	e->id = RTE_MAX_ETHPORTS;
	rc = port_eth_find(e, p->opts.devargs, why, size);
	if (rc == 0)
		rc = port_eth_setup(e, &p->opts, why, size);
	if (rc < 0) {
		port_eth_close(e);
		return rc;
	}
	e->running = true;
	events_watch(e);
	*out = e;
	return 0;
}

static void
device_close(struct port_eth *e)
{
	int rc;

	if (e->running) {
		events_unwatch(e);
		rte_eth_dev_stop(e->id);
	}
	rte_eth_dev_close(e->id);
	rc = rte_eal_hotplug_remove(e->bus, e->name);
	if (rc < 0)
		LOG(WARNING, "%s: cannot be detached: %s", e->name, strerror(-rc));
	else if (e->restore != NULL && rte_dev_probe(e->restore) < 0)
		LOG(WARNING, "%s: was there before and cannot be made again", e->restore);
}

/* A buffer that a driver still holds must not be pulled away from it. */
static void
buffers_destroy(struct rte_mempool *pool)
{
	if (pool != NULL && !rte_mempool_full(pool))
		LOG(WARNING, "%s: %u buffers did not come back, they stay", pool->name,
		    rte_mempool_in_use_count(pool));
	else
		rte_mempool_free(pool);
}

void
port_eth_close(struct port_eth *e)
{
	if (e == NULL)
		return;
	if (e->id != RTE_MAX_ETHPORTS)
		device_close(e);
	buffers_destroy(e->pool);
	free(e->txqs);
	free(e->restore);
	free(e->name);
	free(e->bus);
	free(e);
}

int
port_eth_watch(struct ports *ps, struct port_eth *e, uint16_t queue, bool on)
{
	uint32_t worker = e->workers[queue];
	int rc = 0;

	/* Edges: after each one the worker reads until there is nothing more. */
	if (e->interrupts)
		rc = rte_eth_dev_rx_intr_ctl_q(e->id, queue, swdev_epfd(ps->pool, worker),
					       on ? RTE_INTR_EVENT_ADD : RTE_INTR_EVENT_DEL, NULL);
	if (rc < 0)
		LOG(ERR, "%s: queue %u: interrupt: %s", e->name, queue, strerror(-rc));
	/* A sleeper does not know the queue: it has to look at it once and arm it. */
	if (on)
		cross_wake(ps->cross, worker);
	return rc;
}

void
port_eth_unwatch(struct ports *ps, struct port_eth *e)
{
	for (uint16_t q = 0; !e->hidden && q < e->n_rxq; q++)
		port_eth_watch(ps, e, q, false);
}

/* Whether the kernel's interface behind a device of software is still there. */
static bool
netdev_lost(const struct port_eth *e, const struct rte_eth_dev_info *info)
{
	char name[IF_NAMESIZE];
	struct pollfd p = { .fd = -1 };

	if (e->interrupts && e->n_rxq > 0)
		p.fd = rte_eth_dev_rx_intr_ctl_q_get_fd(e->id, 0);
	/* A tap can live on in another namespace, its descriptor tells; a socket cannot. */
	if (p.fd >= 0)
		return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLNVAL)) != 0;
	return info->if_index != 0 && if_indextoname(info->if_index, name) == NULL;
}

static void
state_judge(const struct port_eth *e, const struct rte_eth_dev_info *info, struct port_info *out)
{
	if (atomic_load(&e->gone) || rte_eth_dev_is_removed(e->id) == 1) {
		out->state = "broken";
		snprintf(out->reason, sizeof(out->reason), "device was removed");
	} else if (netdev_lost(e, info)) {
		out->state = "broken";
		snprintf(out->reason, sizeof(out->reason), "its interface is gone");
	} else if (!out->link_up) {
		out->state = "waiting";
		snprintf(out->reason, sizeof(out->reason), "link is down");
	} else {
		out->state = "up";
	}
}

bool
port_eth_link_up(const struct port_eth *e)
{
	struct rte_eth_link link = { 0 };

	rte_eth_link_get_nowait(e->id, &link);
	return !atomic_load(&e->gone) && link.link_status == RTE_ETH_LINK_UP;
}

void
port_eth_info(const struct port_eth *e, struct port_info *out)
{
	struct rte_eth_dev_info info = { 0 };
	struct rte_eth_link link = { 0 };

	rte_eth_dev_info_get(e->id, &info);
	rte_eth_link_get_nowait(e->id, &link);
	rte_eth_macaddr_get(e->id, &out->mac);
	snprintf(out->driver, sizeof(out->driver), "%s",
		 info.driver_name != NULL ? info.driver_name : "");
	out->eth_id = e->id;
	out->link_up = link.link_status == RTE_ETH_LINK_UP;
	out->link_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	out->rx_interrupts = e->interrupts;
	out->n_rxq = e->n_rxq;
	out->n_txq = e->n_txq;
	out->n_queues = e->n_rxq;
	for (uint16_t q = 0; q < e->n_rxq; q++)
		out->workers[q] = e->hidden ? PORT_WORKER_NONE : (uint16_t)e->workers[q];
	state_judge(e, &info, out);
}
