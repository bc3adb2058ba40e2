/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_tcp.h>
#include <string.h>

#define GROUP_BIT    0x010000000000ULL
#define RESERVED     0x0180c2000000ULL /* to -0F: never leaves the link (802.1Q, 8.6.3) */
#define VLAN_ID_MASK 0x0fff
#define NOBODY       UINT64_MAX        /* no frame has this key: the VLAN is none */

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
	return unlikely(type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) && fr->len >= RTE_ETHER_HDR_LEN + 4;
}

/* A byte of the frame, in the snapshot or behind it, where the guest may change it once more. */
static uint8_t
byte_at(const struct fwd_frame *fr, uint32_t off)
{
	const struct vring_seg *s = fr->segs;

	if (off < fr->snap_len)
		return fr->snap[off];
	off += fr->seg_off - fr->snap_len;
	for (; off >= s->len; s++)
		off -= s->len;
	return s->host[off];
}

/* Bytes on the wire of the longest frame that comes of this one; without a TCP header, all. */
static __rte_noinline uint32_t
segment_len(const struct fwd_frame *fr)
{
	uint32_t data_off = fr->vnet.csum_start + offsetof(struct rte_tcp_hdr, data_off);

	if (data_off >= fr->len)
		return fr->len;
	return fr->vnet.csum_start + (byte_at(fr, data_off) >> 4) * 4u + fr->vnet.gso_size;
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
fwd_fits(const struct port_live *to, const struct fwd_frame *fr)
{
	return too_long(fr, to) ? DROP_TOO_LONG : DROP_NONE;
}

enum drop
fwd_allowed(const struct fwd *f, const struct port_live *to, const struct fwd_frame *fr)
{
	enum drop d = port_allowed(f, to);

	return d == DROP_NONE && unlikely(too_long(fr, to)) ? DROP_TOO_LONG : d;
}

/* A burst is mostly of few flows: what was among the last few keys is not looked up again. */
#define KEYS_BACK 4

/* What is the same for all frames of the burst that go to one port. */
struct target {
	const struct port_live *to; /* NULL: unknown, flood */
	enum drop drop;             /* of all of them */
	struct fwd_group *group;    /* of all of them; NULL: each has to ask */
};

struct keys {
	uint32_t n;
	/* Nobody's stand before them, so that the first ones have as many to look back at. */
	fdb_key_t keys[KEYS_BACK + FWD_BURST];
	uint8_t of[FWD_BURST];      /* frame to key */
	fdb_key_t src;              /* of the last frame that passed */
	uint32_t n_dropped;
	uint32_t len_max;           /* of those that passed */
	uint32_t n_targets;
	struct target targets[FWD_BURST];
	uint8_t target_of[FWD_BURST]; /* key to target */
};

static inline bool
src_valid(fdb_key_t key)
{
	return (key & GROUP_BIT) == 0 && key << 16 != 0;
}

static inline bool
dst_reserved(fdb_key_t key)
{
	return ((key & ~0xfULL) << 16) == RESERVED << 16;
}

static enum drop
frame_refused(const struct fwd *f, const struct fwd_frame *fr, fdb_key_t dst, fdb_key_t src)
{
	if (!src_valid(src))
		return DROP_BAD_SRC;
	if (dst_reserved(dst))
		return DROP_RESERVED;
	return too_long(fr, f->src) ? DROP_TOO_LONG : DROP_NONE;
}

/*
 * Keys and all that the frame alone decides; what was said of the last source holds for the same.
 *
 * @return  false: it is dropped
 */
static inline bool
frame_keys(const struct fwd *f, const struct keys *k, struct fwd_frame *fr, fdb_key_t *dst,
	   fdb_key_t *src)
{
	if (unlikely(fr->len < RTE_ETHER_HDR_LEN)) {
		fr->drop = DROP_RUNT;
		return false;
	}
	*dst = mac_load(fr->snap);
	*src = mac_load(fr->snap + RTE_ETHER_ADDR_LEN);
	if (unlikely(tagged(fr))) {
		fr->vlan = (fr->snap[14] << 8 | fr->snap[15]) & VLAN_ID_MASK;
		*dst |= (uint64_t)fr->vlan << 48;
		*src |= (uint64_t)fr->vlan << 48;
	}
	if (unlikely(*src != k->src) || unlikely(dst_reserved(*dst)) ||
	    unlikely(fr->len > f->src->frame_max))
		fr->drop = frame_refused(f, fr, *dst, *src);
	return fr->drop == DROP_NONE;
}

static inline void
keys_add(struct keys *k, uint32_t frame, fdb_key_t key)
{
	fdb_key_t *last = &k->keys[k->n];

	for (uint32_t i = KEYS_BACK; i > 0; i--)
		if (last[i - 1] == key) {
			k->of[frame] = (uint8_t)(k->n + i - 1 - KEYS_BACK);
			return;
		}
	last[KEYS_BACK] = key;
	k->of[frame] = (uint8_t)k->n++;
}

/* What was found of the last frame that passed, for those behind it that come from the same. */
struct known {
	uint64_t head;     /* destination, and the first two bytes of the source */
	uint64_t tail;     /* the rest of the source, type and tag */
	uint32_t len_max;  /* 0: of none yet */
	uint16_t vlan;
	uint8_t key;       /* of the destination */
};

_Static_assert(2 * sizeof(uint64_t) == RTE_ETHER_HDR_LEN + 2, "a tag is in the tail");

static inline struct known
known_of(const struct fwd_frame *fr, uint8_t key, uint32_t len_max)
{
	struct known k = { .len_max = len_max, .vlan = fr->vlan, .key = key };

	memcpy(&k.head, fr->snap, sizeof(k.head));
	memcpy(&k.tail, fr->snap + sizeof(k.head), sizeof(k.tail));
	k.head = rte_be_to_cpu_64(k.head);
	return k;
}

/*
 * Reads a frame from where the last one came from: its destination is all that is new, if that is.
 * What ends with its type has no tag, whatever stands behind it here, and is none of these.
 */
static inline bool
frame_known(struct keys *k, struct known *known, uint32_t i, struct fwd_frame *fr)
{
	const struct known now = known_of(fr, 0, 0);
	const fdb_key_t dst = now.head >> 16;

	if (now.tail != known->tail || unlikely(fr->len < RTE_ETHER_HDR_LEN + 4) ||
	    unlikely(fr->len > known->len_max) || unlikely(fr->drop != DROP_NONE))
		return false;
	if (now.head != known->head) {
		if (((now.head ^ known->head) & UINT16_MAX) != 0 || unlikely(dst_reserved(dst)))
			return false;
		keys_add(k, i, dst | (uint64_t)known->vlan << 48);
		known->head = now.head;
		known->key = k->of[i];
	}
	k->of[i] = known->key;
	fr->vlan = known->vlan;
	return true;
}

/* Reads the frames; keeps alive or reports the address that they come from, once in a row. */
static void
keys_read(struct fwd *f, struct keys *k)
{
	const uint32_t frame_max = f->src->frame_max, n = f->n;
	struct known known = { .len_max = 0 };
	uint64_t bytes = 0;
	uint32_t len_max = 0;

	k->n = 0;
	k->n_dropped = 0;
	k->src = NOBODY;
	for (uint32_t i = 0; i < KEYS_BACK; i++)
		k->keys[i] = NOBODY;
	for (uint32_t i = 0; i < n; i++) {
		struct fwd_frame *fr = &f->frames[i];
		fdb_key_t dst, src;

		bytes += fr->len;
		if (likely(frame_known(k, &known, i, fr))) {
			len_max = RTE_MAX(len_max, fr->len);
			continue;
		}
		if (unlikely(fr->drop != DROP_NONE || !frame_keys(f, k, fr, &dst, &src))) {
			k->n_dropped++;
			continue;
		}
		len_max = RTE_MAX(len_max, fr->len);
		keys_add(k, i, dst);
		if (unlikely(src != k->src)) {
			k->src = src;
			if (likely(!f->injected))
				fdb_seen(f->opts.fdb, f->worker, f->src->number, src);
		}
		known = known_of(fr, k->of[i], frame_max);
	}
	f->bytes = bytes;
	k->len_max = len_max;
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

/* Whether all keys are of one port, as those of a guest that talks to many behind an uplink. */
static inline bool
one_port(const struct fdb_hit *hits, uint32_t n, uint32_t found)
{
	uint32_t differ = 0;

	for (uint32_t i = 1; i < n; i++)
		differ |= hits[i].port ^ hits[0].port;
	return differ == 0 && found == UINT32_MAX >> (32 - n);
}

_Static_assert(FWD_BURST <= 32, "a key is a bit of those found");

/* Group addresses are in nobody's table, so they need no test of their own here. */
static void
keys_find(struct fwd *f, struct keys *k)
{
	struct fdb_hit hits[FWD_BURST];
	uint32_t found = fdb_find(f->opts.fdb, f->worker, k->keys + KEYS_BACK, k->n, hits);

	k->n_targets = 0;
	if (k->n > 1 && one_port(hits, k->n, found)) {
		targets_add(f, k, 0, f->ports->ports[hits[0].port]);
		memset(k->target_of, 0, sizeof(k->target_of));
		return;
	}
	for (uint32_t i = 0; i < k->n; i++) {
		const bool known = (found >> i & 1) != 0;

		targets_add(f, k, i, known ? f->ports->ports[hits[i].port] : NULL);
	}
}

/* It is the receiver that cannot take the frame. */
static void
target_refuses(const struct target *t, struct fwd_frame *fr, enum drop why)
{
	fr->drop = why;
	fr->refused_by = t->to->number;
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
		target_refuses(t, fr, DROP_NO_RING);
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
		target_refuses(t, fr, DROP_TOO_LONG);
		return;
	}
	if (unlikely(g == NULL))
		g = target_group(f, t, fr);
	if (likely(g != NULL))
		fwd_group_add(g, i);
}

/* The usual burst goes to one place as a whole. @return false: it does not, or not surely */
static bool
burst_direct(struct fwd *f, struct keys *k)
{
	static const uint8_t all[FWD_BURST] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
	};
	struct target *t = &k->targets[0];

	if (k->n_targets != 1 || k->n_dropped > 0 || t->drop != DROP_NONE ||
	    (t->to != NULL && k->len_max > t->to->frame_max))
		return false;
	target_group(f, t, &f->frames[0]);
	if (t->group == NULL)
		return false;
	memcpy(t->group->frames, all, sizeof(all));
	t->group->n = (uint16_t)f->n;
	return true;
}

void
fwd_classify(struct fwd *f)
{
	struct keys k;

	keys_read(f, &k);
	keys_find(f, &k);
	f->n_groups = 0;
	f->even = burst_direct(f, &k);
	for (uint32_t i = 0; i < f->n && !f->even; i++)
		if (likely(f->frames[i].drop == DROP_NONE))
			frame_direct(f, i, &k.targets[k.target_of[k.of[i]]]);
}

bool
fwd_src_known(struct fwd *f)
{
	const struct fwd_frame *fr = &f->frames[0];
	fdb_key_t src = (uint64_t)fr->vlan << 48 | mac_load(fr->snap + RTE_ETHER_ADDR_LEN);
	struct fdb_hit hit;

	return fr->drop != DROP_NONE || (fdb_find(f->opts.fdb, f->worker, &src, 1, &hit) == 1 &&
					 hit.port == f->src->number);
}

bool
fwd_dst_elsewhere(struct fwd *f, const struct fwd_frame *fr, uint16_t port)
{
	fdb_key_t dst = mac_load(fr->snap);
	struct fdb_hit hit;

	if (tagged(fr))
		dst |= (uint64_t)((fr->snap[14] << 8 | fr->snap[15]) & VLAN_ID_MASK) << 48;
	return (dst & GROUP_BIT) == 0 && fdb_find(f->opts.fdb, f->worker, &dst, 1, &hit) == 1 &&
	       hit.port != port;
}
