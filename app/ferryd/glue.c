/* SPDX-License-Identifier: BSD-3-Clause */
#include "ferryd.h"
#include "event.h"
#include "log.h"

#include <string.h>

#include <rte_cycles.h>


LOG_USE(ferryd);

/*
 * Ports, addresses and captures do not know each other: what one tells and another wants to know
 * meets here.
 */
static void
port_added(void *arg, struct port *p)
{
	struct ferryd *d = arg;

	capture_port_set(d->capture, port_number(p), port_name(p));
	eventlog_forget(d->events, port_number(p));
	eventlog_add(d->events, port_name(p), "added");
}

/* A port that goes as soon as its guest has left: the guest's addresses are where it is now. */
static void
addresses_follow(struct ferryd *d, struct port *p)
{
	const uint16_t port = port_number(p);
	struct park_info info;

	if (park_info(d->parks, port, &info) < 0)
		return;
	if (info.heir != PARK_NOWHERE && info.heir != port)
		fdb_port_move(d->fdb, port, info.heir);
	if (info.kept > 0)
		LOG(WARNING, "%s: removed with frames for its guest that are not delivered, %llu bytes",
		    port_name(p), (unsigned long long)info.kept);
}

static void
port_removed(void *arg, struct port *p)
{
	struct ferryd *d = arg;

	handover_forget(d->handovers, port_number(p));
	peer_moves_forget(d->peers, port_number(p));
	addresses_follow(d, p);
	park_forget(d->parks, port_number(p));
	announcer_forget(d->announcer, port_number(p));
	fdb_port_del(d->fdb, port_number(p));
	capture_port_set(d->capture, port_number(p), NULL);
	migrations_port_del(d->migrations, port_number(p));
	eventlog_forget(d->events, port_number(p));
	eventlog_add(d->events, port_name(p), "removed");
}

static void
port_changed(void *arg, struct port *p)
{
	const struct event ev = { .kind = EVENT_PORT_CHANGED, .port = port_number(p) };
	struct ferryd *d = arg;

	eventlog_changed(d->events, port_number(p));
	if (!event_send(d->cross, &ev))
		atomic_store(&d->changes_lost, true);
}

/* A device may be gone, or its link down: its guest may come back elsewhere, and silent (802.1Q, 8.8.3 ageing). */
static void
port_judge(struct ferryd *d, struct port *p)
{
	port_device_gone(d->ports, p);
	if (!port_connected(p))
		announcer_forget(d->announcer, port_number(p));
	if (glue_port_deserted(d, p))
		fdb_flush(d->fdb, port_number(p));
}

static void
on_port_changed(void *arg, const struct event *ev)
{
	struct ferryd *d = arg;
	struct port *p = port_by_number(d->ports, ev->port);

	if (p != NULL)
		port_judge(d, p);
}

static void
lost_changes_find(struct ferryd *d)
{
	uint32_t iter = 0;
	struct port *p;

	if (!atomic_exchange(&d->changes_lost, false))
		return;
	while ((p = port_next(d->ports, &iter)) != NULL)
		port_judge(d, p);
}

/*
 * The address may be anything: it is learned by control, with all its rules.  That comes first: what
 * the network sends here as soon as it has heard the announcement must find its port.
 */
static void
port_announce(void *arg, struct port *p, const struct rte_ether_addr *mac, uint64_t features)
{
	struct ferryd *d = arg;

	struct event ev = {
		.kind = EVENT_ANNOUNCE, .port = port_number(p),
		.values = { port_id(p), atomic_load(&d->stays[port_number(p)]) },
	};

	peer_moves_expect(d->peers, port_number(p), features);
	memcpy(&ev.key, mac, sizeof(*mac));
	if (!event_send(d->cross, &ev))
		worker_announce(d->workers, port_number(p), port_id(p), mac);
}

static void
announce_again(void *arg, uint16_t port, uint32_t id, uint32_t stay,
	       const struct rte_ether_addr *mac)
{
	struct ferryd *d = arg;
	struct port *p = port_by_number(d->ports, port);

	/* Once it has left, the network would follow to where it is not, although by then another
	 * front-end waits there for the guest to come back; nor is it here while a device has it. */
	if (p != NULL && port_connected(p) && atomic_load(&d->stays[port]) == stay &&
	    port_elsewhere(p) == PORT_NONE)
		worker_announce(d->workers, port, id, mac);
}

static void
on_announce(void *arg, const struct event *ev)
{
	struct ferryd *d = arg;
	struct port *p = port_by_number(d->ports, ev->port);
	struct rte_ether_addr mac;
	fdb_key_t key;

	/* On a device's wire a guest is announced by its own driver. */
	if (p != NULL && port_elsewhere(p) != PORT_NONE)
		return;
	memcpy(&mac, &ev->key, sizeof(mac));
	key = fdb_key(0, mac.addr_bytes);
	if (p != NULL && port_id(p) == ev->values[0] && fdb_learn(d->fdb, key, ev->port) == 0)
		peer_moves_heard(d->peers, ev->port, key);
	worker_announce(d->workers, ev->port, (uint32_t)ev->values[0], &mac);
	announcer_add(d->announcer, ev->port, (uint32_t)ev->values[0], (uint32_t)ev->values[1],
		      &mac);
}

int
announcer_init(struct ferryd *d)
{
	event_handle(d->cross, EVENT_ANNOUNCE, on_announce, d);
	return announcer_create(d->loop, announce_again, d, &d->announcer);
}

void
announcer_fini(struct ferryd *d)
{
	announcer_destroy(d->announcer);
}

const struct port_ops glue_port_ops = {
	.added = port_added,
	.removed = port_removed,
	.changed = port_changed,
	.logging = glue_port_logging,
	.leaving = glue_port_leaving,
	.arrived = glue_port_arrived,
	.announce = port_announce,
	.handing_over = glue_handing_over,
	.handed_over = glue_handed_over,
	.provider = glue_provider,
	.awaited = glue_awaited,
};

static const char *
name_of(const struct ferryd *d, uint16_t number)
{
	const struct port *p = port_by_number(d->ports, number);

	return p != NULL ? port_name(p) : "(removed port)";
}

static void
on_ring_broken(void *arg, const struct event *ev)
{
	struct ferryd *d = arg;

	LOG_RL(WARNING, "%s: ring %u is broken: %s", name_of(d, ev->port), ev->index,
	       vring_bad_texts[ev->reason]);
	eventlog_add(d->events, name_of(d, ev->port), "ring %u is broken: %s", ev->index,
		     vring_bad_texts[ev->reason]);
}

static void
on_mem_fault(void *arg, const struct event *ev)
{
	struct ferryd *d = arg;

	LOG_RL(WARNING, "%s: guest memory vanished while it was in use", name_of(d, ev->port));
	eventlog_add(d->events, name_of(d, ev->port), "guest memory vanished while it was in use");
	port_mem_fault(d->ports, ev->port);
}

static void
migration_look(void *arg, uint16_t number, struct migration_look *out)
{
	struct ferryd *d = arg;
	struct port *p = port_by_number(d->ports, number);
	struct port_log_info log;
	struct stats_lane lane;

	if (p == NULL)
		return;
	port_log_info(p, &log);
	out->first_receive = log.first_receive;
	out->first_transmit = log.first_transmit;
	out->pages = log.pages;
	out->rounds = log.rounds;
	port_stats(p, &lane);
	out->parked = lane.counts[COUNT_PARKED];
	out->delivered = lane.counts[COUNT_UNPARKED] + lane.counts[COUNT_PARK_KNOWN];
	out->dropped = lane.drops[DROP_PARK_FULL] + lane.drops[DROP_PARK_TIMEOUT] +
		       lane.drops[DROP_PARK_PEER];
}

static void
migration_news(void *arg, uint16_t port, const struct migration *m)
{
	struct migration_story s;
	struct ferryd *d = arg;
	char verdict[160];

	migration_story(m, &s);
	migration_verdict(m, verdict, sizeof(verdict));
	LOG_RL(INFO, "%s: migration %u %s: %s", name_of(d, port), m->number,
	       migration_state_names[s.state], verdict);
	eventlog_add(d->events, name_of(d, port), "migration %u %s: %s", m->number,
		     migration_state_names[s.state], verdict);
}

int
migration_init(struct ferryd *d)
{
	const struct migration_opts opts = {
		.cross = d->cross, .loop = d->loop, .hz = rte_get_tsc_hz(),
		.look = migration_look, .news = migration_news, .arg = d,
	};

	return migrations_create(&opts, &d->migrations);
}

void
migration_fini(struct ferryd *d)
{
	migrations_destroy(d->migrations);
}

static void
on_events(void *arg)
{
	struct ferryd *d = arg;

	event_run(d->cross, EVENTS_PER_TURN);
}

static void
on_second(void *arg)
{
	struct ferryd *d = arg;

	log_tick();
	lost_changes_find(d);
	glue_park_look(d);
	glue_handover_look(d);
	peer_moves_look(d->peers);
	fdb_tick(d->fdb);
	eventlog_fdb(d->events, d->fdb, d->ports);
}

int
glue_init(struct ferryd *d)
{
	int rc;

	event_handle(d->cross, EVENT_RING_BROKEN, on_ring_broken, d);
	event_handle(d->cross, EVENT_MEM_FAULT, on_mem_fault, d);
	event_handle(d->cross, EVENT_PORT_CHANGED, on_port_changed, d);
	glue_park_init(d);
	rc = ferryd_read(d, event_fd(d->cross), on_events);
	return rc < 0 ? rc : ferryd_timer(d, 1000000, on_second);
}
