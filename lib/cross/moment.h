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

/** Moments: name in JSON, text for people, what `value` is ("": nothing). */
#define MOMENTS(X) \
	X(LOG_BASE,       "log_base",       "dirty log received", "bytes") \
	X(LOG_ON,         "log_on",         "logging of guest writes on", "") \
	X(LOG_OFF,        "log_off",        "logging of guest writes off", "") \
	X(STOP,           "stop",           "first ring stopped while logging", "ring") \
	X(DRAINED,        "drained",        "data path has let go of the last ring", "ring") \
	X(BASE,           "base",           "position of the last ring told", "ring") \
	X(PARKED_FIRST,   "parked_first",   "first frame parked", "") \
	X(PARKED_LAST,    "parked_last",    "last frame parked", "") \
	X(DISCONNECTED,   "disconnected",   "front-end has hung up", "") \
	X(STARTED,        "started",        "first ring started", "position") \
	X(READY,          "ready",          "last ring started", "ring") \
	X(FIRST_RECEIVE,  "first_receive",  "guest has received its first frame", "") \
	X(FIRST_TRANSMIT, "first_transmit", "guest has transmitted its first frame", "") \
	X(ANNOUNCED,      "announced",      "address of the guest announced", "mac") \
	X(ELSEWHERE,      "elsewhere",      "first ring started at the guest's new place", "port") \
	X(RELEASED,       "released",       "guest found: parked frames begin to go out", "port") \
	X(OUT,            "out",            "parked frames are out", "frames") \
	X(DROPPED,        "dropped",        "guest was not found in time: parked frames go", "")

enum moment {
#define X(id, name, text, value) MOMENT_##id,
	MOMENTS(X)
#undef X
	MOMENT_N
};

extern const char *const moment_names[MOMENT_N];
extern const char *const moment_texts[MOMENT_N];
extern const char *const moment_values[MOMENT_N]; /**< what the value is; "": nothing */

/**
 * Tells control what happened to a port, and when.
 *
 * An EVENT_MOMENT carries the moment as its reason, `tsc` as values[0] and `value` as values[1].
 * Who stops, lets go of or starts several rings says so for each: STOP, DRAINED and READY may
 * repeat, and a timeline keeps the first STOP, the last DRAINED and the last READY.  RELEASED and
 * OUT come with no frames, too: they say that the guest was heard of.
 *
 * @param tsc    cycle counter of then
 * @param value  see MOMENTS; a position is 0 for a fresh ring; an address is a number whose lowest
 *               byte comes first on the wire; 0 where nothing is meant
 * @cost         event_send()
 */
void moment_send_at(struct cross *x, uint16_t port, enum moment moment, uint64_t tsc,
		    uint64_t value);

/** The same for what happens now. */
void moment_send(struct cross *x, uint16_t port, enum moment moment, uint64_t value);

#endif
