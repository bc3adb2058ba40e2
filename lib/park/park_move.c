/* SPDX-License-Identifier: BSD-3-Clause */
#include "park_impl.h"

#include <rte_common.h>

#include <string.h>

/* Rings that change their mover: the guest stays, and for a moment frames have no place to go. */

/* A guest that is on its way itself has the park, and what is in it goes another way. */
static bool
usable(const struct park *p)
{
	switch ((enum park_phase)p->live.phase) {
	case PARK_READY:
	case PARK_RELEASING:
		return true;
	case PARK_KEEPING:
	case PARK_STREAMING:
	case PARK_LATE:
	case PARK_DROPPING:
	case PARK_ARRIVING:
		break;
	}
	return false;
}

/* Workers may be reading the addresses of the last time. */
static void
macs_set(struct park_set *ps, struct park *p, const struct park_guest *g)
{
	if (p->live.via != PARK_NOWHERE) {
		p->live.via = PARK_NOWHERE;
		park_publish(ps);
	}
	p->live.n_macs = (uint16_t)RTE_MIN(g->n_macs, (uint32_t)PARK_MACS_MAX);
	memcpy(p->macs, g->macs, p->live.n_macs * sizeof(p->macs[0]));
	p->live.via = g->via;
}

bool
park_handover(struct park_set *ps, uint16_t port, const struct park_guest *g)
{
	struct park *p;

	pthread_mutex_lock(&ps->lock);
	if (ps->parks[port] == NULL && ps->opts.bytes > 0 &&
	    park_create(ps, port, ps->opts.bytes, &p) == 0)
		ps->parks[port] = p;
	p = ps->parks[port];
	if (p != NULL && !usable(p))
		p = NULL;
	if (p != NULL) {
		macs_set(ps, p, g);
		p->live.features = g->features;
		p->live.n_rx = g->n_rx;
		p->moving = true;
		park_phase_set(p, PARK_KEEPING, PARK_NOWHERE);
		park_publish(ps);
	}
	pthread_mutex_unlock(&ps->lock);
	if (p != NULL)
		ps->ops.wanted(ps->arg);
	return p != NULL;
}

void
park_handed(struct park_set *ps, uint16_t port, bool reached)
{
	struct park *p;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (p != NULL && p->moving) {
		p->moving = false;
		p->told_out = true; /* it is no migration's */
		park_phase_set(p, reached ? PARK_RELEASING : PARK_DROPPING, port);
		park_publish_and_wake(ps);
	}
	pthread_mutex_unlock(&ps->lock);
}
