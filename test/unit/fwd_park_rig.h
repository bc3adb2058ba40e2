/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FWD_PARK_RIG_H
#define FERRY_FWD_PARK_RIG_H

/**
 * @file
 * A guest that leaves port A and comes to B or C, or back, and senders that do not stop: one flow
 * each, numbered, and the ledger of what has arrived where.
 *
 * Life     away_create() to away_destroy(), one at a time.
 * Threads  the test's own
 */

#include "fwd_rig.h"

#define A 0
#define B 1
#define C 2
#define SENDERS 3      /* first port of a sender */

struct away_opts {
	uint32_t n_workers;
	uint16_t pairs;        /* of the guest that moves */
	bool packed;
	uint16_t n_bufs;       /* that it offers on each ring; 0: many */
	uint16_t n_senders;
	uint32_t len;          /* of a frame; 0: 100 to 400 bytes */
	uint32_t timeout_ms;   /* 0: 5000 */
	bool small;            /* as little memory for what is kept as there can be */
	uint64_t features_off; /* of the guest that moves */
	uint16_t group_of_b;   /* and of the first sender */
	bool threads;
};

struct away {
	struct rig rig;
	struct away_opts opts;
	struct vmm_flow flows[TESTBED_PORTS];
	uint64_t came[SENDERS];  /* frames, by place */
};

extern struct away away;

/** The guest runs on A; B and C are not started. */
void away_create(const struct away_opts *opts);

/** Runs the guests' oracles; all that was sent has arrived. */
void away_destroy(void);

/** `n` frames of each sender to the guest, and the workers' turns. */
void away_send(uint32_t n);

/** Likewise one by one, each taken by the guest before the next is sent. */
void away_talk(uint32_t n);

/** Takes what is in the rings of a place. */
void away_take(uint16_t port);

/** The workers' turns, as many as it takes while the guest gives its buffers back. */
void away_receive(void);

/** Sent by all, and not arrived yet. */
uint64_t away_missing(void);

/** The guest stops on a port, after which its frames are kept. */
void away_leave(uint16_t port);
/** Its rings are started there; nobody has heard of it. */
void away_start(uint16_t port);
/** It speaks there. */
void away_speak(uint16_t port);
/** It is back where it left. */
void away_return(uint16_t port);

/** Looks after the parks until there are none. */
void away_close(void);

/** Where the FDB has the guest; UINT16_MAX: nowhere. */
uint16_t away_address(void);

/** Sum of a counter over the places. */
uint64_t away_count(enum count c);
uint64_t away_drop(enum drop d);

void fwd_park_place_stories(void);

#endif
