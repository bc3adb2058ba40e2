/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <string.h>

/*
 * What a device is asked to do for a frame.  A guest names a place and says "a checksum"; a device
 * wants to be told which protocol it is, and takes our word for it.  So only frames whose own
 * headers agree with all that is said of them are handed on; software does the others, which
 * need no such agreement.
 */

/* Some devices stop the queue over segments that are smaller, and say so nowhere. */
#define GSO_SIZE_MIN 256

#define IPV4_FRAGMENT (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)

struct headers {
	uint32_t l3;
	uint32_t l4;
	uint64_t flags;          /* RTE_MBUF_F_TX_* that name the protocols */
	uint8_t protocol;
};

/* Everything up to the end of the frame belongs to the packet: a sum has one meaning only. */
static bool
ipv4_read(const struct fwd_frame *fr, struct headers *h)
{
	const struct rte_ipv4_hdr *ip = (const void *)(fr->snap + h->l3);

	h->flags = RTE_MBUF_F_TX_IPV4;
	h->protocol = ip->next_proto_id;
	return (ip->version_ihl >> 4) == 4 && rte_ipv4_hdr_len(ip) >= sizeof(*ip) &&
	       h->l4 == h->l3 + rte_ipv4_hdr_len(ip) &&
	       fr->len == h->l3 + rte_be_to_cpu_16(ip->total_length) &&
	       (ip->fragment_offset & rte_cpu_to_be_16(IPV4_FRAGMENT)) == 0;
}

static bool
ipv6_read(const struct fwd_frame *fr, struct headers *h)
{
	const struct rte_ipv6_hdr *ip = (const void *)(fr->snap + h->l3);

	h->flags = RTE_MBUF_F_TX_IPV6;
	h->protocol = ip->proto;
	return (fr->snap[h->l3] >> 4) == 6 && h->l4 == h->l3 + sizeof(*ip) &&
	       fr->len == h->l4 + rte_be_to_cpu_16(ip->payload_len);
}

static bool
headers_read(const struct fwd_frame *fr, struct headers *h)
{
	uint16_t type;

	h->l3 = fwd_l3_find(fr->snap, fr->snap_len, &type);
	h->l4 = fr->vnet.csum_start;
	if (h->l4 < h->l3 + sizeof(struct rte_ipv4_hdr) ||
	    h->l4 + sizeof(struct rte_udp_hdr) > fr->snap_len)
		return false;
	if (type == RTE_ETHER_TYPE_IPV4)
		return ipv4_read(fr, h);
	return type == RTE_ETHER_TYPE_IPV6 && ipv6_read(fr, h);
}

static bool
udp_plain(const struct fwd_frame *fr, const struct headers *h)
{
	const struct rte_udp_hdr *udp = (const void *)(fr->snap + h->l4);

	return (fr->needs & FWD_TSO) == 0 &&
	       fr->vnet.csum_offset == offsetof(struct rte_udp_hdr, dgram_cksum) &&
	       rte_be_to_cpu_16(udp->dgram_len) == fr->len - h->l4;
}

static uint32_t
tcp_len(const struct fwd_frame *fr, const struct headers *h)
{
	return (fr->snap[h->l4 + offsetof(struct rte_tcp_hdr, data_off)] >> 4) * 4u;
}

static bool
tcp_plain(const struct fwd_frame *fr, const struct headers *h)
{
	uint8_t family = h->flags & RTE_MBUF_F_TX_IPV4 ? FWD_TSO4 : FWD_TSO6;
	uint8_t tso = fr->needs & FWD_TSO;

	if (h->l4 + offsetof(struct rte_tcp_hdr, data_off) >= fr->snap_len ||
	    fr->vnet.csum_offset != offsetof(struct rte_tcp_hdr, cksum) ||
	    tcp_len(fr, h) < sizeof(struct rte_tcp_hdr) || h->l4 + tcp_len(fr, h) > fr->len)
		return false;
	return tso == 0 || (tso == family && fr->vnet.gso_size >= GSO_SIZE_MIN &&
			    h->l4 + tcp_len(fr, h) < fr->len);
}

bool
fwd_eth_plain(const struct fwd_frame *fr)
{
	struct headers h;

	if (!headers_read(fr, &h))
		return false;
	if (h.protocol == IPPROTO_UDP)
		return udp_plain(fr, &h);
	return h.protocol == IPPROTO_TCP && tcp_plain(fr, &h);
}

/* The device adds the payload's sum to the one of the pseudo header, which is ours to write. */
static void
pseudo_write(uint8_t *data, const struct fwd_frame *fr, const struct headers *h, uint64_t flags)
{
	struct rte_ipv4_hdr *ip = (void *)(data + h->l3);
	uint16_t sum;

	if ((flags & RTE_MBUF_F_TX_IP_CKSUM) != 0)
		ip->hdr_checksum = 0;
	if ((flags & RTE_MBUF_F_TX_IPV4) != 0)
		sum = rte_ipv4_phdr_cksum(ip, flags);
	else
		sum = rte_ipv6_phdr_cksum((const void *)(data + h->l3), flags);
	memcpy(data + h->l4 + fr->vnet.csum_offset, &sum, sizeof(sum));
}

void
fwd_eth_ask(struct rte_mbuf *m, const struct fwd_frame *fr, uint64_t offloads)
{
	struct headers h;
	bool tcp;

	headers_read(fr, &h);
	tcp = h.protocol == IPPROTO_TCP;
	m->l2_len = h.l3;
	m->l3_len = h.l4 - h.l3;
	m->l4_len = tcp ? tcp_len(fr, &h) : sizeof(struct rte_udp_hdr);
	m->ol_flags |= h.flags | (tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
	if ((fr->needs & FWD_TSO) != 0) {
		m->tso_segsz = fr->vnet.gso_size;
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		/* A device without this one passes the guest's own header on, as virtio does. */
		if ((h.flags & RTE_MBUF_F_TX_IPV4) != 0 &&
		    (offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0)
			m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	}
	pseudo_write(rte_pktmbuf_mtod(m, uint8_t *), fr, &h, m->ol_flags);
}
