/* SPDX-License-Identifier: BSD-3-Clause */
/* What may happen while a guest is migrating: its log is on, and somebody harvests it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest_inner.h"
#include "migrate.h"
#include "vmm_rng.h"

#define PLUG_SIZE (1 << 20)
#define LOG_SPARE 4096          /* QEMU's VHOST_LOG_BUFFER, in bytes */

static int
step_stream(struct migrate *m, unsigned int x)
{
	uint64_t frames[2] = { 1 + vmm_rng(&m->rng, 80), 1 + vmm_rng(&m->rng, 80) };
	int rc = stream_run(&m->stream, frames);

	(void)x;
	return rc == -ETIMEDOUT ? 0 : rc;       /* migrate_rest() says what is missing */
}

static int
burst(struct migrate *m, uint32_t below)
{
	return stream_burst(&m->stream, 1 + vmm_rng(&m->rng, below));
}

/* One burst and no more: what it wrote is not written, nor marked, by the next one as well. */
static int
step_few(struct migrate *m, unsigned int x)
{
	int rc = burst(m, 24);

	return rc < 0 ? rc : migrate_checkpoint(m, x);
}

/* Long enough for a worker to fall asleep, and then it is woken. */
static int
step_nap(struct migrate *m, unsigned int x)
{
	uint64_t frames[2] = { x == 0, x == 1 };
	int rc;

	usleep(1000 + vmm_rng(&m->rng, 15000));
	rc = stream_run(&m->stream, frames);
	return rc == -ETIMEDOUT ? 0 : rc;
}

/* To everybody: what both guests receive that is not for them alone. */
static int
step_flood(struct migrate *m, unsigned int x)
{
	struct vmm_guest *from = m->sides[1 - x].g;
	struct vmm_frame f = { .raw = true };
	uint8_t bytes[VMM_FRAME_MAX];
	int rc = 0;

	memset(f.dst, 0xff, sizeof(f.dst));
	memcpy(f.src, from->mac, sizeof(f.src));
	for (uint32_t n = 1 + vmm_rng(&m->rng, 4); n > 0 && rc == 0; n--) {
		f.len = m->cmd->size_min + vmm_rng(&m->rng, 1400);
		f.seq = m->stream.others + n;
		vmm_frame_build(bytes, &f);
		rc = vmm_guest_send(from, 0, bytes, f.len, NULL);
	}
	if (rc == 0)
		rc = vmm_guest_flush(from);
	return rc < 0 && rc != -EAGAIN ? rc : burst(m, 20);
}

static int
step_rarp(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[1 - x].g;
	uint64_t mac = 0;
	int rc;

	if ((g->front->protocol & VMM_PROTO_RARP) == 0)
		return 0;
	memcpy(&mac, g->mac, sizeof(g->mac));
	rc = vmm_front_send_u64(g->front, VMM_SEND_RARP, mac);
	return rc < 0 ? rc : burst(m, 20);
}

static int
step_replace(struct migrate *m, unsigned int x)
{
	int rc = burst(m, 60);

	return rc < 0 ? rc : migrate_log_replace(m, x, 0);
}

/* Two at once leave no time to become used to the first. */
static int
step_replace_storm(struct migrate *m, unsigned int x)
{
	int rc = 0;

	for (uint32_t n = 2 + vmm_rng(&m->rng, 4); n > 0 && rc == 0; n--) {
		rc = migrate_log_replace(m, x, n % 2 * LOG_SPARE);
		if (rc == 0)
			rc = burst(m, 20);
	}
	return rc;
}

/* Memory hotplug: a larger log before the larger table, a smaller one behind the smaller table. */
static int
step_memory(struct migrate *m, unsigned int x)
{
	struct migrate_side *s = &m->sides[x];
	int rc = burst(m, 40);

	if (rc < 0 || (!s->plugged && s->g->mem->n_regions == VMM_REGIONS_MAX))
		return rc;
	receiver_pauses(m, x);
	if (s->plugged) {
		rc = vmm_guest_mem_unplug(s->g);
		if (rc == 0)
			rc = migrate_log_replace(m, x, 0);
	} else {
		rc = vmm_mem_plug(s->g->mem, PLUG_SIZE);
		if (rc >= 0)
			rc = migrate_log_replace(m, x, LOG_SPARE);
		if (rc == 0)
			rc = vmm_front_send_mem(s->g->front, s->g->mem);
	}
	s->plugged = !s->plugged;
	return rc < 0 ? rc : burst(m, 40);
}

/* The same table again: whoever arms its log from the table has to do it again. */
static int
step_table(struct migrate *m, unsigned int x)
{
	int rc = burst(m, 40);

	receiver_pauses(m, x);
	return rc < 0 ? rc : vmm_front_send_mem(m->sides[x].g->front, m->sides[x].g->mem);
}

/* Cancelled and tried again. */
static int
step_off_on(struct migrate *m, unsigned int x)
{
	int rc = migrate_log_off(m, x);

	m->counts.off_ons++;
	if (rc == 0)
		rc = burst(m, 40);
	return rc < 0 ? rc : migrate_log_on(m, x);
}

static int
step_storm(struct migrate *m, unsigned int x)
{
	int rc = 0;

	for (uint32_t n = 2 + vmm_rng(&m->rng, 5); n > 0 && rc == 0; n--)
		rc = step_off_on(m, x);
	return rc;
}

static int
pairs_enable(struct migrate *m, struct vmm_guest *g, bool enabled)
{
	uint64_t features;
	int rc = 0;

	m->lossy[0] = m->lossy[1] = true;
	for (unsigned int i = 0; i < g->conf.pairs && rc == 0; i++)
		rc = vmm_guest_enable(g, i, enabled);
	return rc < 0 ? rc : vmm_front_ask_u64(g->front, VMM_GET_FEATURES, &features);
}

/* Rings that are started and disabled discard what is transmitted, and give it back all the same. */
static int
step_disable(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[x].g;
	int rc = pairs_enable(m, g, false);

	if (rc == 0)
		rc = burst(m, 20);
	if (rc == 0)
		rc = migrate_checkpoint(m, x);
	return rc < 0 ? rc : pairs_enable(m, g, true);
}

static int
step_flicker(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[x].g;
	int rc = burst(m, 40);

	if (rc == 0)
		rc = pairs_enable(m, g, false);
	return rc < 0 ? rc : pairs_enable(m, g, true);
}

static int
step_addr(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[x].g;
	int rc = burst(m, 40);

	receiver_pauses(m, x);
	return rc < 0 ? rc : vmm_guest_addr_send(g, vmm_rng(&m->rng, g->n_queues));
}

static int
step_kick(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[x].g;
	int rc = burst(m, 40);

	receiver_pauses(m, x);
	return rc < 0 ? rc : vmm_guest_kick_change(g, vmm_rng(&m->rng, g->n_queues));
}

static int
step_call(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[x].g;
	int rc = burst(m, 40);

	receiver_pauses(m, x);
	return rc < 0 ? rc : vmm_guest_call_change(g, vmm_rng(&m->rng, g->n_queues));
}

/* The driver is loaded again; the migration goes on, with a new log as QEMU makes one. */
static int
step_reboot(struct migrate *m, unsigned int x)
{
	int rc = burst(m, 40);

	if (rc == 0)
		rc = migrate_stop(m, x);
	m->lossy[0] = m->lossy[1] = true;
	if (rc == 0)
		rc = vmm_guest_reboot(m->sides[x].g);
	if (rc == 0)
		rc = migrate_log_arm(m, x, false);
	m->sides[x].broken = false;
	return rc < 0 ? rc : migrate_start(m, x);
}

static int
received_all(struct migrate *m)
{
	int rc;

	do {
		rc = stream_receive(&m->stream);
	} while (rc > 0);
	return rc;
}

/* The connection is lost in the middle: the next one logs from its first message, and its log comes
 * last, when the rings have been kicked long ago. */
static int
step_reconnect(struct migrate *m, unsigned int x)
{
	struct vmm_guest *g = m->sides[x].g;
	int rc = burst(m, 40);

	receiver_pauses(m, x);
	vmm_guest_disconnect(g);
	if (rc == 0)
		rc = vmm_harvest_round(&m->sides[x].harvest);
	vmm_harvest_stop(&m->sides[x].harvest);
	if (rc == 0)
		rc = migrate_compare(m, x, "when the connection was lost");
	if (rc == 0)
		rc = received_all(m);
	if (rc == 0)
		rc = vmm_guest_reclaim(g);
	if (rc >= 0)
		rc = migrate_log_arm(m, x, true);
	if (rc == 0)
		rc = vmm_guest_open(g);
	if (rc == 0)
		rc = burst(m, 40);
	usleep(vmm_rng(&m->rng, 5000));
	return rc < 0 ? rc : migrate_log_arrive(m, x);
}

static const struct {
	const char *name;
	int (*run)(struct migrate *m, unsigned int x);
	uint32_t weight;
} steps[] = {
	{ "stream", step_stream, 8 },
	{ "few", step_few, 5 },
	{ "nap", step_nap, 3 },
	{ "flood", step_flood, 3 },
	{ "rarp", step_rarp, 2 },
	{ "replace the log", step_replace, 3 },
	{ "replace the log again and again", step_replace_storm, 1 },
	{ "memory", step_memory, 2 },
	{ "table", step_table, 2 },
	{ "off and on", step_off_on, 2 },
	{ "storm of off and on", step_storm, 1 },
	{ "disable", step_disable, 2 },
	{ "flicker", step_flicker, 2 },
	{ "addr", step_addr, 1 },
	{ "kick", step_kick, 1 },
	{ "call", step_call, 1 },
	{ "reboot", step_reboot, 1 },
	{ "reconnect", step_reconnect, 1 },
	{ "checkpoint", migrate_checkpoint, 4 },
};

#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

static size_t
step_pick(struct migrate *m)
{
	uint32_t total = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < N_STEPS; k++)
		total += steps[k].weight;
	for (at = vmm_rng(&m->rng, total); at >= steps[i].weight; i++)
		at -= steps[i].weight;
	return i;
}

int
migrate_step(struct migrate *m, unsigned int x)
{
	size_t i = step_pick(m);
	int rc;

	m->doing = steps[i].name;
	m->counts.steps++;
	if (m->cmd->verbose)
		fprintf(stderr, "  %s guest%u\n", steps[i].name, m->sides[x].g->conf.mac_id);
	rc = steps[i].run(m, x);
	return rc < 0 ? rc : migrate_rest(m);
}
