/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <rte_pause.h>

/* How often a receive ring that another worker holds is tried again: a burst of small frames. */
#define CLAIM_TRIES 64

/*
 * A guest with as many receive rings as there are workers gives each worker its own, so that
 * nobody waits for a claim; the flow's hash picks among them.  A source keeps the share of the
 * worker that served it first: one that moves would else overtake itself on another ring.
 */
static const struct swdev_ring *
rx_ring(const struct fwd *f, const struct swdev_live *live, struct fwd_frame *fr)
{
	uint32_t n_workers = cross_n_workers(f->opts.cross);
	uint32_t mine;

	if (live->n_rx == 1)
		return live->rx[0];
	if (live->n_rx < n_workers)
		return live->rx[fwd_frame_hash(fr) % live->n_rx];
	mine = (live->n_rx - f->home + n_workers - 1) / n_workers;
	return live->rx[f->home + fwd_frame_hash(fr) % mine * n_workers];
}

static struct fwd_group *
group_make(struct fwd *f, const struct swdev_ring *ring, const struct port_live *port)
{
	struct fwd_group *g = &f->groups[f->n_groups];

	g->ring = ring;
	g->port = port;
	g->eth = NULL;
	g->park = NULL;
	g->queue = 0;
	g->n = 0;
	if (port != NULL)
		f->group_of[port->number] = (uint8_t)f->n_groups;
	f->n_groups++;
	return g;
}

/* What stands in group_of may be of an earlier burst; the group itself says whose it is. */
static struct fwd_group *
group_get(struct fwd *f, const struct swdev_ring *ring, const struct port_live *port)
{
	uint32_t hint = f->group_of[port->number];

	if (hint >= f->n_groups || f->groups[hint].port != port)
		return group_make(f, ring, port);
	if (likely(f->groups[hint].ring == ring))
		return &f->groups[hint];
	for (uint32_t i = f->n_groups; i > 0; i--)
		if (f->groups[i - 1].ring == ring && f->groups[i - 1].port == port)
			return &f->groups[i - 1];
	return group_make(f, ring, port);
}

static struct fwd_group *
eth_group_find(struct fwd *f, const struct port_live *to)
{
	struct fwd_group *g = group_get(f, NULL, to);

	g->eth = to;
	g->queue = (uint16_t)(f->home % to->n_txq);
	return g;
}

static struct fwd_group *
park_group_find(struct fwd *f, const struct port_live *to, const struct park_live *park)
{
	struct fwd_group *g = group_get(f, NULL, to);

	g->park = park;
	return g;
}

struct fwd_group *
fwd_group_find(struct fwd *f, struct fwd_frame *fr, const struct port_live *to)
{
	const struct park_live *park = NULL;

	if (unlikely(f->parks != NULL))
		park = fwd_park_find(f, fr, &to);
	if (unlikely(park == NULL && to->elsewhere != NULL))
		to = fwd_elsewhere(f, to);
	/* What came in by its wire has passed the device. */
	if (unlikely(to == NULL || to == f->src))
		return NULL;
	return unlikely(park != NULL) ? park_group_find(f, to, park) : fwd_place_find(f, fr, to);
}

struct fwd_group *
fwd_place_find(struct fwd *f, struct fwd_frame *fr, const struct port_live *to)
{
	const struct swdev_live *live;

	if (to->n_txq > 0)
		return eth_group_find(f, to);
	live = f->rings->ports[to->number];
	if (unlikely(live == NULL || live->n_rx == 0))
		return NULL;
	return group_get(f, rx_ring(f, live, fr), to);
}

bool
fwd_group_single(const struct fwd *f, const struct port_live *to)
{
	const struct swdev_live *live = f->rings->ports[to->number];

	if (unlikely(f->parks != NULL || to->elsewhere != NULL))
		return false;
	return to->n_txq > 0 || (live != NULL && live->n_rx == 1);
}

/* There is one such group at most: it is not among those of a port. */
struct fwd_group *
fwd_group_flood(struct fwd *f)
{
	for (uint32_t i = 0; i < f->n_groups; i++)
		if (f->groups[i].port == NULL)
			return &f->groups[i];
	return group_make(f, NULL, NULL);
}

static bool
try_claim(const struct fwd *f, const struct fwd_group *g)
{
	if (likely(g->ring != NULL))
		return swdev_claim(g->ring, f->worker);
	if (unlikely(g->park != NULL))
		return true;
	return port_txq_claim(&g->eth->txqs[g->queue], f->worker);
}

static bool
claim(const struct fwd *f, const struct fwd_group *g)
{
	for (uint32_t i = 0; i < CLAIM_TRIES; i++) {
		if (likely(try_claim(f, g)))
			return true;
		rte_pause();
	}
	return false;
}

static void
release(const struct fwd_group *g)
{
	if (likely(g->ring != NULL))
		swdev_release(g->ring);
	else if (g->park == NULL)
		port_txq_release(&g->eth->txqs[g->queue]);
}

/* Returns how many frames of the group are done. */
static uint32_t
deliver_claimed(struct fwd *f, const struct fwd_group *g, uint32_t cut)
{
	uint32_t done = g->n;

	if (likely(g->ring != NULL))
		done = fwd_ring_deliver(f, g, cut);
	else if (unlikely(g->park != NULL))
		fwd_park_deliver(f, g, cut);
	else
		fwd_eth_deliver(f, g, cut);
	release(g);
	return done;
}

uint32_t
fwd_group_send(struct fwd *f)
{
	const struct fwd_group *g = &f->groups[0];

	return claim(f, g) ? deliver_claimed(f, g, f->n) : 0;
}

/*
 * One copy of the flooded frames to one port.  Frames are handed out flow by flow to the rings of
 * the port, as unicast ones are, so that a flow keeps its ring.
 */
static void
flood_to(struct fwd *f, const struct fwd_group *flood, const struct port_live *to, uint32_t cut)
{
	f->n_groups = 0;
	for (uint32_t i = 0; i < flood->n && flood->frames[i] < cut; i++) {
		struct fwd_frame *fr = &f->frames[flood->frames[i]];
		enum drop d = fwd_allowed(f, to, fr);
		struct fwd_group *g = d == DROP_NONE ? fwd_group_find(f, fr, to) : NULL;

		if (g != NULL)
			fwd_group_add(g, flood->frames[i]);
		else
			stats_drop(fwd_lane(f, to), d != DROP_NONE ? d : DROP_DEAF, 1);
	}
	for (uint32_t i = 0; i < f->n_groups; i++) {
		const struct fwd_group *g = &f->groups[i];

		if (claim(f, g))
			deliver_claimed(f, g, cut);
		else
			stats_drop(fwd_lane(f, to), DROP_BUSY, g->n);
	}
}

bool
fwd_heard_by(const struct fwd *f, const struct port_live *to)
{
	return to != f->src && (to->group == 0 || to->group != f->src->group);
}

/* The guest hears what is flooded by its device's own wire; but what comes while its rings change
 * their mover is kept. */
static bool
flooded_by_device(const struct fwd *f, const struct port_live *to)
{
	const struct park_live *p = f->parks != NULL ? f->parks->ports[to->number] : NULL;

	return to->elsewhere != NULL && fwd_elsewhere(f, to) != to &&
	       (p == NULL || p->phase != PARK_KEEPING);
}

/* After all other groups: it uses their table. */
static void
flood(struct fwd *f, const struct fwd_group *g, uint32_t cut)
{
	struct fwd_group all = *g;
	uint32_t n = 0, heard = 0;

	while (n < all.n && all.frames[n] < cut)
		n++;
	if (n == 0)
		return;
	f->flooding = true;
	f->blamed = 0;
	for (uint32_t i = 0; i < f->ports->n_list; i++) {
		const struct port_live *to = f->ports->ports[f->ports->list[i]];

		if (!fwd_heard_by(f, to) || (f->parks != NULL && fwd_park_left(f, to)) ||
		    flooded_by_device(f, to))
			continue;
		flood_to(f, &all, to, cut);
		heard++;
	}
	f->flooding = false;
	if (heard > 0)
		stats_count(f->lane, COUNT_FLOODED, n);
	else
		stats_drop(f->lane, DROP_NO_PORT, n);
}

/*
 * A turn is bounded in what it copies, and a flooded frame is copied to every port: a guest that
 * floods large ones has few of them served in a turn.  A device does not take its frames back.
 */
static uint32_t
flood_cut(const struct fwd *f, const struct fwd_group *g)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; f->src->type == PORT_VHOST_USER && i < g->n; i++) {
		bytes += (uint64_t)f->frames[g->frames[i]].len * f->ports->n_list;
		if (bytes > FWD_FLOOD_BYTES && i > 0)
			return g->frames[i];
	}
	return f->n;
}

/*
 * Claims come in the order of first frames, and a claim that is not had ends the burst before the
 * first frame for it: what is delivered is a prefix, so that the ring it came from is exact, and
 * whoever holds its first claim always gets on.
 */
uint32_t
fwd_groups_claim(struct fwd *f)
{
	uint32_t cut = f->n;

	for (f->n_claimed = 0; f->n_claimed < f->n_groups; f->n_claimed++) {
		const struct fwd_group *g = &f->groups[f->n_claimed];

		if (unlikely(g->port == NULL))
			cut = flood_cut(f, g);
		else if (unlikely(!claim(f, g)))
			return RTE_MIN(cut, g->frames[0]);
	}
	return cut;
}

void
fwd_groups_deliver(struct fwd *f, uint32_t cut)
{
	const struct fwd_group *flooded = NULL;

	for (uint32_t i = 0; i < f->n_claimed; i++) {
		if (f->groups[i].port == NULL)
			flooded = &f->groups[i];
		else
			deliver_claimed(f, &f->groups[i], cut);
	}
	if (unlikely(flooded != NULL))
		flood(f, flooded, cut);
}
