/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <rte_ethdev.h>
#include <string.h>

/* Pieces of one frame from a device: a burst of such frames fits. */
#define SEGS_MAX (VRING_SEGS_MAX / FWD_BURST)

/* A delivery to a device under way; the queue's claim is held. */
struct sending {
	struct fwd *f;
	const struct fwd_group *g;
	struct stats_lane *lane;
	struct rte_mbuf *mbufs[FWD_BURST];
	uint16_t n;
	bool asked;          /* one of them asks the device for an offload */
};

/* What a device takes, if the frame's headers are plain. */
static uint8_t
takes_of(uint64_t offloads)
{
	const uint64_t csum = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

	if ((offloads & csum) != csum)
		return 0;
	return offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO ? FWD_CSUM | FWD_TSO : FWD_CSUM;
}

/* Takes out what the device refuses, and has it do what else it wants done before. */
static void
sending_prepare(struct sending *s)
{
	uint16_t i = 0;

	while (s->asked && i < s->n) {
		i += rte_eth_tx_prepare(s->g->eth->eth_id, s->g->queue, &s->mbufs[i], s->n - i);
		if (likely(i == s->n))
			break;
		rte_pktmbuf_free(s->mbufs[i]);
		stats_drop(s->lane, DROP_DEV_REFUSED, 1);
		s->n--;
		memmove(&s->mbufs[i], &s->mbufs[i + 1], (s->n - i) * sizeof(s->mbufs[0]));
	}
	s->asked = false;
}

static void
sending_flush(struct sending *s)
{
	uint64_t bytes[FWD_BURST], sent_bytes = 0;
	uint16_t sent;

	sending_prepare(s);
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
	if (fr->needs != 0) {
		fwd_eth_ask(m, fr, eth->eth_tx_offloads);
		s->asked = true;
	}
	if (unlikely(fwd_captured(s->f, eth)))
		fwd_capture(s->f, eth, CAPTURE_TX, fr);
	s->mbufs[s->n++] = m;
	if (s->n == FWD_BURST)
		sending_flush(s);
	return true;
}

/* The device does what it can with headers that it understands; the rest is done here. */
static void
offloaded_send(struct sending *s, const struct fwd_frame *fr, uint8_t takes)
{
	if (!fwd_eth_plain(fr))
		takes = 0;
	if ((fr->needs & ~takes) == 0)
		frame_send(s, fr);
	else
		fwd_offload(s->f, fr, takes, s->lane, frame_send, s);
}

void
fwd_eth_deliver(struct fwd *f, const struct fwd_group *g, uint32_t cut)
{
	struct sending s = { .f = f, .g = g, .lane = fwd_lane(f, g->eth) };
	uint8_t takes = takes_of(g->eth->eth_tx_offloads);

	for (uint32_t i = 0; i < g->n && g->frames[i] < cut; i++) {
		const struct fwd_frame *fr = &f->frames[g->frames[i]];

		if (likely(fr->needs == 0))
			frame_send(&s, fr);
		else
			offloaded_send(&s, fr, takes);
	}
	if (s.n > 0)
		sending_flush(&s);
}

/* Whole mbufs are dropped where a ring would keep its chains: a device does not take them back. */
static void
busy_drop(struct fwd *f, uint32_t cut)
{
	f->even = f->even && cut == f->n;
	for (uint32_t i = cut; i < f->n; i++)
		f->frames[i].drop = f->frames[i].drop == DROP_NONE ? DROP_BUSY : f->frames[i].drop;
}

/* Some devices take the tag out of every frame; the switch has it in. */
static bool
tag_restore(struct rte_mbuf **m)
{
	if (likely(((*m)->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) == 0))
		return true;
	return rte_vlan_insert(m) == 0;
}

/* A frame that is dropped anyway is shown and counted by its first piece. */
static void
mbuf_refuse(struct fwd_frame *fr, const struct rte_mbuf *m, struct vring_seg *rest, enum drop why)
{
	fwd_frame_set(fr, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, rest);
	fr->drop = why;
}

static void
mbufs_read(struct fwd *f)
{
	uint32_t n_segs = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		struct fwd_frame *fr = &f->frames[i];
		struct vring_seg *segs = &f->tx.segs[n_segs];

		if (unlikely(!tag_restore(&f->mbufs[i]))) {
			mbuf_refuse(fr, f->mbufs[i], segs, DROP_NO_MBUF);
			n_segs++;
		} else if (unlikely(f->mbufs[i]->nb_segs > SEGS_MAX)) {
			mbuf_refuse(fr, f->mbufs[i], segs, DROP_TOO_LONG);
			n_segs++;
		} else {
			fwd_frame_mbuf(fr, f->mbufs[i], segs);
			n_segs += f->mbufs[i]->nb_segs;
		}
	}
}

uint32_t
fwd_eth_turn(struct fwd *f, const struct port_poll *poll)
{
	uint16_t n = rte_eth_rx_burst(poll->port->eth_id, poll->queue, f->mbufs, FWD_BURST);
	uint32_t cut;

	if (likely(n == 0))
		return 0;
	f->n = n;
	f->src = poll->port;
	f->home = poll->queue % cross_n_workers(f->opts.cross);
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

bool
fwd_eth_arm(struct fwd *f, const struct port_poll *poll)
{
	int n;

	rte_eth_dev_rx_intr_enable(poll->port->eth_id, poll->queue);
	/* What came before that may have raised nothing.  A device that cannot count is read. */
	n = rte_eth_rx_queue_count(poll->port->eth_id, poll->queue);
	return n > 0 || (n < 0 && fwd_eth_turn(f, poll) > 0);
}

void
fwd_eth_disarm(const struct port_poll *poll)
{
	rte_eth_dev_rx_intr_disable(poll->port->eth_id, poll->queue);
}
