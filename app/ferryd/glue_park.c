/* SPDX-License-Identifier: BSD-3-Clause */
#include "ferryd.h"
#include "event.h"
#include "log.h"

#include <string.h>

LOG_USE(ferryd);

/* How often parks are looked after while there are any; with none there is no timer. */
#define TICK_US 20000

static void
park_wanted(void *arg)
{
	const struct event ev = { .kind = EVENT_PARK };
	struct ferryd *d = arg;

	event_send(d->cross, &ev); /* a lost one is made up for once a second */
}

bool
glue_port_deserted(struct ferryd *d, struct port *p)
{
	return !port_connected(p) && !park_active(d->parks, port_number(p));
}

/* The guest's addresses follow it; those of one that was lost go with it. */
static void
park_closed(void *arg, uint16_t port, uint16_t heir)
{
	struct ferryd *d = arg;
	struct port *p = port_by_number(d->ports, port);

	if (p == NULL)
		return;
	handover_closed(d->handovers, p);
	if (heir != PARK_NOWHERE && heir != port && port_by_number(d->ports, heir) != NULL)
		fdb_port_move(d->fdb, port, heir);
	else if (!port_connected(p))
		fdb_flush(d->fdb, port);
}

static void
on_tick(void *arg)
{
	struct ferryd *d = arg;

	if (park_tick(d->parks) > 0)
		return;
	loop_watch_destroy(d->park_watch);
	d->park_watch = NULL;
}

void
glue_park_look(struct ferryd *d)
{
	if (d->park_watch != NULL || !park_any(d->parks))
		return;
	if (loop_timer(d->loop, TICK_US, on_tick, d, &d->park_watch) < 0)
		LOG_RL(ERR, "no timer for parked frames");
}

static void
on_park(void *arg, const struct event *ev)
{
	struct ferryd *d = arg;

	glue_park_look(d);
	peer_moves_look(d->peers);
}

/* A guest that was parked for, or stood behind an uplink, and is on a port of ours now has come. */
static void
arrival_announce(struct ferryd *d, fdb_key_t key, uint16_t to)
{
	const struct port *p = port_by_number(d->ports, to);
	const struct rte_ether_addr mac = fdb_key_mac(key);

	if (p == NULL || port_opts(p)->type != PORT_VHOST_USER || fdb_key_vlan(key) != 0)
		return;
	if (!announcer_has(d->announcer, to, &mac))
		announcer_add(d->announcer, to, port_id(p), atomic_load(&d->stays[to]), &mac);
}

static bool
address_moving(void *arg, fdb_key_t key, uint16_t from, uint16_t to)
{
	struct ferryd *d = arg;
	struct port *left = port_by_number(d->ports, from);
	bool later;

	if (left != NULL && port_opts(left)->type != PORT_ETHDEV && !port_connected(left))
		park_vanished(d->parks, from);
	later = peer_moves_seen(d->peers, from, to) || park_learned(d->parks, from, to);
	if (later || (left != NULL && port_opts(left)->type == PORT_ETHDEV))
		arrival_announce(arg, key, to);
	/* what came from one of our ports has left nothing with a peer */
	if (later)
		park_admitted(d->parks, to);
	else
		migrations_heard(d->migrations, from, to);
	return later;
}

void
glue_port_logging(void *arg, struct port *p, bool on)
{
	struct ferryd *d = arg;

	if (!on)
		park_cancel(d->parks, port_number(p));
	else if (!port_opts(p)->no_park && park_open(d->parks, port_number(p)) < 0)
		LOG_RL(WARNING, "%s: no memory to keep frames while its guest moves", port_name(p));
}

void
glue_port_leaving(void *arg, struct port *p, uint64_t features, uint16_t n_rx)
{
	struct ferryd *d = arg;

	atomic_fetch_add(&d->stays[port_number(p)], 1);
	park_begin(d->parks, port_number(p), features, n_rx);
}

void
glue_port_arrived(void *arg, struct port *p, uint64_t features, bool restored)
{
	struct ferryd *d = arg;

	if (!restored || !peer_moves_expect(d->peers, port_number(p), features))
		park_return(d->parks, port_number(p));
}

static void
address_learned(void *arg, fdb_key_t key, uint16_t port)
{
	struct ferryd *d = arg;

	peer_moves_heard(d->peers, port, key);
}

int
park_init(struct ferryd *d)
{
	const struct park_ops ops = { .wanted = park_wanted, .closed = park_closed };

	return park_set_create(d->cross, &d->config->park, &ops, d, &d->parks);
}

int
peer_init(struct ferryd *d)
{
	const struct peer_moves_opts opts = {
		.loop = d->loop, .cross = d->cross, .parks = d->parks, .fdb = d->fdb, .ports = d->ports,
	};

	return peer_moves_create(&opts, &d->peers);
}

void
peer_fini(struct ferryd *d)
{
	peer_moves_destroy(d->peers);
}

void
park_fini(struct ferryd *d)
{
	loop_watch_destroy(d->park_watch);
	park_set_destroy(d->parks);
}

void
glue_park_init(struct ferryd *d)
{
	event_handle(d->cross, EVENT_PARK, on_park, d);
	fdb_moving(d->fdb, address_moving, d);
	fdb_learned(d->fdb, address_learned, d);
}
