/* SPDX-License-Identifier: BSD-3-Clause */
/* The harness itself: rings against a reference device, and every oracle against a seeded fault. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "refdev.h"
#include "selftest.h"
#include "vmm.h"

static unsigned int n_passed, n_failed;

void
story(const char *name, const char *detail, bool ok, const struct vmm_fault *fault)
{
	if (ok)
		n_passed++;
	else
		n_failed++;
	if (!ok)
		printf("FAILED: %s %s: %s\n", name, detail,
		       vmm_fault_found(fault) ? fault->text : "no oracle objected");
}

/* One run of a ring against the device */

#define PIECE 48
#define N_BUFS 128

struct bench {
	struct vmm_mem *mem;
	struct vmm_ring *ring;
	struct refdev dev;
	struct vmm_fault fault;
	uint64_t bufs;
	uint32_t rng;
	uint64_t next_post, next_used;  /* a cookie: number of the post, buffer below */
	uint32_t writable[N_BUFS];      /* by buffer: what a sound device writes */
	uint8_t free[N_BUFS];           /* buffers, longest free first */
	unsigned int n_free;
	unsigned int check_every;       /* turns between two looks at all of memory */
};

static int
bench_init(struct bench *b, const struct vmm_ring_conf *conf, uint32_t seed)
{
	struct vmm_mem_conf mem = { .n_regions = 1 + seed % 8, .shadow = true,
				    .size = (conf->size > 4096 ? 16 : 4) << 20 };
	int rc;

	memset(b, 0, sizeof(*b));
	b->rng = seed;
	b->check_every = 1;
	rc = vmm_mem_create(&b->mem, &mem, &b->fault);
	if (rc == 0)
		rc = vmm_ring_create(&b->ring, b->mem, conf, "ring");
	if (rc < 0)
		return rc;
	b->ring->callfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	b->bufs = vmm_mem_alloc(b->mem, N_BUFS * 16 * PIECE * 2, 64);
	while (b->n_free < N_BUFS) {
		b->free[b->n_free] = (uint8_t)b->n_free;
		b->n_free++;
	}
	refdev_init(&b->dev, b->ring, seed);
	return 0;
}

static void
bench_fini(struct bench *b)
{
	if (b->ring != NULL)
		close(b->ring->callfd);
	vmm_ring_destroy(b->ring);
	vmm_mem_destroy(b->mem);
}

/* Pieces with gaps between them, so that a byte too many hits nobody's buffer. */
static int
bench_post(struct bench *b)
{
	struct vmm_seg segs[16];
	uint16_t most = b->ring->conf.size < 8 ? 1 : 8;
	uint16_t n = (uint16_t)(1 + vmm_rng(&b->rng, most)), n_read = (uint16_t)vmm_rng(&b->rng, n);
	uint8_t buf = b->free[0];
	uint64_t gpa = b->bufs + buf * 16U * PIECE * 2 + PIECE / 2;
	bool indirect = b->ring->conf.table_len > 0 && vmm_rng(&b->rng, 2) == 0;
	int rc;

	if (b->n_free == N_BUFS / 2)
		return -ENOSPC;
	b->writable[buf] = 0;
	for (uint16_t i = 0; i < n; i++) {
		uint32_t len = 1 + vmm_rng(&b->rng, PIECE);

		segs[i] = (struct vmm_seg){ gpa + i * 2U * PIECE, len, i >= n_read };
		b->writable[buf] += segs[i].write ? len : 0;
	}
	rc = vmm_ring_post(b->ring, segs, n, indirect, b->next_post << 8 | buf);
	if (rc < 0)
		return rc;
	b->next_post++;
	memmove(b->free, b->free + 1, --b->n_free);
	return 0;
}

static int
bench_collect(struct bench *b)
{
	struct vmm_used used;
	int rc;

	while ((rc = vmm_ring_collect(b->ring, &used)) > 0) {
		uint8_t buf = used.cookie & 0xff;

		b->free[b->n_free++] = buf;
		if (b->ring->conf.in_order && used.cookie >> 8 != b->next_used)
			return vmm_fault_set(&b->fault, "cookie out of order");
		if (used.len != b->writable[buf])
			return vmm_fault_set(&b->fault, "%u bytes written, %u writable", used.len,
					     b->writable[buf]);
		b->next_used++;
	}
	return rc;
}

/* The device has said nothing for a while: everything must be back, or an interrupt is missing. */
static int
bench_interrupt(struct bench *b)
{
	struct pollfd p = { .fd = b->ring->callfd, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, 0) == 0)
		return vmm_ring_used(b->ring) ?
			vmm_fault_set(&b->fault, "used, armed, and no interrupt") : 0;
	return read(p.fd, &count, sizeof(count)) < 0 ? -errno : 0;
}

static int
bench_turn(struct bench *b, bool flush)
{
	uint32_t n = vmm_rng(&b->rng, 12);
	bool armed = vmm_rng(&b->rng, 2) == 0;
	int rc = 0;

	while (n-- > 0 && rc == 0)
		rc = bench_post(b);
	if (rc < 0 && rc != -ENOSPC)
		return rc;
	vmm_ring_kick(b->ring);
	if (armed)
		armed = vmm_ring_arm(b->ring);
	refdev_run(&b->dev, flush);
	rc = armed ? bench_interrupt(b) : 0;
	vmm_ring_disarm(b->ring);
	if (rc == 0)
		rc = bench_collect(b);
	return rc;
}

static int
bench_run(struct bench *b, unsigned int turns)
{
	int rc = 0;

	for (unsigned int i = 1; i <= turns && rc == 0; i++) {
		rc = bench_turn(b, i == turns);
		if (rc == 0 && (i % b->check_every == 0 || i == turns))
			rc = vmm_mem_check(b->mem);
	}
	if (rc == 0)
		rc = vmm_ring_check_base(b->ring, refdev_base(&b->dev));
	if (rc == 0 && b->ring->n_out != 0)
		rc = vmm_fault_set(&b->fault, "%u chains never came back", b->ring->n_out);
	return rc;
}

/* Sound devices: no oracle may object */

static void
sound_run(const struct vmm_ring_conf *conf, uint32_t seed)
{
	char name[96];
	struct bench b;
	int rc = bench_init(&b, conf, seed);

	b.check_every = 30;
	if (rc == 0)
		rc = bench_run(&b, 300);
	snprintf(name, sizeof(name), "%s size %u pos 0x%x%s%s%s", conf->packed ? "packed" : "split",
		 conf->size, conf->pos, conf->table_len ? " indirect" : "",
		 conf->event_idx ? " event" : "", conf->in_order ? " in-order" : "");
	story("sound", name, rc == 0, &b.fault);
	bench_fini(&b);
}

static void
sound(void)
{
	static const uint16_t split_sizes[] = { 1, 2, 4, 64, 256, 1024, 32768 };
	static const uint16_t packed_sizes[] = { 1, 2, 3, 7, 255, 256, 1000, 32767, 32768 };

	for (uint32_t f = 0; f < 8; f++) {
		struct vmm_ring_conf conf = { .table_len = f & 1 ? 16 : 0, .event_idx = f & 2,
					      .in_order = f & 4, .shuffle = f * 77 };

		for (size_t i = 0; i < sizeof(split_sizes) / 2; i++) {
			conf.packed = false;
			conf.size = split_sizes[i];
			conf.pos = i & 1 ? 65500 : 0;
			sound_run(&conf, f + 1);
		}
		for (size_t i = 0; i < sizeof(packed_sizes) / 2; i++) {
			conf.packed = true;
			conf.size = packed_sizes[i];
			conf.pos = i & 1 ? conf.size / 2 : 1 << 15;
			sound_run(&conf, f + 1);
		}
	}
}

/* Faulty devices: an oracle must object */

static const struct {
	const char *story;
	enum refdev_fault fault;
	bool split, packed;     /* formats that know it */
	bool in_order;          /* needs IN_ORDER to be a fault */
} faults[] = {
	{ "used twice",                   REFDEV_USED_TWICE,     true,  true,  false },
	{ "id outside the ring",          REFDEV_BAD_ID,         true,  true,  false },
	{ "id not outstanding",           REFDEV_FREE_ID,        true,  true,  false },
	{ "length beyond the chain",      REFDEV_LEN_TOO_LONG,   true,  true,  false },
	{ "out of order",                 REFDEV_OUT_OF_ORDER,   true,  true,  true  },
	{ "used index jumps",             REFDEV_INDEX_JUMP,     true,  false, false },
	{ "length without WRITE",         REFDEV_NO_WRITE_FLAG,  false, true,  false },
	{ "byte before a buffer",         REFDEV_WRITE_BEFORE,   true,  true,  false },
	{ "byte behind a buffer",         REFDEV_WRITE_BEHIND,   true,  true,  false },
	{ "byte in a returned buffer",    REFDEV_WRITE_LATE,     true,  true,  false },
	{ "byte in a descriptor",         REFDEV_WRITE_DESC,     true,  true,  false },
	{ "byte in a readable piece",     REFDEV_WRITE_READABLE, true,  true,  false },
	{ "chain never returned",         REFDEV_LOSE_CHAIN,     true,  true,  false },
	{ "interrupt never sent",         REFDEV_NO_INTERRUPT,   true,  true,  false },
};

static void
fault_run(size_t i, bool packed, uint32_t seed)
{
	struct vmm_ring_conf conf = { .size = 256, .packed = packed, .pos = packed ? 1 << 15 : 0,
				      .event_idx = seed & 1, .in_order = faults[i].in_order };
	struct bench b;
	int rc = bench_init(&b, &conf, seed);

	b.dev.fault = faults[i].fault;
	b.dev.fault_after = 10 + seed;
	if (rc == 0)
		rc = bench_run(&b, 60);
	story(faults[i].story, packed ? "packed" : "split", rc == -EPROTO, &b.fault);
	bench_fini(&b);
}

static void
faulty(void)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		for (uint32_t seed = 1; seed <= 8; seed++) {
			if (faults[i].split)
				fault_run(i, false, seed);
			if (faults[i].packed)
				fault_run(i, true, seed);
		}
}

/* Positions */

static void
positions(void)
{
	struct vmm_ring_conf conf = { .size = 64 };
	struct bench b;
	int rc;

	for (int packed = 0; packed < 2; packed++) {
		conf.packed = packed;
		conf.pos = packed ? 1 << 15 : 0;
		rc = bench_init(&b, &conf, 3);
		if (rc == 0)
			rc = bench_run(&b, 50);
		story("position", "true base", rc == 0, &b.fault);
		rc = vmm_ring_check_base(b.ring, refdev_base(&b.dev) ^ 1);
		story("position", "index off by one", rc == -EPROTO, &b.fault);
		b.fault.text[0] = '\0';
		rc = vmm_ring_check_base(b.ring, refdev_base(&b.dev) ^ (1 << 15));
		story("position", "top bit wrong", rc == -EPROTO, &b.fault);
		bench_fini(&b);
	}
}

/* Frames */

static int
frame_arrive(struct vmm_flow *flow, uint64_t seq, uint32_t len, int spoil, struct vmm_fault *fault)
{
	struct vmm_frame f = { .flow = flow->id, .seq = seq, .len = len };
	uint8_t bytes[2000];
	int rc = vmm_frame_build(bytes, &f);

	if (spoil >= 0)
		bytes[spoil] ^= 1;
	if (rc == 0)
		rc = vmm_frame_parse(&f, bytes, len - (spoil == -2), fault);
	return rc < 0 ? rc : vmm_flow_received(flow, &f, fault);
}

static const struct {
	const char *story;
	uint64_t seqs[4];
	int spoil;              /* byte to change in the last frame; -1: none, -2: cut one off */
	uint64_t drops;
	bool ok;
} frames[] = {
	{ "in order",             { 0, 1, 2, 3 }, -1,  0, true },
	{ "one dropped by name",  { 0, 1, 3, 4 }, -1,  1, true },
	{ "one lost",             { 0, 1, 3, 4 }, -1,  0, false },
	{ "twice",                { 0, 1, 1, 2 }, -1,  0, false },
	{ "reordered",            { 0, 2, 1, 3 }, -1,  0, false },
	{ "never sent",           { 0, 1, 2, 9 }, -1,  0, false },
	{ "first byte damaged",   { 0, 1, 2, 3 }, 14,  0, false },
	{ "last byte damaged",    { 0, 1, 2, 3 }, 99,  0, false },
	{ "cut",                  { 0, 1, 2, 3 }, -2,  0, false },
};

static void
framing(void)
{
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct vmm_flow flow = { .id = 7, .sent = frames[i].drops + 4 };
		struct vmm_fault fault = { 0 };
		int rc = 0;

		if (i == 2)
			flow.sent = 5;
		for (int k = 0; k < 4 && rc == 0; k++)
			rc = frame_arrive(&flow, frames[i].seqs[k], 100,
					  k == 3 ? frames[i].spoil : -1, &fault);
		if (rc == 0)
			rc = vmm_flow_check(&flow, frames[i].drops, &fault);
		story("frame", frames[i].story, (rc == 0) == frames[i].ok, &fault);
	}
}

int
main(void)
{
	sound();
	faulty();
	positions();
	framing();
	guests();
	logs();
	printf("%u passed, %u failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
