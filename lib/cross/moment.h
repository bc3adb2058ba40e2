/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_MOMENT_H
#define FERRY_MOMENT_H

/**
 * @file
 * Moments: what can happen to a port while its guest migrates, each told to control at the time at
 * which it happens.  lib/migration makes timelines of them.
 *
 * A moment is an event (event.h) and may be lost like one; a timeline says when some were.
 *
 * Threads  moment_send(): any
 * Units    cycles of the time stamp counter
 */

#include "event.h"

/** Moments: name in JSON, text for people.  What `value` says is told in the brackets. */
#define MOMENTS(X) \
	X(LOG_BASE,      "log_base",      "dirty log received") /* [bytes] */ \
	X(LOG_ON,        "log_on",        "logging of guest writes on") \
	X(LOG_OFF,       "log_off",       "logging of guest writes off") \
	X(STOP,          "stop",          "first ring stopped while logging") /* [ring] */ \
	X(DRAINED,       "drained",       "data path has let go of the guest") \
	X(BASE,          "base",          "position of the last started ring told") /* [ring] */ \
	X(PARKED_FIRST,  "parked_first",  "first frame parked") \
	X(PARKED_LAST,   "parked_last",   "last frame parked") \
	X(DISCONNECTED,  "disconnected",  "front-end has hung up") \
	X(STARTED,       "started",       "first ring started") /* [position, 0: fresh ring] */ \
	X(READY,         "ready",         "last ring started") /* [ring] */ \
	X(FIRST_RECEIVE, "first_receive", "guest has received its first frame") \
	X(FIRST_TRANSMIT, "first_transmit", "guest has transmitted its first frame") \
	X(ANNOUNCED,     "announced",     "guest's address announced") /* [address] */ \
	X(RELEASED,      "released",      "parked frames begin to go out") \
	X(OUT,           "out",           "parked frames are out") /* [frames] */ \
	X(DROPPED,       "dropped",       "parked frames dropped by the time-out") /* [frames] */

enum moment {
#define X(id, name, text) MOMENT_##id,
	MOMENTS(X)
#undef X
	MOMENT_N
};

extern const char *const moment_names[MOMENT_N];
extern const char *const moment_texts[MOMENT_N];

/**
 * Tells control what happens to a port now.
 *
 * An EVENT_MOMENT carries the moment as its reason, the cycle counter of now as values[0] and
 * `value` as values[1].
 *
 * @param value  see MOMENTS; an address is a number whose lowest byte comes first on the wire; 0
 *               where none is meant
 * @cost         event_send()
 */
void moment_send(struct cross *x, uint16_t port, enum moment moment, uint64_t value);

/** Tells what happened to a port at `cycles`. */
void moment_send_at(struct cross *x, uint16_t port, enum moment moment, uint64_t cycles,
		    uint64_t value);

#endif
