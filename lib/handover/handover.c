/* SPDX-License-Identifier: BSD-3-Clause */
#include "handover.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAC_BITS ((1ULL << 48) - 1)

/* What is known of a port's guest. */
struct guest {
	uint16_t place;       /* where the FDB has followed to: PORT_NONE, PORT_AWAY, an uplink */
	uint16_t n_macs;      /* under the lock, as are: */
	uint64_t macs[PARK_MACS_MAX];
};

struct handovers {
	struct handovers_opts opts;
	pthread_mutex_t lock;
	struct guest *guests[PORT_MAX]; /* written by control, with the lock; NULL: no device */
};

int
handovers_create(const struct handovers_opts *opts, struct handovers **out)
{
	struct handovers *hs = calloc(1, sizeof(*hs));

	if (hs == NULL)
		return -ENOMEM;
	hs->opts = *opts;
	pthread_mutex_init(&hs->lock, NULL);
	*out = hs;
	return 0;
}

void
handovers_destroy(struct handovers *hs)
{
	if (hs == NULL)
		return;
	for (uint32_t i = 0; i < PORT_MAX; i++)
		free(hs->guests[i]);
	pthread_mutex_destroy(&hs->lock);
	free(hs);
}

void
handover_forget(struct handovers *hs, uint16_t port)
{
	pthread_mutex_lock(&hs->lock);
	free(hs->guests[port]);
	hs->guests[port] = NULL;
	pthread_mutex_unlock(&hs->lock);
}

/* any, the port's mutex held */

void
handover_begin(struct handovers *hs, struct port *p, const struct port_handover *h)
{
	struct park_guest pg = {
		.features = h->features, .n_rx = h->n_rx, .via = PARK_NOWHERE,
	};
	uint64_t macs[PARK_MACS_MAX];
	const struct guest *g;

	if (port_opts(p)->no_park)
		return;
	pthread_mutex_lock(&hs->lock);
	g = hs->guests[port_number(p)];
	if (g != NULL && !h->to_hw && h->uplink != PORT_NONE) {
		memcpy(macs, g->macs, sizeof(macs));
		pg.n_macs = g->n_macs;
		pg.via = h->uplink;
	}
	pthread_mutex_unlock(&hs->lock);
	pg.macs = macs;
	park_handover(hs->opts.parks, port_number(p), &pg);
}

void
handover_end(struct handovers *hs, struct port *p, const struct port_handover *h)
{
	/* Workers find the uplink by themselves, and find another way as soon as there is one. */
	park_handed(hs->opts.parks, port_number(p), !h->to_hw || h->uplink != PORT_NONE);
}

/* control */

static struct guest *
guest_of(struct handovers *hs, uint16_t port)
{
	struct guest *g = hs->guests[port];

	if (g != NULL)
		return g;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	g->place = PORT_NONE;
	pthread_mutex_lock(&hs->lock);
	hs->guests[port] = g;
	pthread_mutex_unlock(&hs->lock);
	return g;
}

static bool
mac_known(const struct guest *g, uint64_t mac)
{
	for (uint16_t i = 0; i < g->n_macs; i++)
		if (g->macs[i] == mac)
			return true;
	return false;
}

/* Of a guest with more addresses the others are found again when it uses them. */
static void
mac_add(struct handovers *hs, struct guest *g, uint64_t mac)
{
	if (g->n_macs == PARK_MACS_MAX || mac_known(g, mac))
		return;
	pthread_mutex_lock(&hs->lock);
	g->macs[g->n_macs++] = mac;
	pthread_mutex_unlock(&hs->lock);
}

/* A guest that has begun with the device was never seen here: it has the device's address. */
static void
device_mac_add(struct handovers *hs, struct guest *g, struct port *p)
{
	struct rte_ether_addr mac;

	if (port_device_mac(p, &mac))
		mac_add(hs, g, fdb_key(0, mac.addr_bytes));
}

static void
macs_note(struct handovers *hs, struct guest *g, struct port *p)
{
	struct fdb_entry e;
	uint32_t iter = 0;

	if (g->place == PORT_NONE) {
		pthread_mutex_lock(&hs->lock);
		g->n_macs = 0;
		pthread_mutex_unlock(&hs->lock);
	}
	device_mac_add(hs, g, p);
	while (fdb_next(hs->opts.fdb, &iter, &e) == 0)
		if (e.port == port_number(p))
			mac_add(hs, g, e.key & MAC_BITS);
}

static void
go_away(struct handovers *hs, struct guest *g, struct port *p, uint16_t place)
{
	macs_note(hs, g, p);
	if (place == PORT_AWAY)
		fdb_flush(hs->opts.fdb, port_number(p));
	else
		fdb_port_move(hs->opts.fdb, port_number(p), place);
	g->place = place;
}

/* In all VLANs in which they are known at the uplink. */
static void
entries_return(struct handovers *hs, const struct guest *g, const struct port *p)
{
	struct fdb_entry e;
	uint32_t iter = 0;

	while (fdb_next(hs->opts.fdb, &iter, &e) == 0)
		if (e.port == g->place && !e.fixed && mac_known(g, e.key & MAC_BITS))
			fdb_learn(hs->opts.fdb, e.key, port_number(p));
}

static void
mac_announce(struct handovers *hs, struct port *p, uint64_t mac)
{
	struct rte_ether_addr addr;

	for (int i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		addr.addr_bytes[i] = (uint8_t)(mac >> (8 * (RTE_ETHER_ADDR_LEN - 1 - i)));
	fdb_learn(hs->opts.fdb, mac, port_number(p));
	if (hs->opts.announce != NULL)
		hs->opts.announce(hs->opts.arg, p, &addr);
}

static void
come_back(struct handovers *hs, struct guest *g, struct port *p)
{
	entries_return(hs, g, p);
	for (uint16_t i = 0; port_connected(p) && i < g->n_macs; i++)
		mac_announce(hs, p, g->macs[i]);
	g->place = PORT_NONE;
}

static void
follow(struct handovers *hs, struct port *p, bool closed)
{
	const uint16_t place = port_elsewhere(p);
	struct guest *g;

	if (port_opts(p)->vdpa == NULL)
		return;
	g = guest_of(hs, port_number(p));
	if (g == NULL || g->place == place)
		return;
	if (place == PORT_NONE)
		come_back(hs, g, p);
	else if (closed || !park_active(hs->opts.parks, port_number(p)))
		go_away(hs, g, p, place);
}

void
handover_follow(struct handovers *hs, struct port *p)
{
	follow(hs, p, false);
}

void
handover_closed(struct handovers *hs, struct port *p)
{
	follow(hs, p, true);
}
