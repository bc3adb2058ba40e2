/* SPDX-License-Identifier: BSD-3-Clause */
/* The sleep policy as a table of stories: what a worker sees, turn by turn, and what it is told. */
#include "idle.h"

#include "check.h"

#include <stddef.h>

#define MIN 20
#define MAX 200

enum what { END, TURN, WOKE };

/* One thing that happens, and what comes of it. */
struct step {
	enum what what;
	uint32_t frames;
	uint64_t after;          /* cycles since the last step */
	enum idle_step told;     /* after a turn */
	uint64_t patience;       /* then; 0: not looked at */
};

#define IDLE(cycles, told) { TURN, 0, cycles, told, 0 }
#define BUSY(cycles)       { TURN, 1, cycles, IDLE_POLL, 0 }
#define SLEPT(cycles, p)   { WOKE, 0, cycles, 0, p }

static const struct {
	const char *story;
	struct step steps[16];
} rows[] = {
	{ "polls on for its patience, then sleeps", {
		BUSY(5), IDLE(0, IDLE_POLL), IDLE(19, IDLE_POLL), IDLE(1, IDLE_SLEEP) } },
	{ "a frame starts the patience again", {
		IDLE(19, IDLE_POLL), BUSY(10), IDLE(19, IDLE_POLL), IDLE(1, IDLE_SLEEP) } },
	{ "busy turns never sleep, however far apart", { BUSY(1000000), BUSY(1000000) } },
	{ "short sleeps double the patience, to its most", {
		IDLE(20, IDLE_SLEEP), SLEPT(10, 40), IDLE(39, IDLE_POLL), IDLE(1, IDLE_SLEEP),
		SLEPT(10, 80), IDLE(80, IDLE_SLEEP), SLEPT(10, 160), IDLE(160, IDLE_SLEEP),
		SLEPT(199, 200), IDLE(200, IDLE_SLEEP), SLEPT(199, 200), IDLE(199, IDLE_POLL),
		IDLE(1, IDLE_SLEEP) } },
	{ "long sleeps halve it, to its least", {
		IDLE(20, IDLE_SLEEP), SLEPT(10, 40), IDLE(40, IDLE_SLEEP), SLEPT(10, 80),
		IDLE(80, IDLE_SLEEP), SLEPT(200, 40), IDLE(40, IDLE_SLEEP), SLEPT(5000, 20),
		IDLE(20, IDLE_SLEEP), SLEPT(5000, 20) } },
	{ "the limit itself is long", { IDLE(20, IDLE_SLEEP), SLEPT(10, 40), IDLE(40, IDLE_SLEEP),
		SLEPT(MAX, 20) } },
	{ "one just below it is short", { IDLE(20, IDLE_SLEEP), SLEPT(MAX - 1, 40) } },
	{ "waking for nothing is paid with one patience", {
		IDLE(20, IDLE_SLEEP), SLEPT(100000, 20), IDLE(19, IDLE_POLL), IDLE(1, IDLE_SLEEP) } },
};

/* `start` near the end: the counter of cycles wraps. */
static void
story(const char *name, const struct step *steps, uint64_t start)
{
	const struct idle_opts opts = { .patience_min = MIN, .patience_max = MAX };
	uint64_t now = start;
	struct idle g;

	idle_init(&g, &opts, now);
	for (const struct step *s = steps; s->what != END; s++) {
		now += s->after;
		if (s->what == WOKE)
			idle_woke(&g, now);
		else
			CHECK_STR(name, idle_next(&g, s->frames, now) == s->told ? "told" : "not",
				  "told");
		CHECK_STR(name, s->patience == 0 || g.patience == s->patience ? "so patient" :
			  "otherwise", "so patient");
	}
}

static void
timeouts(void)
{
	static const struct { uint32_t us; int ms; } bounds[] = {
		{ 0, 1 }, { 999, 1 }, { 1000, 1 }, { 2500, 2 }, { 10000, 10 },
	};
	struct idle g;

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		idle_init(&g, &(struct idle_opts){ .bounded_us = bounds[i].us }, 0);
		CHECK(idle_timeout_ms(&g, true) == bounds[i].ms);
		CHECK(idle_timeout_ms(&g, false) == -1);
	}
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		story(rows[i].story, rows[i].steps, 0);
		story(rows[i].story, rows[i].steps, UINT64_MAX - 100);
	}
	timeouts();
	return check_done("idle");
}
