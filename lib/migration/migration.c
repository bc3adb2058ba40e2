/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration_impl.h"

#include <rte_cycles.h>

#include <errno.h>
#include <stdlib.h>

#define LOOK_US 100000

/* For so long a guest that was started is looked at for its first frames. */
#define FIRST_S 10

static uint64_t
max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A port whose rings are stopped shows no counters of theirs. */
static void
look_merge(struct migration_look *last, const struct migration_look *now)
{
	last->first_receive = now->first_receive;
	last->first_transmit = now->first_transmit;
	last->pages = max_u64(last->pages, now->pages);
	last->rounds = max_u64(last->rounds, now->rounds);
	last->parked = now->parked;
	last->delivered = now->delivered;
	last->dropped = now->dropped;
}

static void
first_add(struct migration *m, enum moment moment, uint64_t tsc)
{
	const struct migration_moment mo = { .moment = moment, .tsc = tsc };
	struct migration_story s;

	migration_story(m, &s);
	if (tsc != 0 && tsc >= s.started && !record_has(m, moment, s.started))
		record_add(m, &mo);
}

/* Parked frames are the last leaver's, even when somebody has arrived since. */
static void
records_update(struct migrations *ms, struct history *h, uint64_t tsc)
{
	struct migration *m = history_newest(h), *out = history_outgoing(h);

	if (m == NULL)
		return;
	m->now = h->last;
	m->looked = tsc;
	m->n_lost = event_lost(ms->opts.cross) - h->n_lost;
	if (out != NULL)
		out->now = h->last;
}

static void
look(struct migrations *ms, uint16_t port, struct history *h)
{
	struct migration_look now = { 0 };

	ms->opts.look(ms->opts.arg, port, &now);
	look_merge(&h->last, &now);
	records_update(ms, h, rte_rdtsc());
	if (h->starting != NULL) {
		first_add(h->starting, MOMENT_FIRST_RECEIVE, now.first_receive);
		first_add(h->starting, MOMENT_FIRST_TRANSMIT, now.first_transmit);
	}
}

static bool
logs(const struct history *h)
{
	struct migration_story s;

	if (history_newest(h) == NULL)
		return false;
	migration_story(history_newest(h), &s);
	return s.logging && !s.stopped;
}

static bool
awaits_first(const struct migrations *ms, const struct history *h)
{
	struct migration_story s;

	if (h->starting == NULL)
		return false;
	migration_story(h->starting, &s);
	return rte_rdtsc() - s.started < FIRST_S * ms->opts.hz &&
	       !(record_has(h->starting, MOMENT_FIRST_RECEIVE, s.started) &&
		 record_has(h->starting, MOMENT_FIRST_TRANSMIT, s.started));
}

static bool
wanted(const struct migrations *ms, const struct history *h)
{
	return logs(h) || awaits_first(ms, h) || h->due != NULL;
}

static void
news(struct migrations *ms, uint16_t port, struct history *h, struct migration *m)
{
	struct migration_story s;

	migration_story(m, &s);
	m->told = s.state;
	if (h->due == m)
		h->due = NULL;
	if (ms->opts.news != NULL)
		ms->opts.news(ms->opts.arg, port, m);
}

/* Workers count what they drop after they were told to, and first frames come after a start: the
 * news have to wait for that. */
static void
news_judge(struct migrations *ms, uint16_t port, struct history *h, struct migration *m,
	   enum moment moment)
{
	struct migration_story s;

	migration_story(m, &s);
	if (h->due != NULL && h->due != m)
		news(ms, port, h, h->due);
	if (moment == MOMENT_DROPPED || (m->incoming && m->told != s.state))
		h->due = m;
	else if (moment == MOMENT_OUT || s.state != m->told)
		news(ms, port, h, m);
}

static void
on_timer(void *arg)
{
	struct migrations *ms = arg;
	bool more = false;

	for (uint16_t i = 0; i < PORT_MAX; i++) {
		struct history *h = ms->ports[i];

		if (h == NULL || !wanted(ms, h))
			continue;
		more = true;
		look(ms, i, h);
		if (logs(h))
			history_sample(h, history_newest(h)->looked, false);
		if (h->due != NULL && !(h->due->incoming && awaits_first(ms, h)))
			news(ms, i, h, h->due);
	}
	if (more)
		return;
	loop_watch_destroy(ms->timer);
	ms->timer = NULL;
}

/* Without memory for a timer, a migration is recorded without its samples. */
static void
timer_want(struct migrations *ms, const struct history *h)
{
	if (ms->timer == NULL && wanted(ms, h) &&
	    loop_timer(ms->opts.loop, LOOK_US, on_timer, ms, &ms->timer) < 0)
		ms->timer = NULL;
}

/* What many rings tell in a row, or what changes no counter, is worth no look. */
static bool
worth_a_look(const struct history *h, enum moment moment)
{
	const struct migration *m = history_newest(h);
	struct migration_story s;

	if (moment == MOMENT_STOP && m != NULL && !m->incoming) {
		migration_story(m, &s);
		return !s.stopped;
	}
	return moment != MOMENT_DRAINED && moment != MOMENT_READY && moment != MOMENT_ANNOUNCED;
}

static void
take(struct migrations *ms, uint16_t port, struct history *h, struct migration_moment mo)
{
	struct migration *m;

	if (worth_a_look(h, mo.moment))
		look(ms, port, h);
	if (mo.moment == MOMENT_OUT && history_outgoing(h) != NULL)
		mo.value = h->last.delivered - history_outgoing(h)->before.delivered;
	m = history_take(ms, h, &mo);
	if (m == NULL)
		return;
	m->looked = max_u64(m->looked, mo.tsc);
	if (m == history_newest(h) && (mo.moment == MOMENT_STOP || mo.moment == MOMENT_BASE ||
				       mo.moment == MOMENT_LOG_OFF))
		history_sample(h, mo.tsc, true);
	news_judge(ms, port, h, m, mo.moment);
	timer_want(ms, h);
}

static void
on_moment(void *arg, const struct event *ev)
{
	const struct migration_moment mo = {
		.moment = (enum moment)ev->reason, .tsc = ev->values[0], .value = ev->values[1],
	};
	struct migrations *ms = arg;

	if (ev->port >= PORT_MAX)
		return;
	if (ms->ports[ev->port] == NULL)
		ms->ports[ev->port] = calloc(1, sizeof(struct history));
	if (ms->ports[ev->port] != NULL)
		take(ms, ev->port, ms->ports[ev->port], mo);
}

void
migrations_heard(struct migrations *ms, uint16_t port, uint16_t there)
{
	const struct migration_moment mo = {
		.moment = MOMENT_RELEASED, .tsc = rte_rdtsc(), .value = there,
	};
	struct history *h = ms->ports[port];
	struct migration_story s;

	if (h == NULL || history_outgoing(h) == NULL)
		return;
	migration_story(history_outgoing(h), &s);
	if (s.stopped && s.released == 0)
		take(ms, port, h, mo);
}

int
migrations_create(const struct migration_opts *opts, struct migrations **out)
{
	struct migrations *ms = calloc(1, sizeof(*ms));

	if (ms == NULL)
		return -ENOMEM;
	ms->opts = *opts;
	event_handle(opts->cross, EVENT_MOMENT, on_moment, ms);
	*out = ms;
	return 0;
}

void
migrations_destroy(struct migrations *ms)
{
	if (ms == NULL)
		return;
	event_handle(ms->opts.cross, EVENT_MOMENT, NULL, NULL);
	loop_watch_destroy(ms->timer);
	for (uint16_t i = 0; i < PORT_MAX; i++)
		migrations_port_del(ms, i);
	free(ms);
}

void
migrations_port_del(struct migrations *ms, uint16_t port)
{
	struct history *h = ms->ports[port];

	if (h == NULL)
		return;
	for (uint32_t i = 0; i < MIGRATION_KEEP; i++)
		free(h->kept[i]);
	free(h);
	ms->ports[port] = NULL;
}

void
migrations_look(struct migrations *ms, uint16_t port)
{
	if (port < PORT_MAX && ms->ports[port] != NULL)
		look(ms, port, ms->ports[port]);
}

const struct migration *
migrations_next(const struct migrations *ms, uint16_t port, uint32_t *iter)
{
	const struct history *h = port < PORT_MAX ? ms->ports[port] : NULL;
	uint32_t first;

	if (h == NULL)
		return NULL;
	first = h->n > MIGRATION_KEEP ? h->n - MIGRATION_KEEP : 0;
	if (first + *iter >= h->n)
		return NULL;
	return h->kept[(first + (*iter)++) % MIGRATION_KEEP];
}

bool
migrations_busy(const struct migrations *ms)
{
	return ms->timer != NULL;
}
