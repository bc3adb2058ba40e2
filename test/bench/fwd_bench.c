/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The forwarding pass alone, in one thread: cycles per frame, and instructions under callgrind
 * (`--toggle-collect=fwd_turn`, or bare_turn), which do not drift with the machine.
 */
#include "bare.h"
#include "driver.h"
#include "side.h"
#include "testbed.h"

#include "vmm_frame.h"

#include <rte_cycles.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 32
#define ROUNDS_MAX 4096
#define ADDRESSES_MAX 100000
#define ROUND (32 * BURST) /* frames: short enough to end before the next interrupt, mostly */

struct bench {
	struct testbed bed;
	struct side sides[TESTBED_PORTS];
	struct vdev *devs[TESTBED_PORTS];
	struct driver *driver;
	struct vmm_fault fault;
	struct bare *bare;
	/* Told. */
	struct vmm_guest_conf conf;
	uint32_t size, n_addrs, n_ports, frames;
	uint32_t rng; /* where addresses are more than buffers */
	bool is_bare;
};

static int
port_open(struct bench *b, uint16_t port)
{
	int rc = swdev_create(b->bed.pool, port, 1, b->bed.stats[port], &b->devs[port]);

	if (rc == 0)
		rc = side_create(&b->sides[port], &b->conf, port, b->devs[port], &b->fault);
	return rc < 0 ? rc : side_start(&b->sides[port]);
}

/* Address i lives behind one of the receivers, all ports but the first. */
static uint16_t
address_make(const struct bench *b, uint32_t i, uint8_t mac[6])
{
	uint16_t port = (uint16_t)(1 + i % (b->n_ports - 1));

	memcpy(mac, (const uint8_t[]){ 0x02, 0, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i },
	       6);
	return port;
}

static int
addresses_learn(struct bench *b)
{
	int rc = fdb_learn(b->bed.fdb, fdb_key(0, b->sides[0].g->mac), 0);

	for (uint32_t i = 0; rc == 0 && i < b->n_addrs; i++) {
		uint8_t mac[6];
		uint16_t port = address_make(b, i, mac);

		rc = fdb_add(b->bed.fdb, fdb_key(0, mac), port);
	}
	return rc;
}

/* Every buffer of the sender holds one frame for good; addresses take turns. */
static int
driver_open(struct bench *b)
{
	static uint8_t bytes[VMM_FRAME_MAX + sizeof(struct virtio_net_hdr_v1)];
	struct vmm_guest *guests[TESTBED_PORTS], *g = b->sides[0].g;
	struct vmm_frame f = { .len = b->size };
	int rc;

	for (uint32_t p = 0; p < b->n_ports; p++)
		guests[p] = b->sides[p].g;
	memcpy(f.src, g->mac, 6);
	rc = vmm_frame_build(bytes + g->hdr_len, &f);
	if (rc == 0)
		rc = driver_create(guests, b->n_ports, bytes, g->hdr_len + f.len, &b->driver);
	for (uint16_t i = 0; rc == 0 && i < g->queues[1].n_bufs; i++)
		address_make(b, i % b->n_addrs,
			     (uint8_t *)vmm_mem_host(g->mem, g->queues[1].bufs[i].gpa, f.len) +
			     g->hdr_len);
	return rc;
}

static int
bench_open(struct bench *b)
{
	const struct testbed_opts opts = { .n_workers = 1, .n_ports = (uint16_t)b->n_ports,
					   .capacity = FDB_CAPACITY };
	int rc = testbed_create(&b->bed, &opts);

	for (uint16_t p = 0; rc == 0 && p < b->n_ports; p++)
		rc = port_open(b, p);
	if (rc == 0)
		rc = addresses_learn(b);
	if (rc == 0)
		rc = driver_open(b);
	if (rc == 0)
		rc = bare_create(&b->sides[0].g->queues[1], &b->sides[1].g->queues[0], &b->bare);
	return rc;
}

static void
bench_close(struct bench *b)
{
	free(b->bare);
	driver_destroy(b->driver);
	for (uint32_t p = 0; p < TESTBED_PORTS; p++) {
		if (b->devs[p] != NULL)
			side_destroy(&b->sides[p]);
		vdev_destroy(b->devs[p]);
	}
	testbed_destroy(&b->bed);
}

static void
address_draw(void *arg, uint8_t *frame)
{
	struct bench *b = arg;

	address_make(b, vmm_rng(&b->rng, b->n_addrs), frame);
}

/* Offers a burst, has it forwarded, takes it back.  Returns the cycles of the middle. */
static uint64_t
burst_run(struct bench *b, uint32_t *n)
{
	struct fwd_turn turn;
	uint64_t start, cycles;

	driver_take(b->driver);
	if (b->n_addrs > b->sides[0].g->queues[1].n_bufs)
		driver_rewrite(b->driver, BURST, address_draw, b);
	driver_send(b->driver, BURST);
	start = rte_rdtsc();
	if (b->is_bare)
		turn.frames = bare_turn(b->bare, BURST);
	else
		fwd_turn(b->bed.fwds[0], &turn);
	cycles = rte_rdtsc() - start;
	driver_receive(b->driver);
	*n += turn.frames;
	return cycles;
}

static double
round_run(struct bench *b)
{
	uint64_t cycles = 0;
	uint32_t n = 0;

	while (n < ROUND) {
		uint32_t before = n;

		cycles += burst_run(b, &n);
		if (n == before)
			return -1;
	}
	return (double)cycles / n;
}

static int
double_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
result_print(const struct bench *b, const double *rounds, uint32_t n)
{
	printf("{\"pass\": \"%s\", \"format\": \"%s\", \"size\": %u, \"ports\": %u, "
	       "\"addresses\": %u, \"frames\": %u, "
	       "\"cycles_per_frame\": %.1f, \"p10\": %.1f, \"p90\": %.1f}\n",
	       b->is_bare ? "bare" : "ferry", b->conf.packed ? "packed" : "split", b->size,
	       b->n_ports, b->n_addrs, n * ROUND, rounds[n / 2], rounds[n / 10],
	       rounds[n - 1 - n / 10]);
}

static int
bench_run(struct bench *b)
{
	static double rounds[ROUNDS_MAX];
	uint32_t n = RTE_MIN(b->frames / ROUND + 1, (uint32_t)ROUNDS_MAX);

	for (uint32_t i = 0; i < n; i++) {
		rounds[i] = round_run(b);
		if (rounds[i] < 0)
			return -EIO;
	}
	if (testbed_drops(&b->bed) > 0)
		return -ENOBUFS;
	qsort(rounds, n, sizeof(rounds[0]), double_compare);
	result_print(b, rounds, n);
	return 0;
}

static const struct option options[] = {
	{ "packed", no_argument, NULL, 'p' },
	{ "bare", no_argument, NULL, 'b' },
	{ "no-mergeable", no_argument, NULL, 'm' },
	{ "size", required_argument, NULL, 's' },
	{ "addresses", required_argument, NULL, 'a' },
	{ "ports", required_argument, NULL, 'n' },
	{ "frames", required_argument, NULL, 'f' },
	{ 0 },
};

/* Returns false where an option is none. */
static bool
arguments_read(struct bench *b, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint32_t n = optarg != NULL ? (uint32_t)strtoul(optarg, NULL, 10) : 0;

		switch (c) {
		case 'p': b->conf.packed = true; break;
		case 'b': b->is_bare = true; break;
		case 'm': b->conf.mergeable = false; break;
		case 's': b->size = n; break;
		case 'a': b->n_addrs = n; break;
		case 'n': b->n_ports = n; break;
		case 'f': b->frames = n; break;
		default: return false;
		}
	}
	return optind == argc && b->size >= VMM_FRAME_MIN && b->size <= 2000 && b->n_addrs >= 1 &&
	       b->n_addrs <= ADDRESSES_MAX && b->n_ports >= 2 && b->n_ports <= TESTBED_PORTS;
}

int
main(int argc, char **argv)
{
	static struct bench b = { .size = 64, .n_addrs = 1, .n_ports = 2, .frames = 500000,
				  .rng = 1 };
	int rc;

	vmm_guest_conf_init(&b.conf);
	b.conf.segs = 1;
	if (!arguments_read(&b, argc, argv)) {
		fprintf(stderr, "usage: fwd_bench [--packed] [--no-mergeable] [--bare] [--size 38..2000]"
			" [--addresses 1..%d] [--ports 2..%d] [--frames N]\n", ADDRESSES_MAX,
			TESTBED_PORTS);
		return 2;
	}
	if (b.conf.packed)
		b.conf.pos = 1 << 15;
	rc = bench_open(&b);
	if (rc == 0)
		rc = bench_run(&b);
	bench_close(&b);
	if (rc < 0)
		fprintf(stderr, "fwd_bench: %s %s\n", strerror(-rc), b.fault.text);
	return rc < 0;
}
