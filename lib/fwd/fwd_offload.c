/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <string.h>

#define UDP_CSUM_OFFSET offsetof(struct rte_udp_hdr, dgram_cksum)
#define TCP_CSUM_OFFSET offsetof(struct rte_tcp_hdr, cksum)
#define TCP_CWR_FLAG    0x80

/* Most segments of a frame: a turn is bounded, and no honest sender cuts so fine. */
#define PARTS_MAX 1024

/* Where the headers of a large frame are. */
struct layout {
	bool ipv6;
	uint32_t l3;
	uint32_t l4;
	uint32_t payload;
};

static uint16_t
sum_finish(uint32_t sum)
{
	return (uint16_t)~__rte_raw_cksum_reduce(sum);
}

/*
 * What VIRTIO_NET_HDR_F_NEEDS_CSUM asks for: the field holds the sum of the pseudo header, and
 * takes the complement of the sum of everything from `start` on (virtio 1.2, 5.1.6.2).
 */
static void
csum_complete(uint8_t *frame, uint32_t len, uint32_t start, uint32_t offset)
{
	uint16_t sum = sum_finish(__rte_raw_cksum(frame + start, len - start, 0));

	/* In UDP zero means that there is none. */
	if (sum == 0 && offset == UDP_CSUM_OFFSET)
		sum = 0xffff;
	memcpy(frame + start + offset, &sum, sizeof(sum));
}

static uint16_t
be16_at(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t
fwd_l3_find(const uint8_t *frame, uint32_t len, uint16_t *type)
{
	uint32_t off = 12;

	*type = be16_at(frame + off);
	while ((*type == RTE_ETHER_TYPE_VLAN || *type == RTE_ETHER_TYPE_QINQ) && off + 6 <= len) {
		off += 4;
		*type = be16_at(frame + off);
	}
	return off + 2;
}

/* The frame's own headers must agree with what its virtio-net header says of them. */
static bool
layout_find(const struct fwd_frame *fr, const uint8_t *frame, struct layout *l)
{
	uint16_t type;
	uint32_t min, doff;

	l->l3 = fwd_l3_find(frame, fr->len, &type);
	l->l4 = fr->vnet.csum_start;
	l->ipv6 = (fr->needs & FWD_TSO6) != 0;
	min = l->ipv6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	if (type != (l->ipv6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4) ||
	    fr->vnet.csum_offset != TCP_CSUM_OFFSET || l->l4 < l->l3 + min ||
	    l->l4 + sizeof(struct rte_tcp_hdr) > fr->len)
		return false;
	if (!l->ipv6 && l->l4 != l->l3 + (frame[l->l3] & 0x0f) * 4u)
		return false;
	doff = (frame[l->l4 + 12] >> 4) * 4u;
	l->payload = l->l4 + doff;
	return doff >= sizeof(struct rte_tcp_hdr) && l->payload <= fr->len;
}

/* Sum of addresses, protocol and length; both families fold to the same word. */
static uint16_t
pseudo_sum(const uint8_t *frame, const struct layout *l, uint32_t len)
{
	uint32_t l4_len = len - l->l4;
	const uint16_t tail[2] = { rte_cpu_to_be_16((uint16_t)l4_len), rte_cpu_to_be_16(IPPROTO_TCP) };
	uint32_t sum;

	if (l->ipv6)
		sum = __rte_raw_cksum(frame + l->l3 + 8, 32, 0);
	else
		sum = __rte_raw_cksum(frame + l->l3 + 12, 8, 0);
	return __rte_raw_cksum_reduce(__rte_raw_cksum(tail, sizeof(tail), sum));
}

static void
ip_fix(uint8_t *frame, const struct layout *l, uint32_t len, uint32_t i)
{
	uint16_t n = rte_cpu_to_be_16((uint16_t)(len - l->l3));
	struct rte_ipv4_hdr *ip = (void *)(frame + l->l3);

	if (l->ipv6) {
		n = rte_cpu_to_be_16((uint16_t)(len - l->l3 - sizeof(struct rte_ipv6_hdr)));
		memcpy(frame + l->l3 + 4, &n, sizeof(n));
		return;
	}
	ip->total_length = n;
	ip->packet_id = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->packet_id) + i));
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

/* FIN and PSH belong to the last segment, CWR to the first (RFC 3168, 6.1.2). */
static void
tcp_fix(uint8_t *frame, const struct layout *l, uint32_t len, uint32_t done, bool last)
{
	struct rte_tcp_hdr *tcp = (void *)(frame + l->l4);

	tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + done);
	if (!last)
		tcp->tcp_flags &= (uint8_t)~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	if (done > 0)
		tcp->tcp_flags &= (uint8_t)~TCP_CWR_FLAG;
	tcp->cksum = pseudo_sum(frame, l, len);
}

static void
part_frame(const struct fwd_frame *fr, uint8_t *data, uint32_t len, bool csum_left,
	   struct fwd_frame *out, struct vring_seg *rest)
{
	fwd_frame_set(out, data, len, rest);
	out->vlan = fr->vlan;
	out->hash = fr->hash;
	out->hashed = fr->hashed;
	if (!csum_left)
		return;
	out->needs = FWD_CSUM;
	out->vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	out->vnet.csum_start = fr->vnet.csum_start;
	out->vnet.csum_offset = fr->vnet.csum_offset;
}

/*
 * rte_gso 22.11 has no TCP over IPv6, which guests do send; one cutter serves both families.
 * Runs over our own copy of the frame, so that a guest cannot change what was checked.
 */
static void
segment(struct fwd *f, const struct fwd_frame *fr, const struct layout *l, uint8_t takes,
	struct stats_lane *to, fwd_part_fn *fn, void *arg)
{
	uint32_t total = fr->len - l->payload;
	bool csum_left = (takes & FWD_CSUM) != 0;
	uint32_t i = 0;

	for (uint32_t done = 0; done < total; done += fr->vnet.gso_size, i++) {
		uint32_t some = RTE_MIN(total - done, (uint32_t)fr->vnet.gso_size);
		uint32_t len = l->payload + some;
		struct fwd_frame part;
		struct vring_seg rest;

		memcpy(f->part, f->whole, l->payload);
		memcpy(f->part + l->payload, f->whole + l->payload + done, some);
		ip_fix(f->part, l, len, i);
		tcp_fix(f->part, l, len, done, done + some == total);
		if (!csum_left)
			csum_complete(f->part, len, l->l4, TCP_CSUM_OFFSET);
		part_frame(fr, f->part, len, csum_left, &part, &rest);
		if (!fn(arg, &part)) {
			/* That one has its name; those behind it have the same. */
			stats_drop(to, DROP_RING_BAD,
				   (total - done - 1) / fr->vnet.gso_size);
			return;
		}
	}
	stats_count(to, COUNT_SEGMENTED, 1);
}

static void
complete(struct fwd *f, const struct fwd_frame *fr, struct stats_lane *to, fwd_part_fn *fn,
	 void *arg)
{
	struct fwd_frame part;
	struct vring_seg rest;

	csum_complete(f->whole, fr->len, fr->vnet.csum_start, fr->vnet.csum_offset);
	part_frame(fr, f->whole, fr->len, false, &part, &rest);
	stats_count(to, COUNT_CSUM, 1);
	fn(arg, &part);
}

/* It is the sender's fault: once, however many receivers the frame was for. */
static void
blame(struct fwd *f, const struct fwd_frame *fr)
{
	uint32_t bit = f->flooding ? 1u << (fr - f->frames) : 0;

	if ((f->blamed & bit) == 0)
		stats_drop(f->lane, DROP_BAD_HDR, 1);
	f->blamed |= bit;
}

void
fwd_offload(struct fwd *f, const struct fwd_frame *fr, uint8_t takes, struct stats_lane *to,
	    fwd_part_fn *fn, void *arg)
{
	struct layout l;

	fwd_copy_flat(fr, f->whole);
	if ((fr->needs & FWD_TSO) == 0)
		complete(f, fr, to, fn, arg);
	else if (!layout_find(fr, f->whole, &l) || l.payload == fr->len ||
		 fr->len - l.payload > PARTS_MAX * (uint32_t)fr->vnet.gso_size)
		blame(f, fr);
	else
		segment(f, fr, &l, takes, to, fn, arg);
}
