/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <rte_cycles.h>

/* A front-end starts a guest's rings one after the other: when as many as before do not come within
 * this, there are fewer now. */
#define SETTLE_US 20000

/* What goes out of one buffer in one turn, so that others get theirs; no more than FWD_BYTES. */
#define BURSTS 4
#define TIMED_OUT 4096

void
fwd_parks_load(struct fwd *f)
{
	const struct park_view *v = f->opts.parks != NULL ? park_view(f->opts.parks) : NULL;

	f->parks = v != NULL && v->n_active > 0 ? v : NULL;
	/* One for the whole turn: a burst that is to wait does so as a whole. */
	if (f->parks != NULL)
		f->now = rte_rdtsc();
}

static struct park_buf *
mine(const struct fwd *f, const struct park_live *p)
{
	return p->bufs[f->worker];
}

/* Nothing older than what comes now waits in a park. */
static bool
clear(const struct fwd *f, const struct park_live *p)
{
	return park_buf_empty(mine(f, p)) && (p->inbox == NULL || park_buf_empty(p->inbox));
}

/* A place that is itself being left, or still has older frames of the guest, comes later. */
static bool
passable(const struct fwd *f, const struct park_live *at)
{
	if (at == NULL || at->phase == PARK_READY || at->phase == PARK_DROPPING)
		return true;
	return at->phase == PARK_RELEASING && at->heir == at->port && clear(f, at);
}

/*
 * Whether all receive rings of the guest are there again.  With fewer, its flows would come on
 * other rings than before, and frames of one on two rings may overtake each other.
 */
static bool
rings_ready(const struct fwd *f, const struct park_live *p, uint16_t heir)
{
	const struct swdev_live *live = f->rings->ports[heir];

	if (live == NULL || live->n_rx == 0)
		return false;
	return live->n_rx >= p->n_rx ||
	       (int64_t)(f->now - live->since) > (int64_t)(SETTLE_US * (rte_get_tsc_hz() / 1000000));
}

static const struct port_live *
heir_ready(const struct fwd *f, const struct park_live *p)
{
	const struct port_live *heir = p->heir != PARK_NOWHERE ? f->ports->ports[p->heir] : NULL;

	if (heir == NULL)
		return NULL;
	if (p->heir != p->port && !passable(f, f->parks->ports[p->heir]))
		return NULL;
	heir = fwd_elsewhere(f, heir);
	if (heir == NULL)
		return NULL;
	if (heir->type == PORT_ETHDEV)
		return heir->n_txq > 0 ? heir : NULL;
	return rings_ready(f, p, heir->number) ? heir : NULL;
}

/* What comes for the guest now is kept, whatever its new place may have. */
static bool
kept(const struct fwd *f, const struct park_live *p)
{
	switch ((enum park_phase)p->phase) {
	case PARK_KEEPING:
	case PARK_STREAMING:
	case PARK_ARRIVING:
		return true;
	case PARK_LATE:
	case PARK_RELEASING:
		return !clear(f, p);
	case PARK_READY:
	case PARK_DROPPING:
		break;
	}
	return false;
}

/* What goes to the wire of a device that moves a guest's rings may be for that guest. */
static const struct park_live *
park_behind(const struct fwd *f, const struct fwd_frame *fr, uint16_t via)
{
	uint64_t mac = 0;

	for (uint32_t i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		mac = mac << 8 | fr->snap[i];
	for (uint32_t i = 0; i < f->parks->n; i++) {
		const struct park_live *p = &f->parks->lives[i];

		if (p->via != via || p->phase == PARK_READY)
			continue;
		for (uint32_t j = 0; j < p->n_macs; j++)
			if (p->macs[j] == mac)
				return p;
	}
	return NULL;
}

const struct park_live *
fwd_park_find(const struct fwd *f, const struct fwd_frame *fr, const struct port_live **to)
{
	const struct park_live *p = f->parks->ports[(*to)->number];
	const struct port_live *heir;

	if ((p == NULL || p->phase == PARK_READY) && !f->flooding)
		p = park_behind(f, fr, (*to)->number);
	if (p == NULL || p->phase == PARK_READY)
		return NULL;
	if (kept(f, p))
		return p;
	heir = heir_ready(f, p);
	/* What the heir may not have is refused by name when it is its turn. */
	if (heir == NULL || (heir != *to && fwd_allowed(f, heir, fr) != DROP_NONE))
		return p->phase != PARK_DROPPING && !p->closing ? p : NULL;
	*to = heir;
	return NULL;
}

bool
fwd_park_early(struct fwd *f)
{
	const struct park_live *p = f->parks->ports[f->src->number];

	return p != NULL && p->phase == PARK_ARRIVING && !fwd_src_known(f);
}

/* What is flooded now reaches a port, or waits for it there. */
static bool
hears(const struct fwd *f, uint16_t port)
{
	const struct park_live *p = f->parks->ports[port];
	const struct swdev_live *live = f->rings->ports[port];

	if (f->ports->ports[port]->type == PORT_ETHDEV)
		return true;
	return (live != NULL && live->n_rx > 0) ||
	       (p != NULL && p->phase != PARK_READY && p->phase != PARK_DROPPING);
}

/* The guest hears what is flooded on its new port. */
bool
fwd_park_left(const struct fwd *f, const struct port_live *to)
{
	const struct park_live *p = f->parks->ports[to->number];

	if (p != NULL && (p->phase == PARK_STREAMING || p->phase == PARK_LATE))
		return true;
	if (p == NULL || p->phase != PARK_RELEASING || p->heir == p->port)
		return false;
	return f->ports->ports[p->heir] != NULL && hears(f, p->heir);
}

/* A frame on its way into a buffer. */
struct keeping {
	struct fwd *f;
	struct park_buf *buf;
	struct stats_lane *lane; /* of the port that the guest has left */
};

static bool
keep(void *arg, const struct fwd_frame *fr)
{
	struct keeping *k = arg;
	struct park_frame *pf = park_buf_room(k->buf, fr->len);

	if (unlikely(pf == NULL)) {
		stats_drop(k->lane, DROP_PARK_FULL, 1);
		return true;
	}
	pf->src = k->f->src->number;
	pf->home = (uint16_t)k->f->home;
	pf->version = k->f->rings->version;
	pf->vnet = fr->vnet;
	pf->needs = fr->needs;
	pf->flooded = k->f->flooding;
	fwd_copy_flat(fr, pf->bytes);
	park_buf_put(k->buf, pf, fr->len);
	stats_count(k->lane, COUNT_PARKED, 1);
	return true;
}

/* What the guest's driver does not take as it is, is completed now: later nothing can be in parts. */
void
fwd_park_deliver(struct fwd *f, const struct fwd_group *g, uint32_t cut)
{
	struct keeping k = {
		.f = f, .buf = mine(f, g->park), .lane = fwd_lane(f, g->port),
	};
	uint8_t takes = fwd_takes(g->park->features);

	for (uint32_t i = 0; i < g->n && g->frames[i] < cut; i++) {
		struct fwd_frame *fr = &f->frames[g->frames[i]];

		if ((fr->needs & ~takes) == 0)
			keep(&k, fr);
		else
			fwd_offload(f, fr, takes, k.lane, keep, &k);
	}
}

/* Parked frames on their way out of one buffer. */
struct leaving {
	const struct park_live *park;
	struct park_buf *buf;
	bool inbox;                  /* it came from another host, of which this one knows no port */
	struct stats_lane *lane;
	const struct port_live *heir;
	uint64_t bytes;              /* looked at in this turn */
	uint32_t passed;             /* frames that do not go on */
	uint64_t at;                 /* behind what was looked at */
	uint64_t ends[FWD_BURST];    /* behind each frame of the burst */
};

/*
 * The new place was given this copy by whoever flooded it, or has flooded it itself.  Who comes to
 * the very port where the copy waits may have been given it on another one, where it stands so far.
 */
static bool
known(struct fwd *f, const struct leaving *l, const struct park_frame *pf,
      const struct fwd_frame *fr)
{
	if (!pf->flooded)
		return false;
	if (l->heir->number == l->park->port)
		return fwd_dst_elsewhere(f, fr, l->park->port);
	if (f->src == l->heir)
		return true;
	return l->heir->type == PORT_ETHDEV ||
	       swdev_reached(f->rings->ports[l->heir->number], pf->version);
}

/* What came in where the guest is reached now would go back there. */
static enum drop
refused(const struct fwd *f, const struct leaving *l, const struct fwd_frame *fr)
{
	enum drop d = fwd_allowed(f, l->heir, fr);

	if (l->inbox)
		return fr->drop != DROP_NONE ? fr->drop : fwd_fits(l->heir, fr);
	if (l->heir->type == PORT_ETHDEV && (d == DROP_SAME_PORT || d == DROP_ISOLATED))
		return DROP_PARK_PEER;
	return d;
}

/* Counts a frame that does not go on. @return false: it does */
static bool
passed_over(struct fwd *f, struct leaving *l, const struct park_frame *pf,
	    const struct fwd_frame *fr)
{
	enum drop d = refused(f, l, fr);

	if (known(f, l, pf, fr))
		stats_count(l->lane, COUNT_PARK_KNOWN, 1);
	else if (d != DROP_NONE)
		stats_drop(l->lane, d, 1);
	else
		return false;
	l->passed++;
	return true;
}

static void
frame_fill(struct fwd *f, const struct park_frame *pf, struct fwd_frame *fr)
{
	fwd_frame_set(fr, pf->bytes, pf->len, &f->tx.segs[f->n]);
	fr->vnet = pf->vnet;
	fr->needs = pf->needs;
	if (pf->src == PARK_NOWHERE)
		fwd_frame_check(fr);
}

/* A burst is of one source, which chooses the ring. */
static bool
source_same(struct fwd *f, const struct leaving *l, const struct park_frame *pf)
{
	const struct port_live *src = pf->src == PARK_NOWHERE ? NULL : f->ports->ports[pf->src];

	if (src == NULL) /* it is no more, or not of this host; who was left stands for it */
		src = f->ports->ports[l->park->port];
	if (f->n > 0)
		return src == f->src && pf->home == f->home;
	f->src = src;
	f->home = pf->home;
	f->lane = fwd_lane(f, src);
	return true;
}

/* Adds the next frame to the burst. @return false: it is full, or the next one is not for it */
static bool
burst_add(struct fwd *f, struct leaving *l)
{
	const struct park_frame *pf = park_buf_next(l->buf, &l->at);
	struct fwd_frame *fr = &f->frames[f->n];
	const struct fwd_group *g;

	if (pf == NULL || !source_same(f, l, pf))
		return false;
	frame_fill(f, pf, fr);
	l->bytes += pf->len;
	if (f->n == 0 && passed_over(f, l, pf, fr)) {
		park_buf_take(l->buf, l->at);
		return l->bytes < FWD_BYTES;
	}
	if (f->n > 0 && (known(f, l, pf, fr) || refused(f, l, fr) != DROP_NONE))
		return false;
	g = fwd_place_find(f, fr, l->heir);
	if (g != &f->groups[0]) {
		f->n_groups = RTE_MIN(f->n_groups, 1u);
		return false;
	}
	fwd_group_add(&f->groups[0], f->n);
	l->ends[f->n++] = l->at;
	return f->n < FWD_BURST && l->bytes < FWD_BYTES;
}

static uint32_t
burst_send(struct fwd *f, struct leaving *l)
{
	uint32_t done;

	f->n = 0;
	f->n_groups = 0;
	l->at = 0;
	while (burst_add(f, l))
		;
	if (f->n == 0)
		return 0;
	f->patient = true;
	done = fwd_group_send(f);
	f->patient = false;
	if (done > 0)
		park_buf_take(l->buf, l->ends[done - 1]);
	stats_count(l->lane, l->inbox ? COUNT_PARK_TAKEN : COUNT_UNPARKED, done);
	return done;
}

/* Where what is in the inbox goes: it may go before the rest may. */
static const struct port_live *
guest_ready(const struct fwd *f, const struct park_live *p)
{
	if (p->phase != PARK_ARRIVING)
		return heir_ready(f, p);
	return rings_ready(f, p, p->port) ? f->ports->ports[p->port] : NULL;
}

static uint32_t
release(struct fwd *f, const struct park_live *p, struct park_buf *buf, struct stats_lane *lane)
{
	struct leaving l = {
		.park = p, .buf = buf, .inbox = buf == p->inbox, .lane = lane,
		.heir = guest_ready(f, p),
	};
	uint32_t frames = 0;

	for (uint32_t i = 0; l.heir != NULL && i < BURSTS && l.bytes < FWD_BYTES; i++) {
		uint32_t done = burst_send(f, &l);

		frames += done;
		if (done == 0)
			break;
	}
	return frames + l.passed;
}

static uint32_t
drop_some(struct park_buf *b, struct stats_lane *lane)
{
	uint64_t at = 0;
	uint32_t n = 0;

	while (n < TIMED_OUT && park_buf_next(b, &at) != NULL)
		n++;
	park_buf_take(b, at);
	stats_drop(lane, DROP_PARK_TIMEOUT, n);
	return n;
}

/* The first worker empties the inbox, and nobody what stands behind it. */
static struct park_buf *
waiting(const struct fwd *f, const struct park_live *p)
{
	bool going = p->phase == PARK_RELEASING || p->phase == PARK_DROPPING;

	if (p->inbox != NULL && (going || p->phase == PARK_ARRIVING) && !park_buf_empty(p->inbox))
		return f->worker == 0 ? p->inbox : NULL;
	return going && !park_buf_empty(mine(f, p)) ? mine(f, p) : NULL;
}

uint32_t
fwd_parks_turn(struct fwd *f)
{
	uint32_t frames = 0;

	for (uint32_t i = 0; i < f->parks->n; i++) {
		const struct park_live *p = &f->parks->lives[i];
		const struct port_live *left = f->ports->ports[p->port];
		struct park_buf *buf = left == NULL ? NULL : waiting(f, p);

		if (buf == NULL)
			continue;
		frames += p->phase == PARK_DROPPING ? drop_some(buf, fwd_lane(f, left)) :
			  release(f, p, buf, fwd_lane(f, left));
	}
	return frames;
}

/* Who waits for another to empty the inbox looks again soon: nobody wakes it. */
bool
fwd_parks_pending(const struct fwd *f)
{
	for (uint32_t i = 0; i < f->parks->n; i++) {
		const struct park_live *p = &f->parks->lives[i];

		if (waiting(f, p) != NULL || (p->phase == PARK_RELEASING && !clear(f, p)))
			return true;
	}
	return false;
}
