/* SPDX-License-Identifier: BSD-3-Clause */
/* Parks: what each call makes of each phase. */
#include "park_test.h"
#include "clock.h"
#include "moment.h"

#include <rte_eal.h>

#include <errno.h>
#include <unistd.h>

/* The port that is left, where the guest goes, and where it may go on to. */
#define P 3
#define Q 7
#define S 1

#define TIMEOUT_MS 40

static struct cross *cross;
static struct park_set *parks;
static uint32_t n_wanted, n_closed;
static uint16_t closed_heir;

static void
on_wanted(void *arg)
{
	(*(uint32_t *)arg)++;
}

static void
on_closed(void *arg, uint16_t port, uint16_t heir)
{
	CHECK(arg == &n_wanted);
	CHECK(port == P || port == Q);
	n_closed += port == P;
	closed_heir = port == P ? heir : closed_heir;
}

static void
create(uint32_t bytes)
{
	const struct park_opts opts = { .bytes = bytes, .timeout_ms = TIMEOUT_MS };
	const struct park_ops ops = { .wanted = on_wanted, .closed = on_closed };

	CHECK(cross_create(2, &cross) == 0);
	CHECK(park_set_create(cross, &opts, &ops, &n_wanted, &parks) == 0);
	n_wanted = n_closed = 0;
	closed_heir = UINT16_MAX - 1;
}

static void
destroy(void)
{
	park_set_destroy(parks);
	cross_destroy(cross);
}

/* A frame as a worker keeps it. */
static void
keep(uint16_t port, uint32_t worker)
{
	struct park_buf *b = park_view(parks)->ports[port]->bufs[worker];
	struct park_frame *pf = park_buf_room(b, 60);

	memset(pf->bytes, 0, 60);
	park_buf_put(b, pf, 60);
}

static void
empty(uint16_t port, uint32_t worker)
{
	struct park_buf *b = park_view(parks)->ports[port]->bufs[worker];
	uint64_t at = 0;

	while (park_buf_next(b, &at) != NULL)
		;
	park_buf_take(b, at);
}

/* Long enough for whatever ends by itself, but for the time-out of one that is not empty. */
static void
linger(void)
{
	for (int i = 0; i < 2; i++) {
		park_tick(parks);
		usleep(210000);
	}
	park_tick(parks);
	event_run(cross, UINT32_MAX);
}

static void
time_out(void)
{
	usleep(TIMEOUT_MS * 1100);
	park_tick(parks);
}

/* Returns what park_learned() said, or true. */
static bool
step(char c)
{
	switch (c) {
	case 'O': CHECK(park_open(parks, P) == 0); break;
	case 'C': park_cancel(parks, P); break;
	case 'B': park_begin(parks, P, 5, 2); break;
	case 'R': park_return(parks, P); break;
	case 'F': park_forget(parks, P); break;
	case 'V': park_vanished(parks, P); break;
	case 'L': return park_learned(parks, P, Q);
	case 'M': return park_learned(parks, P, S);
	case 'o': CHECK(park_open(parks, Q) == 0); break;
	case 'b': park_begin(parks, Q, 5, 2); break;
	case 'f': park_forget(parks, Q); break;
	case 'k': keep(P, 1); break;
	case 'e': empty(P, 1); break;
	case 't': park_tick(parks); break;
	case 'w': linger(); break;
	case 'x': time_out(); break;
	}
	return true;
}

#define NONE (-1)
#define HERE(phase, heir) PARK_##phase, heir
#define GONE NONE, 0

static const struct row {
	const char *story, *steps;
	int phase;
	uint16_t heir;
	bool not_withheld;       /* the last step is 'L' or 'M' and says no */
	bool closed;             /* the set has told so */
	uint16_t closed_heir;
} rows[] = {
	{ "logging on", "O", HERE(READY, PARK_NOWHERE) },
	{ "twice", "OO", HERE(READY, PARK_NOWHERE) },
	{ "off again", "OC", GONE },
	{ "nothing to switch off", "C", GONE },
	{ "nothing to keep in", "B", GONE },
	{ "nobody to return", "R", GONE },
	{ "a guest that was not away", "OR", HERE(READY, PARK_NOWHERE) },
	{ "an address moves for another reason", "OL", HERE(READY, PARK_NOWHERE), true },
	{ "without a park", "L", GONE, true },
	{ "ready as long as nobody leaves", "Oxw", HERE(READY, PARK_NOWHERE) },
	{ "it leaves", "OB", HERE(KEEPING, PARK_NOWHERE) },
	{ "logging off while it is away", "OBC", HERE(KEEPING, PARK_NOWHERE) },
	{ "every ring is stopped", "OBBB", HERE(KEEPING, PARK_NOWHERE) },
	{ "seen elsewhere", "OBL", HERE(RELEASING, Q) },
	{ "and again", "OBLL", HERE(RELEASING, Q) },
	{ "it has gone on", "OBLM", HERE(RELEASING, S) },
	{ "it came back and is seen elsewhere", "OBkRL", HERE(RELEASING, P) },
	{ "it came back, vanished, and is seen elsewhere", "OBkRVL", HERE(RELEASING, Q) },
	{ "who is elsewhere cannot vanish here", "OBkLV", HERE(RELEASING, Q) },
	{ "nor who has not come back", "OV", HERE(READY, PARK_NOWHERE) },
	{ "the heir is no more", "OBLf", HERE(KEEPING, PARK_NOWHERE) },
	{ "another port is no more", "OBLMf", HERE(RELEASING, S) },
	{ "after that it is seen again", "OBLfM", HERE(RELEASING, S) },
	{ "its address follows", "OBLw", GONE, false, true, Q },
	{ "to where it went on", "OBLMw", GONE, false, true, S },
	{ "it is back", "OBR", HERE(RELEASING, P) },
	{ "it is back after it was seen elsewhere", "OBLR", HERE(RELEASING, P) },
	{ "late news of elsewhere", "OBRL", HERE(RELEASING, P) },
	{ "back, and still logged", "OBRw", HERE(READY, PARK_NOWHERE), false, true, P },
	{ "back, and logged no more", "OBRCw", GONE, false, true, P },
	{ "logged no more, and back", "OBCRw", GONE, false, true, P },
	{ "back, and leaves again", "OBRB", HERE(KEEPING, PARK_NOWHERE) },
	{ "leaves again later", "OBRwB", HERE(KEEPING, PARK_NOWHERE), false, true, P },
	{ "released elsewhere, and leaves here", "OBLB", HERE(KEEPING, PARK_NOWHERE) },
	{ "nowhere to be seen", "OBx", HERE(DROPPING, PARK_NOWHERE) },
	{ "and over", "OBxt", GONE, false, true, PARK_NOWHERE },
	{ "seen too late", "OBxL", HERE(DROPPING, PARK_NOWHERE), true },
	{ "back at the last moment", "OBxR", HERE(RELEASING, P) },
	{ "leaves at the last moment", "OBxB", HERE(KEEPING, PARK_NOWHERE) },
	{ "what is kept stays until it is out", "OBkLtw", HERE(DROPPING, Q) },
	{ "dropped by the workers", "OBkLtwet", GONE, false, true, Q },
	{ "out in time", "OBkLtew", GONE, false, true, Q },
	{ "the time-out waits for the workers", "OBkxtt", HERE(DROPPING, PARK_NOWHERE) },
	{ "the heir is no more, too late", "OBkLxf", HERE(DROPPING, PARK_NOWHERE) },
	{ "the port is no more", "OF", GONE },
	{ "while its guest is away", "OBkF", GONE },
	{ "while it is released", "OBkLF", GONE },
	{ "while it is dropped", "OBkxF", GONE },
};

static void
row_check(const struct row *row, bool said)
{
	const struct park_live *seen = park_view(parks)->ports[P];
	struct park_info info;
	int rc = park_info(parks, P, &info);
	int phase = rc == 0 ? (int)info.phase : NONE;
	const char *wanted = row->phase == NONE ? "none" : park_phase_names[row->phase];

	CHECK_STR(row->story, phase == NONE ? "none" : park_phase_names[phase], wanted);
	CHECK_STR(row->story, said ? "withheld" : "not", row->not_withheld ? "not" : "withheld");
	CHECK_STR(row->story, n_closed > 0 ? "closed" : "open", row->closed ? "closed" : "open");
	CHECK(!row->closed || closed_heir == row->closed_heir);
	CHECK((seen != NULL) == (rc == 0));
	if (seen == NULL || rc < 0)
		return;
	CHECK_STR(row->story, info.heir == row->heir ? "heir" : "another", "heir");
	CHECK(seen->phase == info.phase && seen->heir == info.heir && seen->port == P);
	CHECK(info.bytes == 2 * PARK_BUF_MIN);
	CHECK(park_active(parks, P) == (info.phase != PARK_READY));
	CHECK(park_any(parks) == park_active(parks, P));
	CHECK(park_view(parks)->n_active == park_any(parks));
}

static void
phases(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool said = true;

		create(2 * PARK_BUF_MIN);
		for (const char *c = rows[i].steps; *c != '\0'; c++)
			said = step(*c);
		row_check(&rows[i], said);
		CHECK(n_wanted > 0 || strchr(rows[i].steps, 'B') == NULL ||
		      strchr(rows[i].steps, 'O') == NULL);
		destroy();
	}
}

/* What is kept in between follows, wherever the guest goes. */
static void
chain(void)
{
	struct park_info info;

	create(1);
	for (const char *c = "OBLobM"; *c != '\0'; c++)
		step(*c);
	CHECK(park_info(parks, P, &info) == 0 && info.phase == PARK_RELEASING && info.heir == S);
	CHECK(park_info(parks, Q, &info) == 0 && info.phase == PARK_RELEASING && info.heir == S);
	destroy();
	create(1);
	for (const char *c = "OBLobR"; *c != '\0'; c++)
		step(*c);
	CHECK(park_info(parks, P, &info) == 0 && info.phase == PARK_RELEASING && info.heir == P);
	CHECK(park_info(parks, Q, &info) == 0 && info.phase == PARK_RELEASING && info.heir == P);
	destroy();
}

/* Somebody whose address keeps changing places does not keep a park open. */
static void
restless(void)
{
	uint64_t end;

	create(1);
	step('O');
	step('B');
	for (end = clock_ns() + NS_PER_S / 2; clock_ns() < end && n_closed == 0; usleep(5000)) {
		step(clock_ns() / 5000000 % 2 == 0 ? 'L' : 'M');
		step('t');
	}
	CHECK(n_closed == 1);
	destroy();
}

static void
sizes(void)
{
	struct park_opts opts = { .bytes = 0, .timeout_ms = TIMEOUT_MS };
	struct park_info info;

	create(0);
	CHECK(park_open(parks, P) == 0 && park_info(parks, P, &info) == -ENOENT);
	opts.bytes = 2 << 20;
	park_set_opts(parks, &opts);
	CHECK(park_open(parks, P) == 0 && park_info(parks, P, &info) == 0);
	CHECK(info.bytes == opts.bytes && info.kept == 0);
	step('k');
	CHECK(park_info(parks, P, &info) == 0 && info.kept > 60 && info.kept < 120);
	opts.bytes = 4 << 20;
	park_set_opts(parks, &opts);
	CHECK(park_open(parks, P) == 0 && park_info(parks, P, &info) == 0);
	CHECK(info.bytes == 2 << 20);
	CHECK(park_open(parks, PARK_PORTS_MAX - 1) == 0);
	CHECK(park_info(parks, PARK_PORTS_MAX - 1, &info) == 0 && info.bytes == opts.bytes);
	destroy();
	park_set_destroy(NULL);
}

/* When the first and the last were kept is told once a migration. */
static uint32_t told[MOMENT_N];

static void
on_moment(void *arg, const struct event *ev)
{
	CHECK(ev->port == P && ev->values[0] <= rte_rdtsc() && arg == NULL);
	told[ev->reason]++;
}

static void
moments(void)
{
	create(1);
	event_handle(cross, EVENT_MOMENT, on_moment, NULL);
	for (uint32_t round = 1; round <= 2; round++) {
		for (const char *c = "OBktkLtew"; *c != '\0'; c++)
			step(*c);
		CHECK(told[MOMENT_PARKED_FIRST] == round && told[MOMENT_PARKED_LAST] == round);
		CHECK(told[MOMENT_RELEASED] == round && told[MOMENT_OUT] == round);
	}
	for (const char *c = "OBkRtetBkRtew"; *c != '\0'; c++)
		step(*c);
	CHECK(told[MOMENT_RELEASED] == 4 && told[MOMENT_OUT] == 4 && told[MOMENT_DROPPED] == 0);
	for (const char *c = "Bxt"; *c != '\0'; c++)
		step(*c);
	event_run(cross, UINT32_MAX);
	CHECK(told[MOMENT_DROPPED] == 1);
	destroy();
}

int
main(void)
{
	char *eal[] = { "park_test", "--no-huge", "--no-shconf", "--no-pci", "-m", "64",
			"--no-telemetry", "--log-level=error" };

	if (rte_eal_init(sizeof(eal) / sizeof(eal[0]), eal) < 0)
		return 1;
	park_buf_stories();
	phases();
	chain();
	restless();
	sizes();
	moments();
	park_host_stories();
	park_race_stories();
	return check_done("park");
}
