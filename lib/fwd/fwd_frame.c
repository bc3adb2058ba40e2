/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>
#include <string.h>

#define VNET_LEN sizeof(struct virtio_net_hdr)

/* A place in the pieces of a chain, read front to back. */
struct reader {
	const struct vring_seg *seg;
	uint32_t n_segs;
	uint32_t off;
};

/* Moves on by at most `len` bytes, within one piece; returns how many. */
static uint32_t
reader_step(struct reader *r, uint32_t len)
{
	uint32_t some = RTE_MIN(len, r->seg->len - r->off);

	r->off += some;
	if (r->off == r->seg->len) {
		r->seg++;
		r->n_segs--;
		r->off = 0;
	}
	return some;
}

static void
reader_copy(struct reader *r, uint8_t *to, uint32_t len)
{
	while (len > 0) {
		const uint8_t *from = r->seg->host + r->off;
		uint32_t some = reader_step(r, len);

		memcpy(to, from, some);
		to += some;
		len -= some;
	}
}

static void
reader_skip(struct reader *r, uint32_t len)
{
	while (len > 0)
		len -= reader_step(r, len);
}

static inline void
frame_init(struct fwd_frame *fr, uint32_t len)
{
	fr->len = len;
	fr->n_buffers = 1;
	fr->needs = 0;
	fr->drop = DROP_NONE;
	fr->hashed = false;
	fr->vlan = 0;
	fr->refused_by = FWD_SOURCE;
	fr->snap_len = RTE_MIN(len, (uint32_t)FWD_SNAP);
}

static void
frame_rest(struct fwd_frame *fr, const struct reader *r)
{
	fr->segs = r->seg;
	fr->seg_off = r->off;
}

/* Whole snapshot in the first piece: copies of fixed size, which need no call. */
static inline void
snap_read_fast(struct fwd_frame *fr, const struct vring_seg *first, uint16_t hdr_len)
{
	memcpy(fr->snap, first->host + hdr_len, FWD_SNAP);
	fr->segs = first;
	fr->seg_off = hdr_len + FWD_SNAP;
	if (unlikely(fr->seg_off == first->len)) {
		fr->segs++;
		fr->seg_off = 0;
	}
}

/* The virtio-net header as its chain has it, checked. */
static inline void
vnet_read(struct fwd_frame *fr, const uint8_t *p)
{
	uint64_t head;

	memcpy(&head, p, sizeof(head));
	memset(&fr->vnet, 0, VNET_LEN);
	/* Neither flags nor segmentation: whatever the rest says, nobody looks at it. */
	if (likely((head & UINT16_MAX) == 0))
		return;
	memcpy(&fr->vnet, &head, sizeof(head));
	memcpy((uint8_t *)&fr->vnet + sizeof(head), p + sizeof(head), VNET_LEN - sizeof(head));
	fwd_frame_check(fr);
}

static __rte_noinline void
frame_read_slow(struct fwd_frame *fr, const struct vring_chain *c, uint16_t hdr_len)
{
	struct reader r = { .seg = c->segs, .n_segs = c->n_segs };
	uint8_t vnet[VNET_LEN];

	reader_copy(&r, vnet, VNET_LEN);
	vnet_read(fr, vnet);
	reader_skip(&r, hdr_len - VNET_LEN);
	reader_copy(&r, fr->snap, fr->snap_len);
	frame_rest(fr, &r);
}

/* A frame is read once; what its length allows decides how. */
static inline void
frame_read(struct fwd_frame *fr, const struct vring_chain *c, uint16_t hdr_len)
{
	const struct vring_seg *first = c->segs;

	frame_init(fr, c->len - hdr_len);
	if (unlikely(fr->len > FWD_LEN_MAX)) {
		fr->drop = DROP_TOO_LONG;
	} else if (first->len >= (uint32_t)hdr_len + FWD_SNAP) {
		vnet_read(fr, first->host);
		snap_read_fast(fr, first, hdr_len);
	} else if (likely(c->n_segs == 1)) {
		vnet_read(fr, first->host);
		fwd_snap_copy(fr->snap, first->host + hdr_len, fr->snap_len);
	} else {
		frame_read_slow(fr, c, hdr_len);
	}
}

void
fwd_frames_read(struct fwd *f, uint16_t hdr_len)
{
	uint64_t bytes = 0;
	uint32_t n;

	for (n = 0; n < f->tx.n; n++) {
		bytes += f->tx.chains[n].len;
		if (unlikely(bytes > FWD_BYTES && n > 0))
			break;
		frame_read(&f->frames[n], &f->tx.chains[n], hdr_len);
	}
	f->n = n;
}

void
fwd_frame_set(struct fwd_frame *fr, const uint8_t *data, uint32_t len, struct vring_seg *rest)
{
	frame_init(fr, len);
	memset(&fr->vnet, 0, sizeof(fr->vnet));
	memcpy(fr->snap, data, fr->snap_len);
	*rest = (struct vring_seg){
		.host = (uint8_t *)(uintptr_t)data + fr->snap_len, .len = len - fr->snap_len,
	};
	fr->segs = rest;
	fr->seg_off = 0;
}

void
fwd_frame_mbuf(struct fwd_frame *fr, const struct rte_mbuf *m, struct vring_seg *segs)
{
	struct reader r = { .seg = segs };

	frame_init(fr, rte_pktmbuf_pkt_len(m));
	memset(&fr->vnet, 0, sizeof(fr->vnet));
	if (fr->len > FWD_LEN_MAX) {
		fr->drop = DROP_TOO_LONG;
		return;
	}
	if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		fr->vnet.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	for (; m != NULL; m = m->next) {
		if (m->data_len == 0)
			continue;
		segs[r.n_segs++] = (struct vring_seg){
			.host = rte_pktmbuf_mtod(m, uint8_t *), .len = m->data_len,
		};
	}
	reader_copy(&r, fr->snap, fr->snap_len);
	frame_rest(fr, &r);
}

static uint8_t
gso_needs(uint8_t type)
{
	uint8_t ecn = type & VIRTIO_NET_HDR_GSO_ECN ? FWD_ECN : 0;

	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return FWD_TSO4 | ecn;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return FWD_TSO6 | ecn;
	}
	return 0;
}

void
fwd_frame_check(struct fwd_frame *fr)
{
	struct virtio_net_hdr *h = &fr->vnet;
	bool csum = (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;

	h->flags = csum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
	if (csum) {
		fr->needs |= FWD_CSUM;
		if (h->csum_start < RTE_ETHER_HDR_LEN ||
		    (uint32_t)h->csum_start + h->csum_offset + sizeof(uint16_t) > fr->len)
			fr->drop = DROP_BAD_HDR;
	} else {
		h->csum_start = 0;
		h->csum_offset = 0;
	}
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		h->gso_size = 0;
		h->hdr_len = 0;
		return;
	}
	/* Segments without a checksum to complete in each cannot be (virtio 1.2, 5.1.6.2). */
	if (gso_needs(h->gso_type) == 0 || h->gso_size == 0 || !csum || h->hdr_len > fr->len)
		fr->drop = DROP_BAD_HDR;
	fr->needs |= gso_needs(h->gso_type);
}

/* At most 32 bytes.  The library's function wants them aligned, which those of a frame are not. */
static inline uint32_t
hash_bytes(const uint8_t *p, uint32_t len, uint32_t init)
{
	uint64_t words[4];

	memcpy(words, p, len);
	return rte_hash_crc(words, len, init);
}

#define IPV4_FRAGMENT (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)

/* Addresses, and ports where the first fragment has them and all others could not. */
static uint32_t
hash_ipv4(const uint8_t *p, uint32_t len, uint32_t hash)
{
	const struct rte_ipv4_hdr *ip = (const void *)p;
	uint32_t ihl;

	if (len < sizeof(*ip))
		return hash;
	ihl = rte_ipv4_hdr_len(ip);
	hash = hash_bytes((const uint8_t *)&ip->src_addr, 8, hash);
	if ((ip->fragment_offset & rte_cpu_to_be_16(IPV4_FRAGMENT)) != 0 || ihl < sizeof(*ip) || len < ihl + 4 ||
	    (ip->next_proto_id != IPPROTO_TCP && ip->next_proto_id != IPPROTO_UDP))
		return hash;
	return hash_bytes(p + ihl, 4, hash);
}

static uint32_t
hash_ipv6(const uint8_t *p, uint32_t len, uint32_t hash)
{
	const struct rte_ipv6_hdr *ip = (const void *)p;

	if (len < sizeof(*ip))
		return hash;
	hash = hash_bytes(ip->src_addr, 32, hash);
	if (len < sizeof(*ip) + 4 || (ip->proto != IPPROTO_TCP && ip->proto != IPPROTO_UDP))
		return hash;
	return hash_bytes(p + sizeof(*ip), 4, hash);
}

/* Everything of one flow has one hash; frames that are no IP hash by their addresses. */
uint32_t
fwd_frame_hash(struct fwd_frame *fr)
{
	uint32_t off = 12;
	uint16_t type = (uint16_t)(fr->snap[off] << 8 | fr->snap[off + 1]);

	if (fr->hashed)
		return fr->hash;
	while ((type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ) &&
	       off + 6 <= fr->snap_len && off < 20) {
		off += 4;
		type = (uint16_t)(fr->snap[off] << 8 | fr->snap[off + 1]);
	}
	off += 2;
	fr->hash = hash_bytes(fr->snap, 12, 0);
	if (type == RTE_ETHER_TYPE_IPV4 && off < fr->snap_len)
		fr->hash = hash_ipv4(fr->snap + off, fr->snap_len - off, fr->hash);
	else if (type == RTE_ETHER_TYPE_IPV6 && off < fr->snap_len)
		fr->hash = hash_ipv6(fr->snap + off, fr->snap_len - off, fr->hash);
	fr->hashed = true;
	return fr->hash;
}
