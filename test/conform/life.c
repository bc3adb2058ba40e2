/* SPDX-License-Identifier: BSD-3-Clause */
/* Start, stop, start again, and handover: all shapes. */
#include "conform.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Twice round a small ring; past every start of a large one. */
static uint32_t
volume(const struct conform *c)
{
	uint32_t n = 2u * c->shape->size + 3;

	return n < 260 ? n : 260;
}

static bool
pos_same(const struct vring_pos *a, const struct vring_pos *b)
{
	return a->avail == b->avail && a->used == b->used && a->avail_wrap == b->avail_wrap &&
	       a->used_wrap == b->used_wrap;
}

static int
idle(struct conform *c)
{
	struct vdev_ring before[SIDE_RINGS_MAX];

	memcpy(before, c->a.rings, sizeof(before));
	for (int i = 0; i < 3; i++) {
		TRY(conform_start(c));
		TRY(conform_stop(c));
		for (uint16_t q = 0; q < c->a.n_rings; q++)
			NEED(c, pos_same(&before[q].pos, &c->a.rings[q].pos));
	}
	return conform_sum(c);
}

static int
restart(struct conform *c)
{
	TRY(conform_start(c));
	TRY(conform_traffic(c, volume(c)));
	TRY(conform_stop(c));
	TRY(conform_start(c));
	TRY(conform_traffic(c, volume(c)));
	TRY(conform_stop(c));
	NEED(c, conform_drops(c) == 0);
	return conform_sum(c);
}

/* What is in the rings before a start is found without a kick after it. */
static int
outstanding(struct conform *c)
{
	uint32_t n = traffic_window(&c->ab) < volume(c) ? traffic_window(&c->ab) : volume(c);

	TRY(traffic_send(&c->ab, n));
	TRY(conform_start(c));
	TRY(conform_stop(c));
	TRY(conform_start(c));
	TRY(traffic_drain(&c->ab));
	TRY(conform_stop(c));
	return conform_sum(c);
}

static int
handover_once(struct conform *c, struct vdev *to)
{
	int n = traffic_send(&c->ab, traffic_window(&c->ab));

	TRY(n);
	side_stop(&c->a);
	TRY(traffic_recv(&c->ab));
	TRY(conform_settle(c, &c->a));
	c->a.dev = to;
	NEED(c, side_start(&c->a) == 0);
	return 0;
}

/* The same provider takes over from itself, again and again; nothing may be lost. */
static int
handover(struct conform *c)
{
	struct vdev *first = c->a.dev, *second;
	int rc = conform_start(c);

	NEED(c, c->provider->make(c->wire, 0, c->shape->pairs, &second) == 0);
	for (int i = 0; rc == 0 && i < 6; i++)
		rc = handover_once(c, c->a.dev == first ? second : first);
	if (rc == 0)
		rc = traffic_drain(&c->ab);
	if (rc == 0)
		rc = conform_traffic(c, 20);
	if (rc == 0)
		rc = conform_stop(c);
	if (c->a.running)
		side_stop(&c->a);
	c->a.dev = first;
	vdev_destroy(second);
	TRY(rc);
	NEED(c, conform_drops(c) == 0);
	return conform_sum(c);
}

/* A receiver that stops costs frames, by name, and nothing else. */
static int
receiver_stops(struct conform *c)
{
	TRY(conform_start(c));
	for (int i = 0; i < 4; i++) {
		TRY(traffic_send(&c->ab, 40));
		side_stop(&c->b);
		TRY(conform_settle(c, &c->b));
		TRY(traffic_send(&c->ab, 40));
		NEED(c, side_start(&c->b) == 0);
		TRY(traffic_recv(&c->ab));
	}
	TRY(conform_stop(c));
	TRY(conform_start(c));
	TRY(conform_unsent(c, &c->a));
	TRY(conform_arrived(c));
	TRY(conform_stop(c));
	return conform_sum(c);
}

const struct conform_case life_cases[] = {
	{ "starts and stops without traffic", idle },
	{ "starts, moves frames, stops, and does so again", restart },
	{ "takes what was there before it", outstanding },
	{ "hands over to another of its kind under traffic", handover },
	{ "a receiver stops and comes back", receiver_stops },
};

const unsigned int n_life_cases = sizeof(life_cases) / sizeof(life_cases[0]);
