/* SPDX-License-Identifier: BSD-3-Clause */
/* Guests that go on, that come back, ports that go, and what is flooded meanwhile. */
#include "fwd_park_rig.h"
#include "clock.h"

#include <unistd.h>

static const struct away_opts two = {
	.n_workers = 2, .pairs = 1, .n_senders = 3, .n_bufs = 6,
};

static void
all_there(void)
{
	away_receive();
	CHECK(away_missing() == 0);
	CHECK(away_count(COUNT_PARKED) == away_count(COUNT_UNPARKED));
	CHECK(testbed_drops(&away.rig.bed) == 0);
}

/* It leaves B before all that waited at A is there. */
static void
chain(void)
{
	away_create(&two);
	away_leave(A);
	away_send(40);
	away_start(B);
	away_speak(B);
	away_send(2);
	CHECK(away_missing() > 100 && away.came[B] == 0);
	away_take(B);
	CHECK(away.came[B] > 0);
	away_leave(B);
	away_send(5);
	away_start(C);
	away_speak(C);
	away_send(1);
	away_talk(5);
	all_there();
	CHECK(away.came[C] > 100);
	away_close();
	CHECK(away_address() == C);
	away_talk(5);
	all_there();
	away_destroy();
}

static void
ping_pong(void)
{
	away_create(&two);
	away_leave(A);
	away_send(40);
	away_start(B);
	away_speak(B);
	away_send(1);
	away_take(B);
	away_leave(B);
	away_send(5);
	away_return(A);
	away_send(1);
	away_speak(A);
	all_there();
	away_talk(5);
	away_close();
	CHECK(away_address() == A);
	away_talk(5);
	all_there();
	CHECK(away.came[A] > 0 && away.came[B] > 0);
	away_destroy();
}

/* There, and back again when all had settled. */
static void
there_and_back(void)
{
	away_create(&two);
	for (int i = 0; i < 3; i++) {
		away_leave(A);
		away_send(30);
		away_start(B);
		away_speak(B);
		all_there();
		away_close();
		CHECK(away_address() == B);
		away_leave(B);
		away_send(30);
		away_return(A);
		away_speak(A);
		all_there();
		away_close();
		CHECK(away_address() == A);
	}
	away_destroy();
}

static void
heir_deleted(void)
{
	away_create(&two);
	away_leave(A);
	away_send(30);
	away_speak(B);
	away_send(1);
	testbed_port_hide(&away.rig.bed, B);
	away_send(1);
	park_forget(away.rig.bed.parks, B);
	fdb_port_del(away.rig.bed.fdb, B);
	away_send(1);
	away_start(C);
	away_speak(C);
	away_send(1);
	all_there();
	away_close();
	CHECK(away_address() == C && away.came[C] == 34u * two.n_senders);
	away_destroy();
}

/* What it has sent is on its way, though it is no more. */
static void
sender_deleted(void)
{
	const uint16_t port = SENDERS;

	away_create(&two);
	away_leave(A);
	away_send(30);
	side_stop(&away.rig.sides[port]);
	testbed_port_hide(&away.rig.bed, port);
	park_forget(away.rig.bed.parks, port);
	fdb_port_del(away.rig.bed.fdb, port);
	away_start(B);
	away_speak(B);
	all_there();
	away_close();
	away_destroy();
}

static void
isolated(void)
{
	struct away_opts opts = two;

	opts.group_of_b = 1;
	away_create(&opts);
	away_leave(A);
	away_send(30);
	away_start(B);
	away_speak(B);
	away_talk(10);
	CHECK(away_missing() == 40 && away.flows[0].received == 0);
	CHECK(testbed_drops(&away.rig.bed) == 40 && away_drop(DROP_ISOLATED) == 40);
	CHECK(away_count(COUNT_PARKED) == away_count(COUNT_UNPARKED) + away_drop(DROP_ISOLATED));
	away_close();
	away_destroy();
}

/* Flooded */

static const struct away_opts roomy = { .n_workers = 2, .pairs = 2, .n_senders = 2 };
static uint64_t n_flooded;
static uint8_t flooded_dst[6];

static void
flood(uint32_t n)
{
	for (; n > 0; n--) {
		uint8_t frame[100] = { 0 };

		memcpy(frame, flooded_dst, 6);
		memcpy(frame + 6, rig_mac(&away.rig, SENDERS), 6);
		frame[12] = 0x88;
		frame[13] = 0xb5;
		memcpy(frame + 20, &n_flooded, sizeof(n_flooded));
		n_flooded++;
		rig_send(&away.rig, SENDERS, frame, sizeof(frame), NULL);
		rig_turn(&away.rig);
	}
}

/* Numbers that have come to the guest, wherever it is; each once. */
static uint32_t came[64];

static void
flooded_take(void)
{
	bool some;

	do {
		some = false;
		rig_turn(&away.rig);
		for (uint16_t p = 0; p < away.rig.n_ports; p++)
			while (rig_recv(&away.rig, p, NULL) > 0) {
				uint64_t n;

				memcpy(&n, away.rig.frame + 20, sizeof(n));
				came[n % 64] += p < SENDERS;
				some = true;
			}
	} while (some);
}

static void
flooded_check(const char *story)
{
	uint32_t lost = 0, twice = 0;

	flooded_take();
	for (uint64_t i = 0; i < n_flooded; i++) {
		lost += came[i] == 0;
		twice += came[i] > 1;
	}
	CHECK_STR(story, lost > 0 ? "lost" : twice > 0 ? "twice" : "once", "once");
}

static void
flooding(bool broadcast, bool restarts)
{
	struct side *b = &away.rig.sides[B];

	away_create(&roomy);
	memset(came, 0, sizeof(came));
	n_flooded = 0;
	memset(flooded_dst, 0xff, 6);
	if (!broadcast)
		memcpy(flooded_dst, (uint8_t[]){ 0x52, 0x54, 0, 1, 2, 3 }, 6);
	flood(2);
	away_leave(A);
	flood(4);
	flooded_take();
	away_start(B);
	flood(2);
	flooded_take();
	if (restarts) {
		side_stop(b);
		flood(2);
		away_start(B);
		flood(2);
		flooded_take();
	}
	away_speak(B);
	flood(2);
	flooded_check(restarts ? "B restarted before it was heard" : "B was up");
	if (restarts) {
		side_stop(b);
		flood(2);
		away_start(B);
		flood(2);
		flooded_check("B restarted after it was heard");
	}
	away_close();
	flood(2);
	flooded_check("afterwards");
	away_destroy();
}

/* It leaves B, too, while A still waits. */
static void
flooding_chain(void)
{
	away_create(&roomy);
	memset(came, 0, sizeof(came));
	n_flooded = 0;
	memset(flooded_dst, 0xff, 6);
	away_leave(A);
	flood(2);
	away_start(B);
	away_speak(B);
	flooded_take();
	away_leave(B);
	flood(2);
	away_start(C);
	flood(2);
	away_speak(C);
	flood(2);
	flooded_check("chain");
	away_close();
	flooded_check("chain, afterwards");
	away_destroy();
}

static void
flooding_home(void)
{
	away_create(&roomy);
	memset(came, 0, sizeof(came));
	n_flooded = 0;
	memset(flooded_dst, 0xff, 6);
	away_leave(A);
	flood(6);
	away_return(A);
	flood(2);
	flooded_check("home");
	away_close();
	flood(2);
	flooded_check("home, afterwards");
	away_destroy();
}

/* Workers that sleep give away what they have without a kick. */
static void
sleepers(void)
{
	struct away_opts opts = two;
	uint64_t end;

	opts.threads = true;
	opts.n_bufs = 64;
	away_create(&opts);
	away_leave(A);
	for (int i = 0; i < 40; i++) {
		for (uint16_t s = 0; s < opts.n_senders; s++) {
			uint8_t bytes[400];
			struct vmm_frame f = { .flow = s, .seq = away.flows[s].sent++, .len = 100 };

			memcpy(f.dst, rig_mac(&away.rig, A), 6);
			memcpy(f.src, rig_mac(&away.rig, SENDERS + s), 6);
			vmm_frame_build(bytes, &f);
			rig_send(&away.rig, SENDERS + s, bytes, f.len, NULL);
		}
		usleep(500);
	}
	end = clock_ns() + 5ULL * NS_PER_S;
	while (away_count(COUNT_PARKED) < away_missing() && clock_ns() < end)
		usleep(1000);
	CHECK(away_count(COUNT_PARKED) == 120);
	usleep(100000);
	away_start(B);
	usleep(100000);
	away_speak(B);
	end = clock_ns() + 5ULL * NS_PER_S;
	while (away_missing() > 0 && clock_ns() < end) {
		uint32_t len = rig_recv(&away.rig, B, NULL);
		struct vmm_frame f;

		if (len == 0) {
			usleep(1000);
			continue;
		}
		CHECK(vmm_frame_parse(&f, away.rig.frame, len, &away.rig.fault) == 0);
		CHECK(vmm_flow_received(&away.flows[f.flow], &f, &away.rig.fault) == 0);
	}
	CHECK(away_missing() == 0 && testbed_drops(&away.rig.bed) == 0);
	end = clock_ns() + 5ULL * NS_PER_S;
	park_cancel(away.rig.bed.parks, A);
	while (park_tick(away.rig.bed.parks) > 0 && clock_ns() < end)
		usleep(20000);
	CHECK(away_address() == B);
	away_destroy();
}

void
fwd_park_place_stories(void)
{
	chain();
	ping_pong();
	there_and_back();
	heir_deleted();
	sender_deleted();
	isolated();
	flooding(true, false);
	flooding(false, false);
	flooding(true, true);
	flooding_chain();
	flooding_home();
	sleepers();
}
