/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_LOOP_H
#define FERRY_LOOP_H

/**
 * @file
 * The control thread's event loop, on libevent: descriptors, timers and signals.
 *
 * Life     one per process.  Watches belong to their creator, who destroys them before the loop.
 * Threads  control
 * Units    microseconds
 * Source   libevent 2, event2/event.h
 */

#include <stdint.h>

struct event_base;
struct loop;
struct loop_watch;

typedef void loop_fn(void *arg);

/** @return 0; -ENOMEM */
int loop_create(struct loop **out);
void loop_destroy(struct loop *l);

/** Runs until loop_stop(). */
void loop_run(struct loop *l);

/** Makes loop_run() return after the handler that runs now. */
void loop_stop(struct loop *l);

/** libevent's own handle, for what speaks to it directly (bufferevents). */
struct event_base *loop_base(struct loop *l);

/** Calls `fn` whenever `fd` is readable; the descriptor stays the caller's.  @return 0; -ENOMEM */
int loop_read(struct loop *l, int fd, loop_fn *fn, void *arg, struct loop_watch **out);

/** Calls `fn` every `period_us` microseconds.  @return 0; -ENOMEM */
int loop_timer(struct loop *l, uint64_t period_us, loop_fn *fn, void *arg,
	       struct loop_watch **out);

/**
 * Calls `fn`, on the control thread and not as a handler, after signal `signo`.
 *
 * @return 0; -ENOMEM
 */
int loop_signal(struct loop *l, int signo, loop_fn *fn, void *arg, struct loop_watch **out);

/** Stops and frees a watch; NULL is allowed. */
void loop_watch_destroy(struct loop_watch *w);

#endif
