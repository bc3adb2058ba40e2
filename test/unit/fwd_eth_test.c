/* SPDX-License-Identifier: BSD-3-Clause */
#include "eth_rig.h"

#include <stddef.h>
#include <string.h>

#define OFFLOADS (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM | \
		  RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
#define TSO      (RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
#define ASKED    (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM | \
		  RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6)
#define TCP_SUM  RTE_MBUF_F_TX_TCP_CKSUM
#define UDP_SUM  RTE_MBUF_F_TX_UDP_CKSUM
#define SEGMENT  (RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG)
#define V4       RTE_MBUF_F_TX_IPV4
#define V6       RTE_MBUF_F_TX_IPV6
#define V4_HEAD  (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM)

/* What a guest may do to its own headers. */
enum lie { TRUE, SHORT_IP, LONG_IP, FRAGMENT, VERSION, OPTIONS, PROTOCOL, UDP_LENGTH };

static const struct {
	const char *story;
	struct packet packet;
	uint16_t gso_size;
	enum lie lie;
	uint64_t offloads;
	uint64_t asks;       /* of the device; 0: software does it all */
	uint32_t n_frames;
} rows[] = {
	{ "TCP", { .payload = 1000 }, 0, TRUE, OFFLOADS, TCP_SUM | V4, 1 },
	{ "TCP, nothing in it", { .payload = 0 }, 0, TRUE, OFFLOADS, TCP_SUM | V4, 1 },
	{ "TCP, odd length", { .payload = 333 }, 0, TRUE, OFFLOADS, TCP_SUM | V4, 1 },
	{ "TCP over IPv6", { true, .payload = 1001 }, 0, TRUE, OFFLOADS, TCP_SUM | V6, 1 },
	{ "TCP over IPv6, two tags", { true, false, 2, .payload = 64 }, 0, TRUE, OFFLOADS,
	  TCP_SUM | V6, 1 },
	{ "UDP, tagged", { false, true, 1, .payload = 77 }, 0, TRUE, OFFLOADS, UDP_SUM | V4, 1 },
	{ "UDP over IPv6", { true, true, .payload = 512 }, 0, TRUE, OFFLOADS, UDP_SUM | V6, 1 },
	{ "several buffers", { .payload = 8001 }, 0, TRUE, OFFLOADS, TCP_SUM | V4, 1 },
	{ "a device that offers nothing", { .payload = 1000 }, 0, TRUE,
	  RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0, 1 },
	{ "a device that offers TCP alone", { .payload = 1000 }, 0, TRUE,
	  RTE_ETH_TX_OFFLOAD_TCP_CKSUM, 0, 1 },
	{ "IP length too small", { .payload = 100 }, 0, SHORT_IP, OFFLOADS, 0, 1 },
	{ "IP length too large", { .payload = 100 }, 0, LONG_IP, OFFLOADS, 0, 1 },
	{ "IPv6 length too small", { true, .payload = 100 }, 0, SHORT_IP, OFFLOADS, 0, 1 },
	{ "a fragment", { .payload = 100 }, 0, FRAGMENT, OFFLOADS, 0, 1 },
	{ "no version that is known", { .payload = 100 }, 0, VERSION, OFFLOADS, 0, 1 },
	{ "options that are not there", { .payload = 100 }, 0, OPTIONS, OFFLOADS, 0, 1 },
	{ "another protocol", { .payload = 100 }, 0, PROTOCOL, OFFLOADS, 0, 1 },
	{ "UDP length of its own", { false, true, .payload = 100 }, 0, UDP_LENGTH, OFFLOADS, 0, 1 },
	{ "segments by the device", { .payload = 20000, .n_options = 3 }, 1448, TRUE,
	  OFFLOADS | TSO, SEGMENT | V4_HEAD, 1 },
	{ "segments by the device, IP header by the guest", { .payload = 3000 }, 1448, TRUE,
	  OFFLOADS | RTE_ETH_TX_OFFLOAD_TCP_TSO, SEGMENT | V4, 1 },
	{ "segments by the device, IPv6", { true, .payload = 60000 }, 1440, TRUE, OFFLOADS | TSO,
	  SEGMENT | V6, 1 },
	{ "segments here, sums by the device", { .payload = 10001 }, 1460, TRUE, OFFLOADS,
	  TCP_SUM | V4, 7 },
	{ "segments here, sums by the device, IPv6", { true, false, 1, 3, 10001 }, 1428, TRUE,
	  OFFLOADS, TCP_SUM | V6, 8 },
	{ "segments and sums here", { .payload = 10001 }, 1460, TRUE,
	  RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0, 7 },
	{ "segments too small for a device", { .payload = 1000 }, 100, TRUE, OFFLOADS | TSO, 0,
	  10 },
	{ "IP length 0 for segments", { .payload = 4000 }, 1000, SHORT_IP, OFFLOADS | TSO, 0, 4 },
};

static void
lie_tell(uint8_t *frame, const struct packet *p, enum lie lie)
{
	uint8_t *ip = frame + packet_l3(p);
	uint8_t *len = ip + (p->ipv6 ? 4 : 2);

	switch (lie) {
	case TRUE:
		break;
	case SHORT_IP:
		len[0] = 0;
		len[1] = 60;
		break;
	case LONG_IP:
		len[0] = 0xff;
		break;
	case FRAGMENT:
		ip[6] = 0x20;
		break;
	case VERSION:
		ip[0] = 0x55;
		break;
	case OPTIONS:
		ip[0] = 0x46;
		break;
	case PROTOCOL:
		ip[9] = 132;
		break;
	case UDP_LENGTH:
		frame[packet_l4(p) + 5] ^= 1;
		break;
	}
}

/* Software sums what it is told to sum, whatever the headers say. */
static bool
summed(const uint8_t *got, const uint8_t *sent, uint32_t len, const struct packet *p)
{
	uint32_t at = packet_l4(p), field = at + packet_csum_offset(p), behind = field + 2;

	return memcmp(got, sent, field) == 0 &&
	       memcmp(got + behind, sent + behind, len - behind) == 0 &&
	       (uint16_t)~packet_sum(sent + at, len - at) == (got[field] << 8 | got[field + 1]);
}

static void
asked_check(const struct rte_mbuf *m, const uint8_t *got, const struct packet *p, uint16_t gso_size)
{
	uint32_t l4 = packet_l4(p), field = l4 + packet_csum_offset(p);
	bool segments = (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0;
	uint32_t l4_len = segments ? 0 : m->pkt_len - l4;

	CHECK(m->l2_len == packet_l3(p) && m->l3_len == l4 - packet_l3(p));
	CHECK(m->l4_len == packet_payload(p) - l4);
	CHECK(!segments || m->tso_segsz == gso_size);
	CHECK(packet_pseudo(got, p, l4_len) == (got[field] << 8 | got[field + 1]));
	if ((m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0)
		CHECK(got[packet_l3(p) + 10] == 0 && got[packet_l3(p) + 11] == 0);
	else if (!p->ipv6)
		CHECK(packet_sum(got + packet_l3(p), 20) == 0xffff);
}

/* The device's part of the work, so that what comes out can be looked at as a whole. */
static void
device_sum(uint8_t *frame, uint32_t len, const struct packet *p)
{
	uint32_t at = packet_l4(p), field = at + packet_csum_offset(p);
	uint32_t sum = packet_sum(frame + at, len - at);

	frame[field] = (uint8_t)(~sum >> 8);
	frame[field + 1] = (uint8_t)~sum;
}

/* One frame of what came; returns the bytes of payload in it. */
static uint32_t
frame_check(uint32_t row, struct rte_mbuf *m, const uint8_t *sent, uint32_t sent_len, uint32_t done)
{
	static uint8_t got[RIG_FRAME];
	const struct packet *p = &rows[row].packet;
	uint32_t len = m->pkt_len, head = packet_payload(p);

	rig_mbuf_copy(m, got);
	CHECK((m->ol_flags & ASKED) == rows[row].asks);
	if (rows[row].asks != 0)
		asked_check(m, got, p, rows[row].gso_size);
	if (rows[row].asks != 0 && (rows[row].asks & RTE_MBUF_F_TX_TCP_SEG) == 0)
		device_sum(got, len, p);
	if (rows[row].lie != TRUE && rows[row].n_frames == 1)
		CHECK(summed(got, sent, sent_len, p));
	else if ((rows[row].asks & RTE_MBUF_F_TX_TCP_SEG) == 0)
		CHECK(packet_right(got, len, p));
	CHECK(memcmp(got + head, sent + head + done, len - head) == 0);
	rte_pktmbuf_free(m);
	return len - head;
}

static void
row_run(struct port *p, uint32_t row)
{
	static uint8_t frame[RIG_FRAME];
	uint32_t failed = checks_failed, done = 0, n = 0;
	uint32_t len = packet_make(frame, &rows[row].packet);
	struct rte_mbuf *m;

	lie_tell(frame, &rows[row].packet, rows[row].lie);
	packet_deliver(p, rows[row].offloads, frame, len, &rows[row].packet, rows[row].gso_size);
	while ((m = rig_ring_get(p, 0)) != NULL) {
		done += frame_check(row, m, frame, len, done);
		n++;
	}
	CHECK(n == rows[row].n_frames);
	CHECK(done == rows[row].packet.payload);
	if (failed != checks_failed)
		fprintf(stderr, "  in: %s\n", rows[row].story);
}

#define N_BURST 7

static uint16_t
odd_refuse(void *txq, struct rte_mbuf **mbufs, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		if (mbufs[i]->pkt_len % 2 == 1)
			return i;
	return n;
}

/* What a device refuses is dropped under that name, the others go in their order. */
static void
refused_story(struct port *p)
{
	static uint8_t frames[N_BURST][200];
	static const uint32_t payloads[N_BURST] = { 1, 2, 3, 5, 4, 6, 7 };
	eth_tx_prep_t before = rte_eth_fp_ops[p->eth->id].tx_pkt_prepare;
	struct packet packets[N_BURST] = { 0 };
	const uint8_t *at[N_BURST];
	uint32_t lens[N_BURST];
	struct rte_mbuf *m;

	for (uint32_t i = 0; i < N_BURST; i++) {
		packets[i].payload = payloads[i];
		lens[i] = packet_make(frames[i], &packets[i]);
		at[i] = frames[i];
	}
	rte_eth_fp_ops[p->eth->id].tx_pkt_prepare = odd_refuse;
	packets_deliver(p, OFFLOADS, at, lens, packets, 0, N_BURST);
	rte_eth_fp_ops[p->eth->id].tx_pkt_prepare = before;
	for (uint32_t i = 0; i < N_BURST; i++) {
		if (payloads[i] % 2 == 1)
			continue;
		m = rig_ring_get(p, 0);
		CHECK(m != NULL && m->pkt_len == lens[i]);
		rte_pktmbuf_free(m);
	}
	CHECK(rig_ring_get(p, 0) == NULL);
	CHECK(rig_drops(p, DROP_DEV_REFUSED) == 4);
	CHECK(rte_mempool_full(p->eth->pool));
}

void
fwd_eth_stories(void)
{
	struct port *p;

	rig_init();
	p = rig_add("r0", "net_ring0", 1, 0);
	CHECK(p != NULL);
	for (uint32_t i = 0; p != NULL && i < RTE_DIM(rows); i++)
		row_run(p, i);
	if (p != NULL)
		refused_story(p);
	rig_fini();
}
