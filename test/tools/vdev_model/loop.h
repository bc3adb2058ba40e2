/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_LOOP_H
#define VDEV_MODEL_LOOP_H

/**
 * @file
 * The model's only loop: descriptors that become readable, and the next moment that matters.
 *
 * Life     one per process.
 * Threads  one.
 * Units    microseconds of the monotonic clock.
 * Source   epoll(7).
 */

#include <stdbool.h>
#include <stdint.h>

/** Something to call when a descriptor can be read.  It stays where it is while it is watched. */
struct watch {
	void (*ready)(void *arg);
	void *arg;
	int fd;                 /* -1: not watched */
};

/** Monotonic time. */
uint64_t loop_now_us(void);

/** @return 0; -errno of epoll_create1 */
int loop_init(void);
void loop_fini(void);

/** Watches `fd`, which stays the caller's.  @return 0; -errno of epoll_ctl */
int loop_watch(struct watch *w, int fd, void (*ready)(void *arg), void *arg);

/** Watches no longer; nothing for a watch that is not watched. */
void loop_forget(struct watch *w);

/** Wakes the loop at `us`, unless something else does before. */
void loop_at(uint64_t us);

/** Waits (not at all when `busy`) and calls what is ready.  @return 0; -errno of epoll_wait */
int loop_turn(bool busy);

#endif
