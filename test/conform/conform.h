/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CONFORM_H
#define FERRY_CONFORM_H

/**
 * @file
 * The conformance suite of the vring-state contract: cases know `struct vdev` and two guests.
 *
 * A provider is a row: it opens a wire and makes vdevs for ports of that wire, and what one guest
 * transmits to the other's address has to arrive there.
 *
 * Life     a wire per run, two sides per case.
 * Threads  the cases' own; a provider has whatever it has.
 */

#include "traffic.h"

struct wire;

struct provider {
	const char *name;
	bool modern;  /* refuses a guest without VERSION_1, as devices of virtio 1 do */
	bool mute;    /* while it runs a packed ring, it tells neither chains nor positions */
	bool holds;   /* a frame that its receiver has no buffer for waits with its sender, for a time */
	bool keeps;   /* a frame that its receiver has no buffer for waits on the wire, and is lost
	                 uncounted when the receiver starts anew: QEMU's */
	bool lenient; /* num_buffers may be wrong without MRG_RXBUF: QEMU's, before 10.0 */
	uint16_t n_pairs_max; /* 0: as many as a shape has */
	/** @return 0; -errno */
	int (*open)(struct wire **out);
	void (*close)(struct wire *w);
	/** A stopped vdev for port 0 or 1 of the wire; two may be there for one port, one of them
	 *  stopped. */
	int (*make)(struct wire *w, uint16_t port, uint16_t n_pairs, struct vdev **out);
	/** Frames that were taken and not delivered, of all names and ports. */
	uint64_t (*drops)(const struct wire *w);
	/** Does what is control's to do. */
	void (*tend)(struct wire *w);
	/** NULL, or hears of a vdev that runs. */
	void (*started)(struct wire *w, const struct vdev *dev);
	/** NULL, or says in the end what else was wrong; NULL: nothing. */
	const char *(*fault)(struct wire *w);
};

/** What is asked of both guests. */
struct shape {
	const char *name;
	uint16_t size;
	uint16_t pairs;
	uint16_t pos;          /* split: index; packed: slot | wrap counter << 15 */
	bool packed, indirect, mergeable, event_idx, in_order, legacy;
	uint16_t segs;
	uint16_t rx_buf;       /* 0: a frame fits into one */
	uint8_t n_regions;     /* 0: 1 */
};

struct conform {
	const struct provider *provider;
	struct wire *wire;
	const struct shape *shape;
	uint32_t seed;
	bool twin;             /* guests have an image that a dirty log is held to */
	struct vmm_fault fault;
	struct side a, b;
	struct traffic ab, ba;
	uint64_t drops;        /* of the wire before the case */
	uint64_t forgotten;    /* frames that were in a ring when its guest booted again */
};

/** A case.  @return 0; -EPROTO: `fault` says why */
struct conform_case {
	const char *story;
	int (*run)(struct conform *c);
};

extern const struct conform_case life_cases[], change_cases[], log_cases[], bad_cases[],
	refuse_cases[], legacy_cases[];
extern const unsigned int n_life_cases, n_change_cases, n_log_cases, n_bad_cases,
	n_refuse_cases, n_legacy_cases;

/** Fails the case where it stands. */
#define NEED(c, cond) do { \
	if (!(cond)) \
		return vmm_fault_set(&(c)->fault, "%s:%d: %s", __FILE__, __LINE__, #cond); \
} while (0)

/** Passes a fault on. */
#define TRY(expr) do { \
	int try_rc = (expr); \
	if (try_rc < 0) \
		return try_rc; \
} while (0)

/** Drops since the case began. */
uint64_t conform_drops(const struct conform *c);

/** Starts both sides.  @return 0; -EPROTO */
int conform_start(struct conform *c);

/** Stops both, takes what has arrived and runs the oracles over both.  @return 0; -EPROTO */
int conform_stop(struct conform *c);

/** The oracles over one stopped side, and that it does not write any more.  @return 0; -EPROTO */
int conform_settle(struct conform *c, struct side *s);

/** Frames both ways.  @return 0; -EPROTO */
int conform_traffic(struct conform *c, uint32_t n);

/** Waits until all that a guest has sent was taken.  @return 0; -EPROTO */
int conform_unsent(struct conform *c, struct side *s);

/** On a wire that keeps frames: waits for those that still come.  @return 0; -EPROTO */
int conform_arrived(struct conform *c);

/** The sum over both directions.  @return 0; -EPROTO */
int conform_sum(struct conform *c);

/** A case's choice, by its seed. */
uint32_t conform_random(struct conform *c, uint32_t below);

#endif
