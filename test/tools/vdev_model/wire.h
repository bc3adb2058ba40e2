/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_WIRE_H
#define VDEV_MODEL_WIRE_H

/**
 * @file
 * The one wire that all members of a model hang on: a hub that learns, loses nothing and keeps the
 * order of every transmit queue.
 *
 * A frame stays in its sender's ring until all receivers have it.  A receiver that cannot take it
 * (no buffers; or its address is known and the device does not run) holds the sender for as long as
 * the wire is patient, then the frame is dropped by name.  An address belongs to the member that it
 * was seen at last: held frames go there, too.
 *
 * Life     one per process; members are added before the loop starts.
 * Threads  one.
 * Units    microseconds.
 * Source   none.
 */

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "stats.h"

#define WIRE_MEMBERS_MAX 16
#define WIRE_QUEUES_MAX  16
#define WIRE_FRAME_MAX   65550

/** A frame on its way, with the header that says what is left to do about it. */
struct frame {
	struct virtio_net_hdr_v1 hdr;
	uint32_t len;
	uint8_t bytes[WIRE_FRAME_MAX];
};

struct member_ops {
	/** Transmit queues, 0 when it does not run. */
	unsigned int (*queues)(void *arg);
	/** Looks at the next frame of a queue.  @return 1; 0: none */
	int (*peek)(void *arg, unsigned int queue, struct frame *f);
	/** What peek() has shown is delivered, or dropped. */
	void (*done)(void *arg, unsigned int queue);
	/** @return 0: taken, or dropped by name; -EAGAIN: no buffers; -ENODEV: it does not run */
	int (*deliver)(void *arg, const struct frame *f);
	/** The end of a burst: interrupts. */
	void (*flush)(void *arg);
	/**
	 * Everything that was delivered until now has gone on to where it goes; NULL: always so.
	 *
	 * @param ticket  of an earlier call, or 0
	 * @return        0: it has; else a ticket for the next call
	 */
	uint64_t (*drained)(void *arg, uint64_t ticket);
};

/** Whoever hangs on the wire. */
struct member {
	const struct member_ops *ops;
	void *arg;
	struct device_stats *stats;
	unsigned int index;
	uint64_t stuck_since;           /* a frame for it is held since then; 0: none is */
	uint32_t got[WIRE_QUEUES_MAX];  /* by queue: who has the frame at its head already */
};

/** How long a sender is held: 2 s, unless the command line says otherwise. */
extern uint64_t wire_patience_us;

/** Adds a member.  @return 0; -ENOSPC */
int wire_add(struct member *m, const struct member_ops *ops, void *arg,
	     struct device_stats *stats);

/**
 * A member runs from now on: what waits for it waits no longer.
 *
 * @param mac  its address, which is there from now on, as the embedded switch of a card has it; NULL:
 *             only what it sends says who is there
 */
void wire_started(struct member *m, const uint8_t *mac);

/** Frames of one flow have one hash; those that are no IPv4 are one flow. */
uint32_t wire_flow_hash(const struct frame *f);

/** Moves what can be moved.  @return true: something was */
bool wire_pass(void);

/** Moves until nothing can be moved any more, for some milliseconds at most. */
void wire_settle(void);

#endif
