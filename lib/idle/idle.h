/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_IDLE_H
#define FERRY_IDLE_H

/**
 * @file
 * When a worker that finds nothing to do stops polling: a pure function of its recent history.
 *
 * Falling asleep and waking up costs about as much as some microseconds of polling, and a guest
 * that has to kick pays more.  So a worker polls on for a while after its last frame: longer where
 * polling has paid (a frame came within the patience), down to nothing where it has not.
 *
 * Life     a value; the worker's own
 * Threads  none
 * Units    cycles, as the caller counts them; microseconds for what is asked of the kernel
 */

#include <stdbool.h>
#include <stdint.h>

struct idle_opts {
	uint64_t patience_min;  /**< cycles of fruitless polling before sleep, at the least */
	uint64_t patience_max;  /**< and at the most */
	uint32_t bounded_us;    /**< sleep when something polled cannot wake us */
};

struct idle {
	struct idle_opts opts;
	uint64_t patience;      /**< now */
	uint64_t last_work;     /**< when a turn last moved a frame */
	uint64_t slept_at;      /**< when sleep() last said yes; 0: not since the last frame */
};

/** What to do after a turn. */
enum idle_step { IDLE_POLL, IDLE_SLEEP };

void idle_init(struct idle *g, const struct idle_opts *opts, uint64_t now);

/**
 * Decides what comes after a turn.
 *
 * @param frames  that the turn moved
 * @param now     cycles
 */
enum idle_step idle_next(struct idle *g, uint32_t frames, uint64_t now);

/**
 * Learns that a sleep is over.
 *
 * @param now  cycles; a sleep shorter than the most patience says that polling would have paid
 */
void idle_woke(struct idle *g, uint64_t now);

/**
 * Learns that a bounded sleep ended by its bound: one look tells whether to sleep again.
 *
 * @param now  cycles
 */
void idle_timed_out(struct idle *g, uint64_t now);

/** Longest sleep in milliseconds as epoll wants it; -1: until something comes. */
int idle_timeout_ms(const struct idle *g, bool bounded);

#endif
