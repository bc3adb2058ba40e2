/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows and rings: a flow keeps its ring, and two workers that deliver to one ring lose nothing. */
#include "fwd_rig.h"

#include <sched.h>
#include <stdlib.h>

#define N_FLOWS 64

static struct rig rig;

static void
create(uint32_t n_workers, bool threads, uint16_t n_ports, uint16_t rx_pairs)
{
	const struct testbed_opts bed = {
		.n_workers = n_workers, .threads = threads, .n_ports = n_ports,
	};
	struct vmm_guest_conf confs[TESTBED_PORTS];

	for (uint16_t p = 0; p < n_ports; p++) {
		vmm_guest_conf_init(&confs[p]);
		confs[p].pairs = p == 0 ? rx_pairs : 1;
	}
	rig_create(&rig, &bed, confs);
	for (uint16_t p = 0; p < n_ports; p++)
		CHECK(fdb_add(rig.bed.fdb, fdb_key(0, rig_mac(&rig, p)), p) == 0);
}

/* A frame of a flow: kinds are IPv4 and IPv6, UDP and TCP, tagged or not, fragments, no IP. */
static uint32_t
flow_frame(uint8_t *frame, unsigned int flow, uint32_t len)
{
	unsigned int kind = flow % 8;
	uint32_t l3 = 14;
	uint8_t *ip;

	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)rand();       /* whatever else it carries */
	memcpy(frame, rig_mac(&rig, 0), 6);
	memcpy(frame + 6, rig_mac(&rig, 1), 6);
	if (kind == 6) {
		memcpy(frame + 12, (uint8_t[]){ 0x81, 0, 0, 0 }, 4);
		l3 = 18;
	}
	ip = frame + l3;
	memcpy(ip - 2, kind % 2 == 0 ? "\x08\x00" : kind == 7 ? "\x88\xb5" : "\x86\xdd", 2);
	if (kind % 2 == 0) {
		ip[0] = 0x45;
		memcpy(ip + 6, kind == 4 ? "\x20\x00" : "\x40\x00", 2);
		ip[9] = kind == 2 ? 17 : 6;
		memcpy(ip + 12, (uint8_t[]){ 10, 0, 0, (uint8_t)flow, 10, 0, 1, 1 }, 8);
		if (kind != 4)
			memcpy(ip + 20, (uint8_t[]){ 0, (uint8_t)flow, 0, 80 }, 4);
	} else if (kind != 7) {
		ip[6] = kind == 1 ? 17 : kind == 3 ? 6 : 58;
		memset(ip + 8, 0xfd, 32);
		ip[23] = (uint8_t)flow;
		if (kind != 5)
			memcpy(ip + 40, (uint8_t[]){ 0, (uint8_t)flow, 0, 80 }, 4);
	}
	frame[len - 1] = (uint8_t)flow;
	return len;
}

static void
flows_keep(uint32_t n_workers, uint16_t pairs)
{
	uint16_t ring_of[N_FLOWS], pair = 0;
	uint32_t used = 0;
	uint8_t frame[300];

	create(n_workers, false, 2, pairs);
	srand(pairs * 10 + n_workers);
	for (unsigned int i = 0; i < 20 * N_FLOWS; i++) {
		unsigned int flow = i < N_FLOWS ? i : (unsigned int)rand() % N_FLOWS;
		uint32_t len = flow_frame(frame, flow, 100 + (uint32_t)rand() % 200);

		rig_send(&rig, 1, frame, len, NULL);
		rig_turn(&rig);
		CHECK(rig_recv(&rig, 0, &pair) == len);
		if (i < N_FLOWS)
			ring_of[flow] = pair;
		CHECK(pair == ring_of[flow]);
		used |= 1u << pair;
	}
	/* One sender is served by one worker; its share of the rings is all used. */
	CHECK(__builtin_popcount(used) == (pairs < n_workers ? pairs : pairs / (int)n_workers));
	rig_destroy(&rig);
}

/* Three senders on two workers, one receive ring */

#define SENDERS 3
#define EACH    20000

static struct vmm_flow flows[SENDERS];

static void
send_some(uint16_t i, uint32_t n)
{
	struct vmm_guest *g = rig.sides[i + 1].g;
	uint8_t bytes[300];

	CHECK(vmm_guest_reclaim(g) >= 0);
	for (; n > 0 && flows[i].sent < EACH; n--) {
		struct vmm_frame f = {
			.flow = i, .seq = flows[i].sent, .len = 66 + (uint32_t)(flows[i].sent % 200),
		};

		memcpy(f.dst, rig_mac(&rig, 0), 6);
		memcpy(f.src, g->mac, 6);
		vmm_frame_build(bytes, &f);
		if (vmm_guest_send(g, 0, bytes, f.len, NULL) != 0)
			break;
		flows[i].sent++;
	}
	CHECK(vmm_guest_flush(g) == 0);
}

static uint64_t
recv_all(void)
{
	uint64_t n = 0;
	uint32_t len;

	while ((len = rig_recv(&rig, 0, NULL)) > 0) {
		struct vmm_frame f;

		CHECK(vmm_frame_parse(&f, rig.frame, len, &rig.fault) == 0 && f.flow < SENDERS);
		CHECK(vmm_flow_received(&flows[f.flow % SENDERS], &f, &rig.fault) == 0);
		n++;
	}
	return n;
}

static void
claims(void)
{
	uint64_t received = 0, sent = (uint64_t)SENDERS * EACH;
	uint32_t still = 0;

	create(2, true, SENDERS + 1, 1);
	for (uint16_t i = 0; i < SENDERS; i++)
		flows[i] = (struct vmm_flow){ .id = i };
	while (received + testbed_drops(&rig.bed) < sent && still < 200000) {
		uint64_t n;

		for (uint16_t i = 0; i < SENDERS; i++)
			send_some(i, 40);
		n = recv_all();
		received += n;
		still = n > 0 ? 0 : still + 1;
		if (n == 0)
			sched_yield();
	}
	CHECK(received + testbed_drops(&rig.bed) == sent);
	CHECK(testbed_drops(&rig.bed) == testbed_drop(&rig.bed, 0, DROP_NO_DESC));
	for (uint16_t i = 0; i < SENDERS; i++)
		CHECK(flows[i].received > EACH / 20);
	if (vmm_fault_found(&rig.fault))
		fprintf(stderr, "%s\n", rig.fault.text);
	rig_destroy(&rig);
}

void
fwd_flow_stories(void)
{
	flows_keep(1, 4);
	flows_keep(2, 4);
	flows_keep(4, 3);
	claims();
}
