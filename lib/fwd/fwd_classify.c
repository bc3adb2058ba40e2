/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <string.h>

#define GROUP_BIT    0x010000000000ULL
#define RESERVED     0x0180c2000000ULL /* to -0F: never leaves the link (802.1Q, 8.6.3) */
#define VLAN_ID_MASK 0x0fff

/* Two bytes more than the address are read: the snapshot has them. */
static inline uint64_t
mac_load(const uint8_t *p)
{
	uint64_t eight;

	memcpy(&eight, p, sizeof(eight));
	return rte_be_to_cpu_64(eight) >> 16;
}

static inline bool
tagged(const struct fwd_frame *fr)
{
	uint16_t type;

	memcpy(&type, &fr->snap[12], sizeof(type));
	return type == RTE_BE16(RTE_ETHER_TYPE_VLAN) && fr->len >= RTE_ETHER_HDR_LEN + 4;
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
	uint32_t max = p->frame_max;

	if (likely(fr->len <= max))
		return false;
	max += tagged(fr) ? 4 : 0;
	if (fr->len <= max)
		return false;
	return (fr->needs & FWD_TSO) == 0 || segment_len(fr) > max || fr->len > FWD_LEN_MAX;
}

/* Whether the burst's source is heard at all by a port. */
static inline enum drop
port_allowed(const struct fwd *f, const struct port_live *to)
{
	if (to == f->src)
		return DROP_SAME_PORT;
	return to->group != 0 && to->group == f->src->group ? DROP_ISOLATED : DROP_NONE;
}

enum drop
fwd_allowed(const struct fwd *f, const struct port_live *to, const struct fwd_frame *fr)
{
	enum drop d = port_allowed(f, to);

	return d == DROP_NONE && unlikely(too_long(fr, to)) ? DROP_TOO_LONG : d;
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

/* What is the same for all frames of the burst that go to one port. */
struct target {
	const struct port_live *to; /* NULL: unknown, flood */
	enum drop drop;             /* of all of them */
	struct fwd_group *group;    /* of all of them; NULL: each has to ask */
};

/* A burst is mostly of few flows: what was among the last few keys is not looked up again. */
#define KEYS_BACK 4

struct keys {
	uint32_t n;
	fdb_key_t keys[FWD_BURST];
	uint8_t of[FWD_BURST];      /* frame to key */
	uint32_t n_targets;
	struct target targets[FWD_BURST];
	uint8_t target_of[FWD_BURST]; /* key to target */
};

static inline void
keys_add(struct keys *k, uint32_t frame, fdb_key_t key)
{
	uint32_t end = k->n > KEYS_BACK ? k->n - KEYS_BACK : 0;

	for (uint32_t i = k->n; i > end; i--)
		if (k->keys[i - 1] == key) {
			k->of[frame] = (uint8_t)(i - 1);
			return;
		}
	k->of[frame] = (uint8_t)k->n;
	k->keys[k->n++] = key;
}

/* Reads the frames; keeps alive or reports the address that they come from, once in a row. */
static void
keys_read(struct fwd *f, struct keys *k)
{
	fdb_key_t last = 0;

	k->n = 0;
	for (uint32_t i = 0; i < f->n; i++) {
		frame_keys(f, i);
		if (unlikely(f->frames[i].drop != DROP_NONE))
			continue;
		keys_add(k, i, f->dst_keys[i]);
		if (unlikely(f->src_keys[i] != last)) {
			last = f->src_keys[i];
			fdb_seen(f->opts.fdb, f->worker, f->src->number, last);
		}
	}
}

/* Neighbours mostly go to the same port; two targets for one port do no harm. */
static inline void
targets_add(const struct fwd *f, struct keys *k, uint32_t key, const struct port_live *to)
{
	struct target *t = &k->targets[k->n_targets];

	if (k->n_targets == 0 || t[-1].to != to) {
		t->to = to;
		t->drop = to != NULL ? port_allowed(f, to) : DROP_NONE;
		t->group = NULL;
		k->n_targets++;
	}
	k->target_of[key] = (uint8_t)(k->n_targets - 1);
}

/* Group addresses are in nobody's table, so they need no test of their own here. */
static void
keys_find(struct fwd *f, struct keys *k)
{
	struct fdb_hit hits[FWD_BURST];
	uint32_t found = fdb_find(f->opts.fdb, f->worker, k->keys, k->n, hits);

	k->n_targets = 0;
	for (uint32_t i = 0; i < k->n; i++) {
		const bool known = (found >> i & 1) != 0;

		targets_add(f, k, i, known ? f->ports->ports[hits[i].port] : NULL);
	}
}

/* It is the receiver that cannot take the frame. */
static void
target_refuses(struct fwd *f, const struct target *t, struct fwd_frame *fr, enum drop why)
{
	fr->drop = why;
	fr->drop_lane = fwd_lane(f, t->to);
}

/* The first frame for a target finds its group; @return NULL: the frame is dropped */
static struct fwd_group *
target_group(struct fwd *f, struct target *t, struct fwd_frame *fr)
{
	struct fwd_group *g;

	if (t->to == NULL)
		return t->group = fwd_group_flood(f);
	g = fwd_group_find(f, fr, t->to);
	if (unlikely(g == NULL))
		target_refuses(f, t, fr, DROP_NO_RING);
	else if (fwd_group_single(f, t->to))
		t->group = g;
	return g;
}

static inline void
frame_direct(struct fwd *f, uint32_t i, struct target *t)
{
	struct fwd_frame *fr = &f->frames[i];
	struct fwd_group *g = t->group;

	if (unlikely(t->drop != DROP_NONE)) {
		fr->drop = t->drop;
		return;
	}
	if (t->to != NULL && unlikely(too_long(fr, t->to))) {
		target_refuses(f, t, fr, DROP_TOO_LONG);
		return;
	}
	if (unlikely(g == NULL))
		g = target_group(f, t, fr);
	if (likely(g != NULL))
		fwd_group_add(g, i);
}

void
fwd_classify(struct fwd *f)
{
	struct keys k;

	keys_read(f, &k);
	keys_find(f, &k);
	f->n_groups = 0;
	for (uint32_t i = 0; i < f->n; i++)
		if (likely(f->frames[i].drop == DROP_NONE))
			frame_direct(f, i, &k.targets[k.target_of[k.of[i]]]);
}
