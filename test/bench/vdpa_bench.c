/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device costs the host in shadow mode: the relay of both rings of a guest, in one thread,
 * with a device that takes and completes at once and whose own work is not counted.  Cycles per
 * frame and ring, and instructions under callgrind (`--toggle-collect=relay_in`, relay_out), which
 * do not drift with the machine.
 */
#include "dirty.h"
#include "fast.h"
#include "shadow.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <rte_common.h>
#include <rte_cycles.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BURST      32
#define ROUNDS_MAX 4096
#define ROUND      (32 * BURST) /* frames: short enough to end before the next interrupt, mostly */
#define DEV_SIZE   256
#define FRAME      (64 + sizeof(struct virtio_net_hdr_v1))
#define IOVA       0x700000000000ULL
#define LOG_BYTES  (1u << 20)

/* The device's side of a split queue, as short as it can be. */
struct dev {
	uint8_t *mem;
	const struct vring_avail *avail;
	struct vring_used *used;
	uint16_t idx;
};

struct ring {
	struct shadow *s;
	struct fast fast;
	struct dev dev;
};

struct bench {
	struct vmm_guest *g;
	struct vmm_fault fault;
	struct mem mem;
	struct dirty *log;
	struct ring rings[2]; /* receive, transmit */
	/* Told. */
	struct vmm_guest_conf conf;
	uint32_t frames;
	bool logged;
};

static void
mark(void *arg, uint64_t gpa, uint64_t len)
{
	dirty_mark(arg, (gpa_t){ gpa }, len);
}

static int
log_open(struct bench *b)
{
	int fd = memfd_create("log", MFD_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = ftruncate(fd, LOG_BYTES) < 0 ? -errno : dirty_map(fd, 0, LOG_BYTES, 0, &b->log);
	close(fd);
	return rc;
}

static int
dev_open(struct ring *r, struct shadow_opts *o)
{
	const size_t bytes = shadow_dev_bytes(o->dev_size, o->dev_features);

	r->dev.mem = aligned_alloc(4096, RTE_ALIGN_CEIL(bytes, 4096));
	o->dev_mem = r->dev.mem;
	o->dev_iova = IOVA;
	return r->dev.mem == NULL ? -ENOMEM : 0;
}

static int
ring_open(struct bench *b, unsigned int q)
{
	const struct vmm_ring *from = b->g->queues[q].ring;
	struct ring *r = &b->rings[q];
	struct shadow_opts o = {
		.mem = &b->mem, .size = from->conf.size, .pos = from->conf.pos, .tx = q == 1,
		.features = (uint64_t)from->conf.packed << VIRTIO_F_RING_PACKED |
			    (uint64_t)from->conf.event_idx << VIRTIO_RING_F_EVENT_IDX,
		.desc = from->addr.desc, .driver = from->addr.avail, .device = from->addr.used,
		.dev_size = DEV_SIZE, .dev_features = 1ULL << VIRTIO_RING_F_EVENT_IDX,
		.mark = b->logged ? mark : NULL, .mark_arg = b->log,
	};
	struct shadow_queue queue;
	int rc = dev_open(r, &o);

	if (rc == 0)
		rc = shadow_create(&r->s, &o);
	if (rc < 0)
		return rc;
	shadow_queue(r->s, &queue);
	r->dev.avail = (const void *)(r->dev.mem + (queue.driver - IOVA));
	r->dev.used = (void *)(r->dev.mem + (queue.device - IOVA));
	shadow_disarm(r->s, SHADOW_GUEST | SHADOW_DEVICE);
	return 0;
}

static void
mem_read(struct bench *b)
{
	for (unsigned int i = 0; i < b->g->mem->n_regions; i++) {
		const struct vmm_region *r = &b->g->mem->regions[i];

		b->mem.regions[b->mem.n_regions++] = (struct mem_region){
			.gpa = r->gpa, .size = r->size, .hva = r->host,
		};
	}
}

static int
bench_open(struct bench *b)
{
	static const uint8_t bytes[FRAME];
	const uint64_t offered = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_NET_F_MRG_RXBUF |
				 1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_F_RING_PACKED |
				 1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	int rc;

	b->conf.path = "";
	rc = vmm_guest_create(&b->g, &b->conf, &b->fault);
	if (rc == 0)
		rc = vmm_guest_attach(b->g, offered);
	if (rc == 0)
		rc = log_open(b);
	if (rc < 0)
		return rc;
	mem_read(b);
	for (unsigned int q = 0; rc == 0 && q < 2; q++)
		rc = ring_open(b, q);
	if (rc == 0)
		rc = fast_init_rx(&b->rings[0].fast, b->g, 0);
	if (rc == 0)
		rc = fast_init_tx(&b->rings[1].fast, b->g, 0, bytes, sizeof(bytes));
	return rc;
}

static void
bench_close(struct bench *b)
{
	for (unsigned int q = 0; q < 2; q++) {
		shadow_destroy(b->rings[q].s);
		fast_fini(&b->rings[q].fast);
		free(b->rings[q].dev.mem);
	}
	dirty_destroy(b->log);
	vmm_guest_destroy(b->g);
}

/* Completes `n` chains of what the device was given, in order. */
static uint32_t
dev_turn(struct dev *d, uint32_t n, uint32_t len)
{
	const uint16_t ready = __atomic_load_n(&d->avail->idx, __ATOMIC_ACQUIRE) - d->idx;

	n = RTE_MIN(n, ready);
	for (uint32_t i = 0; i < n; i++, d->idx++)
		d->used->ring[d->idx % DEV_SIZE] = (struct vring_used_elem){
			d->avail->ring[d->idx % DEV_SIZE], len,
		};
	__atomic_store_n(&d->used->idx, d->idx, __ATOMIC_RELEASE);
	return n;
}

static __rte_noinline uint32_t
relay_out(struct shadow *s)
{
	bool doorbell;

	return shadow_submit(s, BURST, &doorbell);
}

static __rte_noinline uint32_t
relay_in(struct shadow *s)
{
	bool call;

	return shadow_complete(s, BURST, &call);
}

/* Has a burst relayed to the device and back.  Returns the cycles of the relay. */
static uint64_t
tx_burst(struct ring *r, uint32_t *n)
{
	uint64_t start, cycles;

	fast_take(&r->fast);
	fast_offer(&r->fast, BURST);
	start = rte_rdtsc();
	relay_out(r->s);
	cycles = rte_rdtsc() - start;
	dev_turn(&r->dev, BURST, 0);
	start = rte_rdtsc();
	*n += relay_in(r->s);
	return cycles + (rte_rdtsc() - start);
}

/* The device fills buffers that it has; the guest offers them again. */
static uint64_t
rx_burst(struct ring *r, uint32_t *n)
{
	uint64_t start, cycles;

	dev_turn(&r->dev, BURST, FRAME);
	start = rte_rdtsc();
	*n += relay_in(r->s);
	cycles = rte_rdtsc() - start;
	fast_offer(&r->fast, fast_take(&r->fast));
	start = rte_rdtsc();
	relay_out(r->s);
	return cycles + (rte_rdtsc() - start);
}

static double
round_run(struct ring *r, bool tx)
{
	uint64_t cycles = 0;
	uint32_t n = 0;

	while (n < ROUND) {
		const uint32_t before = n;

		cycles += tx ? tx_burst(r, &n) : rx_burst(r, &n);
		if (n == before)
			return -1;
	}
	return (double)cycles / n;
}

static int
double_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int
ring_run(struct bench *b, unsigned int q)
{
	static double rounds[ROUNDS_MAX];
	const uint32_t n = RTE_MIN(b->frames / ROUND + 1, (uint32_t)ROUNDS_MAX);

	while (q == 0 && relay_out(b->rings[q].s) > 0)
		; /* all of the guest's buffers are with the device */
	for (uint32_t i = 0; i < n; i++) {
		rounds[i] = round_run(&b->rings[q], q == 1);
		if (rounds[i] < 0)
			return -EIO;
	}
	qsort(rounds, n, sizeof(rounds[0]), double_compare);
	printf("{\"ring\": \"%s\", \"format\": \"%s\", \"logged\": %s, \"frames\": %u, "
	       "\"cycles_per_frame\": %.1f, \"p10\": %.1f, \"p90\": %.1f}\n",
	       q == 1 ? "transmit" : "receive", b->conf.packed ? "packed" : "split",
	       b->logged ? "true" : "false", n * ROUND, rounds[n / 2], rounds[n / 10],
	       rounds[n - 1 - n / 10]);
	return 0;
}

static const struct option options[] = {
	{ "packed", no_argument, NULL, 'p' },
	{ "logged", no_argument, NULL, 'l' },
	{ "frames", required_argument, NULL, 'f' },
	{ 0 },
};

static bool
arguments_read(struct bench *b, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p': b->conf.packed = true; break;
		case 'l': b->logged = true; break;
		case 'f': b->frames = (uint32_t)strtoul(optarg, NULL, 10); break;
		default: return false;
		}
	}
	return optind == argc;
}

int
main(int argc, char **argv)
{
	static struct bench b = { .frames = 500000 };
	int rc;

	vmm_guest_conf_init(&b.conf);
	b.conf.segs = 1;
	if (!arguments_read(&b, argc, argv)) {
		fprintf(stderr, "usage: vdpa_bench [--packed] [--logged] [--frames N]\n");
		return 2;
	}
	if (b.conf.packed)
		b.conf.pos = 1 << 15;
	rc = bench_open(&b);
	for (unsigned int q = 0; rc == 0 && q < 2; q++)
		rc = ring_run(&b, q);
	bench_close(&b);
	if (rc < 0)
		fprintf(stderr, "vdpa_bench: %s %s\n", strerror(-rc), b.fault.text);
	return rc < 0;
}
