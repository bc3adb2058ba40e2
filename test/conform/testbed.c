/* SPDX-License-Identifier: BSD-3-Clause */
#include "testbed.h"

#include <rte_eal.h>
#include <rte_errno.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The port table as workers see it; all ports are there from the start. */
struct ports {
	struct port_view view;
	struct port_live lives[TESTBED_PORTS];
};

const struct port_view *
port_view(const struct ports *ps)
{
	return &ps->view;
}

static int
eal_start(void)
{
	static bool started;
	char *argv[] = { "testbed", "--no-huge", "--no-shconf", "--no-pci", "-m", "256",
			 "--no-telemetry", "--log-level=error" };

	if (started)
		return 0;
	if (rte_eal_init(RTE_DIM(argv), argv) < 0)
		return -rte_errno;
	started = true;
	return gmem_guard_init();
}

static int
ports_make(struct testbed *b, const struct testbed_opts *opts)
{
	struct ports *ps = calloc(1, sizeof(*ps));
	int rc = 0;

	if (ps == NULL)
		return -ENOMEM;
	b->ports = ps;
	for (uint16_t i = 0; rc == 0 && i < opts->n_ports; i++) {
		uint16_t mtu = opts->ports[i].mtu;

		rc = stats_create(opts->n_workers, &b->stats[i]);
		ps->lives[i] = (struct port_live){
			.number = i, .id = TESTBED_PORT_ID(i), .group = opts->ports[i].group, .type = PORT_VHOST_USER,
			.frame_max = (mtu > 0 ? mtu : 65535u) + RTE_ETHER_HDR_LEN,
			.stats = b->stats[i],
		};
		ps->view.ports[i] = &ps->lives[i];
		ps->view.list[ps->view.n_list++] = i;
	}
	return rc;
}

static int
workers_make(struct testbed *b, const struct testbed_opts *opts)
{
	struct worker_opts w = {
		.cross = b->cross,
		.fwd = {
			.cross = b->cross, .pool = b->pool, .ports = b->ports, .fdb = b->fdb,
			.capture = b->capture, .parks = b->parks,
		},
	};
	int rc = 0;

	if (opts->threads)
		return worker_set_create(&w, &b->workers);
	for (uint32_t i = 0; rc == 0 && i < opts->n_workers; i++) {
		w.fwd.worker = i;
		rc = fwd_create(&w.fwd, &b->fwds[i]);
	}
	return rc;
}

static void
on_broken(void *arg, const struct event *ev)
{
	struct testbed *b = arg;

	if (b->n_broken < TESTBED_EVENTS)
		b->broken[b->n_broken++] = *ev;
}

static void
park_wanted(void *arg)
{
	struct testbed *b = arg;

	b->n_wanted++;
}

static void
park_closed(void *arg, uint16_t port, uint16_t heir)
{
	struct testbed *b = arg;

	if (heir == PARK_NOWHERE)
		fdb_flush(b->fdb, port);
	else if (heir != port)
		fdb_port_move(b->fdb, port, heir);
}

static bool
address_moving(void *arg, fdb_key_t key, uint16_t from, uint16_t to)
{
	const struct testbed *b = arg;

	return park_learned(b->parks, from, to);
}

static int
parks_make(struct testbed *b, const struct testbed_opts *opts)
{
	const struct park_opts park = {
		.bytes = opts->park_bytes, .timeout_ms = opts->park_timeout_ms,
	};
	const struct park_ops ops = { .wanted = park_wanted, .closed = park_closed };

	if (opts->park_timeout_ms == 0)
		return 0;
	fdb_moving(b->fdb, address_moving, b);
	return park_set_create(b->cross, &park, &ops, b, &b->parks);
}

static int
testbed_init(struct testbed *b, const struct testbed_opts *opts)
{
	const uint32_t capacity = opts->capacity == 0 ? 1024 : opts->capacity;
	const struct fdb_opts fdb = { .capacity = capacity, .age_s = 300 };
	int rc = eal_start();

	if (rc == 0)
		rc = cross_create(opts->n_workers, &b->cross);
	if (rc == 0)
		rc = swdev_pool_create(b->cross, &b->pool);
	if (rc == 0)
		rc = fdb_create(b->cross, &fdb, &b->fdb);
	if (rc == 0)
		rc = capture_create(b->cross, &b->capture);
	if (rc == 0)
		rc = ports_make(b, opts);
	if (rc == 0)
		rc = parks_make(b, opts);
	if (rc < 0)
		return rc;
	event_handle(b->cross, EVENT_RING_BROKEN, on_broken, b);
	event_handle(b->cross, EVENT_MEM_FAULT, on_broken, b);
	return workers_make(b, opts);
}

int
testbed_create(struct testbed *b, const struct testbed_opts *opts)
{
	int rc;

	memset(b, 0, sizeof(*b));
	rc = testbed_init(b, opts);
	if (rc < 0)
		testbed_destroy(b);
	return rc;
}

void
testbed_destroy(struct testbed *b)
{
	worker_set_destroy(b->workers);
	for (uint32_t i = 0; i < CROSS_WORKERS_MAX; i++)
		fwd_destroy(b->fwds[i]);
	for (uint32_t i = 0; i < TESTBED_PORTS; i++)
		stats_destroy(b->stats[i]);
	free(b->ports);
	park_set_destroy(b->parks);
	capture_destroy(b->capture);
	fdb_destroy(b->fdb);
	swdev_pool_destroy(b->pool);
	cross_destroy(b->cross);
	memset(b, 0, sizeof(*b));
}

void
testbed_control(struct testbed *b)
{
	event_run(b->cross, UINT32_MAX);
}

uint32_t
testbed_turn(struct testbed *b, uint32_t worker)
{
	struct fwd_turn turn;

	fwd_turn(b->fwds[worker], &turn);
	testbed_control(b);
	return turn.frames;
}

void
testbed_port_hide(struct testbed *b, uint16_t port)
{
	struct port_view *v = &b->ports->view;
	uint16_t n = 0;

	v->ports[port] = NULL;
	for (uint16_t i = 0; i < v->n_list; i++)
		if (v->list[i] != port)
			v->list[n++] = v->list[i];
	v->n_list = n;
}

uint64_t
testbed_count(const struct testbed *b, uint16_t port, enum count c)
{
	struct stats_lane sum;

	stats_fold(b->stats[port], &sum);
	return sum.counts[c];
}

uint64_t
testbed_drop(const struct testbed *b, uint16_t port, enum drop d)
{
	struct stats_lane sum;

	stats_fold(b->stats[port], &sum);
	return sum.drops[d];
}

uint64_t
testbed_drops(const struct testbed *b)
{
	uint64_t n = 0;

	for (uint16_t p = 0; p < TESTBED_PORTS && b->stats[p] != NULL; p++)
		for (uint32_t d = 0; d < DROP_N; d++)
			n += testbed_drop(b, p, d);
	return n;
}
