/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cmd.h"
#include "guest_inner.h"

#define BURST 32

static void
way_init(struct stream *s, unsigned int i, struct vmm_guest *from, struct vmm_guest *to)
{
	struct stream_way *w = &s->ways[i];
	const struct vmm_guest_conf *c = &to->conf;
	uint32_t bufs = c->n_bufs > 0 ? c->n_bufs : 512;
	uint32_t per_frame = c->mergeable ? (s->size_max + 12 + c->rx_buf - 1) / c->rx_buf : 1;
	uint32_t segments = s->size_max / GATHER_MSS + 1;

	w->from = from;
	w->to = to;
	w->first_flow = i * STREAM_FLOWS_MAX;
	if (from->conf.offload && per_frame < segments)
		per_frame = segments;
	if (bufs > c->size)
		bufs = c->size;
	/* Chains that stay direct take as many descriptors as they have pieces. */
	if (bufs > c->size / c->segs)
		bufs = c->size / c->segs;
	w->window = bufs / per_frame / 2;
	if (w->window == 0)
		w->window = 1;
	for (uint32_t f = 0; f < s->n_flows; f++)
		w->flows[f].id = w->first_flow + f;
}

void
stream_init(struct stream *s, struct vmm_guest *a, struct vmm_guest *b, uint32_t n_flows,
	    uint32_t size_min, uint32_t size_max, uint32_t seed)
{
	memset(s, 0, sizeof(*s));
	s->n_flows = n_flows < STREAM_FLOWS_MAX ? n_flows : STREAM_FLOWS_MAX;
	s->size_min = size_min;
	s->size_max = size_max;
	s->rng = seed;
	s->deadline_ms = a->conf.deadline_ms;
	s->nap_ms = 100;
	s->fault = a->fault;
	way_init(s, 0, a, b);
	way_init(s, 1, b, a);
}

void
stream_fini(struct stream *s)
{
	for (int i = 0; i < 2; i++)
		for (uint32_t f = 0; f < STREAM_FLOWS_MAX; f++)
			gather_fini(&s->ways[i].gathers[f]);
}

uint64_t
stream_in_flight(const struct stream_way *w)
{
	return w->sent - w->received - w->written_off;
}

uint64_t
stream_write_off(struct stream_way *w)
{
	uint64_t n = stream_in_flight(w);

	w->written_off += n;
	return n;
}

/* A flow keeps its kind, or a hash over ports would spread it over queues: every fourth is raw. */
static void
frame_kind(const struct stream *s, const struct vmm_guest *from, struct vmm_frame *frame,
	   uint32_t f)
{
	uint32_t min = VMM_FRAME_UDP_MIN;

	frame->raw = f % 4 == 3 || s->size_max < VMM_FRAME_UDP_MIN;
	frame->tcp = s->tcp && f % 2 == 0 && guest_has(from, VIRTIO_NET_F_CSUM);
	if (frame->tcp)
		min = VMM_FRAME_TCP_MIN;
	if (!frame->raw && frame->len < min)
		frame->len = min;
	if (frame->tcp && !guest_has(from, VIRTIO_NET_F_HOST_TSO4) &&
	    frame->len > VMM_FRAME_TCP_PAYLOAD + GATHER_MSS)
		frame->len = VMM_FRAME_TCP_PAYLOAD + GATHER_MSS;
}

/* Returns 1, 0 when the transmit ring is full, or -EPROTO. */
static int
send_one(struct stream *s, struct stream_way *w)
{
	uint32_t f = vmm_rng(&s->rng, s->n_flows);
	struct vmm_flow *flow = &w->flows[f];
	struct vmm_frame frame = {
		.flow = flow->id,
		.seq = flow->sent,
		.len = s->size_min + vmm_rng(&s->rng, s->size_max - s->size_min + 1),
	};
	vmm_net_hdr hdr = { 0 };
	int rc;

	/* Every other one ends on the first byte of a page. */
	if (w->to->conf.edge > 0 && vmm_rng(&s->rng, 2) == 0)
		frame.len = w->to->conf.edge - w->to->hdr_len;
	frame_kind(s, w->from, &frame, f);
	if (frame.tcp)
		vmm_frame_offload(&hdr, &frame, GATHER_MSS);
	memcpy(frame.src, w->from->mac, 6);
	memcpy(frame.dst, w->to->mac, 6);
	vmm_frame_build(s->frame, &frame);
	rc = vmm_guest_send(w->from, f % w->from->conf.pairs, s->frame, frame.len, &hdr);
	if (rc < 0)
		return rc == -EAGAIN ? 0 : rc;
	flow->sent++;
	w->sent++;
	w->bytes += frame.len;
	return 1;
}

static int
way_send(struct stream *s, struct stream_way *w, uint64_t until)
{
	int n = 0, rc = 1;

	while (n < BURST && w->sent < until && stream_in_flight(w) < w->window && rc > 0) {
		rc = send_one(s, w);
		if (rc < 0)
			return rc;
		n += rc;
	}
	return n;
}

/*
 * While queues of the receiver come and go, a flow moves from one to another, and what is in them
 * has no order: then a number that was jumped over may still come, once.
 */
static int
flow_received(struct stream *s, const struct stream_way *w, struct vmm_flow *flow,
	      const struct vmm_frame *frame)
{
	if (!w->breaks || w->to->conf.pairs == 1 || frame->seq >= flow->expected ||
	    flow->missing == 0)
		return vmm_flow_received(flow, frame, s->fault);
	flow->missing--;
	flow->received++;
	return 0;
}

/* A whole frame arrived at w->to.  Returns 1, or -EPROTO. */
static int
frame_account(struct stream *s, struct stream_way *w, const uint8_t *bytes, uint32_t len)
{
	struct vmm_frame frame;
	uint32_t f;
	int rc = vmm_frame_parse(&frame, bytes, len, s->fault);

	if (rc < 0)
		return rc;
	f = frame.flow - w->first_flow;
	if (memcmp(frame.src, w->from->mac, 6) != 0 || f >= s->n_flows)
		return vmm_fault_set(s->fault, "frame: flow %u of a stranger", frame.flow);
	rc = flow_received(s, w, &w->flows[f], &frame);
	if (rc < 0)
		return rc;
	if (stream_in_flight(w) == 0) {
		w->written_off--;
		w->late++;
	}
	w->received++;
	return 1;
}

/* The flow that a segment belongs to, by its port; NULL: none of ours. */
static struct gather *
gather_find(struct stream *s, struct stream_way *w)
{
	uint16_t port = (uint16_t)(s->frame[34] << 8 | s->frame[35]);

	for (uint32_t f = 0; f < s->n_flows; f++)
		if (vmm_frame_port(w->flows[f].id) == port)
			return &w->gathers[f];
	return NULL;
}

/* What w->to received is in s->frame.  Returns 0, or -EPROTO. */
static int
frame_receive(struct stream *s, struct stream_way *w, uint32_t len, const vmm_net_hdr *hdr)
{
	const uint8_t *bytes = s->frame;
	struct gather *g = NULL;
	int rc = (int)len;

	if (memcmp(bytes, w->to->mac, 6) == 0 && s->tcp && gather_wants(bytes, len))
		g = gather_find(s, w);
	if (memcmp(bytes, w->to->mac, 6) != 0 || (g == NULL && !vmm_frame_ours(bytes, len))) {
		s->others++;
		return 0;
	}
	if (g != NULL && w->breaks && gather_broken(g, bytes)) {
		s->others++;
		return 0;
	}
	if (g != NULL)
		rc = gather_add(g, w->to, s->frame, len, hdr, &bytes);
	else if (hdr->flags != 0 || hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return vmm_fault_set(s->fault, "frame without offloads got flags %u, gso_type %u",
				     hdr->flags, hdr->gso_type);
	return rc <= 0 ? rc : frame_account(s, w, bytes, (uint32_t)rc);
}

static int
way_receive(struct stream *s, struct stream_way *w)
{
	vmm_net_hdr hdr;
	int n = 0, len;

	for (unsigned int q = 0; q < w->to->conf.pairs; q++) {
		for (int i = 0; i < BURST; i++) {
			int rc;

			len = vmm_guest_recv(w->to, q, s->frame, sizeof(s->frame), &hdr);
			if (len == 0)
				break;
			rc = len < 0 ? len : frame_receive(s, w, (uint32_t)len, &hdr);
			if (rc < 0)
				return rc;
			n++;
		}
	}
	return n;
}

int
stream_receive(struct stream *s)
{
	int n = way_receive(s, &s->ways[0]), m;

	if (n < 0)
		return n;
	m = way_receive(s, &s->ways[1]);
	return m < 0 ? m : n + m;
}

/* One round over both directions.  Returns how much moved, or -EPROTO. */
static int
stream_turn(struct stream *s, const uint64_t until[2])
{
	int moved = stream_receive(s), rc;

	if (moved < 0)
		return moved;
	/* Receive buffers are back before anything is sent that may need them. */
	for (int i = 0; i < 2; i++) {
		rc = vmm_guest_flush(s->ways[i].to);
		if (rc < 0)
			return rc;
	}
	for (int i = 0; i < 2; i++) {
		struct stream_way *w = &s->ways[i];

		rc = way_send(s, w, until[i]);
		if (rc < 0)
			return rc;
		moved += rc;
		rc = vmm_guest_reclaim(w->from);
		if (rc < 0)
			return rc;
		moved += rc;
		rc = vmm_guest_flush(w->from);
		if (rc < 0)
			return rc;
	}
	return moved;
}

static bool
stream_done(const struct stream *s, const uint64_t until[2])
{
	for (int i = 0; i < 2; i++) {
		const struct stream_way *w = &s->ways[i];

		if (w->sent < until[i] || stream_in_flight(w) > 0 || vmm_guest_unsent(w->from) > 0)
			return false;
	}
	return true;
}

static void
allow(const struct stream *s, const uint64_t from[2], const uint64_t until[2], int64_t start_us,
      uint64_t now[2])
{
	uint64_t due = (uint64_t)(cmd_now_us() - start_us) * s->rate / 1000000 + 1;

	for (int i = 0; i < 2; i++)
		now[i] = s->rate != 0 && from[i] + due < until[i] ? from[i] + due : until[i];
}

int
stream_run(struct stream *s, const uint64_t frames[2])
{
	struct vmm_guest *guests[2] = { s->ways[0].from, s->ways[1].from };
	uint64_t from[2] = { s->ways[0].sent, s->ways[1].sent };
	uint64_t until[2] = { from[0] + frames[0], from[1] + frames[1] }, now[2];
	int64_t start_us = cmd_now_us(), last_us = start_us;

	while (!stream_done(s, until)) {
		int rc;

		allow(s, from, until, start_us, now);
		rc = stream_turn(s, now);
		if (rc < 0)
			return rc;
		if (rc > 0) {
			last_us = cmd_now_us();
			continue;
		}
		if (cmd_now_us() - last_us > s->deadline_ms * 1000LL)
			return -ETIMEDOUT;
		rc = s->nap_ms == 0 ? 0 : vmm_guest_wait(guests, 2, s->rate != 0 ? 1 : s->nap_ms);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
stream_burst(struct stream *s, unsigned int frames)
{
	uint64_t until[2] = { s->ways[0].sent + frames, s->ways[1].sent + frames };
	int rc = 1;

	for (unsigned int i = 0; i < frames && rc > 0; i += BURST)
		rc = stream_turn(s, until);
	return rc < 0 ? rc : 0;
}

int
stream_quiesce(struct stream *s, uint32_t quiet_ms)
{
	struct vmm_guest *guests[2] = { s->ways[0].from, s->ways[1].from };
	uint64_t until[2] = { s->ways[0].sent, s->ways[1].sent };
	int64_t last_us = cmd_now_us();

	while (!stream_done(s, until)) {
		int rc = stream_turn(s, until);
		int64_t silent_us = cmd_now_us() - last_us;
		bool taken = vmm_guest_unsent(guests[0]) + vmm_guest_unsent(guests[1]) == 0;

		if (rc < 0)
			return rc;
		if (rc > 0)
			last_us = cmd_now_us();
		else if (taken && silent_us > quiet_ms * 1000LL)
			return 0;
		else if (silent_us > s->deadline_ms * 1000LL)
			return -ETIMEDOUT;
		else if (vmm_guest_wait(guests, 2, 5) < 0)
			return -EPROTO;
	}
	return 0;
}
