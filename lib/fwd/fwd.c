/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>

#include <errno.h>
#include <stdlib.h>

int
fwd_create(const struct fwd_opts *opts, struct fwd **out)
{
	struct fwd *f = aligned_alloc(RTE_CACHE_LINE_SIZE,
				      RTE_ALIGN_CEIL(sizeof(*f), RTE_CACHE_LINE_SIZE));

	if (f == NULL)
		return -ENOMEM;
	/* The batches are left as they come: pages that no chain needs are never touched. */
	f->opts = *opts;
	f->worker = opts->worker;
	f->n = 0;
	f->busy_known = false;
	f->work = f->turn_work = f->look_work = 0;
	f->next = f->busy_next = 0;
	f->patient = f->injected = f->flooding = false;
	f->n_groups = 0;
	memset(f->group_of, 0, sizeof(f->group_of));
	vring_batch_reset(&f->tx);
	vring_batch_reset(&f->rx);
	*out = f;
	return 0;
}

void
fwd_destroy(struct fwd *f)
{
	free(f);
}

/* The pieces of a frame as a capture wants them. */
void
fwd_capture(struct fwd *f, const struct port_live *p, enum capture_dir dir,
	    const struct fwd_frame *fr)
{
	struct iovec iov = { .iov_base = f->seen, .iov_len = fr->len };

	fwd_copy_flat(fr, f->seen);
	capture_frame(capture_view(f->opts.capture, p->number), f->worker, dir, &iov, 1, fr->len);
}

static void
drop_count(struct fwd *f, const struct fwd_frame *fr)
{
	const struct port_live *by;

	by = fr->refused_by == FWD_SOURCE ? f->src : f->ports->ports[fr->refused_by];
	stats_drop(fwd_lane(f, by), fr->drop, 1);
}

/* Adds up frames one by one, and does what is to be done for some of them. */
static uint64_t
frames_count(struct fwd *f, uint32_t n, bool captured)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct fwd_frame *fr = &f->frames[i];

		bytes += fr->len;
		if (unlikely(captured && fr->len <= FWD_LEN_MAX))
			fwd_capture(f, f->src, CAPTURE_RX, fr);
		if (unlikely(fr->drop != DROP_NONE))
			drop_count(f, fr);
	}
	return bytes;
}

/* Counts and shows the frames that this turn is done with, dropped or not. */
void
fwd_received(struct fwd *f, uint32_t n)
{
	const bool captured = fwd_captured(f, f->src);
	const bool added = f->even && n == f->n && !captured;
	const uint64_t bytes = likely(added) ? f->bytes : frames_count(f, n, captured);

	stats_count(f->lane, COUNT_RX_FRAMES, n);
	stats_count(f->lane, COUNT_RX_BYTES, bytes);
	f->work += bytes + n * FWD_FRAME_WORK;
}

static void
all_drop(struct fwd *f, enum drop why)
{
	for (uint32_t i = 0; i < f->n; i++)
		f->frames[i].drop = why;
	f->n_groups = 0;
	f->even = false;
}

static void
chains_put(struct fwd *f, const struct swdev_ring *r, uint32_t n)
{
	vring_put_burst(&r->state->ring, f->tx.chains, n);
	stats_add(&r->state->chains, n);
	swdev_publish(r, f->worker);
}

static uint32_t
ring_turn(struct fwd *f, const struct swdev_ring *r, bool *left)
{
	struct vring *ring = &r->state->ring;
	uint32_t cut;

	vring_batch_reset(&f->tx);
	if (likely(vring_peek(ring, &f->tx, FWD_BURST) == 0)) {
		if (unlikely(vring_bad(ring) != VRING_BAD_NONE))
			swdev_report(f->opts.pool, r);
		return 0;
	}
	f->src = f->ports->ports[r->port];
	f->home = r->home;
	if (unlikely(f->src == NULL))
		return 0;
	f->lane = fwd_lane(f, f->src);
	fwd_frames_read(f, ring->hdr_len);
	if (likely(r->enabled))
		fwd_classify(f);
	else
		all_drop(f, DROP_DISABLED);
	cut = fwd_groups_claim(f);
	if (unlikely(f->parks != NULL) && unlikely(fwd_park_early(f)))
		cut = 0;
	*left |= cut < f->n;
	fwd_received(f, cut);
	fwd_groups_deliver(f, cut);
	chains_put(f, r, cut);
	return cut;
}

static void
views_load(struct fwd *f)
{
	f->rings = swdev_view(f->opts.pool);
	f->ports = port_view(f->opts.ports);
	fwd_parks_load(f);
}

/* Rings that are few are all looked at in every turn; of many, most are quiet. */
#define RINGS_FEW 16

/* A turn is what others wait for: many rings of large frames are served in several. */
static inline bool
turn_spent(const struct fwd *f)
{
	return f->work - f->turn_work >= FWD_TURN_WORK;
}

static void
busy_note(struct fwd *f, uint32_t ring)
{
	if (f->n_busy < FWD_BUSY)
		f->busy[f->n_busy] = (uint16_t)ring;
	f->n_busy++;
}

/* Looks at all rings, in as many turns as that takes; a new view meanwhile moves some of them. */
static void
rings_turn_all(struct fwd *f, struct fwd_turn *out)
{
	const struct swdev_ring **rings = f->rings->workers[f->worker].rings;
	uint32_t n = f->rings->workers[f->worker].n;

	if (f->next == 0) {
		f->n_busy = 0;
		f->version = f->rings->version;
	}
	for (; f->next < n && !turn_spent(f); f->next++) {
		bool left = false;
		uint32_t frames = ring_turn(f, rings[f->next], &left);

		out->frames += frames;
		out->left |= left;
		if (unlikely(frames > 0 || left))
			busy_note(f, f->next);
	}
	if (unlikely(f->next < n)) {
		out->left = true;
		return;
	}
	f->next = 0;
	/* More busy ones than can be kept are all served in the same way. */
	f->busy_known = n > RINGS_FEW && f->n_busy <= FWD_BUSY && f->version == f->rings->version;
	f->look_work = f->work;
}

static void
rings_turn_busy(struct fwd *f, struct fwd_turn *out)
{
	const struct swdev_ring **rings = f->rings->workers[f->worker].rings;

	f->work += f->n_busy * FWD_LOOK_WORK;
	for (uint32_t i = 0; i < f->n_busy && !turn_spent(f); i++) {
		if (f->busy_next >= f->n_busy)
			f->busy_next = 0;
		out->frames += ring_turn(f, rings[f->busy[f->busy_next++]], &out->left);
	}
}

/*
 * A look at a ring costs lines of ours and one of the guest's memory, and with a hundred quiet guests
 * more than the frames of the two that talk.  So between two looks at all rings, only those that had
 * chains then are served, until some fifty microseconds' work is done: that is what who starts
 * talking waits for at most.
 */
static void
rings_turn(struct fwd *f, struct fwd_turn *out)
{
	f->turn_work = f->work;
	if (f->next == 0 && f->busy_known && f->work - f->look_work < FWD_QUIET_WORK &&
	    f->version == f->rings->version) {
		rings_turn_busy(f, out);
		if (out->frames > 0)
			return;
	}
	rings_turn_all(f, out);
}

void
fwd_turn(struct fwd *f, struct fwd_turn *out)
{
	uint32_t w = f->worker;

	views_load(f);
	out->frames = 0;
	out->left = false;
	/* What was parked is older than all that comes now. */
	if (unlikely(f->parks != NULL))
		out->frames += fwd_parks_turn(f);
	rings_turn(f, out);
	for (uint32_t i = 0; i < f->ports->workers[w].n; i++)
		out->frames += fwd_eth_turn(f, &f->ports->workers[w].polls[i]);
}

/* Where no kick can come the ring is polled, at the pace of a bounded sleep. */
static bool
ring_arm(const struct swdev_ring *r, bool *bounded)
{
	if (r->kickfd < 0)
		*bounded = true;
	return vring_arm(&r->state->ring);
}

static bool
poll_arm(struct fwd *f, const struct port_poll *p, bool *bounded)
{
	if (p->interrupts)
		return fwd_eth_arm(f, p);
	*bounded = true;
	return false;
}

bool
fwd_arm(struct fwd *f, bool *bounded)
{
	uint32_t w = f->worker;
	bool ready = false;

	views_load(f);
	*bounded = f->parks != NULL && fwd_parks_pending(f);
	for (uint32_t i = 0; i < f->rings->workers[w].n; i++)
		ready |= ring_arm(f->rings->workers[w].rings[i], bounded);
	for (uint32_t i = 0; i < f->ports->workers[w].n; i++)
		ready |= poll_arm(f, &f->ports->workers[w].polls[i], bounded);
	return ready;
}

void
fwd_disarm(struct fwd *f)
{
	uint32_t w = f->worker;

	views_load(f);
	for (uint32_t i = 0; i < f->rings->workers[w].n; i++)
		vring_disarm(&f->rings->workers[w].rings[i]->state->ring);
	for (uint32_t i = 0; i < f->ports->workers[w].n; i++) {
		const struct port_poll *p = &f->ports->workers[w].polls[i];

		if (p->interrupts)
			fwd_eth_disarm(p);
	}
}

void
fwd_inject(struct fwd *f, uint16_t port, uint32_t id, const uint8_t *data, uint32_t len)
{
	struct fwd_frame *fr = &f->frames[0];
	struct vring_seg rest;
	uint32_t cut;

	views_load(f);
	f->src = f->ports->ports[port];
	f->home = f->worker;
	if (f->src == NULL || f->src->id != id || fwd_elsewhere(f, f->src) != f->src)
		return;
	f->lane = fwd_lane(f, f->src);
	f->n = 1;
	fwd_frame_set(fr, data, len, &rest);
	f->injected = true;
	fwd_classify(f);
	f->injected = false;
	cut = fwd_groups_claim(f);
	if (cut == 0) {
		fr->drop = DROP_BUSY;
		f->even = false;
	}
	fwd_received(f, 1);
	fwd_groups_deliver(f, cut);
}

void
fwd_polled(const struct fwd *f, uint32_t *n_rings, uint32_t *n_queues)
{
	*n_rings = swdev_view(f->opts.pool)->workers[f->worker].n;
	*n_queues = port_view(f->opts.ports)->workers[f->worker].n;
}
