/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_park_rig.h"
#include "clock.h"

#include <unistd.h>

struct away away;

static fdb_key_t
key(void)
{
	return fdb_key(0, rig_mac(&away.rig, A));
}

void
away_create(const struct away_opts *opts)
{
	struct testbed_opts bed = {
		.n_workers = opts->n_workers, .n_ports = (uint16_t)(SENDERS + opts->n_senders),
		.park_timeout_ms = opts->timeout_ms > 0 ? opts->timeout_ms : 5000,
		.park_bytes = opts->small ? 1 : 8 << 20, .threads = opts->threads,
	};
	struct vmm_guest_conf confs[TESTBED_PORTS];

	bed.ports[B].group = bed.ports[SENDERS].group = opts->group_of_b;
	memset(&away, 0, sizeof(away));
	away.opts = *opts;
	for (uint16_t p = 0; p < bed.n_ports; p++) {
		vmm_guest_conf_init(&confs[p]);
		confs[p].packed = opts->packed;
		confs[p].offload = true;
		confs[p].tx_buf = 70000;
		confs[p].n_bufs = 64;
		if (p >= SENDERS)
			continue;
		confs[p].pairs = opts->pairs;
		confs[p].n_bufs = opts->n_bufs;
		confs[p].features_off = opts->features_off;
	}
	rig_create(&away.rig, &bed, confs);
	side_stop(&away.rig.sides[B]);
	side_stop(&away.rig.sides[C]);
	CHECK(fdb_learn(away.rig.bed.fdb, key(), A) == 0);
	for (uint16_t s = 0; s < opts->n_senders; s++) {
		const uint16_t port = SENDERS + s;

		away.flows[s] = (struct vmm_flow){ .id = s };
		CHECK(fdb_add(away.rig.bed.fdb, fdb_key(0, rig_mac(&away.rig, port)), port) == 0);
	}
}

void
away_destroy(void)
{
	CHECK(!park_any(away.rig.bed.parks));
	if (vmm_fault_found(&away.rig.fault))
		fprintf(stderr, "%s\n", away.rig.fault.text);
	CHECK(!vmm_fault_found(&away.rig.fault));
	rig_destroy(&away.rig);
}

static void
send_one(uint16_t s)
{
	static uint8_t bytes[RIG_FRAME];
	struct vmm_flow *flow = &away.flows[s];
	struct vmm_frame f = {
		.flow = s, .seq = flow->sent, .len = away.opts.len,
	};

	if (f.len == 0)
		f.len = 100 + (uint32_t)(flow->sent * 37 % 300);
	memcpy(f.dst, rig_mac(&away.rig, A), 6);
	memcpy(f.src, rig_mac(&away.rig, SENDERS + s), 6);
	vmm_frame_build(bytes, &f);
	rig_send(&away.rig, SENDERS + s, bytes, f.len, NULL);
	flow->sent++;
}

void
away_send(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		for (uint16_t s = 0; s < away.opts.n_senders; s++)
			send_one(s);
		if (i % 8 == 7)
			rig_turn(&away.rig);
	}
	rig_turn(&away.rig);
}

static bool
take(uint16_t port)
{
	struct rig *r = &away.rig;
	uint32_t len = rig_recv(r, port, NULL);
	struct vmm_frame f;

	if (len == 0)
		return false;
	CHECK(vmm_frame_parse(&f, r->frame, len, &r->fault) == 0 && f.flow < TESTBED_PORTS);
	CHECK(vmm_flow_received(&away.flows[f.flow % TESTBED_PORTS], &f, &r->fault) == 0);
	if (port < SENDERS)
		away.came[port]++;
	return true;
}

void
away_receive(void)
{
	bool some;

	do {
		some = false;
		rig_turn(&away.rig);
		for (uint16_t p = 0; p < away.rig.n_ports; p++)
			while (take(p))
				some = true;
	} while (some);
}

void
away_take(uint16_t port)
{
	while (take(port))
		;
}

void
away_talk(uint32_t n)
{
	for (; n > 0; n--)
		for (uint16_t s = 0; s < away.opts.n_senders; s++) {
			send_one(s);
			away_receive();
		}
}

uint64_t
away_missing(void)
{
	uint64_t n = 0;

	for (uint16_t s = 0; s < away.opts.n_senders; s++)
		n += away.flows[s].sent - away.flows[s].received;
	return n;
}

void
away_leave(uint16_t port)
{
	struct side *s = &away.rig.sides[port];

	CHECK(park_open(away.rig.bed.parks, port) == 0);
	park_begin(away.rig.bed.parks, port, side_cfg(s).features, away.opts.pairs);
	side_stop(s);
}

void
away_start(uint16_t port)
{
	CHECK(side_start(&away.rig.sides[port]) == 0);
}

void
away_speak(uint16_t port)
{
	CHECK(fdb_learn(away.rig.bed.fdb, key(), port) == 0);
}

void
away_return(uint16_t port)
{
	away_start(port);
	park_return(away.rig.bed.parks, port);
}

void
away_close(void)
{
	const uint64_t end = clock_ns() + 8ULL * NS_PER_S;

	for (uint16_t p = 0; p < SENDERS; p++)
		park_cancel(away.rig.bed.parks, p);
	while (park_tick(away.rig.bed.parks) > 0 && clock_ns() < end) {
		usleep(2000);
		rig_turn(&away.rig);
	}
	CHECK(!park_any(away.rig.bed.parks));
}

uint16_t
away_address(void)
{
	const fdb_key_t k = key();
	struct fdb_hit hit;

	return fdb_find(away.rig.bed.fdb, 0, &k, 1, &hit) == 1 ? hit.port : UINT16_MAX;
}

uint64_t
away_count(enum count c)
{
	return testbed_count(&away.rig.bed, A, c) + testbed_count(&away.rig.bed, B, c) +
	       testbed_count(&away.rig.bed, C, c);
}

uint64_t
away_drop(enum drop d)
{
	return testbed_drop(&away.rig.bed, A, d) + testbed_drop(&away.rig.bed, B, d) +
	       testbed_drop(&away.rig.bed, C, d);
}
