/* SPDX-License-Identifier: BSD-3-Clause */
#include "eth_rig.h"

#include <rte_ip.h>

#include <string.h>

/* Written from the RFCs and not with what the switch uses: the second opinion. */

#define TAG 4

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

/* Ones' complement sum of big-endian words, the last one filled with zero (RFC 1071). */
static uint32_t
sum_add(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 2)
		sum += get16((uint8_t[]){ p[i], i + 1 < len ? p[i + 1] : 0 });
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint32_t
packet_sum(const uint8_t *p, uint32_t len)
{
	return sum_add(0, p, len);
}

static uint32_t
l4_header(const struct packet *p)
{
	return p->udp ? 8 : 20 + p->n_options * 4u;
}

uint32_t
packet_l3(const struct packet *p)
{
	return RTE_ETHER_HDR_LEN + p->n_tags * TAG;
}

uint32_t
packet_l4(const struct packet *p)
{
	return packet_l3(p) + (p->ipv6 ? 40 : 20);
}

uint32_t
packet_payload(const struct packet *p)
{
	return packet_l4(p) + l4_header(p);
}

uint16_t
packet_csum_offset(const struct packet *p)
{
	return p->udp ? 6 : 16;
}

static uint32_t
pseudo(const uint8_t *frame, const struct packet *p, uint32_t l4_len)
{
	const uint8_t *ip = frame + packet_l3(p);
	uint8_t tail[4] = { 0, p->udp ? 17 : 6, (uint8_t)(l4_len >> 8), (uint8_t)l4_len };
	uint32_t sum = p->ipv6 ? sum_add(0, ip + 8, 32) : sum_add(0, ip + 12, 8);

	return sum_add(sum, tail, sizeof(tail));
}

uint16_t
packet_pseudo(const uint8_t *frame, const struct packet *p, uint32_t l4_len)
{
	return (uint16_t)pseudo(frame, p, l4_len);
}

static void
ip_make(uint8_t *ip, const struct packet *p, uint32_t l4_len)
{
	for (uint32_t i = 0; i < 40; i++)
		ip[i] = (uint8_t)(i * 11);
	if (p->ipv6) {
		memcpy(ip, (uint8_t[]){ 0x60, 0, 0, 0 }, 4);
		put16(ip + 4, l4_len);
		ip[6] = p->udp ? 17 : 6;
		ip[7] = 64;
		return;
	}
	ip[0] = 0x45;
	put16(ip + 2, 20 + l4_len);
	put16(ip + 6, 0);
	ip[9] = p->udp ? 17 : 6;
	put16(ip + 10, 0);
	put16(ip + 10, ~sum_add(0, ip, 20) & 0xffff);
}

uint32_t
packet_make(uint8_t *to, const struct packet *p)
{
	uint32_t l4_len = l4_header(p) + p->payload, l3 = packet_l3(p), l4 = packet_l4(p);

	rig_frame(to, l4 + l4_len, (uint8_t)p->payload);
	for (uint32_t i = 0; i < p->n_tags; i++) {
		put16(to + 12 + i * TAG, 0x8100);
		put16(to + 14 + i * TAG, 5 + i);
	}
	put16(to + l3 - 2, p->ipv6 ? 0x86dd : 0x0800);
	ip_make(to + l3, p, l4_len);
	if (p->udp)
		put16(to + l4 + 4, l4_len);
	else
		put16(to + l4 + 12, (l4_header(p) / 4) << 12 | 0x18);
	put16(to + l4 + packet_csum_offset(p), packet_pseudo(to, p, l4_len));
	return l4 + l4_len;
}

bool
packet_right(const uint8_t *frame, uint32_t len, const struct packet *p)
{
	uint32_t l3 = packet_l3(p), l4 = packet_l4(p);

	if (!p->ipv6 && (sum_add(0, frame + l3, 20) != 0xffff || get16(frame + l3 + 2) != len - l3))
		return false;
	if (p->ipv6 && get16(frame + l3 + 4) != len - l4)
		return false;
	return sum_add(pseudo(frame, p, len - l4), frame + l4, len - l4) == 0xffff;
}

static void
packet_ask(struct fwd_frame *fr, const struct packet *p, uint16_t gso_size)
{
	fr->vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = (uint16_t)packet_l4(p),
		.csum_offset = packet_csum_offset(p), .gso_size = gso_size,
	};
	if (gso_size != 0)
		fr->vnet.gso_type = p->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	fwd_frame_check(fr);
	CHECK(fr->drop == DROP_NONE);
}

void
packet_deliver(struct port *to, uint64_t offloads, const uint8_t *frame, uint32_t len,
	       const struct packet *p, uint16_t gso_size)
{
	packets_deliver(to, offloads, &frame, &len, p, gso_size, 1);
}

void
packets_deliver(struct port *to, uint64_t offloads, const uint8_t *const *frames,
		const uint32_t *lens, const struct packet *p, uint16_t gso_size, uint32_t n)
{
	struct fwd *f = rig.fwd[0];
	struct port_live live = *to->live;
	struct fwd_group g = { .eth = &live, .port = &live, .n = (uint16_t)n };
	struct vring_seg rest[FWD_BURST];

	live.eth_tx_offloads = offloads;
	f->lane = &to->stats->lanes[0];
	f->n = n;
	for (uint32_t i = 0; i < n; i++) {
		fwd_frame_set(&f->frames[i], frames[i], lens[i], &rest[i]);
		packet_ask(&f->frames[i], &p[i], gso_size);
		g.frames[i] = (uint8_t)i;
	}
	fwd_eth_deliver(f, &g, n);
}
