/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_MIGRATE_H
#define VMM_MIGRATE_H

/**
 * @file
 * Mini-migrations: two guests that stream to each other, one or both of them on the move.
 *
 * A guest's live image and the copy of it, its twin, must be equal in every byte whenever the
 * backend has been asked to stop, and after a moment when it has nothing to do.  Everything that a
 * front-end may do meanwhile is a step; how it ends is a road.
 *
 * Life     one per run; the guests are made anew for every shape.
 * Threads  one, and one per harvester.
 * Units    times in milliseconds.
 * Source   the vhost-user specification ("Migration"), QEMU's hw/virtio/vhost.c.
 */

#include "cmd.h"
#include "stream.h"

/** What came about in a run. */
struct migrate_counts {
	uint64_t migrations;    /* rings stopped under logging, images equal */
	uint64_t completed, resumed, failed, cancelled;
	uint64_t refused;
	uint64_t logs, off_ons, steps, checkpoints, shapes;
	uint64_t rounds, pages;
	uint64_t sent, received, lost;
};

/** A guest and the ports that it goes to and fro between. */
struct migrate_side {
	struct vmm_guest *g;
	struct vmm_harvest harvest;
	const char *ports[2];
	unsigned int n_ports, at;
	bool plugged;           /* it has a region more than at first */
	bool broken;            /* one of its rings is, until it boots again */
};

/** A run. */
struct migrate {
	struct cmd *cmd;
	struct migrate_side sides[2];   /* the one that moves, and its peer */
	struct stream stream;
	uint32_t rng;
	bool lossy[2];          /* by way: frames may be lost until the next rest */
	const char *doing;      /* for faults */
	struct migrate_counts counts;
};

/* Images */

/** Switches logging on, starts to harvest, copies everything once.  @return 0; -errno; -EPROTO */
int migrate_log_on(struct migrate *m, unsigned int x);

/** Switches logging off; the twin is of no use from here on.  @return 0; -errno; -EPROTO */
int migrate_log_off(struct migrate *m, unsigned int x);

/** Another log for the same migration, larger by `more` bytes than needed.  @return as above */
int migrate_log_replace(struct migrate *m, unsigned int x, uint64_t more);

/**
 * Has the next start of the stopped guest log from its first message on.
 *
 * @param late  the log itself is kept back: migrate_log_arrive()
 */
int migrate_log_arm(struct migrate *m, unsigned int x, bool late);

/** The log that was kept back arrives; until now nothing may have been written. */
int migrate_log_arrive(struct migrate *m, unsigned int x);

/** Live image and twin are equal.  @return 0; -EPROTO: what differs, where, and how much */
int migrate_compare(struct migrate *m, unsigned int x, const char *when);

/** While the rings run and all is quiet: equal soon.  @return 0; -EPROTO */
int migrate_checkpoint(struct migrate *m, unsigned int x);

/* Streams */

/** Comes to rest; what is missing on a way that may lose is written off.  @return 0; -EPROTO */
int migrate_rest(struct migrate *m);

/**
 * Sends until a frame has arrived each way: the switch has learned where the guests are now, which
 * it does in a thread of its own.
 *
 * @return 0; -EPROTO
 */
int migrate_meet(struct migrate *m);

/** Guest `x` will not receive for a moment. */
static inline void
receiver_pauses(struct migrate *m, unsigned int x)
{
	m->lossy[1 - x] = true;
}

/* Parts of a migration */

/** One thing that happens while guest `x` is migrating, drawn.  @return 0; -errno; -EPROTO */
int migrate_step(struct migrate *m, unsigned int x);

/** Stops guest `x` and compares: at once, and 50 ms later.  @return 0; -errno; -EPROTO */
int migrate_stop(struct migrate *m, unsigned int x);

/** Starts the stopped guest `x` where it is.  @return 0; -errno; -EPROTO */
int migrate_start(struct migrate *m, unsigned int x);

/** A whole migration of guest `x` (and of its peer, when drawn), on a drawn road. */
int migrate_run(struct migrate *m);

/* Logs of no use */

/** How many cases there are. */
unsigned int migrate_refusals(void);

/** Case `i`: refused, or the guest is not served; it is of no use afterwards.
 *  @return 0; -errno; -EPROTO */
int migrate_refuse(struct migrate *m, unsigned int i);

#endif
