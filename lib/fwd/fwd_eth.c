/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <rte_ethdev.h>

/* A delivery to a device under way; the queue's claim is held. */
struct sending {
	struct fwd *f;
	const struct fwd_group *g;
	struct stats_lane *lane;
	struct rte_mbuf *mbufs[FWD_BURST];
	uint16_t n;
};

static void
sending_flush(struct sending *s)
{
	uint64_t bytes[FWD_BURST], sent_bytes = 0;
	uint16_t sent;

	for (uint16_t i = 0; i < s->n; i++)
		bytes[i] = rte_pktmbuf_pkt_len(s->mbufs[i]);
	sent = rte_eth_tx_burst(s->g->eth->eth_id, s->g->queue, s->mbufs, s->n);
	for (uint16_t i = 0; i < sent; i++)
		sent_bytes += bytes[i];
	if (sent < s->n) {
		stats_drop(s->lane, DROP_DEV_FULL, s->n - sent);
		rte_pktmbuf_free_bulk(&s->mbufs[sent], s->n - sent);
	}
	stats_count(s->lane, COUNT_TX_FRAMES, sent);
	stats_count(s->lane, COUNT_TX_BYTES, sent_bytes);
	s->n = 0;
}

/* A chain of mbufs with room for the frame; NULL: the pool is empty. */
static struct rte_mbuf *
mbuf_chain(struct rte_mempool *pool, uint32_t len, struct vring_seg *segs)
{
	struct rte_mbuf *head = NULL, *last = NULL;

	for (uint32_t left = len; left > 0; segs++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		uint32_t some;

		if (m == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		some = RTE_MIN(left, (uint32_t)rte_pktmbuf_tailroom(m));
		segs->host = rte_pktmbuf_mtod(m, uint8_t *);
		segs->len = some;
		m->data_len = (uint16_t)some;
		left -= some;
		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
		}
		last = m;
	}
	head->pkt_len = len;
	return head;
}

static bool
frame_send(void *arg, const struct fwd_frame *fr)
{
	struct sending *s = arg;
	struct vring_seg segs[FWD_LEN_MAX / 512];
	const struct port_live *eth = s->g->eth;
	struct rte_mbuf *m;

	if (fr->len + RTE_PKTMBUF_HEADROOM > rte_pktmbuf_data_room_size(eth->pool) &&
	    (eth->eth_tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) == 0) {
		stats_drop(s->lane, DROP_TOO_LONG, 1);
		return true;
	}
	m = mbuf_chain(eth->pool, fr->len, segs);
	if (m == NULL) {
		stats_drop(s->lane, DROP_NO_MBUF, 1);
		return true;
	}
	fwd_copy(fr, segs, 0);
	if (unlikely(fwd_captured(s->f, eth)))
		fwd_capture(s->f, eth, CAPTURE_TX, fr);
	s->mbufs[s->n++] = m;
	if (s->n == FWD_BURST)
		sending_flush(s);
	return true;
}

void
fwd_eth_deliver(struct fwd *f, const struct fwd_group *g, uint32_t cut)
{
	struct sending s = { .f = f, .g = g, .lane = fwd_lane(f, g->eth) };

	for (uint32_t i = 0; i < g->n && g->frames[i] < cut; i++) {
		const struct fwd_frame *fr = &f->frames[g->frames[i]];

		if (fr->needs == 0)
			frame_send(&s, fr);
		else
			fwd_offload(f, fr, 0, s.lane, frame_send, &s);
	}
	if (s.n > 0)
		sending_flush(&s);
}

/* Whole mbufs are dropped where a ring would keep its chains: a device does not take them back. */
static void
busy_drop(struct fwd *f, uint32_t cut)
{
	for (uint32_t i = cut; i < f->n; i++)
		f->frames[i].drop = f->frames[i].drop == DROP_NONE ? DROP_BUSY : f->frames[i].drop;
}

static void
mbufs_read(struct fwd *f)
{
	uint32_t n_segs = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		const struct rte_mbuf *m = f->mbufs[i];

		if (n_segs + m->nb_segs > VRING_SEGS_MAX) {
			f->frames[i].drop = DROP_TOO_LONG;
			f->frames[i].len = rte_pktmbuf_pkt_len(m);
			f->frames[i].drop_lane = NULL;
			continue;
		}
		fwd_frame_mbuf(&f->frames[i], m, &f->tx.segs[n_segs]);
		n_segs += m->nb_segs;
	}
}

uint32_t
fwd_eth_turn(struct fwd *f, const struct port_poll *poll)
{
	uint16_t n = rte_eth_rx_burst(poll->port->eth_id, poll->queue, f->mbufs, FWD_BURST);
	uint32_t cut;

	if (n == 0)
		return 0;
	f->n = n;
	f->src = poll->port;
	f->lane = fwd_lane(f, poll->port);
	mbufs_read(f);
	fwd_classify(f);
	cut = fwd_groups_claim(f);
	busy_drop(f, cut);
	fwd_received(f, f->n);
	fwd_groups_deliver(f, cut);
	rte_pktmbuf_free_bulk(f->mbufs, n);
	return n;
}
