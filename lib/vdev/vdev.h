/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDEV_H
#define FERRY_VDEV_H

/**
 * @file
 * The vring-state contract: what everything implements that can move bytes for a guest's rings.
 *
 * A handover from one provider to another is stop(a, pos), start(b, pos), kick_all(b), whatever
 * they are; so is a change of memory, of addresses or of features, from a provider to itself.
 *
 * Life     a vdev lives as long as its port.  It is created stopped and destroyed stopped.
 * Threads  calls of one vdev are serialised by its port's mutex and come from any thread but a
 *          worker.  They may wait for a grace period, never for a peer.
 * Units    ring sizes in descriptors
 * Source   virtio 1.2, 2.7 and 2.8; vhost-user specification, "Ring states"
 */

#include "dirty.h"
#include "vring_bad.h"
#include "vring_pos.h"

#include <stdbool.h>
#include <stdint.h>

#define VDEV_RINGS_MAX 256

struct vdev;

/**
 * One ring as its guest and front-end describe it.
 *
 * Started and enabled are independent: a started ring that is not enabled still takes and
 * discards what the guest transmits, and is given nothing.
 */
struct vdev_ring {
	bool started;   /**< has a position and may be processed; the rest counts only then */
	bool enabled;
	uint16_t size;
	gpa_t desc;     /**< descriptor table or ring */
	gpa_t driver;   /**< available ring or driver event suppression structure */
	gpa_t device;   /**< used ring or device event suppression structure */
	int kickfd;     /**< eventfd, the caller's until stop() or ring_set() returns; -1: poll */
	int callfd;     /**< eventfd, likewise; -1: the guest polls */
	struct vring_pos pos;
	bool told;      /**< the position is what a front-end said and not what a stop() returned: it
			     may be older than the ring, which then has the last word */
};

/** What start() is told. */
struct vdev_cfg {
	int vid;                        /**< librte_vhost's handle; -1 where there is none */
	uint16_t port;                  /**< number of the port */
	const struct gmem *mem;         /**< lives until stop() has returned */
	uint64_t features;              /**< negotiated virtio features */
	uint16_t n_rings;               /**< length of `rings`; even rings are the guest's receive
					     rings, odd ones its transmit rings */
	const struct vdev_ring *rings;  /**< read during the call only */
	const struct dirty *log;        /**< logs from the first write on; NULL: not logged; lives
					     until stop() or another log_set() has returned */
};

/** What ring_set() changes. */
struct vdev_ring_set {
	bool enabled;
	int kickfd;
	int callfd;
};

/** What stats() tells of a ring; counters only grow. */
struct vdev_ring_stats {
	struct vring_pos pos;   /**< as of now; exact when the ring is at rest */
	enum vring_bad bad;
	bool running;
	uint16_t worker;        /**< who polls it; UINT16_MAX: nobody, or a device */
	uint64_t chains;        /**< chains given back */
	uint64_t calls;         /**< interrupts sent */
	uint64_t pages;         /**< pages of guest memory marked in the dirty log that were not */
	uint64_t rounds;        /**< times that the front-end was seen to have taken the marks */
	bool asked;             /**< what the next three say is known */
	bool waiting;           /**< a chain is there that was not given back */
	bool kicks_wanted;      /**< the guest will kick for the next chain */
	bool calls_wanted;      /**< the guest wants an interrupt for the next chain or a later one */
	uint64_t first;         /**< time stamp counter at the first chain given back since the
				     start; 0: none yet */
};

struct vdev_ops {
	/**
	 * Takes over the guest's rings at their positions.  A single bad ring does not fail the
	 * start: it is broken by name, its position stays, the others run.
	 *
	 * @return  0; -EINVAL: cfg breaks this contract; -ENOTSUP: features or positions that this
	 *          provider cannot take; -ENOMEM; nothing has changed then
	 */
	int (*start)(struct vdev *dev, const struct vdev_cfg *cfg);

	/**
	 * Lets go: after return nobody writes guest memory, reads it or touches the descriptors,
	 * and the positions are exact.
	 *
	 * @param pos  n_rings positions of the cfg that was started; rings that were not started
	 *             keep what they have
	 */
	void (*stop)(struct vdev *dev, struct vring_pos *pos);

	/** Changes what may change while running; no position moves.  @return 0; -ERANGE; -ENOMEM */
	int (*ring_set)(struct vdev *dev, uint16_t qid, const struct vdev_ring_set *how);

	/**
	 * Logs every guest write after return, and none to the log of before; NULL stops logging.
	 *
	 * @return  0; -ENOTSUP: see `can_log`; nothing has changed then
	 */
	int (*log_set)(struct vdev *dev, const struct dirty *log);

	/** Looks at every ring once and interrupts every guest queue: call it after any start. */
	void (*kick_all)(struct vdev *dev);

	/** @return  0; -ERANGE: no such ring */
	int (*stats)(const struct vdev *dev, uint16_t qid, struct vdev_ring_stats *out);

	/** Frees a stopped device. */
	void (*destroy)(struct vdev *dev);
};

/** A provider embeds this; only `ops` is for its callers' calls, through the functions below. */
struct vdev {
	const struct vdev_ops *ops;
	const char *provider;    /**< "sw", "vdpadev" */
	uint64_t features;       /**< virtio features that it can serve */
	uint16_t n_pairs_max;
	bool can_log;
	bool any_position;       /**< start() takes any position, not only a fresh ring's */
};

/* calls, with the same meaning as the ops */

int vdev_start(struct vdev *dev, const struct vdev_cfg *cfg);
void vdev_stop(struct vdev *dev, struct vring_pos *pos);
int vdev_ring_set(struct vdev *dev, uint16_t qid, const struct vdev_ring_set *how);
int vdev_log_set(struct vdev *dev, const struct dirty *log);
void vdev_kick_all(struct vdev *dev);
int vdev_stats(const struct vdev *dev, uint16_t qid, struct vdev_ring_stats *out);

/** NULL is allowed. */
void vdev_destroy(struct vdev *dev);

#endif
