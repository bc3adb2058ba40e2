/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log.  The guest of side a has an image beside its memory, to which its driver's writes go
 * by themselves, and pages that the log names are copied.  Once the rings have stopped and the log was
 * taken a last time, both are equal byte for byte, or a page was not marked.
 */
#include "conform.h"

#include "dirty.h"

#include "vmm_log.h"

#include <string.h>
#include <unistd.h>

#define ROUNDS   12
#define PAUSE_US 20

/* What the front-end has of a case: logs, who takes their marks, and what the provider has. */
struct book {
	struct conform *c;
	struct vmm_harvest harvest;
	struct dirty *now;
};

/* Tells the provider of a log, new or none, and lets go of the one before. */
static int
log_change(struct book *b, bool on)
{
	struct conform *c = b->c;
	struct vmm_log *log = NULL;
	struct dirty *dirty = NULL, *old = b->now;

	if (on) {
		NEED(c, vmm_log_create(&log, vmm_log_size(c->a.g->mem), false) == 0);
		NEED(c, dirty_map(log->fd, 0, log->n_words * 8, c->a.port, &dirty) == 0);
		NEED(c, dirty_covers(dirty, c->a.mem));
	}
	b->now = dirty;
	c->a.log = dirty;
	if (c->a.running)
		NEED(c, vdev_log_set(c->a.dev, dirty) == 0);
	/* Nobody marks in it any more: who does ends here. */
	dirty_destroy(old);
	return vmm_harvest_turn(&b->harvest, log);
}

/* Logging begins: from here on the image follows the memory. */
static int
log_begin(struct book *b)
{
	TRY(log_change(b, true));
	vmm_mem_copy(b->c->a.g->mem);
	return 0;
}

/* Of the stopped side: the last marks, then memory and image. */
static int
image_check(struct book *b)
{
	struct conform *c = b->c;
	uint64_t at;

	vmm_harvest_stop(&b->harvest);
	TRY(vmm_harvest_round(&b->harvest));
	at = vmm_mem_differs(c->a.g->mem, 0);
	if (at != VMM_GPA_NONE)
		return vmm_fault_set(&c->fault, "page of 0x%llx was written and not marked",
				     (unsigned long long)at);
	return vmm_harvest_check(&b->harvest);
}

static int
begin(struct conform *c)
{
	TRY(conform_start(c));
	return conform_traffic(c, 10);
}

/* Frames both ways, not all of them at their end. */
static int
storm(struct conform *c)
{
	int rc = traffic_send(&c->ab, traffic_window(&c->ab));

	TRY(rc);
	rc = traffic_send(&c->ba, 1 + conform_random(c, 60));
	TRY(rc);
	TRY(traffic_recv(&c->ab));
	return traffic_recv(&c->ba);
}

/* What the rings hold is taken or stays: the sender's frames may be dropped by name. */
static int
end(struct book *b)
{
	struct conform *c = b->c;

	TRY(conform_unsent(c, &c->a));
	TRY(conform_unsent(c, &c->b));
	side_stop(&c->a);
	TRY(image_check(b));
	TRY(conform_settle(c, &c->a));
	side_stop(&c->b);
	TRY(conform_settle(c, &c->b));
	return conform_sum(c);
}

static int
from_the_start(struct book *b)
{
	TRY(log_begin(b));
	TRY(begin(b->c));
	for (int i = 0; i < ROUNDS; i++)
		TRY(storm(b->c));
	return end(b);
}

/* A harvester without a pause comes between a mark and the write that it is for. */
static int
harvested(struct book *b)
{
	TRY(begin(b->c));
	TRY(storm(b->c));
	TRY(log_begin(b));
	b->harvest.witness = true;
	b->harvest.pause_us = conform_random(b->c, 2) * PAUSE_US;
	NEED(b->c, vmm_harvest_start(&b->harvest) == 0);
	for (int i = 0; i < 3 * ROUNDS; i++)
		TRY(storm(b->c));
	return end(b);
}

/* Each time what was written in between is in the first copy or in the log. */
static int
on_and_off(struct book *b)
{
	TRY(begin(b->c));
	for (int i = 0; i < ROUNDS; i++) {
		TRY(storm(b->c));
		TRY(log_begin(b));
		TRY(storm(b->c));
		TRY(log_change(b, false));
		TRY(storm(b->c));
		TRY(vmm_harvest_check(&b->harvest));
	}
	TRY(log_begin(b));
	TRY(storm(b->c));
	return end(b);
}

static int
replaced(struct book *b)
{
	TRY(begin(b->c));
	TRY(log_begin(b));
	for (int i = 0; i < 3 * ROUNDS; i++) {
		TRY(storm(b->c));
		TRY(log_change(b, true));
		TRY(vmm_harvest_check(&b->harvest));
	}
	TRY(storm(b->c));
	return end(b);
}

/* All that ring_set() changes, under way. */
static int
ring_set(struct book *b)
{
	struct conform *c = b->c;

	TRY(begin(c));
	TRY(log_begin(b));
	for (int i = 0; i < ROUNDS; i++) {
		uint16_t q = (uint16_t)(i % c->a.n_rings);
		int fd = c->a.rings[q].callfd;

		TRY(storm(c));
		c->a.rings[q].callfd = -1;
		NEED(c, side_ring_set(&c->a, q) == 0);
		TRY(storm(c));
		c->a.rings[q].callfd = fd;
		NEED(c, side_ring_set(&c->a, q) == 0);
		if (q % 2 == 0)
			continue;
		c->a.rings[q].enabled = false;
		NEED(c, side_ring_set(&c->a, q) == 0);
		TRY(storm(c));
		TRY(conform_unsent(c, &c->a));
		TRY(traffic_recv(&c->ab));
		c->ab.lost = c->ab.sent - c->ab.received;
		c->a.rings[q].enabled = true;
		NEED(c, side_ring_set(&c->a, q) == 0);
	}
	vdev_kick_all(c->a.dev);
	TRY(storm(c));
	return end(b);
}

/* The rings stop while frames are under way, are equal to the image, and go on with the same log. */
static int
restarted(struct book *b)
{
	struct conform *c = b->c;

	TRY(log_begin(b));
	TRY(begin(c));
	for (int i = 0; i < ROUNDS; i++) {
		TRY(storm(c));
		side_stop(&c->a);
		TRY(image_check(b));
		TRY(conform_settle(c, &c->a));
		if (i % 3 == 2)
			TRY(log_change(b, true));
		NEED(c, side_start(&c->a) == 0);
	}
	TRY(storm(c));
	return end(b);
}

static int
counted(struct conform *c, uint64_t *pages, uint64_t *rounds)
{
	*pages = *rounds = 0;
	for (uint16_t q = 0; q < c->a.n_rings; q++) {
		struct vdev_ring_stats st;

		NEED(c, vdev_stats(c->a.dev, q, &st) == 0);
		*pages += st.pages;
		*rounds += st.rounds;
	}
	return 0;
}

/* The last mark of a burst comes behind what ends our wait for it: it may be too late for the round
 * that it was meant for, and leave the next one nothing that is new. */
static int
grows(struct book *b)
{
	uint64_t pages, rounds, more_pages = 0, more_rounds = 0;
	struct conform *c = b->c;

	TRY(counted(c, &pages, &rounds));
	for (int i = 0; i < 4 && (more_pages <= pages || more_rounds <= rounds); i++) {
		TRY(conform_traffic(c, 20));
		TRY(vmm_harvest_round(&b->harvest));
		TRY(counted(c, &more_pages, &more_rounds));
	}
	NEED(c, more_pages > pages && more_rounds > rounds);
	return 0;
}

/* Each page that was marked counts, and each time that the marks were taken; neither without a log. */
static int
stats(struct book *b)
{
	struct conform *c = b->c;
	uint64_t before, pages, rounds, more_pages, more_rounds;

	TRY(begin(c));
	TRY(counted(c, &before, &rounds));
	NEED(c, before == 0 && rounds == 0);
	TRY(log_begin(b));
	for (int i = 0; i < ROUNDS; i++)
		TRY(grows(b));
	TRY(log_change(b, false));
	TRY(counted(c, &pages, &rounds));
	NEED(c, pages == b->harvest.pages);
	TRY(conform_traffic(c, 20));
	TRY(counted(c, &more_pages, &more_rounds));
	NEED(c, more_pages == pages && more_rounds == rounds);
	TRY(log_begin(b));
	return end(b);
}

static int
book_run(struct conform *c, int (*run)(struct book *b))
{
	struct book b = { .c = c };
	int rc;

	if (!c->a.dev->can_log)
		return 0;
	vmm_harvest_init(&b.harvest, c->a.g->mem, c->seed);
	rc = run(&b);
	if (c->a.running)
		side_stop(&c->a);
	c->a.log = NULL;
	dirty_destroy(b.now);
	vmm_harvest_fini(&b.harvest);
	return rc;
}

#define CASE(name) \
static int \
name##_case(struct conform *c) \
{ \
	return book_run(c, name); \
}

CASE(from_the_start)
CASE(harvested)
CASE(on_and_off)
CASE(replaced)
CASE(ring_set)
CASE(restarted)
CASE(stats)

const struct conform_case log_cases[] = {
	{ "logs from the start on", from_the_start_case },
	{ "logs while the marks are taken all the time", harvested_case },
	{ "logging is switched on and off under traffic", on_and_off_case },
	{ "the log is replaced under traffic", replaced_case },
	{ "descriptors and rings change while it logs", ring_set_case },
	{ "rings stop and start while it logs", restarted_case },
	{ "tells how many pages it has marked, and how often", stats_case },
};

const unsigned int n_log_cases = sizeof(log_cases) / sizeof(log_cases[0]);
