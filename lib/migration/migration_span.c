/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration.h"

const char *const migration_lane_names[MIGRATION_LANE_N] = {
#define X(id, name, text) [MIGRATION_LANE_##id] = name,
	MIGRATION_LANES(X)
#undef X
};

enum turn { ON, OFF };

/* What begins and what ends a lane's spans. */
static const struct {
	enum moment moment;
	enum migration_lane lane;
	enum turn turn;
} turns[] = {
	{ MOMENT_LOG_ON,       MIGRATION_LANE_LOGGING, ON },
	{ MOMENT_LOG_OFF,      MIGRATION_LANE_LOGGING, OFF },
	{ MOMENT_DISCONNECTED, MIGRATION_LANE_LOGGING, OFF },
	{ MOMENT_STOP,         MIGRATION_LANE_STOPPED, ON },
	{ MOMENT_STARTED,      MIGRATION_LANE_STOPPED, OFF },
	{ MOMENT_ELSEWHERE,    MIGRATION_LANE_STOPPED, OFF },
	{ MOMENT_RELEASED,     MIGRATION_LANE_STOPPED, OFF },
	{ MOMENT_PARKED_FIRST, MIGRATION_LANE_PARKED,  ON },
	{ MOMENT_OUT,          MIGRATION_LANE_PARKED,  OFF },
	{ MOMENT_DROPPED,      MIGRATION_LANE_PARKED,  OFF },
	{ MOMENT_STARTED,      MIGRATION_LANE_RUNNING, ON },
	{ MOMENT_STOP,         MIGRATION_LANE_RUNNING, OFF },
	{ MOMENT_DISCONNECTED, MIGRATION_LANE_RUNNING, OFF },
};

struct spans {
	struct migration_span *list;
	uint32_t n, max;
	bool on[MIGRATION_LANE_N];
	uint64_t from[MIGRATION_LANE_N];
};

static void
span_end(struct spans *s, enum migration_lane lane, uint64_t to)
{
	if (s->on[lane] && s->n < s->max)
		s->list[s->n++] = (struct migration_span){ lane, s->from[lane], to };
	s->on[lane] = false;
}

static void
step(struct spans *s, const struct migration_moment *mo)
{
	for (size_t i = 0; i < RTE_DIM(turns); i++) {
		enum migration_lane lane = turns[i].lane;

		if (turns[i].moment != mo->moment)
			continue;
		if (turns[i].turn == OFF)
			span_end(s, lane, mo->tsc);
		else if (!s->on[lane])
			s->from[lane] = mo->tsc;
		s->on[lane] = turns[i].turn == ON;
	}
}

uint32_t
migration_spans(const struct migration *m, struct migration_span *out, uint32_t max)
{
	struct spans s = { .list = out, .max = max };
	uint64_t last = m->moments[m->n_moments - 1].tsc;
	struct migration_story story;

	for (uint32_t i = 0; i < m->n_moments; i++)
		step(&s, &m->moments[i]);
	migration_story(m, &story);
	if (story.end == 0)
		last = RTE_MAX(last, m->looked);
	for (int i = 0; i < MIGRATION_LANE_N; i++)
		span_end(&s, (enum migration_lane)i, last);
	return s.n;
}
