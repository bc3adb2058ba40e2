/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_FRAME_RIG_H
#define FERRY_FUZZ_FRAME_RIG_H

/**
 * @file
 * What the target frame runs and what it expects of that: three ports, the first of which sends,
 * and steps that happen between its frames.  frame.c does them, then frame_model.c and
 * frame_park.c do them once more, slowly.
 *
 * Threads  one
 */

#include "frame_guest.h"
#include "frame_ref.h"

#include "park.h"
#include "port.h"

#define PORTS      3
#define FRAMES_MAX 64
#define STEPS_MAX  32
#define TAG_KNOWN  5 /* addresses are known without a tag and with this one */

/** What an input says of a port, and what has to become of it. */
struct rig_port {
	struct guest guest;
	struct vdev *vdev;
	struct stats *stats;
	struct stats_lane before;
	struct port_live live;
	uint64_t features;
	bool running, enabled, bad_tail;
	bool moved;                 /* it was stopped, there */
	struct vring_pos pos[2];

	/* model */
	bool up;                    /* its rings run */
	uint32_t n_reached;         /* times it became so, since the beginning */
	uint32_t reached[STEPS_MAX + 1]; /* steps in which it did */
	uint32_t takes, hdr_len;
	uint32_t next_buf, n_offered, n_frames;
	bool all_offered;           /* the bad chain behind the buffers, too */
	uint64_t n_bytes;
	uint64_t drops[DROP_N];
	uint64_t n_flooded, n_parked, n_unparked, n_known;
};

enum step_kind {
	STEP_SEND,     /* so many frames */
	STEP_OPEN,     /* logging is switched on */
	STEP_CANCEL,   /* and off */
	STEP_LEAVE,    /* the rings stop */
	STEP_RETURN,   /* and start */
	STEP_LEARNED,  /* the address was seen on another port */
	STEP_OFFER,    /* the guest offers so many buffers */
	STEP_TICK,     /* control looks, and nothing has timed out */
	STEP_TIMEOUT,  /* or all that can */
	STEP_N,
};

struct step {
	enum step_kind kind;
	uint16_t port;
	uint8_t arg;

	/* How it came out. */
	bool closed[PORTS];         /* parks that ended */
	bool parked[PORTS];         /* parks that there are, and what they say */
	struct park_info info[PORTS];
};

struct rig {
	struct rig_port ports[PORTS];
	struct ref_frame frames[FRAMES_MAX]; /* in the order in which they are sent */
	uint32_t n_frames, n_bytes;
	struct step steps[STEPS_MAX];
	uint32_t n_steps;
	uint32_t park_bytes;
	bool uplink;                /* the last port is a device */
	bool held_back;             /* buffers are offered by steps only */
};

extern struct rig rig;

/* frame_model.c */

/** Does all steps once more and compares. */
void model_check(void);

/** Counts a frame that a port does not get. */
void model_drop(struct rig_port *p, enum drop why);

/** Whether a port may hear the sender at all; whether it has a ring to be reached through. */
bool model_heard(uint16_t port);
bool model_reached(uint16_t port);

/**
 * Gives a port a frame, or what it makes of it.
 *
 * @param patient  a frame that finds no buffer waits
 * @return         false: the headers are so bad that nothing can be made of it
 */
bool model_give(struct rig_port *to, const struct ref_frame *fr, bool patient, bool *waits);

/* frame_park.c */

void model_park_begin(void);

/** What a step does to the parks; the ports' part is the caller's. */
void model_park_step(const struct step *s, uint32_t at);

/** Whether the park says of itself what the step has heard of it. */
void model_park_check(const struct step *s);

/** What leaves the parks in one turn.  @return frames, as a turn counts them */
uint32_t model_parks_turn(void);

/**
 * Finds where a frame for a port goes: itself, or the heir.
 *
 * @param to  changed to the heir
 * @return    true: it has to wait in the park of the port
 */
bool model_park_find(uint16_t *to, const struct ref_frame *fr);

/** Whether what is flooded is not for the port any more. */
bool model_park_left(uint16_t port);

/** Parks a frame.  @return as model_give() */
bool model_park_keep(uint16_t port, const struct ref_frame *fr, bool flooded, uint32_t at);

#endif
