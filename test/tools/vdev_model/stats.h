/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_STATS_H
#define VDEV_MODEL_STATS_H

/**
 * @file
 * What a device counts: one row makes the member and its name in the JSON of the control socket.
 *
 * Life     only grow while the process lives, whoever the client is.
 * Threads  one.
 * Units    events.
 * Source   none.
 */

#include <stdint.h>

#define DEVICE_COUNTERS(X) \
	X(frames_sent)          /* taken and delivered, or dropped by a name below */ \
	X(frames_received)      /* given to the driver */ \
	X(filtered)             /* not for its addresses */ \
	X(violations)           /* what a driver may not do; the first one is told, too */ \
	X(interrupts) \
	X(interrupts_lost)      /* a fault */ \
	X(doorbells) \
	X(commands)             /* of the control queue */ \
	X(resets) \
	X(starts) \
	X(needs_reset) \
	X(late_writes)          /* a fault: after the stop was asked for, or acknowledged */ \
	X(dropped_too_long)     /* longer than a receive buffer, and no merging */ \
	X(dropped_no_offload)   /* the receiver does not take segments that it has to cut */ \
	X(dropped_no_buffer)    /* the receiver had none for the time of patience */ \
	X(dropped_queue_off)    /* the receiver runs, and its queue is not enabled */ \
	X(dropped_not_running)  /* the receiver was not there for the time of patience */ \
	X(dropped_short)        /* no Ethernet header */

struct device_stats {
#define X(name) uint64_t name;
	DEVICE_COUNTERS(X)
#undef X
};

#endif
