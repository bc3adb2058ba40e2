/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <string.h>

#define MAC_MASK     0xffffffffffffULL
#define GROUP_BIT    0x010000000000ULL
#define RESERVED     0x0180c2000000ULL /* to -0F: never leaves the link (802.1Q, 8.6.3) */
#define VLAN_ID_MASK 0x0fff

static inline uint64_t
mac_load(const uint8_t *p)
{
	uint32_t high;
	uint16_t low;

	memcpy(&high, p, sizeof(high));
	memcpy(&low, p + sizeof(high), sizeof(low));
	return (uint64_t)rte_be_to_cpu_32(high) << 16 | rte_be_to_cpu_16(low);
}

static inline bool
tagged(const struct fwd_frame *fr)
{
	return fr->snap[12] == 0x81 && fr->snap[13] == 0x00 && fr->len >= RTE_ETHER_HDR_LEN + 4;
}

/* Bytes on the wire of the longest frame that comes of this one. */
static uint32_t
segment_len(const struct fwd_frame *fr)
{
	uint32_t tcp = fr->vnet.csum_start;
	uint32_t doff = tcp + 12 < fr->snap_len ? (fr->snap[tcp + 12] >> 4) * 4 : 20;

	return tcp + doff + fr->vnet.gso_size;
}

static inline bool
too_long(const struct fwd_frame *fr, const struct port_live *p)
{
	uint32_t max = p->frame_max + (fr->vlan != 0 || tagged(fr) ? 4 : 0);

	if (likely(fr->len <= max))
		return false;
	return (fr->needs & FWD_TSO) == 0 || segment_len(fr) > max || fr->len > FWD_LEN_MAX;
}

enum drop
fwd_allowed(const struct fwd *f, const struct port_live *to, const struct fwd_frame *fr)
{
	if (to == f->src)
		return DROP_SAME_PORT;
	if (to->group != 0 && to->group == f->src->group)
		return DROP_ISOLATED;
	return unlikely(too_long(fr, to)) ? DROP_TOO_LONG : DROP_NONE;
}

static inline enum drop
check(const struct fwd *f, struct fwd_frame *fr, uint64_t dst, uint64_t src)
{
	if (unlikely((src & GROUP_BIT) != 0 || src == 0))
		return DROP_BAD_SRC;
	if (unlikely((dst & ~0xfULL) == RESERVED))
		return DROP_RESERVED;
	return unlikely(too_long(fr, f->src)) ? DROP_TOO_LONG : DROP_NONE;
}

/* Keys and all that the frame alone decides. */
static inline void
frame_keys(struct fwd *f, uint32_t i)
{
	struct fwd_frame *fr = &f->frames[i];
	uint64_t dst, src;

	if (unlikely(fr->drop != DROP_NONE))
		return;
	if (unlikely(fr->len < RTE_ETHER_HDR_LEN)) {
		fr->drop = DROP_RUNT;
		return;
	}
	dst = mac_load(fr->snap);
	src = mac_load(fr->snap + RTE_ETHER_ADDR_LEN);
	fr->vlan = tagged(fr) ? (fr->snap[14] << 8 | fr->snap[15]) & VLAN_ID_MASK : 0;
	f->dst_keys[i] = (uint64_t)fr->vlan << 48 | dst;
	f->src_keys[i] = (uint64_t)fr->vlan << 48 | src;
	fr->drop = check(f, fr, dst, src);
}

/* A burst is mostly of few flows: each key is looked up, and each source seen, once. */
struct keys {
	uint32_t n;
	fdb_key_t keys[FWD_BURST];
	uint8_t of[FWD_BURST];     /* frame to key */
};

static inline void
keys_add(struct keys *k, uint32_t frame, fdb_key_t key)
{
	uint32_t i = k->n;

	while (i > 0 && k->keys[i - 1] != key)
		i--;
	if (i == 0) {
		k->keys[k->n++] = key;
		i = k->n;
	}
	k->of[frame] = (uint8_t)(i - 1);
}

static void
sources_see(struct fwd *f)
{
	fdb_key_t last = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		if (f->frames[i].drop != DROP_NONE || f->src_keys[i] == last)
			continue;
		last = f->src_keys[i];
		fdb_seen(f->opts.fdb, f->worker, f->src->number, last);
	}
}

static inline void
frame_direct(struct fwd *f, uint32_t i, bool known, const struct fdb_hit *hit)
{
	struct fwd_frame *fr = &f->frames[i];
	const struct port_live *to = known ? f->ports->ports[hit->port] : NULL;

	if (to == NULL) {
		fwd_group_flood(f, (uint8_t)i);
		return;
	}
	fr->drop = fwd_allowed(f, to, fr);
	if (unlikely(fr->drop == DROP_SAME_PORT || fr->drop == DROP_ISOLATED))
		return;
	/* From here on it is the receiver that cannot take it. */
	if (likely(fr->drop == DROP_NONE))
		fr->drop = fwd_group_add(f, (uint8_t)i, to);
	if (unlikely(fr->drop != DROP_NONE))
		fr->drop_lane = fwd_lane(f, to);
}

void
fwd_classify(struct fwd *f)
{
	struct fdb_hit hits[FWD_BURST];
	struct keys k = { .n = 0 };
	uint32_t found;

	for (uint32_t i = 0; i < f->n; i++) {
		frame_keys(f, i);
		if (likely(f->frames[i].drop == DROP_NONE))
			keys_add(&k, i, f->dst_keys[i]);
	}
	sources_see(f);
	/* Group addresses are in nobody's table, so they need no test of their own here. */
	found = fdb_find(f->opts.fdb, f->worker, k.keys, k.n, hits);
	f->n_groups = 0;
	for (uint32_t i = 0; i < f->n; i++)
		if (likely(f->frames[i].drop == DROP_NONE))
			frame_direct(f, i, (found >> k.of[i] & 1) != 0, &hits[k.of[i]]);
}
