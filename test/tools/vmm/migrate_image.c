/* SPDX-License-Identifier: BSD-3-Clause */
/* The image oracle: logs and harvesters as a migration has them, and what is compared when. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest_inner.h"
#include "migrate.h"
#include "vmm_rng.h"

/* When nothing has moved for so long nothing will, where frames may be lost; and where none may: what
 * a switch has kept for a guest comes when it sees fit. */
#define REST_QUIET_MS 4
#define REST_WHOLE_MS 500
#define CHECKPOINT_MS 500
#define MEET_MS 3000

/* Waits until the backend has done everything that it was told. */
static int
sync_guest(struct vmm_guest *g)
{
	uint64_t features;

	return g->front->fd < 0 ? 0 : vmm_front_ask_u64(g->front, VMM_GET_FEATURES, &features);
}

static int
log_make(struct migrate *m, unsigned int x, uint64_t more, struct vmm_log **out)
{
	m->counts.logs++;
	return vmm_log_create(out, vmm_log_size(m->sides[x].g->mem) + more,
			      vmm_rng(&m->rng, 2) == 0);
}

/* From a round without a pause, which comes between a mark and a write, to a slow one. */
static uint32_t
pause_draw(struct migrate *m)
{
	static const uint32_t pauses_us[] = { 0, 0, 1, 50, 1000 };

	return pauses_us[vmm_rng(&m->rng, sizeof(pauses_us) / sizeof(pauses_us[0]))];
}

static int
harvest_begin(struct migrate *m, unsigned int x, struct vmm_log *log)
{
	struct vmm_harvest *h = &m->sides[x].harvest;
	int rc;

	h->pause_us = pause_draw(m);
	h->witness = vmm_rng(&m->rng, 2) == 0;
	rc = vmm_harvest_turn(h, log);
	return rc < 0 ? rc : vmm_harvest_start(h);
}

int
migrate_log_on(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[x].g;
	struct vmm_log *log;
	int rc = log_make(m, x, 0, &log);

	if (rc < 0)
		return rc;
	receiver_pauses(m, x);
	rc = vmm_guest_log_on(g, log, vmm_rng(&m->rng, 2) == 0);
	if (rc < 0) {
		g->log = NULL;
		vmm_log_destroy(log);
		return rc;
	}
	rc = harvest_begin(m, x, log);
	vmm_mem_copy(g->mem);
	return rc;
}

int
migrate_log_off(struct migrate *m, unsigned int x)
{
	struct vmm_harvest *h = &m->sides[x].harvest;
	int rc;

	receiver_pauses(m, x);
	rc = vmm_guest_log_off(m->sides[x].g);
	/* QEMU waits for no answer here; whoever watches the log has to. */
	if (rc == 0)
		rc = sync_guest(m->sides[x].g);
	vmm_harvest_stop(h);
	m->sides[x].g->log = NULL;
	/* Nothing may be marked where nothing is logged any more. */
	return rc < 0 ? rc : vmm_harvest_turn(h, NULL);
}

int
migrate_log_replace(struct migrate *m, unsigned int x, uint64_t more)
{
	struct vmm_log *log;
	int rc = log_make(m, x, more, &log);

	if (rc < 0)
		return rc;
	receiver_pauses(m, x);
	rc = vmm_guest_log_change(m->sides[x].g, log, vmm_rng(&m->rng, 2) == 0);
	if (rc < 0) {
		m->sides[x].g->log = m->sides[x].harvest.log;
		vmm_log_destroy(log);
		return rc;
	}
	return vmm_harvest_turn(&m->sides[x].harvest, log);
}

int
migrate_log_arm(struct migrate *m, unsigned int x, bool late)
{
	struct vmm_log *log;
	int rc = log_make(m, x, 0, &log);

	if (rc < 0)
		return rc;
	m->sides[x].g->logging = true;
	m->sides[x].g->log = late ? NULL : log;
	return harvest_begin(m, x, log);
}

int
migrate_log_arrive(struct migrate *m, unsigned int x)
{
	int rc = migrate_compare(m, x, "before its log has arrived");

	return rc < 0 ? rc : vmm_guest_log_change(m->sides[x].g, m->sides[x].harvest.log,
						  vmm_rng(&m->rng, 2) == 0);
}

static unsigned int
pages_differ(const struct vmm_mem *mem)
{
	uint64_t gpa = 0;
	unsigned int n = 0;

	while ((gpa = vmm_mem_differs(mem, gpa)) != VMM_GPA_NONE) {
		n++;
		gpa = (gpa / VMM_PAGE + 1) * VMM_PAGE;
	}
	return n;
}

static unsigned int
region_of(const struct vmm_mem *mem, uint64_t gpa)
{
	unsigned int i = 0;

	while (i + 1 < mem->n_regions && gpa - mem->regions[i].gpa >= mem->regions[i].size)
		i++;
	return i;
}

int
migrate_compare(struct migrate *m, unsigned int x, const char *when)
{
	const struct vmm_guest *g = m->sides[x].g;
	uint64_t gpa = vmm_mem_differs(g->mem, 0);
	char where[96];

	if (gpa == VMM_GPA_NONE)
		return 0;
	vmm_guest_where(g, gpa, where, sizeof(where));
	return vmm_fault_set(&m->cmd->fault, "image: guest%u, %s (%s): %u pages differ, first at gpa"
			     " 0x%" PRIx64 " (region %u of %u): %s", g->conf.mac_id, when, m->doing,
			     pages_differ(g->mem), gpa, region_of(g->mem, gpa), g->mem->n_regions,
			     where);
}

int
migrate_checkpoint(struct migrate *m, unsigned int x)
{
	struct vmm_harvest *h = &m->sides[x].harvest;
	int64_t until_us = cmd_now_us() + CHECKPOINT_MS * 1000LL;
	int rc = migrate_rest(m);

	/* A worker that goes to sleep may be between a write and its mark: look again. */
	while (rc == 0) {
		rc = vmm_harvest_round(h);
		if (rc < 0 || vmm_mem_differs(m->sides[x].g->mem, 0) == VMM_GPA_NONE)
			break;
		if (cmd_now_us() > until_us)
			return migrate_compare(m, x, "when all was quiet");
		usleep(100);
	}
	m->counts.checkpoints++;
	return rc;
}

static int
way_settle(struct migrate *m, unsigned int i)
{
	struct stream_way *way = &m->stream.ways[i];

	if (!m->lossy[i] && stream_in_flight(way) > 0)
		return vmm_fault_set(&m->cmd->fault, "%" PRIu64 " frames of guest%u lost (%s)",
				     stream_in_flight(way), way->from->conf.mac_id, m->doing);
	m->counts.lost += stream_write_off(way);
	m->lossy[i] = false;
	return 0;
}

int
migrate_rest(struct migrate *m)
{
	struct vmm_guest *a = m->sides[0].g, *b = m->sides[1].g;
	int rc = sync_guest(a);

	if (rc == 0)
		rc = sync_guest(b);
	if (rc == 0)
		rc = stream_quiesce(&m->stream, m->lossy[0] || m->lossy[1] ? REST_QUIET_MS :
				    REST_WHOLE_MS);
	if (rc == -ETIMEDOUT)
		return vmm_fault_set(&m->cmd->fault, "%u and %u chains are never used (%s)",
				     vmm_guest_unsent(a), vmm_guest_unsent(b), m->doing);
	for (unsigned int i = 0; i < 2 && rc == 0; i++)
		rc = way_settle(m, i);
	return rc;
}

int
migrate_meet(struct migrate *m)
{
	int64_t until_us = cmd_now_us() + MEET_MS * 1000LL;
	const struct stream_way *ways = m->stream.ways;
	uint64_t before[2] = { ways[0].received, ways[1].received };
	int rc = 0;

	while (rc == 0 && (ways[0].received == before[0] || ways[1].received == before[1])) {
		if (cmd_now_us() > until_us)
			return vmm_fault_set(&m->cmd->fault, "the guests do not find each other"
					     " (%s)", m->doing);
		m->lossy[0] = m->lossy[1] = true;
		rc = stream_burst(&m->stream, 1);
		if (rc == 0)
			rc = migrate_rest(m);
	}
	return rc;
}
