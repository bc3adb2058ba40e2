/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <string.h>

#define F_GUEST_CSUM  1
#define F_GUEST_TSO4  7
#define F_GUEST_TSO6  8
#define F_GUEST_ECN   9
#define F_MRG_RXBUF   15

/* A delivery under way; the ring's claim is held. */
struct delivery {
	struct fwd *f;
	const struct port_live *to;
	struct vring *ring;
	struct vring_batch *rx;
	struct stats_lane *lane;
	uint32_t first;      /* chain of the batch that was not given back */
	uint32_t next;       /* first chain of the batch that is not used up */
	uint32_t expected;   /* frames still to come, this one included */
	bool mergeable;
	bool captured;
	bool patient;        /* a frame that finds no buffer waits for one, and so do those behind it */
	bool waits;          /* one does */
	uint8_t takes;
	uint32_t chains;
	uint32_t frames;
	uint64_t bytes;
};

uint8_t
fwd_takes(uint64_t features)
{
	uint8_t takes = 0;

	/* Without checksums no segmentation: it depends on them (virtio 1.2, 5.1.3.1). */
	if ((features >> F_GUEST_CSUM & 1) == 0)
		return 0;
	takes = FWD_CSUM;
	if (features >> F_GUEST_TSO4 & 1)
		takes |= FWD_TSO4;
	if (features >> F_GUEST_TSO6 & 1)
		takes |= FWD_TSO6;
	if (features >> F_GUEST_ECN & 1)
		takes |= FWD_ECN;
	return takes;
}

/* Gives back what is used up. */
static void
give_back(struct delivery *d)
{
	uint32_t n = d->next - d->first;

	vring_put_burst(d->ring, &d->rx->chains[d->first], n);
	d->chains += n;
	d->first = d->next;
}

/* Starts the batch again where the ring is. */
static void
batch_renew(struct delivery *d)
{
	give_back(d);
	vring_batch_reset(d->rx);
	d->first = d->next = 0;
}

static bool
peek_more(struct delivery *d)
{
	return vring_peek(d->ring, d->rx, RTE_MAX(d->expected, 4u)) > 0;
}

/*
 * Takes chains until they hold `need` bytes.
 *
 * @return  chains; 0: there are not enough
 */
static uint32_t
reserve(struct delivery *d, uint32_t need)
{
	uint64_t have = 0;

	for (uint32_t i = d->next; ; i++) {
		if (i == d->rx->n) {
			if (d->next == d->rx->n) {
				batch_renew(d);
				i = 0;
			}
			if (!peek_more(d)) {
				if (d->next == 0)
					return 0;
				/* Used ones may have taken the batch's room: read on from where
				 * the ring is. */
				batch_renew(d);
				i = 0;
				have = 0;
				if (!peek_more(d))
					return 0;
			}
		}
		have += d->rx->chains[i].len;
		if (likely(have >= need))
			return i + 1 - d->next;
		if (!d->mergeable)
			return 0;
	}
}

/* Why there was no room: a buffer that is too small stays for a smaller frame. */
static enum drop
refusal(const struct delivery *d)
{
	if (vring_bad(d->ring) != VRING_BAD_NONE)
		return DROP_RING_BAD;
	return d->next < d->rx->n && !d->mergeable ? DROP_NO_ROOM : DROP_NO_DESC;
}

static void
header_write(const struct delivery *d, const struct fwd_frame *fr, const struct vring_chain *c,
	     uint16_t n_chains)
{
	struct virtio_net_hdr_mrg_rxbuf h = { .hdr = fr->vnet, .num_buffers = n_chains };
	const uint8_t *from = (const uint8_t *)&h;
	uint32_t left = d->ring->hdr_len;

	if ((d->takes & FWD_CSUM) == 0)
		h.hdr.flags = 0;
	for (const struct vring_seg *s = c->segs; left > 0; s++) {
		uint32_t some = RTE_MIN(left, s->len);

		memcpy(s->host, from, some);
		from += some;
		left -= some;
	}
}

/* The used lengths: every buffer but the last is full. */
static void
use(struct delivery *d, uint32_t n_chains, uint32_t need)
{
	for (uint32_t i = 0; i < n_chains; i++) {
		struct vring_chain *c = &d->rx->chains[d->next++];

		c->used = RTE_MIN(need, c->len);
		need -= c->used;
	}
}

/* Chains of one frame stand one behind the other in the batch, and so do their pieces. */
static __rte_noinline bool
frame_scatter(struct delivery *d, const struct fwd_frame *fr, uint32_t need)
{
	uint32_t n_chains = reserve(d, need);
	const struct vring_chain *c = &d->rx->chains[d->next];

	if (unlikely(n_chains == 0))
		return false;
	header_write(d, fr, c, (uint16_t)n_chains);
	fwd_copy(fr, c->segs, d->ring->hdr_len);
	use(d, n_chains, need);
	return true;
}

static bool
frame_write(void *arg, const struct fwd_frame *fr)
{
	struct delivery *d = arg;

	if (unlikely(!frame_scatter(d, fr, d->ring->hdr_len + fr->len))) {
		enum drop why = refusal(d);

		d->waits = d->patient && why == DROP_NO_DESC;
		if (!d->waits)
			stats_drop(d->lane, why, 1);
		return !d->waits && vring_bad(d->ring) == VRING_BAD_NONE;
	}
	d->frames++;
	d->bytes += fr->len;
	if (unlikely(d->captured))
		fwd_capture(d->f, d->to, CAPTURE_TX, fr);
	return true;
}

/* Header and frame of whoever takes a header of the usual length are one copy. */
static inline void
frame_put(uint8_t *to, const struct fwd_frame *fr, uint32_t hdr_len, uint8_t takes)
{
	const uint8_t *from = (const uint8_t *)&fr->vnet;

	if (likely(hdr_len == sizeof(struct virtio_net_hdr_mrg_rxbuf) &&
		   fr->snap_len + hdr_len >= 64)) {
		fwd_copy_short(to, from, hdr_len + fr->snap_len);
	} else {
		memcpy(to, from, RTE_MIN(hdr_len, sizeof(struct virtio_net_hdr_mrg_rxbuf)));
		fwd_snap_copy(to + hdr_len, fr->snap, fr->snap_len);
	}
	if (unlikely((takes & FWD_CSUM) == 0))
		to[offsetof(struct virtio_net_hdr, flags)] = 0;
	if (fr->len > FWD_SNAP)
		fwd_copy_rest(fr, to + hdr_len + FWD_SNAP);
}

/*
 * Writes frames of the group while they need nothing, and the next chain is one piece and has room:
 * what most frames and buffers are.
 *
 * @return  first frame that is not written
 */
static uint32_t
plain_run(struct delivery *d, const struct fwd_group *g, uint32_t i, uint32_t n)
{
	struct vring_chain *c = &d->rx->chains[d->next], *end = &d->rx->chains[d->rx->n];
	const struct fwd_frame *frames = d->f->frames;
	const uint32_t hdr_len = d->ring->hdr_len, first = i;
	const uint8_t takes = d->takes;
	uint64_t bytes = 0;

	for (; i < n && c < end; i++, c++) {
		const struct fwd_frame *fr = &frames[g->frames[i]];
		uint8_t *to = c->segs[0].host;

		if (unlikely((fr->needs & ~takes) != 0) || unlikely(c->n_segs != 1) ||
		    unlikely(c->len < hdr_len + fr->len))
			break;
		frame_put(to, fr, hdr_len, takes);
		c->used = hdr_len + fr->len;
		bytes += fr->len;
	}
	d->next += i - first;
	d->frames += i - first;
	d->bytes += bytes;
	return i;
}

static void
delivery_end(struct delivery *d, const struct swdev_ring *ring)
{
	give_back(d);
	d->f->work += d->bytes + d->frames * FWD_FRAME_WORK;
	stats_add(&ring->state->chains, d->chains);
	stats_count(d->lane, COUNT_TX_FRAMES, d->frames);
	stats_count(d->lane, COUNT_TX_BYTES, d->bytes);
	swdev_publish(ring, d->f->worker);
	if (unlikely(vring_bad(d->ring) != VRING_BAD_NONE))
		swdev_report(d->f->opts.pool, ring);
}

/* What was cut in part cannot wait: the guest has the first segments. */
static void
frame_send(struct delivery *d, const struct fwd_frame *fr)
{
	const bool whole = (fr->needs & ~d->takes) == 0;

	d->patient = d->f->patient && whole;
	if (whole)
		frame_write(d, fr);
	else
		fwd_offload(d->f, fr, d->takes, d->lane, frame_write, d);
}

uint32_t
fwd_ring_deliver(struct fwd *f, const struct fwd_group *g, uint32_t cut)
{
	uint64_t features = f->rings->ports[g->port->number]->features;
	uint32_t n = g->n, i;
	struct delivery d = {
		.f = f, .to = g->port, .ring = &g->ring->state->ring, .rx = &f->rx,
		.lane = fwd_lane(f, g->port), .takes = fwd_takes(features),
		.mergeable = (features >> F_MRG_RXBUF & 1) != 0,
		.captured = fwd_captured(f, g->port), .expected = g->n,
	};

	while (n > 0 && g->frames[n - 1] >= cut)
		n--;
	vring_batch_reset(d.rx);
	peek_more(&d);
	for (i = 0; i < n; i++) {
		if (likely(!d.captured))
			i = plain_run(&d, g, i, n);
		if (i == n)
			break;
		d.expected = n - i;
		frame_send(&d, &f->frames[g->frames[i]]);
		if (unlikely(d.waits))
			break;
	}
	delivery_end(&d, g->ring);
	return i;
}
