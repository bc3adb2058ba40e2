/* SPDX-License-Identifier: BSD-3-Clause */
#include "ferryd.h"
#include "event.h"

/* Rings that change their mover. */

void
glue_handing_over(void *arg, struct port *p, const struct port_handover *h)
{
	struct ferryd *d = arg;

	handover_begin(d->handovers, p, h);
}

void
glue_handed_over(void *arg, struct port *p, const struct port_handover *h)
{
	struct ferryd *d = arg;

	handover_end(d->handovers, p, h);
}

void
glue_provider(void *arg, struct port *p, const char *text)
{
	struct ferryd *d = arg;

	eventlog_add(d->events, port_name(p), "%s", text);
}

bool
glue_awaited(void *arg, const struct port *p)
{
	struct ferryd *d = arg;

	return park_active(d->parks, port_number(p));
}

static void
on_provider(void *arg, const struct event *ev)
{
	struct ferryd *d = arg;
	struct port *p = port_by_number(d->ports, ev->port);

	if (p == NULL)
		return;
	port_provider_look(d->ports, p);
	handover_follow(d->handovers, p);
}

void
glue_handover_look(struct ferryd *d)
{
	uint32_t iter = 0;
	struct port *p;

	while ((p = port_next(d->ports, &iter)) != NULL) {
		port_provider_look(d->ports, p);
		handover_follow(d->handovers, p);
	}
}

/* The guest is where it was, and others have to find it there, too. */
static void
returned_announce(void *arg, struct port *p, const struct rte_ether_addr *mac)
{
	struct ferryd *d = arg;

	worker_announce(d->workers, port_number(p), port_id(p), mac);
	announcer_add(d->announcer, port_number(p), port_id(p),
		      atomic_load(&d->stays[port_number(p)]), mac);
}

int
handover_init(struct ferryd *d)
{
	const struct handovers_opts opts = {
		.fdb = d->fdb, .parks = d->parks, .announce = returned_announce, .arg = d,
	};

	event_handle(d->cross, EVENT_PROVIDER, on_provider, d);
	event_handle(d->cross, EVENT_DEVICE_FAILED, on_provider, d);
	return handovers_create(&opts, &d->handovers);
}

void
handover_fini(struct ferryd *d)
{
	handovers_destroy(d->handovers);
}
