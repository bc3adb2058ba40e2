/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDPADEV_IMPL_H
#define FERRY_VDPADEV_IMPL_H

/*
 * Inside of lib/vdpadev.
 *
 *   vdpadev.c        the contract's operations
 *   vdpadev_find.c   devices by name, probing, create and destroy
 *   vdpadev_info.c   what there is
 *   vdpadev_ring.c   what we do to a ring by ourselves: checks, marks, positions
 *   vdpadev_show.c   what drivers tell of rings, and of failures
 *   vdpadev_vid.c    what drivers ask by vid; they may do so on any thread of theirs
 *
 * linux/virtio_ring.h, which comes with rte_vhost.h, and vring.h have names in common: only
 * vdpadev_ring.c includes the latter, and none of the former.
 *
 * A driver is called under the port's mutex and never with `lock` held; what it asks by vid takes
 * `lock` alone, for moments.
 */

#include "vdpadev.h"

#include <pthread.h>
#include <stdatomic.h>

struct rte_device;
struct rte_devargs;
struct rte_vdpa_device;
struct vring;

/* Counters of a ring that a driver tells under these names; X(field, name). */
#define VDPADEV_COUNTS(X) \
	X(chains, "chains") \
	X(calls,  "calls") \
	X(pages,  "pages") \
	X(rounds, "rounds")

/* A counter of a driver that may begin again with each configuration; ours begins with the vdev and
 * never does. */
struct vdpadev_count {
	uint64_t before;   /* up to when it last began again, less what it had counted for others */
	uint64_t last;     /* as last read */
};

/* What a driver tells of a ring. */
struct vdpadev_told {
	bool known[4];     /* in the order of VDPADEV_COUNTS */
	uint64_t counts[4];
	bool has_index;
	uint16_t index;    /* used index; packed: with the wrap counter in bit 15 */
	uint64_t first;
	enum vring_bad bad;
};

struct vdpadev_ring {
	/* under `lock` */
	struct vdev_ring said;     /* as started; its position as the driver last stored it */
	bool live;                 /* started and good: what the driver sees */
	bool stored;               /* the driver has stored a position since the start */
	void *desc, *driver, *device;
	uint64_t calls, pages, rounds; /* sent and marked through our calls, by the driver */
	uint64_t marked;           /* pages marked by ourselves */
	gpa_t index_gpa;           /* what shows used entries: its marks tell rounds */
	uint32_t index_len;

	/* under the port's mutex */
	struct vring *vring;       /* our own view of it, at the position of the start */
	enum vring_bad bad;        /* as we found it, or as the driver has told */
	bool reported;
	struct vdpadev_count counts[4];
	uint64_t chains;           /* by the used index of a split ring, as often as it is looked at */
	uint16_t chains_index;
	uint64_t start_chains;
	uint64_t first;
};

struct vdpadev {
	struct vdev vdev;
	int vid;
	char name[VDPADEV_NAME_MAX];
	char *bus;
	bool probed;               /* by us: goes with us */
	bool listening;            /* for its end */
	bool attentive;            /* what a ring is told while it runs costs the driver no frame */
	bool used;                 /* was configured at least once */
	uint16_t port;
	uint16_t mtu;
	struct cross *cross;
	struct rte_vdpa_device *device;
	_Atomic(const char *) failed; /* driver's thread and port's side: store; any: load */

	pthread_mutex_t lock;
	/* under `lock`, changed by the port's side only */
	bool bound;                /* between start and stop */
	const struct gmem *mem;
	uint64_t features;         /* negotiated, and VHOST_F_LOG_ALL while it logs */
	const struct dirty *log;
	uint16_t n_rings;
	bool packed;
	struct vdpadev_ring rings[VDEV_RINGS_MAX];

	bool configured;           /* dev_conf() has succeeded; port's mutex */
};

extern const struct vdev_ops vdpadev_ops;

static inline struct vdpadev *
vdpadev_of(const struct vdev *dev)
{
	return (struct vdpadev *)((uintptr_t)dev - offsetof(struct vdpadev, vdev));
}

/* vid */

/* Gives the device a vid.  @return 0; -ENOSPC */
int vdpadev_vid_bind(struct vdpadev *d);
/* No driver asks by it any more.  A device without one is allowed. */
void vdpadev_vid_unbind(struct vdpadev *d);
/* Who has a device; NULL: nobody.  @role control */
struct vdpadev *vdpadev_vid_owner(const struct rte_vdpa_device *device);
/* The self-test.  @return as vdpadev_init() */
int vdpadev_vid_check(void);

/* find */

void vdpadev_destroy(struct vdpadev *d);

/* ring: under `lock`, or while no driver runs */

/* Checks a ring that the front-end has started.  @return 0, `bad` says what it is; -ENOMEM */
int vdpadev_ring_init(struct vdpadev *d, uint16_t qid, const struct vdev_cfg *cfg);
void vdpadev_ring_fini(struct vdpadev_ring *r);
/* Has the guest kick for its next chain, whatever the last provider has left there; the other
 * call takes that back. */
uint32_t vdpadev_ring_arm(struct vdpadev *d, struct vdpadev_ring *r);
void vdpadev_ring_unarm(struct vdpadev *d, struct vdpadev_ring *r, uint32_t saved);
void vdpadev_ring_disarm(struct vdpadev_ring *r);
/* Goes on at the position that was stored, with this log. */
void vdpadev_ring_move(struct vdpadev_ring *r, const struct dirty *log);
/* Where a ring stands whose device has let go. */
struct vring_pos vdpadev_ring_pos(const struct vdpadev *d, const struct vdpadev_ring *r);
/* Chains given back, as far as the guest's own index tells. */
uint64_t vdpadev_ring_chains(const struct vdpadev *d, struct vdpadev_ring *r);
/* As of now, for show. */
struct vring_pos vdpadev_ring_now(const struct vdpadev *d, struct vdpadev_ring *r,
				  const struct vdpadev_told *told);
/* Fills in what both sides have asked for, and whether that is known. */
void vdpadev_ring_asked(const struct vdpadev_ring *r, struct vdev_ring_stats *out);
/* Whether a guest without event index has switched interrupts off. */
bool vdpadev_ring_silent(const struct vdpadev *d, const struct vdpadev_ring *r);
/* Marks what a device may have written in the ring's own areas. */
void vdpadev_ring_mark(const struct vdpadev *d, struct vdpadev_ring *r);
/* Marks, and counts for the ring whose index lies there, else for `r`. */
void vdpadev_mark(struct vdpadev *d, struct vdpadev_ring *r, gpa_t gpa, uint64_t len);
/* rte_vdpa_relay_vring_used() for a split ring of ours. */
int vdpadev_ring_relay(struct vdpadev *d, struct vdpadev_ring *r, void *mediated);
uint64_t vdpadev_log_size(const struct dirty *log, uint64_t *base);

/* show */

void vdpadev_told_get(const struct vdpadev *d, uint16_t qid, struct vdpadev_told *out);
/* Whether the driver's counters of a ring have one of that name. */
bool vdpadev_tells(const struct rte_vdpa_device *device, const char *name);
/* Whether the driver tells so of the device as a whole, with its first ring. */
bool vdpadev_device_tells(const struct rte_vdpa_device *device, const char *name);
/* The word with which a driver of this project has given up; NULL: it has not. */
const char *vdpadev_device_failed(const struct rte_vdpa_device *device);
/* What the driver has counted up to now was for others. */
void vdpadev_counts_begin(struct vdpadev *d);
/* Reads a ring's counters, so that they go on when the driver begins again. */
void vdpadev_counts_read(struct vdpadev *d, uint16_t qid, struct vdpadev_told *told);
int vdpadev_stats(const struct vdev *dev, uint16_t qid, struct vdev_ring_stats *out);
/* Says by event that a ring is broken, once. */
void vdpadev_bad_report(struct vdpadev *d, uint16_t qid);
/* Says by event that the device is of no use; `why` lives as long as the process. */
void vdpadev_fail(struct vdpadev *d, const char *why);

#endif
