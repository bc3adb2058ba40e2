/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_move_impl.h"
#include "clock.h"
#include "log.h"
#include "moment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

LOG_USE(peer);

/*
 * A guest's own frame may be faster than the peer that tells of it, and by far where that host is
 * busy.  Who does not wait long enough drops what came in by the uplink; who waits in vain, because
 * the guest is on a host that is no peer, keeps frames a little longer than need be.
 */
#define WAIT_US   1000000

/*
 * The network sends elsewhere what is for the guest when it has seen the guest's address there, and
 * then we see it, too: all that was sent to us before has come by then, but for what the bridges
 * still hold.  Where it is not seen this is waited for instead.
 */
#define SETTLE_US 2000
#define UNSEEN_US 50000

/* A peer's clock may go as it likes: what it says of its guest's age has a limit. */
#define AGE_MAX_US 60000000

static struct peer_out *
find(const struct peer_moves *pm, uint16_t port)
{
	for (struct peer_out *o = pm->outs; o != NULL; o = o->next)
		if (o->port == port)
			return o;
	return NULL;
}

static struct peer_out *
begin(struct peer_moves *pm, uint16_t port)
{
	struct peer_out *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->moves = pm;
	o->port = port;
	o->heir = PARK_NOWHERE;
	o->asked_us = peer_now_us();
	o->next = pm->outs;
	pm->outs = o;
	peer_moves_watch(pm);
	return o;
}

void
peer_out_forget(struct peer_moves *pm, uint16_t port)
{
	struct peer_out **at = &pm->outs, *o = find(pm, port);

	if (o == NULL)
		return;
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	free(o);
}

static void
answer(struct peer *p, uint32_t generation, uint64_t frames)
{
	const struct peer_message m = {
		.kind = PEER_DONE, .done = { .generation = generation, .frames = frames },
	};

	peer_send(p, &m);
}

static void
answer_owed(struct peer_out *o)
{
	for (; o->owed > 0; o->owed--)
		answer(o->peer, o->generation, o->frames);
}

static bool
frame_send(void *arg, const struct park_frame *pf)
{
	struct peer_out *o = arg;
	struct port *port = port_by_number(o->moves->opts.ports, o->port);
	const struct peer_message m = {
		.kind = PEER_FRAME,
		.frame = { .generation = o->generation, .vnet = pf->vnet, .len = pf->len,
			   .bytes = pf->bytes },
	};
	/* the guest was given this copy on its new port, by whoever flooded it there */
	bool known = pf->flooded && pf->when >= o->born;

	if (!known && peer_send(o->peer, &m) < 0)
		return false;
	o->frames += !known;
	if (port != NULL)
		port_count(port, known ? COUNT_PARK_KNOWN : COUNT_UNPARKED, 1);
	return true;
}

static bool
settled(const struct peer_out *o, uint64_t now)
{
	return o->heir != PARK_NOWHERE ? now - o->seen_us >= SETTLE_US :
					 now - o->asked_us >= UNSEEN_US;
}

/*
 * From the moment at which frames may leave by the uplink again, the guest's new port must not let
 * them pass those that were kept here: it is told that all has been sent only after that.
 */
static void
turn_late(struct peer_moves *pm, struct peer_out *o, uint64_t now)
{
	if (park_late(pm->opts.parks, o->port, o->heir) < 0)
		return;
	park_stream_take(pm->opts.parks, o->port, frame_send, o);
	o->late = true;
	o->late_us = now;
	answer_owed(o);
	moment_send(pm->opts.cross, o->port, MOMENT_OUT, o->frames);
	LOG(INFO, "%s: has taken %" PRIu64 " frames for a guest that left here", o->peer->text,
	    o->frames);
}

/* @return false: it is over */
static bool
pump(struct peer_moves *pm, struct peer_out *o, uint64_t now)
{
	if (park_stream_take(pm->opts.parks, o->port, frame_send, o) < 0) {
		answer_owed(o); /* the guest is back, or its frames were dropped */
		return false;
	}
	if (!o->late && settled(o, now) && park_stream_empty(pm->opts.parks, o->port))
		turn_late(pm, o, now);
	if (!o->late || now - o->late_us < PARK_GRACE_US)
		return true;
	park_stream_end(pm->opts.parks, o->port);
	return false;
}

/* The first of the addresses that stands on a port with a park to be streamed. */
static struct peer_out *
left_here(struct peer_moves *pm, const struct peer_arrived *a)
{
	struct peer_out *o;
	uint16_t port;

	for (uint16_t i = 0; i < a->n; i++) {
		if (fdb_get(pm->opts.fdb, a->keys[i], &port) < 0 ||
		    park_stream(pm->opts.parks, port) < 0)
			continue;
		o = find(pm, port);
		return o != NULL ? o : begin(pm, port);
	}
	return NULL;
}

static void
follow(struct peer_out *o, struct peer *p, const struct peer_arrived *a, uint64_t now)
{
	o->peer = p;
	o->generation = a->generation;
	o->owed = 0;
	o->frames = 0;
	o->late = false;
	o->asked_us = now;
	o->born = rte_rdtsc() - clock_us_to_cycles(RTE_MIN(a->age_us, (uint64_t)AGE_MAX_US));
	moment_send(o->moves->opts.cross, o->port, MOMENT_RELEASED, o->heir);
}

void
peer_out_arrived(void *arg, struct peer *p, const struct peer_arrived *a)
{
	struct peer_moves *pm = arg;
	struct peer_out *o = left_here(pm, a);
	uint64_t now = peer_now_us();

	if (o == NULL) {
		answer(p, a->generation, 0);
		return;
	}
	if (o->peer != p || o->generation != a->generation)
		follow(o, p, a, now);
	o->owed++;
	if (o->late)
		answer_owed(o);
	if (!pump(pm, o, now))
		peer_out_forget(pm, o->port);
}

void
peer_out_room(void *arg, struct peer *p)
{
	struct peer_moves *pm = arg;
	uint64_t now = peer_now_us();

	for (struct peer_out *o = pm->outs, *next; o != NULL; o = next) {
		next = o->next;
		if (o->peer == p && !pump(pm, o, now))
			peer_out_forget(pm, o->port);
	}
}

void
peer_out_gone(struct peer_moves *pm, const struct peer *p)
{
	for (struct peer_out *o = pm->outs, *next; o != NULL; o = next) {
		next = o->next;
		if (o->peer != p)
			continue;
		if (o->late)
			park_stream_end(pm->opts.parks, o->port);
		else
			park_stream_fail(pm->opts.parks, o->port, o->heir);
		peer_out_forget(pm, o->port);
	}
}

void
peer_out_tick(struct peer_moves *pm, uint64_t now)
{
	for (struct peer_out *o = pm->outs, *next; o != NULL; o = next) {
		next = o->next;
		if (o->peer != NULL) {
			if (!pump(pm, o, now))
				peer_out_forget(pm, o->port);
		} else if (now - o->asked_us >= WAIT_US) {
			park_learned(pm->opts.parks, o->port, o->heir);
			peer_out_forget(pm, o->port);
		}
	}
}

static bool
is_uplink(const struct peer_moves *pm, uint16_t number)
{
	const struct port *p = port_by_number(pm->opts.ports, number);

	return p != NULL && port_opts(p)->type == PORT_ETHDEV;
}

bool
peer_moves_seen(struct peer_moves *pm, uint16_t from, uint16_t to)
{
	struct peer_out *o = find(pm, from);
	struct park_info info;

	if (!is_uplink(pm, to))
		return false;
	if (o == NULL && peer_set_active(pm->set) &&
	    park_info(pm->opts.parks, from, &info) == 0 && info.phase == PARK_KEEPING)
		o = begin(pm, from);
	if (o == NULL)
		return false;
	if (o->heir == PARK_NOWHERE) {
		o->heir = to;
		o->seen_us = peer_now_us();
		if (o->late)
			park_late(pm->opts.parks, from, to);
	}
	return true;
}
