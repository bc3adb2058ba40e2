/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames for a guest on its way: all of them arrive, once, in order, where the guest is. */
#include "fwd_park_rig.h"

#include <unistd.h>

/* All that was sent has come, and what was kept was given away. */
static void
all_there(void)
{
	away_receive();
	CHECK(away_missing() == 0);
	for (uint16_t s = 0; s < away.opts.n_senders; s++)
		CHECK(away.flows[s].missing == 0);
	CHECK(away_count(COUNT_PARKED) > 0);
	CHECK(away_count(COUNT_PARKED) == away_count(COUNT_UNPARKED));
	CHECK(testbed_drops(&away.rig.bed) == 0);
}

static void
back(const struct away_opts *opts)
{
	away_create(opts);
	away_talk(20);
	away_leave(A);
	away_send(50);
	CHECK(away_missing() == 50u * opts->n_senders);
	CHECK(away_count(COUNT_PARKED) == away_missing());
	away_return(A);
	away_talk(20);
	all_there();
	away_close();
	away_talk(2);
	all_there();
	CHECK(away_address() == A && away.came[B] + away.came[C] == 0);
	away_destroy();
}

/* It stays in sight of the senders while it moves: some is sent at every step. */
static void
elsewhere(const struct away_opts *opts)
{
	uint64_t before;

	away_create(opts);
	away_talk(20);
	before = away.came[A];
	away_leave(A);
	away_send(60);
	away_start(B);
	away_send(5);
	CHECK(away_count(COUNT_PARKED) == away_missing());
	away_speak(B);
	away_send(1);
	away_talk(30);
	all_there();
	CHECK(away_address() == A);
	away_close();
	CHECK(away_address() == B);
	away_talk(5);
	all_there();
	CHECK(away.came[A] == before);
	away_destroy();
}

/* Ring after ring, as a front-end starts them: all stop for a moment for each. */
static void
ring_by_ring(const struct away_opts *opts)
{
	struct side *b = &away.rig.sides[B];

	away_create(opts);
	away_leave(A);
	away_send(30);
	away_speak(B);
	for (uint16_t i = 0; i < b->n_rings; i++)
		b->rings[i].started = false;
	for (uint16_t i = 0; i < b->n_rings; i++) {
		b->rings[i].started = true;
		away_start(B);
		away_send(2);
		if (i + 2 < b->n_rings)
			CHECK(away.came[B] == 0);
		if (i + 1 < b->n_rings)
			side_stop(b);
	}
	all_there();
	away_close();
	away_talk(4);
	all_there();
	away_destroy();
}

/* It has fewer rings there: they are waited for, but not for long. */
static void
fewer_rings(const struct away_opts *opts)
{
	struct side *b = &away.rig.sides[B];

	away_create(opts);
	away_leave(A);
	away_send(30);
	away_speak(B);
	for (uint16_t i = 2; i < b->n_rings; i++)
		b->rings[i].started = false;
	away_start(B);
	away_send(5);
	CHECK(away_missing() == 35u * opts->n_senders);
	usleep(25000);
	all_there();
	away_close();
	away_destroy();
}

static void
moves(void)
{
	static const struct away_opts rows[] = {
		{ .n_workers = 1, .pairs = 1, .n_senders = 1 },
		{ .n_workers = 1, .pairs = 1, .n_senders = 3, .n_bufs = 3 },
		{ .n_workers = 1, .pairs = 4, .n_senders = 2, .n_bufs = 2, .packed = true },
		{ .n_workers = 2, .pairs = 1, .n_senders = 4, .n_bufs = 5, .packed = true },
		{ .n_workers = 2, .pairs = 2, .n_senders = 4, .n_bufs = 5 },
		{ .n_workers = 2, .pairs = 3, .n_senders = 4, .packed = true },
		{ .n_workers = 4, .pairs = 3, .n_senders = 4, .n_bufs = 2 },
		{ .n_workers = 4, .pairs = 4, .n_senders = 4, .n_bufs = 4, .packed = true },
		{ .n_workers = 1, .pairs = 1, .n_senders = 1, .n_bufs = 40, .len = 9014 },
		{ .n_workers = 2, .pairs = 1, .n_senders = 2, .n_bufs = 7, .len = 1514 },
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		back(&rows[i]);
		elsewhere(&rows[i]);
		ring_by_ring(&rows[i]);
		if (rows[i].pairs > 1)
			fewer_rings(&rows[i]);
	}
}

/* More than there is room for: counted, and order is kept. */
static void
full(void)
{
	static const struct away_opts opts = {
		.n_workers = 1, .pairs = 1, .n_senders = 1, .len = 9014, .n_bufs = 200, .small = true,
	};

	away_create(&opts);
	away_leave(A);
	away_send(60);
	CHECK(away_drop(DROP_PARK_FULL) > 20);
	CHECK(away_count(COUNT_PARKED) + away_drop(DROP_PARK_FULL) == 60);
	away_return(A);
	away_send(1);
	away_receive();
	CHECK(away_missing() == away_drop(DROP_PARK_FULL));
	CHECK(away_count(COUNT_UNPARKED) == away_count(COUNT_PARKED));
	away_close();
	away_destroy();
}

/* Nobody comes: all is dropped under one name, and what follows under the usual one. */
static void
timed_out(bool speaks)
{
	static const struct away_opts opts = {
		.n_workers = 2, .pairs = 1, .n_senders = 3, .timeout_ms = 50,
	};

	away_create(&opts);
	away_leave(A);
	away_send(40);
	if (speaks)
		away_speak(B);
	usleep(60000);
	away_send(10);
	park_tick(away.rig.bed.parks);
	rig_turn(&away.rig);
	CHECK(away_drop(DROP_PARK_TIMEOUT) == 150);
	away_send(1);
	away_close();
	CHECK(away_count(COUNT_PARKED) == 150 && away_count(COUNT_UNPARKED) == 0);
	CHECK(away_missing() == testbed_drops(&away.rig.bed));
	CHECK(away_drop(DROP_NO_RING) == 3);
	CHECK(away_address() == (speaks ? B : UINT16_MAX));
	away_destroy();
}

/* Its rings run there, but it takes nothing in time: new frames go on, old ones are dropped. */
static void
asleep_there(void)
{
	static const struct away_opts opts = {
		.n_workers = 1, .pairs = 1, .n_senders = 1, .n_bufs = 4, .timeout_ms = 50,
	};

	away_create(&opts);
	away_leave(A);
	away_send(40);
	away_start(B);
	away_speak(B);
	rig_turn(&away.rig);
	usleep(60000);
	park_tick(away.rig.bed.parks);
	rig_turn(&away.rig);
	CHECK(away_drop(DROP_PARK_TIMEOUT) == 36 && away_count(COUNT_UNPARKED) == 4);
	away_receive();
	CHECK(away_missing() == 36);
	away_talk(4);
	CHECK(away_missing() == 36);
	away_close();
	CHECK(away_address() == B);
	away_destroy();
}

int
main(void)
{
	moves();
	full();
	timed_out(false);
	timed_out(true);
	asleep_there();
	fwd_park_place_stories();
	return check_done("fwd_park");
}
