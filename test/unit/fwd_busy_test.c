/* SPDX-License-Identifier: BSD-3-Clause */
/* Many rings on one worker: those that are quiet are looked at now and then, and nobody waits long. */
#include "fwd_rig.h"
#include "fwd_impl.h"

#include <stdlib.h>

#define N_PORTS   8
#define PAIRS     4
#define N_FLOWS   (N_PORTS * PAIRS)   /* one a transmit ring; those of port 0 are silent */
#define BURST     32
#define TURNS_MAX 64                  /* of a sender of small frames, until all rings are looked at */
#define LARGE     1400
#define WAITED    8                   /* more turns than that: quiet rings are really left alone */

static struct rig rig;
static struct vmm_flow flows[N_FLOWS];

static void
create(bool packed)
{
	const struct testbed_opts bed = { .n_workers = 1, .n_ports = N_PORTS };
	struct vmm_guest_conf confs[N_PORTS];

	for (uint16_t p = 0; p < N_PORTS; p++) {
		vmm_guest_conf_init(&confs[p]);
		confs[p].packed = packed;
		confs[p].pos = packed ? 1 << 15 : 0;
		confs[p].pairs = PAIRS;
	}
	rig_create(&rig, &bed, confs);
	for (uint16_t p = 0; p < N_PORTS; p++)
		CHECK(fdb_add(rig.bed.fdb, fdb_key(0, rig_mac(&rig, p)), p) == 0);
	for (uint32_t i = 0; i < N_FLOWS; i++)
		flows[i] = (struct vmm_flow){ .id = i };
}

/* Offers frames on the ring of a flow, as many as it has room for. */
static void
offer_len(uint32_t flow, uint32_t n, uint32_t len)
{
	struct vmm_guest *g = rig.sides[flow / PAIRS].g;
	uint8_t bytes[LARGE + BURST];

	CHECK(vmm_guest_reclaim(g) >= 0);
	for (; n > 0; n--) {
		struct vmm_frame f = {
			.flow = flow, .seq = flows[flow].sent,
			.len = len + (uint32_t)(flows[flow].sent % BURST),
		};

		memcpy(f.dst, rig_mac(&rig, 0), 6);
		memcpy(f.src, g->mac, 6);
		CHECK(vmm_frame_build(bytes, &f) == 0);
		if (vmm_guest_send(g, (uint16_t)(flow % PAIRS), bytes, f.len, NULL) != 0)
			break;
		flows[flow].sent++;
	}
	CHECK(vmm_guest_flush(g) == 0);
}

static void
offer(uint32_t flow, uint32_t n)
{
	offer_len(flow, n, VMM_FRAME_UDP_MIN);
}

/* One turn of the worker; what it brought is next in its flow. */
static void
turn(void)
{
	uint32_t len;

	testbed_turn(&rig.bed, 0);
	while ((len = rig_recv(&rig, 0, NULL)) > 0) {
		struct vmm_frame f;

		CHECK(vmm_frame_parse(&f, rig.frame, len, &rig.fault) == 0 && f.flow < N_FLOWS);
		CHECK(vmm_flow_received(&flows[f.flow % N_FLOWS], &f, &rig.fault) == 0);
	}
}

static bool
arrived(uint32_t flow)
{
	return flows[flow].received == flows[flow].sent;
}

static void
end(void)
{
	for (uint32_t i = 0; i < 2 * TURNS_MAX; i++)
		turn();
	for (uint32_t i = 0; i < N_FLOWS; i++)
		CHECK(arrived(i));
	CHECK(testbed_drops(&rig.bed) == 0);
	if (vmm_fault_found(&rig.fault))
		fprintf(stderr, "%s\n", rig.fault.text);
	rig_destroy(&rig);
}

/* How many turns go by until all of what a quiet ring sends beside a busy one is there. */
static uint32_t
turns_until(uint32_t flow, uint32_t busy)
{
	uint32_t n = 0;

	offer(flow, BURST + 8);
	while (!arrived(flow) && n <= TURNS_MAX) {
		offer(busy, BURST);
		turn();
		n++;
	}
	return n;
}

/* Whenever it starts to talk, and whichever ring it is: the first one, the last one. */
static void
starting(bool packed)
{
	const uint32_t busy = 2 * PAIRS + 1;
	uint32_t n, longest = 0;

	create(packed);
	for (uint32_t i = 0; i < 3 * TURNS_MAX; i++) {
		const uint32_t flow = PAIRS + i % (N_FLOWS - PAIRS);

		for (uint32_t quiet = 0; quiet < i; quiet++) {
			offer(busy, BURST);
			turn();
		}
		n = flow == busy ? 0 : turns_until(flow, busy);
		CHECK(n <= TURNS_MAX);
		longest = RTE_MAX(longest, n);
	}
	CHECK(longest > WAITED);
	end();
}

/* Alone it waits for nobody. */
static void
alone(void)
{
	create(false);
	for (uint32_t flow = PAIRS; flow < N_FLOWS; flow++) {
		offer(flow, 1);
		turn();
		CHECK(arrived(flow));
	}
	end();
}

/* Has a port that is down come back, or one go down, with what is in its rings. */
static void
port_toggle(struct side *s)
{
	if (s->running)
		side_stop(s);
	else
		CHECK(side_start(s) == 0);
}

/* Senders come and go, and so do ports: numbers of rings mean others in the next view. */
static void
changing(bool packed, unsigned int seed)
{
	uint32_t busy[3];

	create(packed);
	srand(seed);
	for (uint32_t i = 0; i < 1500; i++) {
		if (i % 40 == 0)
			for (uint32_t b = 0; b < RTE_DIM(busy); b++)
				busy[b] = PAIRS + (uint32_t)rand() % (N_FLOWS - PAIRS);
		for (uint32_t b = 0; b < RTE_DIM(busy); b++)
			offer(busy[b], (uint32_t)rand() % (2 * BURST));
		if (rand() % 4 == 0)
			offer(PAIRS + (uint32_t)rand() % (N_FLOWS - PAIRS), 1 + (uint32_t)rand() % 3);
		if (rand() % 8 == 0)
			port_toggle(&rig.sides[1 + rand() % (N_PORTS - 1)]);
		turn();
	}
	for (uint16_t p = 1; p < N_PORTS; p++)
		if (!rig.sides[p].running)
			port_toggle(&rig.sides[p]);
	end();
}

static uint64_t
taken(uint32_t flow)
{
	struct vdev_ring_stats s;

	CHECK(vdev_stats(rig.sides[flow / PAIRS].dev, (uint16_t)(2 * (flow % PAIRS) + 1), &s) == 0);
	return s.chains;
}

/*
 * Rings that all send large frames are more than a turn's work: it ends, the next one goes on where
 * it ended, and in the long run each ring is served as often as any other.
 */
static void
bounded(bool packed)
{
	const uint32_t most = FWD_TURN_WORK / (LARGE + FWD_FRAME_WORK) + 1 + BURST;
	const uint32_t turns = 120, all = (N_FLOWS - PAIRS) * BURST;
	uint64_t least = UINT64_MAX, highest = 0;

	create(packed);
	for (uint32_t t = 0; t < turns; t++) {
		struct fwd_turn turn;

		for (uint32_t flow = PAIRS; flow < N_FLOWS; flow++)
			offer_len(flow, 2 * BURST, LARGE);
		fwd_turn(rig.bed.fwds[0], &turn);
		CHECK(turn.frames > BURST && turn.frames <= most && most < all);
		while (rig_recv(&rig, 0, NULL) > 0)
			;
	}
	for (uint32_t flow = PAIRS; flow < N_FLOWS; flow++) {
		least = RTE_MIN(least, taken(flow));
		highest = RTE_MAX(highest, taken(flow));
	}
	CHECK(least > 0 && highest - least <= 2 * BURST);
	rig_destroy(&rig);
}

void
fwd_busy_stories(void)
{
	bounded(false);
	bounded(true);
	alone();
	starting(false);
	starting(true);
	for (unsigned int seed = 1; seed <= 4; seed++)
		changing(seed % 2 == 0, seed);
}
