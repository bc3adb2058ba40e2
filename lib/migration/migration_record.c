/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration_impl.h"
#include "clock.h"

#include <rte_cycles.h>

#include <stdlib.h>
#include <string.h>

/* An announcement belongs to a start of rings that follows so soon. */
#define ANNOUNCED_S 10

void
record_add(struct migration *m, const struct migration_moment *mo)
{
	uint32_t at;

	/* The first one is what times are counted from; of the others the latest say most. */
	if (m->n_moments == MIGRATION_MOMENTS) {
		memmove(&m->moments[1], &m->moments[2],
			(MIGRATION_MOMENTS - 2) * sizeof(m->moments[0]));
		m->n_moments--;
		m->n_cut++;
	}
	for (at = m->n_moments; at > 0 && m->moments[at - 1].tsc > mo->tsc; at--)
		m->moments[at] = m->moments[at - 1];
	m->moments[at] = *mo;
	m->n_moments++;
}

/* Index of the last one of its kind; n_moments: there is none. */
static uint32_t
record_find(const struct migration *m, enum moment moment)
{
	for (uint32_t i = m->n_moments; i-- > 0;)
		if (m->moments[i].moment == moment)
			return i;
	return m->n_moments;
}

bool
record_has(const struct migration *m, enum moment moment, uint64_t since)
{
	uint32_t i = record_find(m, moment);

	return i < m->n_moments && m->moments[i].tsc >= since;
}

/* Adds a moment in place of those of its kind since `since`. */
static void
record_put(struct migration *m, const struct migration_moment *mo, uint64_t since)
{
	uint32_t i = record_find(m, mo->moment);

	if (i < m->n_moments && m->moments[i].tsc >= since) {
		memmove(&m->moments[i], &m->moments[i + 1],
			(m->n_moments - i - 1) * sizeof(m->moments[0]));
		m->n_moments--;
	}
	record_add(m, mo);
}

static struct migration *
record_new(struct migrations *ms, struct history *h, const struct migration_moment *mo,
	   bool incoming)
{
	struct migration *m = calloc(1, sizeof(*m)), **slot = &h->kept[h->n % MIGRATION_KEEP];

	if (m == NULL)
		return NULL;
	if (h->starting == *slot)
		h->starting = NULL;
	if (h->due == *slot)
		h->due = NULL;
	free(*slot);
	*slot = m;
	m->number = ++h->n;
	m->incoming = incoming;
	m->hz = ms->opts.hz;
	m->wall_ns = clock_wall_ns();
	m->wall_tsc = rte_rdtsc();
	m->told = MIGRATION_STATE_N;
	m->before = m->now = h->last;
	h->n_lost = event_lost(ms->opts.cross);
	h->stride = 1;
	h->skipped = 0;
	record_add(m, mo);
	return m;
}

/* The newest one if it is of a guest that leaves and nothing has ended it. */
static struct migration *
leaving(const struct history *h, struct migration_story *s)
{
	struct migration *m = history_newest(h);

	if (m == NULL || m->incoming)
		return NULL;
	migration_story(m, s);
	return s->state == MIGRATION_LOGGING || s->state == MIGRATION_STOPPED ? m : NULL;
}

struct migration *
history_outgoing(const struct history *h)
{
	for (uint32_t i = 0; i < h->n && i < MIGRATION_KEEP; i++) {
		struct migration *m = h->kept[(h->n - 1 - i) % MIGRATION_KEEP];

		if (!m->incoming)
			return m;
	}
	return NULL;
}

static struct migration *
take_log(struct migrations *ms, struct history *h, const struct migration_moment *mo)
{
	struct migration_story s;
	struct migration *m = leaving(h, &s);

	if (m == NULL)
		return mo->moment == MOMENT_LOG_OFF ? NULL : record_new(ms, h, mo, false);
	record_add(m, mo);
	return m;
}

/* Of rings that stop: the first STOP, and the last one of what follows. */
static struct migration *
take_stop(struct history *h, const struct migration_moment *mo)
{
	struct migration_story s;
	struct migration *m = leaving(h, &s);

	if (m == NULL || s.stopped == (mo->moment == MOMENT_STOP))
		return NULL;
	record_put(m, mo, mo->moment == MOMENT_STOP ? UINT64_MAX : s.stop);
	return m;
}

/* The port where the guest was found knows when it came. */
static void
elsewhere_add(const struct migrations *ms, struct migration *m, const struct migration_moment *mo,
	      uint64_t stop)
{
	const struct history *h = mo->value < PORT_MAX ? ms->ports[mo->value] : NULL;
	const struct migration *other = h == NULL ? NULL : history_newest(h);
	struct migration_moment add = { .moment = MOMENT_ELSEWHERE, .value = mo->value };
	struct migration_story s;

	if (other == NULL || !other->incoming)
		return;
	migration_story(other, &s);
	add.tsc = s.started;
	if (s.started > stop && s.started <= mo->tsc)
		record_add(m, &add);
}

/* Frames are parked once, for the last one that left, wherever the guest is by now. */
static struct migration *
take_parking(struct migrations *ms, struct history *h, const struct migration_moment *mo)
{
	struct migration *m = history_outgoing(h);
	struct migration_story s;

	if (m == NULL)
		return NULL;
	migration_story(m, &s);
	if (mo->moment == MOMENT_RELEASED && (s.stop == 0 || record_has(m, MOMENT_RELEASED, s.stop)))
		return NULL;
	record_put(m, mo, mo->moment == MOMENT_PARKED_LAST ? s.stop : UINT64_MAX);
	if (mo->moment == MOMENT_RELEASED && s.stopped)
		elsewhere_add(ms, m, mo, s.stop);
	return m;
}

static struct migration *
take_disconnected(struct history *h, const struct migration_moment *mo)
{
	struct migration *m = history_newest(h);
	struct migration_story s;

	h->started = false;
	h->starting = NULL;
	if (m == NULL || m->incoming)
		return NULL;
	migration_story(m, &s);
	if (s.gone || (s.state != MIGRATION_LOGGING && !s.stopped))
		return NULL;
	record_add(m, mo);
	return m;
}

static bool
announced_before(const struct migrations *ms, const struct history *h, uint64_t tsc)
{
	return h->announced.tsc != 0 &&
	       tsc - h->announced.tsc < ANNOUNCED_S * ms->opts.hz;
}

/* Whether a guest comes from elsewhere: it is announced, or goes on where no one has run it. */
static bool
arrives(const struct migrations *ms, const struct history *h, const struct migration_moment *mo)
{
	const struct migration *m = history_newest(h);
	struct migration_story s = { .released = 0 };

	if (announced_before(ms, h, mo->tsc))
		return true;
	if (m != NULL && !m->incoming)
		migration_story(m, &s);
	return mo->value != 0 && (!h->started || s.released != 0);
}

/* Whether the newest record's guest is still this port's, and starts again. */
static bool
goes_on(const struct history *h)
{
	const struct migration *m = history_newest(h);
	struct migration_story s;

	if (m == NULL || m->incoming)
		return false;
	migration_story(m, &s);
	return !s.gone && (s.state == MIGRATION_LOGGING || s.state == MIGRATION_STOPPED ||
			   s.state == MIGRATION_EXPIRED);
}

static struct migration *
take_started(struct migrations *ms, struct history *h, const struct migration_moment *mo)
{
	struct migration *m = NULL;

	if (goes_on(h)) {
		m = history_newest(h);
		record_add(m, mo);
	} else if (arrives(ms, h, mo)) {
		m = record_new(ms, h, mo, true);
		if (m != NULL && announced_before(ms, h, mo->tsc))
			record_add(m, &h->announced);
	}
	h->announced.tsc = 0;
	h->started = true;
	h->starting = m;
	return m;
}

static struct migration *
take_announced(struct migrations *ms, struct history *h, const struct migration_moment *mo)
{
	struct migration *m = h->starting;
	uint32_t i;

	if (m == NULL) {
		if (!announced_before(ms, h, mo->tsc))
			h->announced = *mo;
		return NULL;
	}
	i = record_find(m, MOMENT_ANNOUNCED); /* front-ends repeat it */
	if (i < m->n_moments && m->moments[i].value == mo->value)
		return NULL;
	record_add(m, mo);
	return m;
}

static struct migration *
take_ready(struct history *h, const struct migration_moment *mo)
{
	struct migration *m = h->starting;
	struct migration_story s;

	if (m == NULL)
		return NULL;
	migration_story(m, &s);
	record_put(m, mo, s.started);
	return m;
}

struct migration *
history_take(struct migrations *ms, struct history *h, const struct migration_moment *mo)
{
	switch (mo->moment) {
	case MOMENT_LOG_BASE:
	case MOMENT_LOG_ON:
	case MOMENT_LOG_OFF:
		return take_log(ms, h, mo);
	case MOMENT_STOP:
	case MOMENT_DRAINED:
	case MOMENT_BASE:
		return take_stop(h, mo);
	case MOMENT_PARKED_FIRST:
	case MOMENT_PARKED_LAST:
	case MOMENT_RELEASED:
	case MOMENT_OUT:
	case MOMENT_DROPPED:
		return take_parking(ms, h, mo);
	case MOMENT_DISCONNECTED:
		return take_disconnected(h, mo);
	case MOMENT_STARTED:
		return take_started(ms, h, mo);
	case MOMENT_ANNOUNCED:
		return take_announced(ms, h, mo);
	case MOMENT_READY:
		return take_ready(h, mo);
	case MOMENT_FIRST_RECEIVE: /* found by looking */
	case MOMENT_FIRST_TRANSMIT:
	case MOMENT_ELSEWHERE:     /* found in another port's record */
	case MOMENT_N:
		break;
	}
	return NULL;
}
