/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration.h"

#include <stdio.h>

const char *const migration_state_names[MIGRATION_STATE_N] = {
#define X(id, name, text) [MIGRATION_##id] = name,
	MIGRATION_STATES(X)
#undef X
};

static void
end(struct migration_story *s, enum migration_state state, uint64_t tsc)
{
	s->state = state;
	s->end = tsc;
}

static void
log_off(struct migration_story *s, uint64_t tsc)
{
	s->logging = false;
	if (!s->stopped)
		end(s, s->started != 0 ? MIGRATION_RESUMED : MIGRATION_CANCELLED, tsc);
}

/* Rings that start fresh are a reboot in the middle: what the guest lost it threw away itself. */
static void
started(struct migration_story *s, const struct migration_moment *mo)
{
	if (!s->stopped)
		return;
	s->stopped = false;
	s->state = MIGRATION_LOGGING;
	s->started = mo->value != 0 ? mo->tsc : 0;
	if (mo->value == 0)
		s->stop = 0;
	if (!s->logging)
		log_off(s, mo->tsc);
}

static void
stop(struct migration_story *s, uint64_t tsc)
{
	s->state = MIGRATION_STOPPED;
	s->stopped = true;
	s->stop = tsc;
	s->started = 0;
}

static void
disconnected(struct migration_story *s, uint64_t tsc)
{
	if (s->state == MIGRATION_LOGGING)
		end(s, MIGRATION_KILLED, tsc);
	else if (s->state == MIGRATION_STOPPED)
		end(s, MIGRATION_COMPLETED, tsc);
	s->logging = false;
	s->gone = true;
}

static void
released(struct migration_story *s, uint64_t tsc)
{
	if (!s->stopped)
		return;
	if (s->state != MIGRATION_COMPLETED)
		end(s, MIGRATION_COMPLETED, tsc);
	s->released = tsc;
}

static void
outgoing_step(struct migration_story *s, const struct migration_moment *mo)
{
	switch (mo->moment) {
	case MOMENT_LOG_ON:
		s->logging = true;
		break;
	case MOMENT_LOG_OFF:
		log_off(s, mo->tsc);
		break;
	case MOMENT_STOP:
		stop(s, mo->tsc);
		break;
	case MOMENT_STARTED:
		started(s, mo);
		break;
	case MOMENT_READY:
		s->ready = mo->tsc;
		break;
	case MOMENT_DISCONNECTED:
		disconnected(s, mo->tsc);
		break;
	case MOMENT_ELSEWHERE:
		s->elsewhere = mo->tsc;
		break;
	case MOMENT_RELEASED:
		released(s, mo->tsc);
		break;
	case MOMENT_DROPPED:
		if (s->stopped && s->released == 0)
			end(s, MIGRATION_EXPIRED, mo->tsc);
		break;
	default:
		break;
	}
}

static void
incoming_step(struct migration_story *s, const struct migration_moment *mo)
{
	if (mo->moment == MOMENT_STARTED) {
		s->started = mo->tsc;
		end(s, MIGRATION_ARRIVED, mo->tsc);
	} else if (mo->moment == MOMENT_READY) {
		s->ready = mo->tsc;
	}
}

void
migration_story(const struct migration *m, struct migration_story *out)
{
	*out = (struct migration_story){
		.state = m->incoming ? MIGRATION_ARRIVED : MIGRATION_LOGGING,
	};
	for (uint32_t i = 0; i < m->n_moments; i++)
		(m->incoming ? incoming_step : outgoing_step)(out, &m->moments[i]);
}

uint64_t
migration_us(const struct migration *m, uint64_t tsc)
{
	uint64_t begin = m->moments[0].tsc;

	return tsc <= begin ? 0 : (uint64_t)((double)(tsc - begin) * 1e6 / (double)m->hz + 0.5);
}

uint64_t
migration_wall_ns(const struct migration *m)
{
	int64_t cycles = (int64_t)(m->moments[0].tsc - m->wall_tsc);

	return m->wall_ns + (uint64_t)(int64_t)((double)cycles * 1e9 / (double)m->hz);
}

static int64_t
us_between(const struct migration *m, uint64_t from, uint64_t to)
{
	return from == 0 || to == 0 ? -1 :
	       (int64_t)(migration_us(m, to) - migration_us(m, from));
}

int64_t
migration_blackout_us(const struct migration *m)
{
	struct migration_story s;

	if (m->incoming)
		return -1;
	migration_story(m, &s);
	return us_between(m, s.stop, s.started != 0 ? s.started :
			  s.elsewhere > s.stop ? s.elsewhere : s.released);
}

static uint64_t
time_of(const struct migration *m, enum moment moment)
{
	for (uint32_t i = m->n_moments; i-- > 0;)
		if (m->moments[i].moment == moment)
			return m->moments[i].tsc;
	return 0;
}

void
migration_progress(const struct migration *m, uint32_t *done, uint32_t *of)
{
	struct migration_story s;

	migration_story(m, &s);
	*of = 5;
	*done = 1;
	if (s.state == MIGRATION_STOPPED) {
		*done = 2;
		*done += time_of(m, MOMENT_DRAINED) > s.stop;
		*done += time_of(m, MOMENT_BASE) > s.stop;
	} else if (s.state != MIGRATION_LOGGING) {
		*done = *of;
	}
}

/* "12.3 ms", or what stands for a time that is not known. */
static const char *
ms_text(int64_t us, const char *none, char *out, size_t size)
{
	if (us < 0)
		return none;
	snprintf(out, size, "%.1f ms", (double)us / 1000);
	return out;
}

static void
running_verdict(const struct migration *m, const struct migration_story *s, char *out, size_t size)
{
	bool logging = s->state == MIGRATION_LOGGING;
	int64_t us = (int64_t)migration_us(m, logging ? m->looked : s->end);
	unsigned long long rounds = m->now.rounds - m->before.rounds;
	char text[32];

	snprintf(out, size, "%s %s, no blackout, %llu pages in %llu round%s",
		 logging ? "logging for" : "cancelled after", ms_text(us, "", text, sizeof(text)),
		 (unsigned long long)(m->now.pages - m->before.pages), rounds,
		 rounds == 1 ? "" : "s");
}

static void
stopped_verdict(const struct migration *m, const struct migration_story *s, char *out, size_t size)
{
	static const char *const heads[MIGRATION_STATE_N] = {
		[MIGRATION_STOPPED] = "stopped for ",
		[MIGRATION_COMPLETED] = "blackout ",
		[MIGRATION_RESUMED] = "resumed here, blackout ",
		[MIGRATION_EXPIRED] = "not heard of elsewhere, blackout ",
		[MIGRATION_KILLED] = "front-end vanished, blackout ",
	};
	int64_t us = s->state == MIGRATION_STOPPED ? us_between(m, s->stop, m->looked) :
						     migration_blackout_us(m);
	char text[32];

	snprintf(out, size, "%s%s, parked %llu, delivered %llu, dropped %llu", heads[s->state],
		 ms_text(us, s->stop == 0 ? "none" : "not known", text, sizeof(text)),
		 (unsigned long long)(m->now.parked - m->before.parked),
		 (unsigned long long)(m->now.delivered - m->before.delivered),
		 (unsigned long long)(m->now.dropped - m->before.dropped));
}

static void
incoming_verdict(const struct migration *m, const struct migration_story *s, char *out,
		 size_t size)
{
	static const struct { enum moment moment; const char *text; } rows[] = {
		{ MOMENT_FIRST_RECEIVE, "first receive" },
		{ MOMENT_FIRST_TRANSMIT, "first transmit" },
		{ MOMENT_ANNOUNCED, "announced" },
	};
	char text[32];
	int n = snprintf(out, size, "rings started in %s",
			 ms_text(us_between(m, s->started, s->ready), "one step", text,
				 sizeof(text)));

	for (size_t i = 0; i < RTE_DIM(rows) && n > 0 && (size_t)n < size; i++) {
		uint64_t tsc = time_of(m, rows[i].moment);

		if (tsc != 0)
			n += snprintf(out + n, size - (size_t)n, ", %s %s", rows[i].text,
				      tsc < s->started ? "before" :
				      ms_text(us_between(m, s->started, tsc), "", text,
					      sizeof(text)));
		else
			n += snprintf(out + n, size - (size_t)n, ", %s not seen", rows[i].text);
	}
}

void
migration_verdict(const struct migration *m, char *out, size_t size)
{
	struct migration_story s;

	migration_story(m, &s);
	if (m->incoming)
		incoming_verdict(m, &s, out, size);
	else if (s.state == MIGRATION_LOGGING || s.state == MIGRATION_CANCELLED)
		running_verdict(m, &s, out, size);
	else
		stopped_verdict(m, &s, out, size);
}
