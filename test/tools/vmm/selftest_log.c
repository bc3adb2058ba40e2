/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image oracle: the reference device runs in a thread and logs what it writes, a harvester
 * copies what it has marked, and the images must be equal whenever the device stands still.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "refdev.h"
#include "selftest.h"
#include "vmm.h"
#include "vmm_rng.h"

#define N_BUFS 48
#define BUF_SIZE 6000
#define TURNS 60
#define SECONDS 45

struct logged {
	struct vmm_mem *mem;
	struct vmm_ring *ring;
	struct refdev *dev;
	struct vmm_harvest harvest;
	struct vmm_fault fault;
	pthread_t thread;
	pthread_mutex_t lock;           /* the device's turn: held by whoever tells it something */
	bool stop;
	uint64_t bufs[N_BUFS];
	uint8_t free[N_BUFS];
	unsigned int n_free;
	uint32_t rng;
};

static void *
device_run(void *arg)
{
	struct logged *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		uint64_t before = l->dev->returned;

		pthread_mutex_lock(&l->lock);
		refdev_run(l->dev, true);
		if (l->dev->returned == before)
			refdev_arm(l->dev);
		pthread_mutex_unlock(&l->lock);
		sched_yield();
	}
	return NULL;
}

static int
logged_init(struct logged *l, bool packed, enum refdev_log_fault fault, uint32_t seed)
{
	struct vmm_mem_conf mem = { .n_regions = 1 + seed % 3, .size = 3 << 20, .twin = true };
	struct vmm_ring_conf conf = { .size = 1024, .packed = packed, .pos = packed ? 1 << 15 : 0,
				      .event_idx = true, .table_len = seed & 1 ? 4 : 0 };
	int rc;

	memset(l, 0, sizeof(*l));
	l->rng = seed;
	l->dev = calloc(1, sizeof(*l->dev));
	pthread_mutex_init(&l->lock, NULL);
	rc = l->dev == NULL ? -ENOMEM : vmm_mem_create(&l->mem, &mem, &l->fault);
	if (rc < 0)
		return rc;
	vmm_harvest_init(&l->harvest, l->mem, seed);
	rc = vmm_ring_create(&l->ring, l->mem, &conf, "ring");
	for (; rc == 0 && l->n_free < N_BUFS; l->n_free++) {
		l->bufs[l->n_free] = vmm_mem_alloc(l->mem, BUF_SIZE, 1);
		l->free[l->n_free] = (uint8_t)l->n_free;
	}
	if (rc == 0)
		refdev_init(l->dev, l->ring, seed);
	l->dev->log_fault = fault;
	return rc;
}

static void
logged_fini(struct logged *l)
{
	vmm_harvest_fini(&l->harvest);
	vmm_ring_destroy(l->ring);
	vmm_mem_destroy(l->mem);
	pthread_mutex_destroy(&l->lock);
	free(l->dev);
}

/* As SET_LOG_BASE: the device has obeyed when this returns. */
static int
log_give(struct logged *l)
{
	struct vmm_log *log;
	int rc = vmm_log_create(&log, vmm_log_size(l->mem), true);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&l->lock);
	refdev_log_set(l->dev, log);
	pthread_mutex_unlock(&l->lock);
	return vmm_harvest_turn(&l->harvest, log);
}

/* Two writable pieces, of which the second ends on the first byte of a page now and then. */
static int
buf_post(struct logged *l)
{
	uint8_t i = l->free[l->n_free - 1], bytes[BUF_SIZE];
	uint64_t gpa = l->bufs[i], border = (gpa / VMM_PAGE + 1) * VMM_PAGE;
	uint32_t first = 1 + vmm_rng(&l->rng, 40), len = 1 + vmm_rng(&l->rng, BUF_SIZE - first);
	struct vmm_seg segs[2] = { { gpa, first, true }, { gpa + first, len, true } };
	int rc;

	if (vmm_rng(&l->rng, 4) == 0 && border >= segs[1].gpa && border < gpa + BUF_SIZE)
		segs[1].len = (uint32_t)(border + 1 - segs[1].gpa);
	for (uint32_t k = 0; k < sizeof(bytes); k++)
		bytes[k] = (uint8_t)vmm_rng(&l->rng, 256);
	vmm_mem_write(l->mem, gpa, bytes, sizeof(bytes));
	rc = vmm_ring_post(l->ring, segs, 2, l->ring->conf.table_len > 0, i);
	if (rc == 0)
		l->n_free--;
	return rc;
}

static int
turn(struct logged *l)
{
	struct vmm_used used;
	int rc = 0;

	for (uint32_t n = 1 + vmm_rng(&l->rng, 8); n > 0 && l->n_free > 0 && rc == 0; n--)
		rc = buf_post(l);
	vmm_ring_kick(l->ring);
	while (rc >= 0 && l->n_free < N_BUFS / 2) {
		rc = vmm_ring_collect(l->ring, &used);
		if (rc > 0)
			l->free[l->n_free++] = (uint8_t)used.cookie;
		else
			sched_yield();
	}
	return rc < 0 ? rc : 0;
}

/* The device stands still: one last round, and everything is there. */
static int
images_compare(struct logged *l)
{
	int rc = vmm_harvest_round(&l->harvest);

	if (rc == 0 && vmm_mem_differs(l->mem, 0) != VMM_GPA_NONE)
		rc = vmm_fault_set(&l->fault, "image: gpa 0x%llx differs",
				   (unsigned long long)vmm_mem_differs(l->mem, 0));
	return rc < 0 ? rc : vmm_harvest_check(&l->harvest);
}

static int
logged_run(struct logged *l)
{
	int rc = log_give(l);

	vmm_mem_copy(l->mem);
	l->harvest.witness = true;
	if (rc == 0)
		rc = vmm_harvest_start(&l->harvest);
	if (rc < 0)
		return rc;
	pthread_create(&l->thread, NULL, device_run, l);
	for (int i = 0; i < TURNS && rc == 0; i++) {
		rc = i == TURNS / 2 ? log_give(l) : 0;
		if (rc == 0)
			rc = turn(l);
	}
	__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
	pthread_join(l->thread, NULL);
	vmm_harvest_stop(&l->harvest);
	return rc < 0 ? rc : images_compare(l);
}

static int
logged_once(bool packed, enum refdev_log_fault fault, uint32_t seed, struct vmm_fault *found)
{
	struct logged l;
	int rc = logged_init(&l, packed, fault, seed);

	if (rc == 0)
		rc = logged_run(&l);
	*found = l.fault;
	logged_fini(&l);
	return rc;
}

static const struct {
	const char *story;
	enum refdev_log_fault fault;
	bool split, packed;     /* formats that know it */
} rows[] = {
	{ "marked before the write",        REFDEV_LOG_EARLY,       true,  true },
	{ "first page of a piece only",     REFDEV_LOG_FIRST_PAGE,  true,  true },
	{ "last byte of a piece not",       REFDEV_LOG_LAST_BYTE,   true,  true },
	{ "first piece of a chain only",    REFDEV_LOG_FIRST_PIECE, true,  true },
	{ "used elements not",              REFDEV_LOG_NO_USED,     true,  true },
	{ "used index not",                 REFDEV_LOG_NO_INDEX,    true,  false },
	{ "event area not",                 REFDEV_LOG_NO_EVENT,    true,  true },
	{ "marked without an atomic OR",    REFDEV_LOG_NOT_ATOMIC,  true,  true },
	{ "counted from the region",        REFDEV_LOG_BASE,        true,  true },
	{ "first word only",                REFDEV_LOG_WORD_0,      true,  true },
	{ "in the retired log",             REFDEV_LOG_FIRST_LOG,   true,  true },
	{ "nothing after the second log",   REFDEV_LOG_NO_SECOND,   true,  true },
};

/* How a fault meets the harvester is a matter of moments: seed after seed, until it does. */
static void
fault_run(size_t i, bool packed)
{
	time_t end = time(NULL) + SECONDS;
	struct vmm_fault found;
	int rc = 0;

	for (uint32_t seed = 1; rc == 0 && time(NULL) < end; seed++)
		rc = logged_once(packed, rows[i].fault, seed, &found);
	story(packed ? "packed log" : "split log", rows[i].story, rc == -EPROTO, &found);
}

void
logs(void)
{
	struct vmm_fault found;

	for (uint32_t seed = 1; seed <= 20; seed++)
		for (int packed = 0; packed < 2; packed++)
			story(packed ? "packed log" : "split log", "sound",
			      logged_once(packed, REFDEV_LOG_SOUND, seed, &found) == 0, &found);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].split)
			fault_run(i, false);
		if (rows[i].packed)
			fault_run(i, true);
	}
}
