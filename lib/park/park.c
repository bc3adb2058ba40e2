/* SPDX-License-Identifier: BSD-3-Clause */
#include "park_impl.h"
#include "clock.h"
#include "log.h"
#include "moment.h"

#include <rte_cycles.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

LOG_REGISTER(park);
LOG_USE(park);

/* Buffers that were empty for so long stay so: rings that are still being started come and go. */
#define LINGER_US 200000

const char *const park_phase_names[] = {
	[PARK_READY] = "ready",
	[PARK_KEEPING] = "keeping",
	[PARK_STREAMING] = "streaming",
	[PARK_LATE] = "late",
	[PARK_RELEASING] = "releasing",
	[PARK_DROPPING] = "dropping",
	[PARK_ARRIVING] = "arriving",
};

int
park_set_create(struct cross *x, const struct park_opts *opts, const struct park_ops *ops,
		void *arg, struct park_set **out)
{
	struct park_set *ps = calloc(1, sizeof(*ps));

	if (ps == NULL)
		return -ENOMEM;
	ps->cross = x;
	ps->opts = *opts;
	ps->ops = *ops;
	ps->arg = arg;
	pthread_mutex_init(&ps->lock, NULL);
	ps->view = calloc(1, sizeof(*ps->spare));
	ps->spare = calloc(1, sizeof(*ps->spare));
	if (ps->view == NULL || ps->spare == NULL) {
		park_set_destroy(ps);
		return -ENOMEM;
	}
	*out = ps;
	return 0;
}

void
park_destroy(struct park_set *ps, struct park *p)
{
	for (uint32_t w = 0; p->live.bufs != NULL && w < cross_n_workers(ps->cross); w++)
		park_buf_destroy(p->live.bufs[w]);
	park_buf_destroy(p->live.inbox);
	free(p->live.bufs);
	free(p);
}

void
park_set_destroy(struct park_set *ps)
{
	if (ps == NULL)
		return;
	for (uint32_t i = 0; i < PARK_PORTS_MAX; i++)
		if (ps->parks[i] != NULL)
			park_destroy(ps, ps->parks[i]);
	pthread_mutex_destroy(&ps->lock);
	free(ps->spare);
	free(ps->view);
	free(ps);
}

void
park_set_opts(struct park_set *ps, const struct park_opts *opts)
{
	pthread_mutex_lock(&ps->lock);
	ps->opts = *opts;
	pthread_mutex_unlock(&ps->lock);
}

void
park_set_opts_get(struct park_set *ps, struct park_opts *out)
{
	pthread_mutex_lock(&ps->lock);
	*out = ps->opts;
	pthread_mutex_unlock(&ps->lock);
}

const struct park_view *
park_view(const struct park_set *ps)
{
	return view_load(&ps->view);
}

/* Two views take turns, so that publishing cannot fail; nobody sees the former on return. */
void
park_publish(struct park_set *ps)
{
	struct park_view *v = ps->spare;

	v->n = v->n_active = 0;
	memset(v->ports, 0, sizeof(v->ports));
	for (uint32_t i = 0; i < PARK_PORTS_MAX; i++)
		if (ps->parks[i] != NULL) {
			v->lives[v->n] = ps->parks[i]->live;
			v->n_active += ps->parks[i]->live.phase != PARK_READY;
			v->ports[i] = &v->lives[v->n++];
		}
	ps->spare = atomic_load_explicit(&ps->view, memory_order_relaxed);
	view_publish(&ps->view, v);
	cross_wait(ps->cross);
}

static int
bufs_create(struct park_set *ps, struct park *p, uint32_t bytes)
{
	const uint32_t n = cross_n_workers(ps->cross);

	p->live.bufs = calloc(n, sizeof(*p->live.bufs));
	if (p->live.bufs == NULL)
		return -ENOMEM;
	for (uint32_t w = 0; w < n; w++)
		if (park_buf_create(RTE_MAX(bytes / n, PARK_BUF_MIN), &p->live.bufs[w]) < 0)
			return -ENOMEM;
	return 0;
}

int
park_create(struct park_set *ps, uint16_t port, uint32_t bytes, struct park **out)
{
	struct park *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->live = (struct park_live){ .port = port, .heir = PARK_NOWHERE, .via = PARK_NOWHERE,
					.phase = PARK_READY, .macs = p->macs };
	p->since = rte_rdtsc();
	if (bufs_create(ps, p, bytes) < 0) {
		park_destroy(ps, p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

int
park_open(struct park_set *ps, uint16_t port)
{
	struct park *p = NULL;
	int rc = 0;

	pthread_mutex_lock(&ps->lock);
	if (ps->opts.bytes > 0 && ps->parks[port] == NULL)
		rc = park_create(ps, port, ps->opts.bytes, &p);
	if (p != NULL) {
		ps->parks[port] = p;
		park_publish(ps);
	}
	if (ps->parks[port] != NULL)
		ps->parks[port]->logging = true;
	pthread_mutex_unlock(&ps->lock);
	return rc;
}

/* Out of the workers' sight, then gone. */
static void
park_close(struct park_set *ps, uint16_t port)
{
	struct park *p = ps->parks[port];

	ps->parks[port] = NULL;
	park_publish(ps);
	park_destroy(ps, p);
}

void
park_cancel(struct park_set *ps, uint16_t port)
{
	pthread_mutex_lock(&ps->lock);
	if (ps->parks[port] != NULL)
		ps->parks[port]->logging = false;
	if (ps->parks[port] != NULL && ps->parks[port]->live.phase == PARK_READY)
		park_close(ps, port);
	pthread_mutex_unlock(&ps->lock);
}

void
park_phase_set(struct park *p, enum park_phase phase, uint16_t heir)
{
	p->live.phase = (uint8_t)phase;
	p->live.heir = heir;
	p->live.closing = false;
	p->since = p->full = rte_rdtsc();
}

/* The guest has to show up again; who gets the number next is another. */
static void
disinherit(struct park_set *ps, uint16_t port)
{
	bool changed = false;

	for (uint32_t i = 0; i < PARK_PORTS_MAX; i++) {
		struct park *p = ps->parks[i];

		if (p == NULL || i == port || p->live.heir != port)
			continue;
		if (p->live.phase == PARK_RELEASING)
			park_phase_set(p, PARK_KEEPING, PARK_NOWHERE);
		p->live.heir = PARK_NOWHERE;
		changed = true;
	}
	if (changed)
		park_publish(ps);
}

void
park_forget(struct park_set *ps, uint16_t port)
{
	pthread_mutex_lock(&ps->lock);
	disinherit(ps, port);
	if (ps->parks[port] != NULL)
		park_close(ps, port);
	pthread_mutex_unlock(&ps->lock);
}

void
park_publish_and_wake(struct park_set *ps)
{
	park_publish(ps);
	cross_wake_all(ps->cross);
}

void
park_release(struct park_set *ps, struct park *p, uint16_t heir)
{
	park_phase_set(p, PARK_RELEASING, heir);
	park_publish_and_wake(ps);
	moment_send(ps->cross, p->live.port, MOMENT_RELEASED, heir);
}

void
park_begin(struct park_set *ps, uint16_t port, uint64_t features, uint16_t n_rx)
{
	struct park *p;
	bool begun = false;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (p != NULL && p->live.phase != PARK_KEEPING) {
		p->live.features = features;
		p->live.n_rx = n_rx;
		p->told_last = p->told_out = false;
		park_phase_set(p, PARK_KEEPING, PARK_NOWHERE);
		park_publish(ps);
		begun = true;
	}
	pthread_mutex_unlock(&ps->lock);
	if (begun)
		ps->ops.wanted(ps->arg);
}

/* What is kept where the guest was in between goes there, too. */
static void
follow(struct park_set *ps, struct park *p, uint16_t to)
{
	const uint16_t place = p->live.heir;
	struct park *between = place != PARK_NOWHERE ? ps->parks[place] : NULL;

	if (between != NULL && between != p && between->live.phase == PARK_KEEPING)
		park_release(ps, between, to);
	park_release(ps, p, to);
}

void
park_return(struct park_set *ps, uint16_t port)
{
	struct park *p;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (p != NULL && p->live.phase != PARK_READY && p->live.phase != PARK_ARRIVING)
		follow(ps, p, port);
	pthread_mutex_unlock(&ps->lock);
}

void
park_vanished(struct park_set *ps, uint16_t port)
{
	struct park *p;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (p != NULL && p->live.phase == PARK_RELEASING && p->live.heir == port) {
		park_phase_set(p, PARK_KEEPING, PARK_NOWHERE);
		park_publish(ps);
	}
	pthread_mutex_unlock(&ps->lock);
}

static bool
in_use(const struct park *p)
{
	return p != NULL && p->live.phase != PARK_READY;
}

bool
park_active(struct park_set *ps, uint16_t port)
{
	bool active;

	pthread_mutex_lock(&ps->lock);
	active = in_use(ps->parks[port]);
	pthread_mutex_unlock(&ps->lock);
	return active;
}

bool
park_left(struct park_set *ps, uint16_t port)
{
	const struct park *p;
	bool left = false;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (p != NULL)
		left = p->live.phase != PARK_READY && p->live.phase != PARK_ARRIVING &&
		       !(p->live.phase == PARK_RELEASING && p->live.heir == port);
	pthread_mutex_unlock(&ps->lock);
	return left;
}

bool
park_any(struct park_set *ps)
{
	bool any = false;

	pthread_mutex_lock(&ps->lock);
	for (uint32_t i = 0; i < PARK_PORTS_MAX && !any; i++)
		any = in_use(ps->parks[i]);
	pthread_mutex_unlock(&ps->lock);
	return any;
}

/* It has gone on from where it was seen first.  That is no longer time for what is kept. */
static void
move_on(struct park_set *ps, struct park *p, uint16_t to)
{
	const uint64_t since = p->since, full = p->full;

	follow(ps, p, to);
	p->since = since;
	p->full = full;
}

bool
park_learned(struct park_set *ps, uint16_t from, uint16_t to)
{
	struct park *p;
	bool withheld;

	pthread_mutex_lock(&ps->lock);
	p = ps->parks[from];
	withheld = p != NULL && (p->live.phase == PARK_KEEPING || p->live.phase == PARK_RELEASING ||
				 p->live.phase == PARK_STREAMING || p->live.phase == PARK_LATE);
	/* Rings that change their mover are somewhere soon; what was sent before may still come in. */
	if (withheld && p->moving)
		;
	else if (withheld && p->live.phase == PARK_KEEPING)
		park_release(ps, p, to);
	else if (withheld && p->live.phase == PARK_RELEASING && p->live.heir != from &&
		 p->live.heir != to)
		move_on(ps, p, to);
	pthread_mutex_unlock(&ps->lock);
	return withheld;
}

bool
park_empty(const struct park_set *ps, const struct park *p)
{
	if (p->live.inbox != NULL && !park_buf_empty(p->live.inbox))
		return false;
	for (uint32_t w = 0; w < cross_n_workers(ps->cross); w++)
		if (!park_buf_empty(p->live.bufs[w]))
			return false;
	return true;
}

static void
frames_tell(struct park_set *ps, struct park *p)
{
	bool gone = p->live.phase == PARK_RELEASING || p->live.phase == PARK_LATE;
	uint64_t first = 0, last = 0;

	for (uint32_t w = 0; w < cross_n_workers(ps->cross); w++) {
		const struct park_buf *b = p->live.bufs[w];
		uint64_t b_first = atomic_load_explicit(&b->first, memory_order_relaxed);
		uint64_t b_last = atomic_load_explicit(&b->last, memory_order_relaxed);

		if (b_first != 0 && (first == 0 || b_first < first))
			first = b_first;
		last = RTE_MAX(last, b_last);
	}
	if (first != 0 && !p->told_first)
		moment_send_at(ps->cross, p->live.port, MOMENT_PARKED_FIRST, first, 0);
	if (first != 0 && gone && !p->told_last)
		moment_send_at(ps->cross, p->live.port, MOMENT_PARKED_LAST, last, 0);
	p->told_first |= first != 0;
	p->told_last |= first != 0 && gone;
}

static bool
older(uint64_t since, uint64_t us)
{
	return rte_rdtsc() - since > clock_us_to_cycles(us);
}

static void
timed_out(struct park_set *ps, struct park *p)
{
	LOG_RL(WARNING, "port %u: its guest was nowhere to be seen for %u ms, what was parked for it "
	       "is dropped", p->live.port, ps->opts.timeout_ms);
	park_phase_set(p, PARK_DROPPING, p->live.heir);
	park_publish_and_wake(ps);
	moment_send(ps->cross, p->live.port, MOMENT_DROPPED, 0);
}

/* Where frames have come from another host, some may be late. */
static uint64_t
lingers(const struct park *p)
{
	return p->live.inbox != NULL && p->live.heir == p->live.port ? PARK_GRACE_US : LINGER_US;
}

/* Returns true when the park is over. */
static bool
step(struct park_set *ps, struct park *p)
{
	bool empty = park_empty(ps, p);

	frames_tell(ps, p);
	if (!empty)
		p->full = rte_rdtsc();
	switch ((enum park_phase)p->live.phase) {
	case PARK_READY:
		return false;
	case PARK_KEEPING:
		if (older(p->since, 1000ULL * ps->opts.timeout_ms))
			timed_out(ps, p);
		return false;
	case PARK_RELEASING:
		if (!empty && older(p->since, 1000ULL * ps->opts.timeout_ms))
			timed_out(ps, p);
		if (empty && !p->told_out)
			moment_send(ps->cross, p->live.port, MOMENT_OUT, 0);
		p->told_out |= empty;
		return empty && older(p->full, lingers(p));
	case PARK_STREAMING:
		if (older(p->since, 1000ULL * ps->opts.timeout_ms))
			timed_out(ps, p);
		return false;
	case PARK_LATE:
		return false;
	case PARK_ARRIVING:
		if (older(p->since, 1000ULL * ps->opts.timeout_ms))
			park_release(ps, p, p->live.port);
		return false;
	case PARK_DROPPING:
		return empty;
	}
	return false;
}

/* The guest is back and may leave once more. */
static void
ready_again(struct park_set *ps, struct park *p)
{
	park_phase_set(p, PARK_READY, PARK_NOWHERE);
	p->live.via = PARK_NOWHERE;
	p->told_first = p->told_last = p->told_out = false;
	for (uint32_t w = 0; w < cross_n_workers(ps->cross); w++)
		park_buf_begin(p->live.bufs[w]);
	park_publish(ps);
}

/* From now on nothing is kept where nothing is.  @return false: something was, just before */
static bool
seal(struct park_set *ps, struct park *p)
{
	p->live.closing = true;
	park_publish(ps);
	if (park_empty(ps, p))
		return true;
	p->live.closing = false;
	park_publish(ps);
	return false;
}

/* The addresses follow before the park is out of sight: no frame in between goes astray. */
static void
finish(struct park_set *ps, uint16_t port, uint16_t heir)
{
	struct park *p;

	ps->ops.closed(ps->arg, port, heir);
	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (p == NULL || !p->live.closing) {
		/* It was in use again meanwhile. */
	} else if (p->logging && heir == port) {
		ready_again(ps, p);
	} else {
		park_close(ps, port);
	}
	pthread_mutex_unlock(&ps->lock);
}

uint32_t
park_tick(struct park_set *ps)
{
	uint32_t left = 0;

	for (uint16_t i = 0; i < PARK_PORTS_MAX; i++) {
		uint16_t heir = PARK_NOWHERE;
		bool over = false;
		struct park *p;

		pthread_mutex_lock(&ps->lock);
		p = ps->parks[i];
		if (p != NULL) {
			over = step(ps, p) && seal(ps, p);
			heir = p->live.heir;
			left += !over && p->live.phase != PARK_READY;
		}
		pthread_mutex_unlock(&ps->lock);
		if (over)
			finish(ps, i, heir);
	}
	return left;
}

int
park_info(struct park_set *ps, uint16_t port, struct park_info *out)
{
	const struct park *p;
	int rc = -ENOENT;

	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&ps->lock);
	p = ps->parks[port];
	if (p != NULL) {
		rc = 0;
		out->phase = p->live.phase;
		out->heir = p->live.heir;
		out->since_us = clock_cycles_to_us(rte_rdtsc() - p->since);
		for (uint32_t w = 0; w < cross_n_workers(ps->cross); w++) {
			const struct park_buf *b = p->live.bufs[w];

			out->bytes += b->size;
			out->kept += atomic_load(&b->head) - atomic_load(&b->tail);
		}
	}
	pthread_mutex_unlock(&ps->lock);
	return rc;
}
