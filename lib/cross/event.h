/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_EVENT_H
#define FERRY_EVENT_H

/**
 * @file
 * Events: values of 32 bytes from workers (and the vhost thread) to control.
 *
 * An event that finds the queue full is lost and counted: its sender either repeats it, as a
 * learned address does with the next frame, or keeps the fact where control can read it too.
 *
 * Life     the queue is that of the crossings (cross.h); an event is copied.
 * Threads  event_send(): any; the others: control.
 */

#include "cross.h"

#include <stdbool.h>

enum event_kind {
	EVENT_FDB_SEEN,    /**< a source address is unknown or has moved */
	EVENT_RING_BROKEN, /**< a ring was found bad by its worker */
	EVENT_MEM_FAULT,   /**< guest memory vanished under a worker */
	EVENT_PORT_CHANGED, /**< a port's state or reason may be another */
	EVENT_CAPTURE_ENDED, /**< the writer has ended a capture by itself: limit, reader gone */
	EVENT_MOMENT, /**< something of a migration has happened to a port (moment.h) */
	EVENT_PARK,   /**< frames are kept for a guest on its way: control looks after them */
	EVENT_ANNOUNCE, /**< a front-end has its guest's address announced */
	EVENT_DEVICE_FAILED, /**< a vDPA device is of no use any more (vdpadev_failed() says why) */
	EVENT_PROVIDER, /**< who moves a port's rings has changed, or may have to */
	EVENT_KINDS
};

struct event {
	uint16_t kind;   /**< enum event_kind */
	uint16_t port;   /**< port number */
	uint16_t index;  /**< ring index where one is meant */
	uint16_t reason; /**< why, in the terms of the kind */
	uint64_t key;    /**< FDB key where an address is meant */
	uint64_t values[2];
};

_Static_assert(sizeof(struct event) == 32, "an event is half a cache line");

typedef void event_fn(void *arg, const struct event *ev);

/** Sends an event and wakes control; false: lost, the queue was full. */
bool event_send(struct cross *x, const struct event *ev);

/** Names who handles a kind of event; set before workers start. */
void event_handle(struct cross *x, enum event_kind kind, event_fn *fn, void *arg);

/** Eventfd that becomes readable when there are events. */
int event_fd(const struct cross *x);

/**
 * Hands waiting events to their handlers.
 *
 * @param max  at most so many, so that control's loop breathes under a flood
 * @return     events handled
 */
uint32_t event_run(struct cross *x, uint32_t max);

/** Events that were lost because the queue was full; only grows. */
uint64_t event_lost(const struct cross *x);

#endif
