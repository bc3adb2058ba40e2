/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FWD_IMPL_H
#define FERRY_FWD_IMPL_H

/* Inside of lib/fwd. */

#include "fwd.h"

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include <linux/virtio_net.h>
#include <string.h>

#define FWD_BURST      32
#define FWD_BYTES      (256 * 1024) /* a burst ends past so many, so that a turn stays short */
#define FWD_BUSY       64           /* rings served often while others are looked at now and then */
#define FWD_TURN_WORK  (1 << 20)    /* a turn ends past so much: the next goes on where it ended */
#define FWD_QUIET_WORK (1 << 20)    /* between two looks at all rings: frames in, and out again */
#define FWD_LOOK_WORK  1024         /* what a look at a ring costs, in bytes copied */
#define FWD_FRAME_WORK 256          /* likewise a frame, beside its bytes */
#define FWD_FLOOD_BYTES (4 << 20)   /* as FWD_BYTES, of what is flooded, all ports added up */
#define FWD_SNAP       80           /* Ethernet, two tags, IPv6 and ports fit */
#define FWD_LEN_MAX    (65535 + RTE_ETHER_HDR_LEN + 8) /* longest IP packet, two tags */

#define FWD_SOURCE     UINT16_MAX   /* no port: what is dropped is counted at the source */

/* What a frame needs of its receiver; what a receiver takes as it is. */
#define FWD_CSUM (1u << 0)
#define FWD_TSO4 (1u << 1)
#define FWD_TSO6 (1u << 2)
#define FWD_ECN  (1u << 3)
#define FWD_TSO  (FWD_TSO4 | FWD_TSO6)

/*
 * A frame of the burst: headers as they were read, once, and where the rest of it is.  The virtio-net
 * header stands before the snapshot as most receivers want it, so that both are one copy.
 */
struct fwd_frame {
	uint32_t len;                 /* of the frame, without virtio-net header */
	struct virtio_net_hdr vnet;   /* checked: an offload that makes sense, or none */
	uint16_t n_buffers;           /* 1, as it is delivered where it fits into one */
	uint8_t snap[FWD_SNAP];
	uint8_t needs;                /* FWD_* */
	uint8_t drop;                 /* enum drop; DROP_NONE: goes on */
	bool hashed;
	uint16_t vlan;
	uint16_t refused_by;          /* port where the drop is counted, or FWD_SOURCE */
	uint32_t snap_len;
	uint32_t hash;                /* of the flow; valid when hashed */
	/* The rest, behind the snapshot, if there is any. */
	uint32_t seg_off;             /* into the first piece */
	const struct vring_seg *segs;
} __rte_cache_aligned;

_Static_assert(sizeof(struct virtio_net_hdr_mrg_rxbuf) == offsetof(struct fwd_frame, snap) -
	       offsetof(struct fwd_frame, vnet), "header and snapshot are one copy");
_Static_assert(sizeof(struct fwd_frame) == 2 * RTE_CACHE_LINE_SIZE, "no frame is larger");

/* Frames of the burst that go to one place. */
struct fwd_group {
	const struct swdev_ring *ring; /* a guest's receive ring, or NULL */
	const struct port_live *eth;   /* a device, or NULL */
	const struct park_live *park;  /* where frames wait, or NULL; all three NULL: flood */
	const struct port_live *port;
	uint16_t queue;                /* of the device */
	uint16_t n;
	uint8_t frames[FWD_BURST];
};

struct fwd {
	struct fwd_opts opts;
	uint32_t worker;

	/* Loaded at the start of a turn. */
	const struct swdev_view *rings;
	const struct port_view *ports;
	const struct park_view *parks;        /* NULL: no park is in use */
	uint64_t now;                         /* cycle counter; when a park is */

	/* Rings of the view that had chains when all were looked at; see rings_turn(). */
	uint64_t version;                     /* of that view */
	bool busy_known;
	uint64_t work;                        /* in all */
	uint64_t turn_work;                   /* as it was when the turn began */
	uint64_t look_work;                   /* as it was when all rings had been looked at */
	uint32_t next;                        /* where looking at all goes on; 0: it begins */
	uint32_t busy_next;                   /* likewise among the busy ones */
	uint32_t n_busy;
	uint16_t busy[FWD_BUSY];

	/* The burst. */
	const struct port_live *src;
	uint32_t home;                        /* worker that served the source first */
	struct stats_lane *lane;              /* of the source port */
	uint32_t n;
	bool even;                            /* no frame is dropped, all go to one group */
	bool patient;                         /* what finds no buffer is not dropped: it waits */
	bool injected;                        /* ours, in the name of a guest: nobody learns by it */
	bool flooding;                        /* copies are handed out to all ports */
	uint32_t blamed;                      /* flooded frames whose bad headers were counted */
	uint64_t bytes;                       /* of all of them */
	struct fwd_frame frames[FWD_BURST];
	uint16_t n_groups;
	uint16_t n_claimed;
	struct fwd_group groups[FWD_BURST + 1];
	uint8_t group_of[SWDEV_PORTS_MAX];    /* by port: a group of its own in the table, perhaps */
	struct rte_mbuf *mbufs[FWD_BURST];

	struct vring_batch tx;                /* what the source offers */
	struct vring_batch rx;                /* what the receiver offers */
	uint8_t whole[FWD_LEN_MAX + 1];       /* a frame gathered for software offload */
	uint8_t part[FWD_LEN_MAX + 1];        /* a segment of it */
	uint8_t seen[FWD_LEN_MAX + 1];        /* a frame gathered for a capture */
};

/* fwd_frame.c: reads frames. */

/*
 * Reads the chains of a transmit ring, as many as are copied in one turn; a frame that cannot be
 * forwarded has its drop set.
 */
void fwd_frames_read(struct fwd *f, uint16_t hdr_len);
/* Makes a frame of bytes that are ours. */
void fwd_frame_set(struct fwd_frame *fr, const uint8_t *data, uint32_t len,
		   struct vring_seg *rest);
/* Makes a frame of an mbuf; `segs` has room for its pieces. */
void fwd_frame_mbuf(struct fwd_frame *fr, const struct rte_mbuf *m, struct vring_seg *segs);
/* Checks the virtio-net header against the frame. */
void fwd_frame_check(struct fwd_frame *fr);
uint32_t fwd_frame_hash(struct fwd_frame *fr);

/* fwd_classify.c: decides. */

/* Sets keys, drops what may not pass, learns sources, and sorts the rest into groups. */
void fwd_classify(struct fwd *f);
/* Whether `to` may hear frames of the burst's source. */
enum drop fwd_allowed(const struct fwd *f, const struct port_live *to, const struct fwd_frame *fr);

/* Whether the first frame of the burst comes from where its source is known to be. */
bool fwd_src_known(struct fwd *f);
/* Whether a frame is for somebody who is known to be on another port. */
bool fwd_dst_elsewhere(struct fwd *f, const struct fwd_frame *fr, uint16_t port);
/* DROP_NONE, or that the frame is too long for the port. */
enum drop fwd_fits(const struct port_live *to, const struct fwd_frame *fr);

/* fwd_group.c: delivers. */

/* The group of the place that a frame goes to; NULL: the port has none. */
struct fwd_group *fwd_group_find(struct fwd *f, struct fwd_frame *fr, const struct port_live *to);
/* The same, whatever is parked. */
struct fwd_group *fwd_place_find(struct fwd *f, struct fwd_frame *fr, const struct port_live *to);
/* Whether a port hears the burst's source at all. */
bool fwd_heard_by(const struct fwd *f, const struct port_live *to);
/* Whether all frames to a port that has a place go to the same one. */
bool fwd_group_single(const struct fwd *f, const struct port_live *to);
struct fwd_group *fwd_group_flood(struct fwd *f);

static inline void
fwd_group_add(struct fwd_group *g, uint32_t frame)
{
	g->frames[g->n++] = (uint8_t)frame;
}

/* Claims the places of the burst; @return frames from its start whose places are ours. */
uint32_t fwd_groups_claim(struct fwd *f);
/* Delivers those frames and gives the places back. */
void fwd_groups_deliver(struct fwd *f, uint32_t cut);
/*
 * Claims the place of the only group, delivers and gives it back.
 *
 * Returns how many frames of the group are done.
 */
uint32_t fwd_group_send(struct fwd *f);

/* fwd_ring.c, fwd_eth.c: one place.  The caller holds the claim; `cut` ends the burst. */
/* Returns how many frames of the group it is done with: all, unless f->patient. */
uint32_t fwd_ring_deliver(struct fwd *f, const struct fwd_group *g, uint32_t cut);
/* FWD_* that a guest with such features takes as they are. */
uint8_t fwd_takes(uint64_t features);
void fwd_eth_deliver(struct fwd *f, const struct fwd_group *g, uint32_t cut);
/* Serves one receive queue of a device. @return frames */
uint32_t fwd_eth_turn(struct fwd *f, const struct port_poll *poll);
/* Has a receive queue wake the worker; true: something came meanwhile, do not sleep. */
bool fwd_eth_arm(struct fwd *f, const struct port_poll *poll);
void fwd_eth_disarm(const struct port_poll *poll);

/* fwd_park.c: frames for guests that are on their way. */

/* Loads the view of the parks, for this turn. */
void fwd_parks_load(struct fwd *f);
/*
 * Where a frame for a port goes now: `*to` itself, or the port to which its guest has gone.
 *
 * Returns the park in which it has to wait, or NULL.
 */
const struct park_live *fwd_park_find(const struct fwd *f, const struct fwd_frame *fr,
				      const struct port_live **to);
/*
 * Whether the burst has to wait: its guest has just come, and as soon as the network has heard it,
 * what is for it comes to here and must find its port.
 */
bool fwd_park_early(struct fwd *f);
/* Whether what is flooded is not for this port: its guest hears it elsewhere. */
bool fwd_park_left(const struct fwd *f, const struct port_live *to);
void fwd_park_deliver(struct fwd *f, const struct fwd_group *g, uint32_t cut);
/* Sends what may go from this worker's buffers. @return frames */
uint32_t fwd_parks_turn(struct fwd *f);
/* Whether something waits to be sent. */
bool fwd_parks_pending(const struct fwd *f);

/* fwd_eth_offload.c: what a device is asked to do for a frame. */

/* Whether the headers are of a kind that devices understand, and right. */
bool fwd_eth_plain(const struct fwd_frame *fr);
/* Asks a device with these offloads for what such a frame needs; it is in the mbuf already. */
void fwd_eth_ask(struct rte_mbuf *m, const struct fwd_frame *fr, uint64_t offloads);

/* fwd_copy.c: bytes. */

/* Copies 64 to 96 bytes by moves of fixed size; the last one overlaps. */
static inline void
fwd_copy_short(uint8_t *to, const uint8_t *from, uint32_t len)
{
	memcpy(to, from, 64);
	memcpy(to + len - 32, from + len - 32, 32);
}

/* Copies at most FWD_SNAP bytes. */
static inline void
fwd_snap_copy(uint8_t *to, const uint8_t *from, uint32_t len)
{
	if (likely(len >= 64)) {
		fwd_copy_short(to, from, len);
	} else if (len >= 32) {
		memcpy(to, from, 32);
		memcpy(to + len - 32, from + len - 32, 32);
	} else {
		memcpy(to, from, len);
	}
}

/* Copies what stands behind the snapshot, if there is any. */
void fwd_copy_rest(const struct fwd_frame *fr, uint8_t *to);

static inline void
fwd_copy_flat(const struct fwd_frame *fr, uint8_t *to)
{
	fwd_snap_copy(to, fr->snap, fr->snap_len);
	if (fr->len > FWD_SNAP)
		fwd_copy_rest(fr, to + FWD_SNAP);
}

/* Copies a frame behind `off` bytes of the pieces, which have room for it. */
void fwd_copy(const struct fwd_frame *fr, const struct vring_seg *to, uint32_t off);

/* fwd_offload.c: what the receiver cannot take. */

/* Where the network header is, behind any tags, and its EtherType. */
uint32_t fwd_l3_find(const uint8_t *frame, uint32_t len, uint16_t *type);

typedef bool fwd_part_fn(void *arg, const struct fwd_frame *part);

/*
 * Completes checksums and cuts segments until what comes out needs only `takes`, and hands each
 * frame to `fn`, until that says false.
 */
void fwd_offload(struct fwd *f, const struct fwd_frame *fr, uint8_t takes, struct stats_lane *to,
		 fwd_part_fn *fn, void *arg);

/* fwd.c */

/* Counts and shows so many frames of the burst: this turn is done with them. */
void fwd_received(struct fwd *f, uint32_t n);

/* Shows frames to the captures of a port. */
void fwd_capture(struct fwd *f, const struct port_live *p, enum capture_dir dir,
		 const struct fwd_frame *fr);

static inline bool
fwd_captured(const struct fwd *f, const struct port_live *p)
{
	return capture_view(f->opts.capture, p->number) != NULL;
}

/* Where what is for a port goes: itself, or its uplink while a device moves its rings; NULL: there is
 * no way. */
static inline const struct port_live *
fwd_elsewhere(const struct fwd *f, const struct port_live *to)
{
	uint16_t place;

	if (likely(to->elsewhere == NULL))
		return to;
	place = atomic_load_explicit(to->elsewhere, memory_order_relaxed);
	if (place == PORT_NONE)
		return to;
	return place < PORT_MAX ? f->ports->ports[place] : NULL;
}

static inline struct stats_lane *
fwd_lane(const struct fwd *f, const struct port_live *p)
{
	return &p->stats->lanes[f->worker];
}

#endif
