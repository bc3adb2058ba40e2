/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PARK_IMPL_H
#define FERRY_PARK_IMPL_H

/* Inside of lib/park.  The set's lock is held around every call here. */

#include "park.h"

#include <pthread.h>

struct park {
	struct park_live live;
	uint64_t since;          /* cycle counter: phase began */
	uint64_t full;           /* cycle counter: buffers were last seen not empty */
	bool logging;            /* the guest may leave (again) */
	bool told_first, told_last, told_out;
	bool moving;             /* from park_handover() to park_handed() */
	uint64_t macs[PARK_MACS_MAX]; /* what live.macs points to */
};

struct park_set {
	struct cross *cross;
	struct park_ops ops;
	void *arg;
	pthread_mutex_t lock;
	struct park_opts opts;
	struct park *parks[PARK_PORTS_MAX];
	struct park_view *spare;
	_Atomic(struct park_view *) view;
};

int park_create(struct park_set *ps, uint16_t port, uint32_t bytes, struct park **out);
/* When it is out of the workers' sight. */
void park_destroy(struct park_set *ps, struct park *p);
/* Shows all parks to the workers as they are now; nobody sees what was before on return. */
void park_publish(struct park_set *ps);
void park_phase_set(struct park *p, enum park_phase phase, uint16_t heir);
/* Has the workers send what they keep. */
void park_release(struct park_set *ps, struct park *p, uint16_t heir);
bool park_empty(const struct park_set *ps, const struct park *p);
/* Shows all parks, and wakes who sleeps: it has frames to give away, or to drop. */
void park_publish_and_wake(struct park_set *ps);

#endif
