/* SPDX-License-Identifier: BSD-3-Clause */
#include "park_impl.h"

#include <rte_common.h>

#include <errno.h>
#include <string.h>

/* To and from other hosts: here control is consumer, or producer, of what else is the workers'. */

static bool
streamed(const struct park *p)
{
	return p != NULL && (p->live.phase == PARK_STREAMING || p->live.phase == PARK_LATE);
}

/* The workers have let go of the buffers' ends when park_publish() returns. */
int
park_stream(struct park_set *ps, uint16_t port)
{
	struct park *p;
	int rc = -ENOENT;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (streamed(p)) {
		rc = 0;
	} else if (p != NULL && (p->live.phase == PARK_KEEPING ||
				 (p->live.phase == PARK_RELEASING && p->live.heir != port))) {
		park_phase_set(p, PARK_STREAMING, p->live.heir);
		park_publish(ps);
		rc = 0;
	}
	pthread_mutex_unlock(&ps->lock);
	return rc;
}

/* @return false: the rest has to wait */
static bool
buf_take(struct park_buf *b, park_take_fn *fn, void *arg)
{
	const struct park_frame *pf;
	uint64_t at = 0, done = 0;
	bool more = true;

	while (more && (pf = park_buf_next(b, &at)) != NULL) {
		more = fn(arg, pf);
		if (more)
			done = at;
	}
	park_buf_take(b, done);
	return more;
}

/* What came for the guest when it was still on its way to here is older than all else. */
int
park_stream_take(struct park_set *ps, uint16_t port, park_take_fn *fn, void *arg)
{
	const uint32_t n = cross_n_workers(ps->cross);
	struct park *p;
	bool more = true;
	int rc = -ENOENT;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (streamed(p)) {
		rc = 0;
		if (p->live.inbox != NULL)
			more = buf_take(p->live.inbox, fn, arg);
		for (uint32_t w = 0; more && w < n; w++)
			more = buf_take(p->live.bufs[w], fn, arg);
	}
	pthread_mutex_unlock(&ps->lock);
	return rc;
}

bool
park_stream_empty(struct park_set *ps, uint16_t port)
{
	bool empty;

	pthread_mutex_lock(&ps->lock);
	empty = ps->parks[port] == NULL || park_empty(ps, ps->parks[port]);
	pthread_mutex_unlock(&ps->lock);
	return empty;
}

int
park_late(struct park_set *ps, uint16_t port, uint16_t heir)
{
	struct park *p;
	int rc = -ENOENT;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (streamed(p)) {
		if (p->live.phase != PARK_LATE || p->live.heir != heir) {
			park_phase_set(p, PARK_LATE, heir);
			park_publish(ps);
		}
		rc = 0;
	}
	pthread_mutex_unlock(&ps->lock);
	return rc;
}

/* What still came to here is too late for its guest, but for what may leave by the uplink. */
void
park_stream_end(struct park_set *ps, uint16_t port)
{
	struct park *p;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (streamed(p)) {
		p->told_out = true;
		park_phase_set(p, p->live.heir == PARK_NOWHERE ? PARK_DROPPING : PARK_RELEASING,
			       p->live.heir);
		park_publish(ps);
	}
	pthread_mutex_unlock(&ps->lock);
}

void
park_stream_fail(struct park_set *ps, uint16_t port, uint16_t heir)
{
	struct park *p;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (streamed(p) && heir != PARK_NOWHERE) {
		park_release(ps, p, heir);
	} else if (streamed(p)) {
		park_phase_set(p, PARK_KEEPING, PARK_NOWHERE);
		park_publish(ps);
	}
	pthread_mutex_unlock(&ps->lock);
}

/* from another host */

static int
expect(struct park_set *ps, struct park *p, uint64_t features)
{
	uint32_t bytes = RTE_MAX(ps->opts.bytes, PARK_BUF_MIN);

	if (p->live.inbox == NULL && park_buf_create(bytes, &p->live.inbox) < 0)
		return -ENOMEM;
	p->live.features = features;
	p->live.n_rx = 1;
	park_phase_set(p, PARK_ARRIVING, PARK_NOWHERE);
	return 0;
}

/* A guest that comes back soon finds the park that it left by; what is in it is for it. */
static bool
elsewhere(const struct park *p, uint16_t port)
{
	return p->live.phase == PARK_READY || p->live.phase == PARK_LATE ||
	       (p->live.phase == PARK_RELEASING && p->live.heir != port);
}

int
park_expect(struct park_set *ps, uint16_t port, uint64_t features)
{
	struct park *p;
	int rc = 0;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (ps->opts.bytes == 0)
		rc = -ENOTSUP;
	else if (p != NULL && !elsewhere(p, port))
		rc = -EALREADY;
	else if (p == NULL)
		rc = park_create(ps, port, ps->opts.bytes, &p);
	if (rc == 0)
		rc = expect(ps, p, features);
	if (rc == 0) {
		ps->parks[port] = p;
		park_publish(ps);
	} else if (rc == -ENOMEM && p != NULL && ps->parks[port] == NULL) {
		park_destroy(ps, p);
	}
	pthread_mutex_unlock(&ps->lock);
	if (rc == 0)
		ps->ops.wanted(ps->arg);
	return rc;
}

static bool
open_to_others(const struct park *p, uint16_t port)
{
	return p != NULL && p->live.inbox != NULL &&
	       (p->live.phase == PARK_ARRIVING ||
		(p->live.phase == PARK_RELEASING && p->live.heir == port));
}

int
park_admit(struct park_set *ps, uint16_t port, const struct virtio_net_hdr *vnet,
	   const uint8_t *bytes, uint32_t len)
{
	struct park_frame *pf = NULL;
	struct park *p;
	int rc = -ENOENT;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (open_to_others(p, port)) {
		pf = park_buf_room(p->live.inbox, len);
		rc = pf == NULL ? -EAGAIN : 0;
	}
	if (pf != NULL) {
		pf->src = PARK_NOWHERE;
		pf->home = 0;
		pf->version = 0;
		pf->vnet = *vnet;
		pf->needs = 0;
		pf->flooded = false;
		memcpy(pf->bytes, bytes, len);
		park_buf_put(p->live.inbox, pf, len);
		cross_wake(ps->cross, 0);
	}
	pthread_mutex_unlock(&ps->lock);
	return rc;
}

void
park_admitted(struct park_set *ps, uint16_t port)
{
	pthread_mutex_lock(&ps->lock);
	if (ps->parks[port] != NULL && ps->parks[port]->live.phase == PARK_ARRIVING)
		park_release(ps, ps->parks[port], port);
	pthread_mutex_unlock(&ps->lock);
}

bool
park_arriving(struct park_set *ps, uint16_t port)
{
	bool arriving;

	pthread_mutex_lock(&ps->lock);
	arriving = ps->parks[port] != NULL && ps->parks[port]->live.phase == PARK_ARRIVING;
	pthread_mutex_unlock(&ps->lock);
	return arriving;
}
