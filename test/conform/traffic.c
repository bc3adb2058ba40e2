/* SPDX-License-Identifier: BSD-3-Clause */
#include "traffic.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define FRAME_ROOM 16384
#define WAIT_MS    3000
#define ETH_MAX    1514

/* Shorter frames have no room for ports: to a switch they are another flow than longer ones. */
#define UDP_MIN 66

static uint32_t
rng_next(struct traffic *t, uint32_t below)
{
	t->rng = t->rng * 1664525 + 1013904223;
	return (t->rng >> 8) % below;
}

static uint32_t
min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t
pairs(const struct side *s)
{
	return s->n_rings / 2u;
}

void
traffic_init(struct traffic *t, struct side *from, struct side *to, uint32_t id, uint32_t seed,
	     struct vmm_fault *fault)
{
	const struct vmm_guest_conf *rx = &to->g->conf, *tx = &from->g->conf;
	uint32_t n = to->g->queues[0].n_bufs;

	memset(t, 0, sizeof(*t));
	t->from = from;
	t->to = to;
	t->fault = fault;
	t->rng = seed;
	for (uint32_t i = 0; i < TRAFFIC_FLOWS; i++)
		t->flows[i].id = id + i;
	t->len_max = min32(tx->tx_buf - from->g->hdr_len, FRAME_ROOM);
	if (!rx->mergeable || tx->tx_buf <= 2048)
		t->len_max = min32(t->len_max, ETH_MAX);
	t->len_max = min32(t->len_max, (rx->mergeable ? n : 1) * rx->rx_buf - to->g->hdr_len);
	t->bufs = (t->len_max + to->g->hdr_len + rx->rx_buf - 1) / rx->rx_buf;
}

/* Of one flow all frames are long, or all are short, unless the receiver has but one ring. */
static uint32_t
len_choose(struct traffic *t, uint32_t pair)
{
	uint32_t min = VMM_FRAME_MIN, max = t->len_max;

	if (pairs(t->to) > 1 && pair % 4 == 3)
		max = UDP_MIN - 1;
	else if (pairs(t->to) > 1)
		min = UDP_MIN;
	return min + rng_next(t, max - min + 1);
}

static int
frame_send(struct traffic *t, uint32_t pair)
{
	struct vmm_flow *flow = &t->flows[pair];
	struct vmm_frame f = {
		.flow = flow->id, .seq = flow->sent, .len = len_choose(t, pair),
	};
	uint8_t bytes[FRAME_ROOM];
	int rc;

	memcpy(f.dst, t->to->g->mac, sizeof(f.dst));
	memcpy(f.src, t->from->g->mac, sizeof(f.src));
	vmm_frame_build(bytes, &f);
	rc = vmm_guest_send(t->from->g, pair, bytes, f.len, NULL);
	if (rc == 0) {
		flow->sent++;
		t->sent++;
	}
	return rc;
}

int
traffic_send(struct traffic *t, uint32_t n)
{
	uint32_t sent = 0, full = 0, n_pairs = pairs(t->from);
	int rc = vmm_guest_reclaim(t->from->g);

	if (rc < 0)
		return rc;
	for (uint32_t pair = 0; sent < n && full < n_pairs; pair = (pair + 1) % n_pairs) {
		rc = frame_send(t, pair);
		if (rc == -EAGAIN) {
			full++;
			continue;
		}
		if (rc < 0)
			return rc;
		full = 0;
		sent++;
	}
	rc = vmm_guest_flush(t->from->g);
	return rc < 0 ? rc : (int)sent;
}

/* The receiver may hear of others too: only our own flows count here. */
static int
frame_note(struct traffic *t, const uint8_t *bytes, uint32_t len)
{
	struct vmm_frame f;
	int rc = vmm_frame_parse(&f, bytes, len, t->fault);

	if (rc < 0)
		return rc;
	if (f.flow - t->flows[0].id >= TRAFFIC_FLOWS)
		return vmm_fault_set(t->fault, "a frame of flow %u came to the wrong side", f.flow);
	t->received++;
	return vmm_flow_received(&t->flows[f.flow - t->flows[0].id], &f, t->fault);
}

int
traffic_recv(struct traffic *t)
{
	uint8_t bytes[FRAME_ROOM];
	int n = 0, len = 0, rc;

	for (uint32_t pair = 0; pair < pairs(t->to); pair++) {
		while ((len = vmm_guest_recv(t->to->g, pair, bytes, sizeof(bytes), NULL)) > 0) {
			rc = frame_note(t, bytes, (uint32_t)len);
			if (rc < 0)
				return rc;
			n++;
		}
		if (len < 0)
			return len;
	}
	rc = vmm_guest_flush(t->to->g);
	return rc < 0 ? rc : n;
}

uint32_t
traffic_window(const struct traffic *t)
{
	uint32_t room = UINT32_MAX, away = (uint32_t)(t->sent - t->received - t->lost);

	for (uint32_t pair = 0; pair < pairs(t->to); pair++)
		room = min32(room, t->to->g->queues[pair * 2].ring->n_out / t->bufs);
	if (room > away)
		return room - away;
	return away == 0 ? 1 : 0;
}

static int
traffic_wait(struct traffic *t)
{
	struct vmm_guest *const both[] = { t->from->g, t->to->g };
	int rc = vmm_guest_wait(both, 2, WAIT_MS);

	if (rc == 0)
		return vmm_fault_set(t->fault, "stuck: %" PRIu64 " sent, %" PRIu64 " received, %"
				     PRIu64 " dropped by name", t->sent, t->received, t->lost);
	return rc < 0 ? rc : 0;
}

int
traffic_run(struct traffic *t, uint32_t n)
{
	uint32_t left = n;
	int rc;

	while (left > 0) {
		rc = traffic_send(t, min32(left, traffic_window(t)));
		if (rc < 0)
			return rc;
		left -= (uint32_t)rc;
		if (rc > 0)
			continue;
		rc = traffic_recv(t);
		if (rc == 0)
			rc = vmm_guest_reclaim(t->from->g);
		if (rc == 0)
			rc = traffic_wait(t);
		if (rc < 0)
			return rc;
	}
	return traffic_drain(t);
}

int
traffic_drain(struct traffic *t)
{
	while (t->received + t->lost < t->sent) {
		int rc = traffic_recv(t);

		if (rc == 0)
			rc = traffic_wait(t);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
traffic_check(const struct traffic *t, uint64_t drops)
{
	if (t->sent == t->received + drops)
		return 0;
	return vmm_fault_set(t->fault, "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64
			     " dropped by name", t->sent, t->received, drops);
}
