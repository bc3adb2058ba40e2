/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame_ref.h"

#define ETH_LEN 14u
#define TAG_LEN 4u

/* A frame that asks for more is refused. */
#define PARTS_MAX 1024u

#define TCP_CSUM 16
#define UDP_CSUM 6

static uint32_t
be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

/* RFC 1071: not complemented, an odd byte counts as high. */
static uint32_t
sum16(const uint8_t *p, uint32_t len, uint32_t sum)
{
	uint64_t all = sum;

	for (uint32_t i = 0; i < len; i++)
		all += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (all > 0xffff)
		all = (all & 0xffff) + (all >> 16);
	return (uint32_t)all;
}

int
ref_tag(const struct ref_frame *fr)
{
	if (fr->len < ETH_LEN + TAG_LEN || be16(fr->data + 12) != 0x8100)
		return -1;
	return (int)(be16(fr->data + 14) & 0xfff);
}

bool
ref_too_long(const struct ref_frame *fr, uint32_t max)
{
	uint32_t tcp = fr->vnet.csum_start;

	if (ref_tag(fr) >= 0)
		max += TAG_LEN;
	if (fr->len <= max)
		return false;
	/* A large frame is judged by its segments, if it has a TCP header. */
	if ((fr->needs & (REF_TSO4 | REF_TSO6)) == 0 || tcp + 12 >= fr->len)
		return true;
	return tcp + (fr->data[tcp + 12] >> 4) * 4u + fr->vnet.gso_size > max;
}

static enum drop
gso_check(struct ref_frame *fr)
{
	uint8_t type = fr->vnet.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	if (fr->vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		fr->vnet.gso_size = 0;
		fr->vnet.hdr_len = 0;
		return DROP_NONE;
	}
	if (type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6)
		return DROP_BAD_HDR;
	fr->needs |= type == VIRTIO_NET_HDR_GSO_TCPV4 ? REF_TSO4 : REF_TSO6;
	if (fr->vnet.gso_type & VIRTIO_NET_HDR_GSO_ECN)
		fr->needs |= REF_ECN;
	if (fr->vnet.gso_size == 0 || (fr->needs & REF_CSUM) == 0 || fr->vnet.hdr_len > fr->len)
		return DROP_BAD_HDR;
	return DROP_NONE;
}

static enum drop
vnet_check(struct ref_frame *fr)
{
	struct virtio_net_hdr *h = &fr->vnet;
	enum drop drop = DROP_NONE;

	fr->needs = 0;
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (h->flags != 0) {
		fr->needs = REF_CSUM;
		if (h->csum_start < ETH_LEN || h->csum_start + h->csum_offset + 2u > fr->len)
			drop = DROP_BAD_HDR;
	} else {
		h->csum_start = h->csum_offset = 0;
	}
	return gso_check(fr) != DROP_NONE ? DROP_BAD_HDR : drop;
}

static enum drop
addresses_check(const struct ref_frame *fr)
{
	static const uint8_t zero[6], reserved[5] = { 0x01, 0x80, 0xc2, 0x00, 0x00 };
	const uint8_t *src = fr->data + 6;

	if ((src[0] & 1) != 0 || memcmp(src, zero, sizeof(zero)) == 0)
		return DROP_BAD_SRC;
	if (memcmp(fr->data, reserved, sizeof(reserved)) == 0 && fr->data[5] < 0x10)
		return DROP_RESERVED;
	return DROP_NONE;
}

void
ref_frame_check(struct ref_frame *fr, uint32_t max)
{
	if (fr->len > REF_LEN_MAX) {
		fr->drop = DROP_TOO_LONG;
		return;
	}
	fr->drop = vnet_check(fr);
	if (fr->drop == DROP_NONE && fr->len < ETH_LEN)
		fr->drop = DROP_RUNT;
	if (fr->drop == DROP_NONE)
		fr->drop = addresses_check(fr);
	if (fr->drop == DROP_NONE && ref_too_long(fr, max))
		fr->drop = DROP_TOO_LONG;
}

struct headers {
	bool ipv6;
	uint32_t l3, l4, payload;
};

static bool
headers_find(const struct ref_frame *fr, struct headers *h)
{
	uint32_t off = 12;

	while ((be16(fr->data + off) == 0x8100 || be16(fr->data + off) == 0x88a8) &&
	       off + 6 <= fr->len)
		off += TAG_LEN;
	h->ipv6 = (fr->needs & REF_TSO6) != 0;
	h->l3 = off + 2;
	h->l4 = fr->vnet.csum_start;
	if (be16(fr->data + off) != (h->ipv6 ? 0x86dd : 0x0800) || fr->vnet.csum_offset != TCP_CSUM ||
	    h->l4 < h->l3 + (h->ipv6 ? 40 : 20) || h->l4 + 20 > fr->len)
		return false;
	if (!h->ipv6 && h->l4 - h->l3 != (fr->data[h->l3] & 15) * 4u)
		return false;
	h->payload = h->l4 + (fr->data[h->l4 + 12] >> 4) * 4u;
	return h->payload >= h->l4 + 20 && h->payload < fr->len;
}

static void
ip_set(uint8_t *frame, const struct headers *h, uint32_t len, uint32_t i)
{
	uint8_t *ip = frame + h->l3;

	if (h->ipv6) {
		put16(ip + 4, len - h->l3 - 40);
		return;
	}
	put16(ip + 2, len - h->l3);
	put16(ip + 4, be16(ip + 4) + i);
	put16(ip + 10, 0);
	put16(ip + 10, ~sum16(ip, (ip[0] & 15) * 4u, 0));
}

static void
tcp_set(uint8_t *frame, const struct headers *h, uint32_t len, uint32_t done, bool last,
	bool complete)
{
	uint8_t *tcp = frame + h->l4, *addresses = frame + h->l3 + (h->ipv6 ? 8 : 12);
	uint32_t seq = be32(tcp + 4) + done;

	put16(tcp + 4, seq >> 16);
	put16(tcp + 6, seq);
	if (!last)
		tcp[13] &= (uint8_t)~0x09; /* PSH, FIN */
	if (done > 0)
		tcp[13] &= 0x7f; /* CWR */
	put16(tcp + 16, sum16(addresses, h->ipv6 ? 32 : 8, 6 + (len - h->l4)));
	if (complete)
		put16(tcp + 16, ~sum16(tcp, len - h->l4, 0));
}

static bool
segments(const struct ref_frame *fr, const struct headers *h, uint32_t takes, ref_part_fn *fn,
	 void *arg)
{
	static uint8_t part[REF_LEN_MAX];
	uint32_t total = fr->len - h->payload, i = 0;
	struct virtio_net_hdr vnet = { 0 };

	if (takes & REF_CSUM)
		vnet = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = fr->vnet.csum_start,
			.csum_offset = fr->vnet.csum_offset,
		};
	for (uint32_t done = 0; done < total; done += fr->vnet.gso_size, i++) {
		uint32_t some = total - done < fr->vnet.gso_size ? total - done : fr->vnet.gso_size;

		memcpy(part, fr->data, h->payload);
		memcpy(part + h->payload, fr->data + h->payload + done, some);
		ip_set(part, h, h->payload + some, i);
		tcp_set(part, h, h->payload + some, done, done + some == total,
			(takes & REF_CSUM) == 0);
		if (!fn(arg, &vnet, part, h->payload + some))
			break;
	}
	return true;
}

static void
completed(const struct ref_frame *fr, ref_part_fn *fn, void *arg)
{
	static uint8_t whole[REF_LEN_MAX];
	static const struct virtio_net_hdr none;
	uint32_t start = fr->vnet.csum_start, sum;

	memcpy(whole, fr->data, fr->len);
	sum = ~sum16(whole + start, fr->len - start, 0) & 0xffff;
	if (sum == 0 && fr->vnet.csum_offset == UDP_CSUM)
		sum = 0xffff;
	put16(whole + start + fr->vnet.csum_offset, sum);
	fn(arg, &none, whole, fr->len);
}

bool
ref_parts(const struct ref_frame *fr, uint32_t takes, ref_part_fn *fn, void *arg)
{
	struct headers h;

	if ((fr->needs & ~takes) == 0) {
		fn(arg, &fr->vnet, fr->data, fr->len);
		return true;
	}
	if ((fr->needs & (REF_TSO4 | REF_TSO6)) == 0) {
		completed(fr, fn, arg);
		return true;
	}
	return headers_find(fr, &h) && fr->len - h.payload <= PARTS_MAX * fr->vnet.gso_size &&
	       segments(fr, &h, takes, fn, arg);
}
