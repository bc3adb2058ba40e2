/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_STREAM_H
#define VMM_STREAM_H

/**
 * @file
 * Counted, ordered streams of frames between two guests, with all oracles.
 *
 * A window keeps what is in flight below what the receiver has buffers for: then nothing may be
 * lost, and every missing frame is a fault.
 *
 * Life     embedded; init once both guests are connected, fini at the end.
 * Threads  one; it plays both guests.
 * Units    frames.
 * Source   none.
 */

#include "gather.h"
#include "vmm.h"

#define STREAM_FLOWS_MAX 256

/** One direction. */
struct stream_way {
	struct vmm_guest *from, *to;
	struct vmm_flow flows[STREAM_FLOWS_MAX];
	struct gather gathers[STREAM_FLOWS_MAX];
	uint32_t first_flow;
	uint32_t window;        /* most frames in flight */
	uint64_t sent, received, bytes;
	uint64_t written_off;   /* frames that are known to be lost */
	bool breaks;            /* its receiver's queues come and go, in the middle of frames, too */
	uint64_t late;          /* frames that came although they were written off */
};

/** Both directions. */
struct stream {
	struct stream_way ways[2];
	uint32_t n_flows;
	uint32_t size_min, size_max;
	uint32_t rng;
	uint32_t rate;          /* frames per second and direction; 0: no limit */
	uint32_t deadline_ms;   /* without any progress */
	bool tcp;               /* every other flow is TCP with offloads; nothing may be lost */
	uint32_t nap_ms;        /* longest sleep for interrupts; 0: poll */
	uint64_t others;        /* frames received that were not for us */
	struct vmm_fault *fault;
	uint8_t frame[VMM_FRAME_MAX + 1];
};

/** Prepares streams between two guests that are connected. */
void stream_init(struct stream *s, struct vmm_guest *a, struct vmm_guest *b, uint32_t n_flows,
		 uint32_t size_min, uint32_t size_max, uint32_t seed);
void stream_fini(struct stream *s);

/**
 * Sends `frames[way]` more frames each way and receives until nothing is in flight.
 *
 * @return 0; -ETIMEDOUT: no progress, what is in flight counts as in flight still; -EPROTO
 */
int stream_run(struct stream *s, const uint64_t frames[2]);

/** Sends up to `frames` each way, as far as the windows allow, and waits for nothing.
 *  @return 0; -EPROTO */
int stream_burst(struct stream *s, unsigned int frames);

/**
 * Receives until nothing is in flight, or until all that was transmitted was taken and nothing came
 * for `quiet_ms`.
 *
 * @return 0; -ETIMEDOUT: transmitted chains are not taken; -EPROTO
 */
int stream_quiesce(struct stream *s, uint32_t quiet_ms);

/** Receives what is there, without sending.  @return how many frames; -EPROTO */
int stream_receive(struct stream *s);

/** Frames of a way that are neither received nor written off. */
uint64_t stream_in_flight(const struct stream_way *w);

/** Gives up what is in flight.  @return how many frames were lost */
uint64_t stream_write_off(struct stream_way *w);

#endif
