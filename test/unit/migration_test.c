/* SPDX-License-Identifier: BSD-3-Clause */
/* The flight recorder: moments in, records out. */
#include "migration.h"

#include "check.h"

#include <rte_cycles.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PORT  5
#define OTHER 6
#define HZ    1000000000ULL /* a cycle is a nanosecond */

static struct rig {
	struct loop *loop;
	struct cross *cross;
	struct migrations *ms;
	struct migration_look look;
	uint32_t n_looks;
	char news[2048];
} rig;

static void
on_look(void *arg, uint16_t port, struct migration_look *out)
{
	CHECK(arg == &rig && (port == PORT || port == OTHER));
	*out = rig.look;
	rig.n_looks++;
}

static void
on_news(void *arg, uint16_t port, const struct migration *m)
{
	struct migration_story s;
	size_t n = strlen(rig.news);

	CHECK(arg == &rig && (port == PORT || port == OTHER));
	migration_story(m, &s);
	snprintf(rig.news + n, sizeof(rig.news) - n, "%s%u %s", n == 0 ? "" : ", ", m->number,
		 migration_state_names[s.state]);
}

static void
rig_start(void)
{
	const struct migration_opts opts = {
		.hz = HZ, .look = on_look, .news = on_news, .arg = &rig,
	};
	struct migration_opts all = opts;

	memset(&rig, 0, sizeof(rig));
	CHECK(loop_create(&rig.loop) == 0 && cross_create(1, &rig.cross) == 0);
	all.cross = rig.cross;
	all.loop = rig.loop;
	CHECK(migrations_create(&all, &rig.ms) == 0);
}

static void
rig_stop(void)
{
	migrations_destroy(rig.ms);
	loop_destroy(rig.loop);
	cross_destroy(rig.cross);
}

static void
events_run(void)
{
	while (event_run(rig.cross, 100) > 0)
		;
}

static enum moment
moment_of(const char *name)
{
	for (int i = 0; i < MOMENT_N; i++)
		if (strcmp(moment_names[i], name) == 0)
			return (enum moment)i;
	fprintf(stderr, "no moment %s\n", name);
	abort();
}

static uint64_t *
counter_of(const char *name)
{
	static const struct { const char *name; uint64_t *counter; } rows[] = {
		{ "pages", &rig.look.pages }, { "rounds", &rig.look.rounds },
		{ "parked", &rig.look.parked }, { "delivered", &rig.look.delivered },
		{ "dropped", &rig.look.dropped },
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].counter;
	return NULL;
}

/* Turns the loop until `n` more looks have been taken, or some seconds are over. */
static void
looks_wait(uint32_t n)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	uint32_t from = rig.n_looks;

	for (int i = 0; i < 4000 && rig.n_looks - from < n; i++) {
		event_base_loop(loop_base(rig.loop), EVLOOP_NONBLOCK);
		nanosleep(&pause, NULL);
	}
	CHECK(rig.n_looks - from >= n);
}

/* Plays "US:MOMENT[=VALUE]", in microseconds after `begin`, "look:COUNTER=VALUE", "tick" until the
 * port was looked at once more. */
static void
play(const char *script, uint64_t begin)
{
	char *text = strdup(script), *at = text, *word;

	while ((word = strsep(&at, " ")) != NULL) {
		char name[32] = "";
		unsigned long long us, value = 0;

		if (word[0] == '\0')
			continue;
		if (strcmp(word, "tick") == 0) {
			looks_wait(1);
			continue;
		}
		if (sscanf(word, "look:%31[a-z]=%llu", name, &value) == 2) {
			*counter_of(name) = value;
			continue;
		}
		if (sscanf(word, "%llu:%31[a-z_]=%llu", &us, name, &value) < 2)
			abort();
		moment_send_at(rig.cross, PORT, moment_of(name), begin + us * 1000, value);
		events_run();
	}
	free(text);
}

static void
moment_print(const struct migration *m, const struct migration_moment *mo, FILE *f)
{
	fprintf(f, " %llu:%s", (unsigned long long)migration_us(m, mo->tsc),
		moment_names[mo->moment]);
	if (mo->moment == MOMENT_OUT)
		fprintf(f, "=%llu", (unsigned long long)mo->value);
}

/* "1 out completed 0:log_base 10:log_on; verdict | 2 in ..." */
static void
record_print(const struct migration *m, FILE *f)
{
	struct migration_story s;
	char verdict[256];

	migration_story(m, &s);
	migration_verdict(m, verdict, sizeof(verdict));
	fprintf(f, "%u %s %s", m->number, m->incoming ? "in" : "out",
		migration_state_names[s.state]);
	for (uint32_t i = 0; i < m->n_moments; i++)
		moment_print(m, &m->moments[i], f);
	fprintf(f, "; %s", verdict);
}

static char *
records_text(void)
{
	const struct migration *m;
	uint32_t iter = 0;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	while ((m = migrations_next(rig.ms, PORT, &iter)) != NULL) {
		fputs(iter == 1 ? "" : " | ", f);
		record_print(m, f);
	}
	fclose(f);
	return text;
}

#define LOG   "0:log_base=8192 100:log_on "
#define STOP  "500000:stop 500200:drained 500300:stop=1 500400:drained=1 500450:base=1 "
#define LOGGED "0:log_base 100:log_on "
#define STOPPED "500000:stop 500400:drained 500450:base "

static const struct {
	const char *story, *script, *records, *news;
} rows[] = {
	{ "an ordinary guest starts, stops, starts",
	  "0:started 10:ready=1 20:stop 30:drained 40:base 90:started=7 100:disconnected", "", "" },
	{ "complete, the guest is heard of, the source ends",
	  LOG STOP "500500:parked_first look:parked=624 812300:parked_last 812400:released "
	  "look:delivered=624 812900:out=624 900000:disconnected",
	  "1 out completed " LOGGED STOPPED "500500:parked_first 812300:parked_last 812400:released "
	  "812900:out=624 900000:disconnected; blackout 312.4 ms, parked 624, delivered 624, dropped 0",
	  "1 logging, 1 stopped, 1 completed, 1 completed" },
	{ "complete, the source ends before the guest is heard of",
	  LOG STOP "600000:disconnected 700000:released 700001:out",
	  "1 out completed " LOGGED STOPPED "600000:disconnected 700000:released 700001:out=0; "
	  "blackout 200.0 ms, parked 0, delivered 0, dropped 0",
	  "1 logging, 1 stopped, 1 completed, 1 completed" },
	{ "complete, never heard of, nothing was parked",
	  LOG STOP "600000:disconnected",
	  "1 out completed " LOGGED STOPPED "600000:disconnected; "
	  "blackout not known, parked 0, delivered 0, dropped 0",
	  "1 logging, 1 stopped, 1 completed" },
	{ "told in another order than it happened",
	  "100:log_on 0:log_base=8192 " STOP "600000:released 550000:parked_first",
	  "1 out completed " LOGGED STOPPED "550000:parked_first 600000:released; "
	  "blackout 100.0 ms, parked 0, delivered 0, dropped 0",
	  "1 logging, 1 stopped, 1 completed" },
	{ "cancelled twice, then complete",
	  LOG "look:pages=40 look:rounds=2 90000:log_off 100000:log_base 100010:log_on "
	  "look:pages=50 look:rounds=3 190000:log_off 200000:log_base 200010:log_on " STOP
	  "510000:released",
	  "1 out cancelled " LOGGED "90000:log_off; "
	  "cancelled after 90.0 ms, no blackout, 40 pages in 2 rounds | "
	  "2 out cancelled 0:log_base 10:log_on 90000:log_off; "
	  "cancelled after 90.0 ms, no blackout, 10 pages in 1 round | "
	  "3 out completed 0:log_base 10:log_on 300000:stop 300400:drained 300450:base "
	  "310000:released; blackout 10.0 ms, parked 0, delivered 0, dropped 0",
	  "1 logging, 1 cancelled, 2 logging, 2 cancelled, 3 logging, 3 stopped, 3 completed" },
	{ "the destination fails, the source goes on, then stops to log",
	  LOG STOP "look:parked=9 700000:started=77 700010:ready 700020:ready=1 700030:released "
	  "look:delivered=9 700040:out=9 700050:log_base 800000:log_off",
	  "1 out resumed " LOGGED STOPPED "700000:started 700020:ready 700030:released 700040:out=9 "
	  "700050:log_base 800000:log_off; "
	  "resumed here, blackout 200.0 ms, parked 9, delivered 9, dropped 0",
	  "1 logging, 1 stopped, 1 logging, 1 logging, 1 resumed" },
	{ "the destination fails, the source stops to log, then goes on",
	  LOG STOP "600000:log_off 700000:started=77 700010:ready",
	  "1 out resumed " LOGGED STOPPED "600000:log_off 700000:started 700010:ready; "
	  "resumed here, blackout 200.0 ms, parked 0, delivered 0, dropped 0",
	  "1 logging, 1 stopped, 1 resumed" },
	{ "the guest reboots in the middle, then the migration is cancelled",
	  LOG STOP "600000:started 600010:ready 700000:log_off",
	  "1 out cancelled " LOGGED STOPPED "600000:started 600010:ready 700000:log_off; "
	  "cancelled after 700.0 ms, no blackout, 0 pages in 0 rounds",
	  "1 logging, 1 stopped, 1 logging, 1 cancelled" },
	{ "the guest is paused in the middle, goes on, and leaves",
	  LOG STOP "600000:started=5 700000:stop 700010:base 700020:released",
	  "1 out completed " LOGGED STOPPED "600000:started 700000:stop 700010:base 700020:released; "
	  "blackout 0.0 ms, parked 0, delivered 0, dropped 0",
	  "1 logging, 1 stopped, 1 logging, 1 stopped, 1 completed" },
	{ "killed while it logs",
	  LOG "300000:disconnected",
	  "1 out killed " LOGGED "300000:disconnected; "
	  "front-end vanished, blackout none, parked 0, delivered 0, dropped 0",
	  "1 logging, 1 killed" },
	{ "left, and nobody has heard of it in time",
	  LOG STOP "look:parked=3 600000:disconnected 900000:dropped look:dropped=3 tick",
	  "1 out expired " LOGGED STOPPED "600000:disconnected 900000:dropped; "
	  "not heard of elsewhere, blackout not known, parked 3, delivered 0, dropped 3",
	  "1 logging, 1 stopped, 1 completed, 1 expired" },
	{ "timed out, and then it goes on here",
	  LOG STOP "600000:dropped look:dropped=3 tick 700000:started=4 710000:log_off",
	  "1 out resumed " LOGGED STOPPED "600000:dropped 700000:started 710000:log_off; "
	  "resumed here, blackout 200.0 ms, parked 0, delivered 0, dropped 3",
	  "1 logging, 1 stopped, 1 expired, 1 logging, 1 resumed" },
	{ "frames that go out are counted, whoever tells",
	  LOG STOP "600000:released look:delivered=5 700000:out",
	  "1 out completed " LOGGED STOPPED "600000:released 700000:out=5; "
	  "blackout 100.0 ms, parked 0, delivered 5, dropped 0",
	  "1 logging, 1 stopped, 1 completed, 1 completed" },
	{ "arrives at a position, announced after",
	  "0:started=300 100:ready 250:ready=1 900:announced=5 1000:announced=5 tick",
	  "1 in arrived 0:started 250:ready 900:announced; "
	  "rings started in 0.2 ms, first receive not seen, first transmit not seen, announced 0.9 ms",
	  "1 arrived" },
	{ "arrives fresh, announced before",
	  "0:announced=5 700:started 800:ready tick",
	  "1 in arrived 0:announced 700:started 800:ready; "
	  "rings started in 0.1 ms, first receive not seen, first transmit not seen, announced before",
	  "1 arrived" },
	{ "an announcement of long ago says nothing about a reboot",
	  "0:announced=5 20000000:started 20000001:ready", "", "" },
	{ "a paused guest that goes on has not arrived",
	  "0:started 1:ready 50:started=99 60:ready", "", "" },
	{ "ping-pong: leaves, comes back, leaves",
	  LOG STOP "look:parked=2 700000:released look:delivered=2 700010:out=2 710000:disconnected "
	  "2000000:started=900 2000010:ready 3000000:log_base 3000001:log_on 3500000:stop "
	  "look:parked=7 3600000:released look:delivered=7 3600100:out=5",
	  "1 out completed " LOGGED STOPPED "700000:released 700010:out=2 710000:disconnected; "
	  "blackout 200.0 ms, parked 2, delivered 2, dropped 0 | "
	  "2 in arrived 0:started 10:ready; "
	  "rings started in 0.0 ms, first receive not seen, first transmit not seen, announced not seen | "
	  "3 out completed 0:log_base 1:log_on 500000:stop 600000:released 600100:out=5; "
	  "blackout 100.0 ms, parked 5, delivered 5, dropped 0",
	  "1 logging, 1 stopped, 1 completed, 1 completed, 2 arrived, 3 logging, 3 stopped, "
	  "3 completed, 3 completed" },
	{ "ping-pong on one connection: frames of before go out to who comes back",
	  LOG STOP "look:parked=2 700000:released 800000:started=9 look:delivered=2 800010:out=2",
	  "1 out completed " LOGGED STOPPED "700000:released 800010:out=2; "
	  "blackout 200.0 ms, parked 2, delivered 2, dropped 0 | "
	  "2 in arrived 0:started; "
	  "rings started in one step, first receive not seen, first transmit not seen, announced not seen",
	  "1 logging, 1 stopped, 1 completed, 2 arrived, 1 completed" },
	{ "ferryd was restarted: the front-end logs before it starts its rings",
	  "0:log_base 10:log_on 20:started=50 30:ready 400000:stop 500000:released",
	  "1 out completed 0:log_base 10:log_on 20:started 30:ready 400000:stop 500000:released; "
	  "blackout 100.0 ms, parked 0, delivered 0, dropped 0",
	  "1 logging, 1 stopped, 1 completed" },
	{ "what belongs to nothing",
	  "0:log_off 1:drained 2:base 3:parked_first 4:released 5:out 6:dropped 7:disconnected "
	  "8:ready 9:first_receive", "", "" },
};

/* Times lie ahead, so that a look of now is never later than what is played. */
static void
stories(void)
{
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		char *text;

		rig_start();
		play(rows[i].script, rte_rdtsc() + 1000 * HZ);
		text = records_text();
		CHECK_STR(rows[i].story, text, rows[i].records);
		CHECK_STR(rows[i].story, rig.news, rows[i].news);
		free(text);
		rig_stop();
	}
}

/* Who does not park hears of the guest only by its address; once is enough. */
static void
heard(void)
{
	const struct migration *m;
	struct migration_story s;
	uint32_t iter = 0;

	rig_start();
	migrations_heard(rig.ms, PORT, PORT + 1);
	play("0:log_base 100:log_on", rte_rdtsc() - HZ);
	migrations_heard(rig.ms, PORT, PORT + 1);
	m = migrations_next(rig.ms, PORT, &iter);
	CHECK(m->n_moments == 2);
	play("500000:stop 500100:base 600000:disconnected", rte_rdtsc() - HZ);
	migrations_heard(rig.ms, PORT, PORT + 1);
	migrations_heard(rig.ms, PORT, PORT + 1);
	migration_story(m, &s);
	CHECK(m->n_moments == 6 && m->moments[5].moment == MOMENT_RELEASED);
	CHECK(s.state == MIGRATION_COMPLETED && migration_blackout_us(m) > 0);
	rig_stop();
}

/* The port where the guest is found knows better when it came. */
static void
found_on_a_port(void)
{
	uint64_t begin = rte_rdtsc() + 1000 * HZ;
	const struct migration *m;
	uint32_t iter = 0;

	rig_start();
	play(LOG STOP, begin);
	moment_send_at(rig.cross, OTHER, MOMENT_STARTED, begin + 600000000, 9);
	moment_send_at(rig.cross, PORT, MOMENT_RELEASED, begin + 700000000, OTHER);
	events_run();
	m = migrations_next(rig.ms, PORT, &iter);
	CHECK(m->n_moments == 7 && m->moments[5].moment == MOMENT_ELSEWHERE);
	CHECK(m->moments[5].tsc == begin + 600000000 && m->moments[5].value == OTHER);
	CHECK(migration_blackout_us(m) == 100000);
	/* Who came before the guest left is another one. */
	play("1000000:log_base 1000001:log_on 1100000:stop 1100001:base", begin);
	moment_send_at(rig.cross, PORT, MOMENT_RELEASED, begin + 1300000000, OTHER);
	events_run();
	m = migrations_next(rig.ms, PORT, &iter);
	CHECK(m->n_moments == 5 && migration_blackout_us(m) == 200000);
	rig_stop();
}

static void
progress(void)
{
	static const struct { const char *script; uint32_t done; } steps[] = {
		{ "0:log_base", 1 }, { "1:log_on", 1 }, { "2:stop", 2 }, { "3:drained", 3 },
		{ "4:base", 4 }, { "5:released", 5 },
	};
	uint64_t begin = rte_rdtsc();

	rig_start();
	for (size_t i = 0; i < RTE_DIM(steps); i++) {
		uint32_t iter = 0, done, of;

		play(steps[i].script, begin);
		migration_progress(migrations_next(rig.ms, PORT, &iter), &done, &of);
		CHECK(done == steps[i].done && of == 5);
	}
	rig_stop();
}

/* A history is bounded, in records and in moments of one. */
static void
bounds(void)
{
	uint64_t begin = rte_rdtsc() + 1000 * HZ;
	const struct migration *m;
	struct migration_story s;
	uint32_t iter = 0;

	rig_start();
	for (int i = 0; i < 40; i++)
		play("0:log_on 1:log_off", begin + (uint64_t)i * 1000000);
	m = migrations_next(rig.ms, PORT, &iter);
	CHECK(m != NULL && m->number == 40 - MIGRATION_KEEP + 1);
	while (iter < MIGRATION_KEEP)
		m = migrations_next(rig.ms, PORT, &iter);
	CHECK(m != NULL && m->number == 40 && migrations_next(rig.ms, PORT, &iter) == NULL);
	for (int i = 0; i < 100; i++)
		play("2:log_base", begin + 50000000 + (uint64_t)i * 1000);
	play("500:stop", begin + 60000000);
	iter = MIGRATION_KEEP - 1;
	m = migrations_next(rig.ms, PORT, &iter);
	migration_story(m, &s);
	CHECK(m->number == 41 && m->n_moments == MIGRATION_MOMENTS);
	CHECK(m->n_cut == 101 - MIGRATION_MOMENTS && s.state == MIGRATION_STOPPED);
	CHECK(m->moments[0].tsc == begin + 50002000);
	migrations_port_del(rig.ms, PORT);
	iter = 0;
	CHECK(migrations_next(rig.ms, PORT, &iter) == NULL);
	rig_stop();
}

static void
lost(void)
{
	const struct event none = { .kind = EVENT_FDB_SEEN };
	uint64_t begin = rte_rdtsc();
	const struct migration *m;
	uint32_t iter = 0;

	rig_start();
	play("0:log_base", begin);
	m = migrations_next(rig.ms, PORT, &iter);
	CHECK(m != NULL && m->n_lost == 0);
	while (event_send(rig.cross, &none))
		;
	events_run();
	play("10:log_on", begin);
	CHECK(m->n_lost == 1);
	play("20:log_off 30:log_on", begin);
	m = migrations_next(rig.ms, PORT, &iter);
	CHECK(m != NULL && m->n_lost == 0);
	rig_stop();
}

static void
watching(void)
{
	const struct migration *m;
	uint32_t iter = 0;

	rig_start();
	CHECK(!migrations_busy(rig.ms));
	play("0:started 1:ready", rte_rdtsc());
	CHECK(!migrations_busy(rig.ms));
	play("2:log_base 3:log_on", rte_rdtsc());
	CHECK(migrations_busy(rig.ms));
	rig.look.pages = 100;
	looks_wait(2);
	m = migrations_next(rig.ms, PORT, &iter);
	CHECK(m->n_samples >= 1 && m->samples[m->n_samples - 1].pages == 100);
	/* Nobody looks at a port that has stopped, and its last pages are counted. */
	rig.look.pages = 130;
	play("0:stop", rte_rdtsc());
	rig.look.pages = 0;
	play("0:base", rte_rdtsc());
	CHECK(m->samples[m->n_samples - 1].pages == 130);
	while (migrations_busy(rig.ms))
		event_base_loop(loop_base(rig.loop), EVLOOP_ONCE);
	rig_stop();
}

/* The first frames are found by looking, and then nobody looks any more. */
static void
firsts(void)
{
	const struct migration *m;
	uint32_t iter = 0;
	uint64_t begin;

	rig_start();
	begin = rte_rdtsc();
	rig.look.first_receive = begin - 1; /* of before */
	play("0:started=9 0:ready", begin);
	CHECK(migrations_busy(rig.ms));
	looks_wait(1);
	m = migrations_next(rig.ms, PORT, &iter);
	CHECK(m->n_moments == 2 && rig.news[0] == '\0');
	rig.look.first_receive = begin + 3000;
	rig.look.first_transmit = begin + 5000;
	while (migrations_busy(rig.ms))
		event_base_loop(loop_base(rig.loop), EVLOOP_ONCE);
	CHECK(m->n_moments == 4 && m->moments[2].moment == MOMENT_FIRST_RECEIVE);
	CHECK(m->moments[3].moment == MOMENT_FIRST_TRANSMIT &&
	      m->moments[3].tsc == begin + 5000);
	migrations_look(rig.ms, PORT);
	CHECK(m->n_moments == 4);
	CHECK_STR("told with its first frames", rig.news, "1 arrived");
	rig_stop();
}

/* What lasts, in milliseconds. */
static void
spans(void)
{
	static const struct { const char *story, *script, *spans; } list[] = {
		{ "complete", "0:log_base 1000:log_on 5000:stop 6000:parked_first 8000:released 9000:out "
		  "10000:disconnected", "stopped 5-8, parked 6-9, logging 1-10, " },
		{ "log on and off", "0:log_on 1000:log_on 2000:log_off", "logging 0-2, " },
		{ "resumed", "0:log_on 2000:stop 4000:started=7 8000:log_off",
		  "stopped 2-4, logging 0-8, running 4-8, " },
		{ "under way", "0:log_on 2000:stop 7000:base", "logging 0-7, stopped 2-7, " },
	};
	struct migration_span got[MIGRATION_SPANS_MAX];

	for (size_t i = 0; i < RTE_DIM(list); i++) {
		const struct migration *m;
		char text[256] = "";
		uint32_t iter = 0, n;

		rig_start();
		play(list[i].script, rte_rdtsc() + 1000 * HZ);
		m = migrations_next(rig.ms, PORT, &iter);
		n = migration_spans(m, got, MIGRATION_SPANS_MAX);
		for (uint32_t j = 0; j < n; j++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %u-%u, ",
				 migration_lane_names[got[j].lane],
				 (unsigned int)(migration_us(m, got[j].from) / 1000),
				 (unsigned int)(migration_us(m, got[j].to) / 1000));
		CHECK_STR(list[i].story, text, list[i].spans);
		rig_stop();
	}
}

/* What samples say of rounds: "begin +length pages/harvests". */
static void
rounds(void)
{
	struct migration m = {
		.hz = HZ, .n_moments = 1, .moments = { { .tsc = 1000 } }, .n_samples = 6,
		.samples = {
			{ 100001000, 40, 0 }, { 200001000, 90, 0 }, { 300001000, 95, 1 },
			{ 400001000, 96, 4 }, { 500001000, 99, 4 }, { 600001000, 105, 4 },
		},
	};
	struct migration_round r;
	char text[256] = "";
	uint32_t iter = 0;

	while (migration_round_next(&m, &iter, &r))
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%llu +%llu %llu/%llu, ",
			 (unsigned long long)migration_us(&m, r.tsc) / 1000,
			 (unsigned long long)r.cycles / 1000000, (unsigned long long)r.pages,
			 (unsigned long long)r.rounds);
	CHECK_STR("rounds", text, "0 +300 95/1, 300 +100 1/3, 400 +200 9/0, ");
	CHECK(migration_rate(&m, 95, HZ / 10) == 950 && migration_rate(&m, 95, 0) == 0);
	m.n_samples = 0;
	iter = 0;
	CHECK(!migration_round_next(&m, &iter, &r));
	/* An hour after what was noted by the wall's clock. */
	m.wall_ns = 5000000000000;
	m.wall_tsc = 1000 + 3600 * HZ;
	CHECK(migration_wall_ns(&m) == m.wall_ns - 3600 * HZ);
}

int
main(void)
{
	stories();
	heard();
	found_on_a_port();
	progress();
	bounds();
	lost();
	watching();
	firsts();
	spans();
	rounds();
	return check_done("migration");
}
