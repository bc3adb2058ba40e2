/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_STATS_H
#define FERRY_STATS_H

/**
 * @file
 * Counters of a port: one lane per worker and one for control, written by their owners only, folded
 * by whoever asks.
 *
 * rx is what the switch received from the port, tx what it gave to the port.  Every frame that
 * is not delivered is counted under a name: on the port that it came from when the frame itself
 * was the reason, on the port that it was meant for when that one could not take it.
 *
 * Life     with the port.
 * Threads  stats_lane(): the worker that owns the lane; stats_fold(): any.
 * Units    frames, and bytes without FCS.
 */

#include <rte_common.h>

#include <stddef.h>
#include <stdint.h>

/** Counters: name in JSON, text for people. */
#define COUNTS(X) \
	X(RX_FRAMES, "rx_frames", "frames received from the port") \
	X(RX_BYTES,  "rx_bytes",  "bytes received from the port") \
	X(TX_FRAMES, "tx_frames", "frames given to the port") \
	X(TX_BYTES,  "tx_bytes",  "bytes given to the port") \
	X(FLOODED,   "flooded",   "frames from the port sent to all others") \
	X(CALLS,     "calls",     "interrupts sent to the guest") \
	X(CSUM,      "csum",      "checksums completed in software for the port") \
	X(SEGMENTED, "segmented", "large frames cut into segments for the port") \
	X(PARKED,    "parked",    "frames kept for the guest while it was on its way elsewhere") \
	X(UNPARKED,  "unparked",  "kept frames that were sent to where the guest is now") \
	X(PARK_KNOWN, "park_known", "kept copies of flooded frames that its new port was given too") \
	X(PARK_TAKEN, "park_taken", "frames for the guest that the host which it left had kept")

/** Reasons for which a frame is not delivered: name in JSON, text for people. */
#define DROPS(X) \
	X(RUNT,      "runt",       "frame shorter than an Ethernet header") \
	X(TOO_LONG,  "too_long",   "frame longer than 65,535 bytes or the MTU") \
	X(BAD_HDR,   "bad_hdr",    "virtio-net header asks for an impossible offload") \
	X(BAD_SRC,   "bad_src",    "source address is a group address or zero") \
	X(RESERVED,  "reserved",   "destination 01-80-C2-00-00-00 to -0F is never forwarded") \
	X(SAME_PORT, "same_port",  "destination is behind the port that the frame came from") \
	X(ISOLATED,  "isolated",   "destination is in the same isolation group") \
	X(NO_PORT,   "no_port",    "no other port to send to") \
	X(DISABLED,  "disabled",   "frame from a ring that the guest has disabled") \
	X(NO_RING,   "no_ring",    "receiver has no running receive ring") \
	X(DEAF,      "deaf",       "copy of a flooded frame, and no running receive ring") \
	X(NO_DESC,   "no_desc",    "receiver offered no buffer") \
	X(NO_ROOM,   "no_room",    "receiver's buffer is too small for the frame") \
	X(BUSY,      "busy",       "receive ring or queue was held by another worker") \
	X(RING_BAD,  "ring_bad",   "receiver's ring broke while the frame was written") \
	X(NO_MBUF,   "no_mbuf",    "no packet buffer left for the device") \
	X(DEV_FULL,  "dev_full",   "transmit queue of the device was full") \
	X(DEV_REFUSED, "dev_refused", "device does not take the frame, or its offload") \
	X(PARK_FULL, "park_full",  "no room to keep a frame for a guest on its way elsewhere") \
	X(PARK_TIMEOUT, "park_timeout", "kept for a guest that was nowhere to be seen in time") \
	X(PARK_PEER, "park_peer",  "kept for a guest on another host, but came from there")

enum count {
#define X(id, name, text) COUNT_##id,
	COUNTS(X)
#undef X
	COUNT_N
};

enum drop {
#define X(id, name, text) DROP_##id,
	DROPS(X)
#undef X
	DROP_N,
	DROP_NONE = DROP_N
};

/** One writer's counters; they only grow. */
struct stats_lane {
	uint64_t counts[COUNT_N];
	uint64_t drops[DROP_N];
} __rte_cache_aligned;

struct stats {
	uint32_t n_lanes;
	struct stats_lane lanes[];
};

extern const char *const count_names[COUNT_N];
extern const char *const count_texts[COUNT_N];
extern const char *const drop_names[DROP_N];
extern const char *const drop_texts[DROP_N];

/**
 * Creates zeroed counters.
 *
 * @param n_lanes  writers, at least 1
 * @return         0; -ENOMEM
 */
int stats_create(uint32_t n_lanes, struct stats **out);

/** Frees counters; NULL is allowed. */
void stats_destroy(struct stats *s);

/** Adds up all lanes. */
void stats_fold(const struct stats *s, struct stats_lane *out);

/* A plain store by the only writer; the atomic type keeps the reader from seeing half a value. */
static inline void
stats_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/** The lane of who is no worker: control. */
static inline struct stats_lane *
stats_control(struct stats *s)
{
	return &s->lanes[s->n_lanes - 1];
}

static inline void
stats_count(struct stats_lane *lane, enum count c, uint64_t n)
{
	stats_add(&lane->counts[c], n);
}

static inline void
stats_drop(struct stats_lane *lane, enum drop d, uint64_t n)
{
	stats_add(&lane->drops[d], n);
}

#endif
