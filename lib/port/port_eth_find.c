/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"

#include <rte_bus.h>
#include <rte_dev.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MATCHES_MAX 8

/* Ethernet devices behind one name; `n` counts those that had no room, too. */
struct matches {
	uint32_t n;
	uint16_t ids[MATCHES_MAX];
};

/* By name alone: arguments say how to make a device, DPDK's iterator takes some as a filter. */
static void
matches_find(const struct rte_devargs *da, struct matches *m)
{
	struct rte_dev_iterator it;
	char filter[RTE_DEV_NAME_MAX_LEN + 32];
	uint16_t id;

	m->n = 0;
	snprintf(filter, sizeof(filter), "%s:%s", rte_bus_name(da->bus), da->name);
	RTE_ETH_FOREACH_MATCHING_DEV(id, filter, &it)
		if (m->n++ < MATCHES_MAX)
			m->ids[m->n - 1] = id;
}

static int
device_probe(const struct rte_devargs *da, const char *devargs, char *why, size_t size)
{
	struct port_eth_tap tap;
	int rc;

	port_eth_tap_hide(&tap, da->name);
	rc = rte_dev_probe(devargs);
	port_eth_tap_show(&tap);
	return rc < 0 ? port_eth_refused(da, rc, why, size) : 0;
}

static int
several_refuse(const struct rte_devargs *da, const struct matches *m, char *why, size_t size)
{
	char names[256] = "", name[RTE_ETH_NAME_MAX_LEN];

	for (uint32_t i = 0; i < RTE_MIN(m->n, (uint32_t)MATCHES_MAX); i++) {
		size_t at = strlen(names);

		if (rte_eth_dev_get_name_by_port(m->ids[i], name) == 0)
			snprintf(names + at, sizeof(names) - at, "%s%s", i > 0 ? ", " : "", name);
	}
	return port_refuse(why, size, -EINVAL,
			   "%s: makes %u Ethernet devices (%s), a port is one", da->name, m->n,
			   names);
}

/* Arguments given for a device that is there already would be forgotten silently. */
static int
arguments_check(const struct rte_devargs *da, uint16_t id, char *why, size_t size)
{
	const struct rte_devargs *has;
	struct rte_eth_dev_info info;

	if (da->args == NULL || da->args[0] == '\0' || rte_eth_dev_info_get(id, &info) < 0)
		return 0;
	has = rte_dev_devargs(info.device);
	if (has != NULL && has->args != NULL && strcmp(has->args, da->args) == 0)
		return 0;
	return port_refuse(why, size, -EEXIST,
			   "%s: is there already, as \"%s,%s\": name it without arguments, or "
			   "choose another number", da->name, da->name,
			   has != NULL && has->args != NULL ? has->args : "");
}

static int
owner_check(const struct rte_devargs *da, uint16_t id, char *why, size_t size)
{
	struct rte_eth_dev_owner owner;

	if (rte_eth_dev_owner_get(id, &owner) < 0 || owner.id == RTE_ETH_DEV_NO_OWNER)
		return 0;
	return port_refuse(why, size, -EEXIST, "%s: is in use by %s", da->name, owner.name);
}

static unsigned int
netdev_of(uint16_t id)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(id, &info) < 0 ? 0 : info.if_index;
}

/* The kernel lets a second tap join an interface and would split its traffic between the two. */
static int
netdev_check(const struct port_eth *e, uint16_t id, char *why, size_t size)
{
	unsigned int index = netdev_of(id);
	char name[IF_NAMESIZE] = "";
	const struct port *p;
	uint32_t iter = 0;

	while (index != 0 && (p = port_next(e->port->ports, &iter)) != NULL)
		if (p->eth != NULL && netdev_of(p->eth->id) == index)
			return port_refuse(why, size, -EEXIST,
					   "interface %s: port \"%s\" has it already",
					   if_indextoname(index, name) != NULL ? name : "?",
					   p->opts.name);
	return 0;
}

static int
device_take(struct port_eth *e, uint16_t id, char *why, size_t size)
{
	struct rte_eth_dev_owner owner;
	int rc = rte_eth_dev_owner_new(&owner.id);

	snprintf(owner.name, sizeof(owner.name), "port \"%s\"", e->port->opts.name);
	if (rc == 0)
		rc = rte_eth_dev_owner_set(id, &owner);
	if (rc < 0)
		return port_refuse(why, size, rc, "device %u: %s", id, strerror(-rc));
	e->id = id;
	return 0;
}

static int
name_keep(struct port_eth *e, const struct rte_devargs *da)
{
	e->bus = strdup(rte_bus_name(da->bus));
	e->name = strdup(da->name);
	return e->bus == NULL || e->name == NULL ? -ENOMEM : 0;
}

/* What would make a device again that EAL's arguments have made: it outlives our port. */
static int
restore_keep(struct port_eth *e, uint16_t id)
{
	const struct rte_devargs *has;
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(id, &info) < 0)
		return 0;
	has = rte_dev_devargs(info.device);
	if (has == NULL)
		return 0;
	return asprintf(&e->restore, "%s:%s%s%s", e->bus, e->name,
			has->args[0] != '\0' ? "," : "", has->args) < 0 ? -ENOMEM : 0;
}

static int
existing_check(struct port_eth *e, const struct rte_devargs *da, uint16_t id, char *why,
	       size_t size)
{
	int rc = owner_check(da, id, why, size);

	if (rc == 0)
		rc = arguments_check(da, id, why, size);
	if (rc < 0)
		return rc;
	rc = restore_keep(e, id);
	return rc < 0 ? port_refuse(why, size, rc, "%s: out of memory", da->name) : 0;
}

static int
device_find(struct port_eth *e, const struct rte_devargs *da, const char *devargs, char *why,
	    size_t size)
{
	struct matches m;
	bool found;
	int rc;

	matches_find(da, &m);
	found = m.n > 0;
	if (!found) {
		rc = device_probe(da, devargs, why, size);
		if (rc < 0)
			return rc;
		matches_find(da, &m);
	}
	if (m.n == 1)
		rc = found ? existing_check(e, da, m.ids[0], why, size) :
			     netdev_check(e, m.ids[0], why, size);
	else if (m.n == 0)
		rc = port_refuse(why, size, -ENODEV, "%s: is no Ethernet device", da->name);
	else
		rc = several_refuse(da, &m, why, size);
	if (rc == 0)
		rc = device_take(e, m.ids[0], why, size);
	if (rc < 0 && !found)
		rte_eal_hotplug_remove(e->bus, e->name);
	return rc;
}

int
port_eth_find(struct port_eth *e, const char *devargs, char *why, size_t size)
{
	struct rte_devargs da;
	int rc = rte_devargs_parse(&da, devargs);

	if (rc < 0 || da.bus == NULL)
		return port_refuse(why, size, -ENODEV,
				   "%s: DPDK knows no driver for this name (expected a PCI address "
				   "or a driver and a number as in net_tap0; -d loads one)",
				   devargs);
	rc = name_keep(e, &da);
	if (rc < 0)
		port_refuse(why, size, rc, "%s: out of memory", devargs);
	else
		rc = device_find(e, &da, devargs, why, size);
	rte_devargs_reset(&da);
	return rc;
}
