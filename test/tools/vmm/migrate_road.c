/* SPDX-License-Identifier: BSD-3-Clause */
/* How a migration goes from its first message to its last, and which way it ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest_inner.h"
#include "migrate.h"
#include "vmm_rng.h"

#define SILENCE_US 50000
#define ASLEEP_US 25000

/* What is in the stopped rings is received, and every position is what the ledgers say. */
static int
side_settle(struct migrate *m, unsigned int x)
{
	int rc;

	do {
		rc = stream_receive(&m->stream);
	} while (rc > 0);
	return rc < 0 ? rc : vmm_guest_settle(m->sides[x].g);
}

/* Nothing is written after the last reply, whatever the peer sends meanwhile. */
static int
silence_check(struct migrate *m, unsigned int x)
{
	int64_t until_us = cmd_now_us() + SILENCE_US;
	int rc = 0;

	while (rc == 0 && cmd_now_us() < until_us) {
		rc = stream_burst(&m->stream, 10);
		usleep(5000);
	}
	return rc < 0 ? rc : migrate_compare(m, x, "50 ms after the last reply");
}

int
migrate_stop(struct migrate *m, unsigned int x)
{
	struct migrate_side *s = &m->sides[x];
	int rc;

	receiver_pauses(m, x);
	rc = vmm_guest_stop(s->g);
	if (rc == 0)
		rc = vmm_harvest_round(&s->harvest);
	vmm_harvest_stop(&s->harvest);
	if (rc == 0)
		rc = migrate_compare(m, x, "after the last reply");
	if (rc == 0)
		rc = silence_check(m, x);
	if (rc == 0)
		rc = vmm_harvest_turn(&s->harvest, NULL);
	if (rc == 0)
		rc = side_settle(m, x);
	if (rc == 0)
		rc = vmm_harvest_check(&s->harvest);
	m->counts.migrations += rc == 0;
	return rc;
}

int
migrate_start(struct migrate *m, unsigned int x)
{
	int rc = vmm_guest_start(m->sides[x].g);

	return rc < 0 ? rc : vmm_guest_announce(m->sides[x].g);
}

/* What the rings are doing when they are stopped */

static int
state_busy(struct migrate *m, unsigned int x)
{
	(void)x;
	return stream_burst(&m->stream, 100);
}

static int
state_idle(struct migrate *m, unsigned int x)
{
	/* What the other one has in a broken ring never comes to rest. */
	return m->sides[1 - x].broken ? state_busy(m, x) : migrate_rest(m);
}

static int
state_asleep(struct migrate *m, unsigned int x)
{
	int rc = state_idle(m, x);

	usleep(ASLEEP_US);
	return rc;
}

static int
state_disabled(struct migrate *m, unsigned int x)
{
	int rc = stream_burst(&m->stream, 50);

	m->lossy[0] = m->lossy[1] = true;
	for (unsigned int i = 0; i < m->sides[x].g->conf.pairs && rc == 0; i++)
		rc = vmm_guest_enable(m->sides[x].g, i, false);
	return rc < 0 ? rc : stream_burst(&m->stream, 20);
}

/* A chain that points outside memory: its ring stands still for good, at that very chain. */
static int
state_broken(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[x].g;
	struct vmm_ring *r = g->queues[vmm_rng(&m->rng, g->conf.pairs) * 2 + 1].ring;
	struct vmm_seg seg = { .gpa = 1ULL << 40, .len = 100 };
	int rc = stream_burst(&m->stream, 50);

	m->lossy[0] = m->lossy[1] = true;
	m->sides[x].broken = true;
	if (rc == 0)
		rc = vmm_ring_post(r, &seg, 1, false, 0);
	if (rc == -ENOSPC)
		return 0;
	if (rc == 0)
		rc = vmm_ring_kick(r);
	return rc < 0 ? rc : stream_burst(&m->stream, 20);
}

static const struct {
	const char *name;
	int (*enter)(struct migrate *m, unsigned int x);
	uint32_t weight;
} states[] = {
	{ "busy", state_busy, 6 },
	{ "idle", state_idle, 2 },
	{ "asleep", state_asleep, 1 },
	{ "disabled", state_disabled, 1 },
	{ "broken", state_broken, 1 },
};

#define N_STATES (sizeof(states) / sizeof(states[0]))

static int
state_enter(struct migrate *m, unsigned int x)
{
	uint32_t total = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < N_STATES; k++)
		total += states[k].weight;
	for (at = vmm_rng(&m->rng, total); at >= states[i].weight; i++)
		at -= states[i].weight;
	m->doing = states[i].name;
	if (m->cmd->verbose)
		fprintf(stderr, "  stop, %s\n", states[i].name);
	return states[i].enter(m, x);
}

/* Where the guest goes on */

/* A broken ring stays broken wherever the guest goes, until it boots again. */
static int
side_mend(struct migrate *m, unsigned int x)
{
	struct migrate_side *s = &m->sides[x];

	for (unsigned int q = 0; q < s->g->n_queues; q++)
		s->g->queues[q].enabled = true;
	if (!s->broken)
		return 0;
	s->broken = false;
	m->lossy[x] = true;
	return vmm_guest_reboot(s->g);
}

/* Sometimes the next migration has begun when the guest starts: it logs from its first message. */
static int
side_arm(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[x].g;

	g->logging = false;
	g->log = NULL;
	return vmm_rng(&m->rng, 3) != 0 ? 0 : migrate_log_arm(m, x, false);
}

static void
port_set(struct migrate_side *s, unsigned int at)
{
	s->at = at;
	snprintf(s->g->front->path, sizeof(s->g->front->path), "%s", s->ports[at]);
}

/* The twin goes on at the other port, if there is one. */
static int
road_complete(struct migrate *m, unsigned int x)
{
	struct migrate_side *s = &m->sides[x];
	int rc;

	vmm_mem_swap(s->g->mem);
	vmm_guest_disconnect(s->g);
	port_set(s, (s->at + 1) % s->n_ports);
	rc = side_arm(m, x);
	if (rc == 0)
		rc = vmm_guest_connect(s->g);
	m->counts.completed++;
	return rc < 0 ? rc : migrate_start(m, x);
}

/* Cancelled after the stop: the source goes on where it has stopped. */
static int
road_resume(struct migrate *m, unsigned int x)
{
	int rc = side_arm(m, x);

	m->counts.resumed++;
	return rc < 0 ? rc : migrate_start(m, x);
}

/* The destination dies before it has started: the source goes on, with the image that it has. */
static int
road_fail(struct migrate *m, unsigned int x)
{
	struct migrate_side *s = &m->sides[x];
	struct vmm_front *f;
	int rc;

	if (s->n_ports < 2)
		return road_resume(m, x);
	rc = vmm_front_create(&f, s->ports[1 - s->at], false, s->g->conf.deadline_ms,
			      &m->cmd->fault);
	if (rc < 0)
		return rc;
	rc = vmm_front_connect(f);
	if (rc == 0)
		rc = vmm_front_negotiate(f, s->g->front->features);
	if (rc == 0)
		rc = vmm_front_send_u64(f, VMM_SET_FEATURES, f->features);
	if (rc == 0)
		rc = vmm_front_send_mem(f, s->g->mem);
	vmm_front_destroy(f);
	m->counts.failed++;
	return rc < 0 ? rc : road_resume(m, x);
}

static int
side_stop(struct migrate *m, unsigned int x)
{
	int rc = migrate_stop(m, x);

	return rc < 0 ? rc : side_mend(m, x);
}

static int
side_go_on(struct migrate *m, unsigned int x, uint32_t road)
{
	if (road == 0)
		return road_fail(m, x);
	return road < 3 ? road_resume(m, x) : road_complete(m, x);
}

/* Begins, unless the guest has logged since its start. */
static int
side_begin(struct migrate *m, unsigned int x)
{
	return m->sides[x].g->logging ? 0 : migrate_log_on(m, x);
}

/* Called off before the stop, as often as one likes. */
static int
side_cancel(struct migrate *m, unsigned int x)
{
	int rc = migrate_log_off(m, x);

	m->counts.cancelled++;
	if (rc == 0)
		rc = migrate_rest(m);
	return rc < 0 ? rc : side_begin(m, x);
}

static int
sides_step(struct migrate *m, unsigned int n_sides)
{
	int rc = 0;

	for (uint32_t n = 1 + vmm_rng(&m->rng, 4); n > 0 && rc == 0; n--)
		rc = migrate_step(m, vmm_rng(&m->rng, n_sides));
	while (rc == 0 && vmm_rng(&m->rng, 6) == 0)
		rc = side_cancel(m, vmm_rng(&m->rng, n_sides));
	return rc;
}

/* Guests whose ports are of two switches go together, or no frame would reach the other one. */
static int
sides_go_on(struct migrate *m, unsigned int n_sides)
{
	uint32_t road = vmm_rng(&m->rng, 10);
	int rc = 0;

	for (unsigned int x = 0; x < n_sides && rc == 0; x++) {
		if (x > 0 && m->sides[x].n_ports < 2)
			road = vmm_rng(&m->rng, 10);
		rc = side_go_on(m, x, road);
	}
	return rc;
}

/* The peer is on its way, too, when it has to, when it logs already, or when the dice say so. */
static unsigned int
sides_draw(struct migrate *m)
{
	if (m->sides[1].n_ports == 2 || m->sides[1].g->logging)
		return 2;
	return vmm_rng(&m->rng, 5) == 0 ? 2 : 1;
}

int
migrate_run(struct migrate *m)
{
	unsigned int n_sides = sides_draw(m);
	int rc = 0;

	m->doing = "begin";
	for (unsigned int x = 0; x < n_sides && rc == 0; x++)
		rc = side_begin(m, x);
	if (rc == 0)
		rc = migrate_rest(m);
	if (rc == 0)
		rc = sides_step(m, n_sides);
	for (unsigned int x = 0; x < n_sides && rc == 0; x++)
		rc = state_enter(m, x);
	for (unsigned int x = 0; x < n_sides && rc == 0; x++)
		rc = side_stop(m, x);
	if (rc == 0)
		rc = sides_go_on(m, n_sides);
	m->doing = "at the end";
	if (rc == 0)
		rc = migrate_rest(m);
	return rc < 0 ? rc : migrate_meet(m);
}
