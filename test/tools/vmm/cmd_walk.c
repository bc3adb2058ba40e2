/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vmm walk`: a random walk over what a front-end may do to a running guest, all oracles on.
 *
 * After every step the streams come to rest.  A way on which the step could lose frames (its
 * receiver was stopped for a moment) writes them off; on any other way nothing may be missing.  The
 * choices depend on the seed alone, so that a failing seed and step can be walked again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "leak.h"
#include "stream.h"

#define QUIET_MS 60
#define PLUG_SIZE (1 << 20)

struct walk {
	struct cmd *cmd;
	struct vmm_guest *guests[2];
	struct stream stream;
	uint32_t rng;
	bool lossy[2];          /* by way: this step may lose frames */
	bool plugged[2];        /* by guest: it has a region more than at first */
	uint64_t lost;
};

/* Waits until the backend has done everything that it was told. */
static int
sync_guest(struct vmm_guest *g)
{
	uint64_t features;

	return vmm_front_ask_u64(g->front, VMM_GET_FEATURES, &features);
}

/* Comes to rest and settles what is missing. */
static int
walk_rest(struct walk *w)
{
	int rc = sync_guest(w->guests[0]);

	/* What a step asked for is done within that step, or its losses fall into the next one. */
	if (rc == 0)
		rc = sync_guest(w->guests[1]);
	if (rc == 0)
		rc = stream_quiesce(&w->stream, QUIET_MS);
	if (rc == -ETIMEDOUT)
		return vmm_fault_set(&w->cmd->fault, "%u and %u chains are never used",
				     vmm_guest_unsent(w->guests[0]),
				     vmm_guest_unsent(w->guests[1]));
	for (int i = 0; i < 2 && rc == 0; i++) {
		struct stream_way *way = &w->stream.ways[i];

		if (!w->lossy[i] && stream_in_flight(way) > 0)
			return vmm_fault_set(&w->cmd->fault, "%" PRIu64 " frames of guest%u lost",
					     stream_in_flight(way), way->from->conf.mac_id);
		w->lost += stream_write_off(way);
		w->lossy[i] = false;
		rc = vmm_mem_check(w->guests[i]->mem);
	}
	return rc;
}

/* Guest `x` will not receive for a moment. */
static void
receiver_pauses(struct walk *w, unsigned int x)
{
	w->lossy[1 - x] = true;
}

/* Steps: each gets the guest that it is about */

static int
step_stream(struct walk *w, unsigned int x)
{
	uint64_t frames[2] = { 1 + vmm_rng(&w->rng, 300), 1 + vmm_rng(&w->rng, 300) };
	int rc = stream_run(&w->stream, frames);

	(void)x;
	return rc == -ETIMEDOUT ? 0 : rc;       /* walk_rest() says what is missing */
}

static int
step_nap(struct walk *w, unsigned int x)
{
	uint64_t frames[2] = { x == 0, x == 1 };
	int rc;

	usleep(20000 + vmm_rng(&w->rng, 30000));
	rc = stream_run(&w->stream, frames);
	return rc == -ETIMEDOUT ? 0 : rc;
}

/* The guest's rings stand still; what they hold is received and every position is checked. */
static int
guest_stopped(struct walk *w, unsigned int x)
{
	int rc;

	receiver_pauses(w, x);
	rc = vmm_guest_stop(w->guests[x]);
	do {
		if (rc >= 0)
			rc = stream_receive(&w->stream);
	} while (rc > 0);
	return rc < 0 ? rc : vmm_guest_settle(w->guests[x]);
}

static int
step_restart(struct walk *w, unsigned int x)
{
	int rc = stream_burst(&w->stream, vmm_rng(&w->rng, 100));

	if (rc == 0)
		rc = guest_stopped(w, x);
	if (rc == 0)
		rc = stream_burst(&w->stream, vmm_rng(&w->rng, 50));
	return rc < 0 ? rc : vmm_guest_start(w->guests[x]);
}

static int
step_reboot(struct walk *w, unsigned int x)
{
	int rc = stream_burst(&w->stream, vmm_rng(&w->rng, 100));

	if (rc == 0)
		rc = guest_stopped(w, x);
	/* What was in its transmit rings goes with the old driver. */
	w->lossy[x] = true;
	if (rc == 0)
		rc = vmm_guest_reboot(w->guests[x]);
	return rc < 0 ? rc : vmm_guest_start(w->guests[x]);
}

static int
step_reconnect(struct walk *w, unsigned int x)
{
	int rc = stream_burst(&w->stream, vmm_rng(&w->rng, 100));

	receiver_pauses(w, x);
	vmm_guest_disconnect(w->guests[x]);
	do {
		if (rc >= 0)
			rc = stream_receive(&w->stream);
	} while (rc > 0);
	if (rc == 0)
		rc = vmm_guest_reclaim(w->guests[x]);
	return rc < 0 ? rc : vmm_guest_open(w->guests[x]);
}

/* A disabled pair gives nothing to its guest, and discards what the guest transmits. */
static int
step_disable(struct walk *w, unsigned int x)
{
	struct vmm_guest *g = w->guests[x];
	struct stream_way *from = &w->stream.ways[x], *to = &w->stream.ways[1 - x];
	uint64_t received, expected = from->received;
	int rc = 0;

	for (unsigned int i = 0; i < g->conf.pairs && rc == 0; i++)
		rc = vmm_guest_enable(g, i, false);
	if (rc == 0)
		rc = sync_guest(g);
	received = to->received;
	if (rc == 0)
		rc = stream_burst(&w->stream, 1 + vmm_rng(&w->rng, 20));
	if (rc == 0 && !g->conf.lenient)
		rc = stream_quiesce(&w->stream, QUIET_MS);
	if (rc == 0 && to->received != received)
		rc = vmm_fault_set(&w->cmd->fault, "a disabled ring received");
	if (rc == 0 && !g->conf.lenient && from->received != expected)
		rc = vmm_fault_set(&w->cmd->fault, "a disabled ring's frames were forwarded");
	for (unsigned int i = 0; i < g->conf.pairs && rc == 0; i++)
		rc = vmm_guest_enable(g, i, true);
	w->lossy[0] = w->lossy[1] = true;
	return rc < 0 ? rc : sync_guest(g);
}

/* Off and on again while frames are under way. */
static int
step_flicker(struct walk *w, unsigned int x)
{
	unsigned int pair = vmm_rng(&w->rng, w->guests[x]->conf.pairs);
	int rc = stream_burst(&w->stream, 1 + vmm_rng(&w->rng, 100));

	w->lossy[0] = w->lossy[1] = true;
	if (rc == 0)
		rc = vmm_guest_enable(w->guests[x], pair, false);
	if (rc == 0)
		rc = stream_burst(&w->stream, 1 + vmm_rng(&w->rng, 50));
	if (rc == 0)
		rc = vmm_guest_enable(w->guests[x], pair, true);
	return rc < 0 ? rc : sync_guest(w->guests[x]);
}

static int
step_memory(struct walk *w, unsigned int x)
{
	struct vmm_guest *g = w->guests[x];
	int rc = stream_burst(&w->stream, 1 + vmm_rng(&w->rng, 100));

	if (rc < 0 || (!w->plugged[x] && g->mem->n_regions == VMM_REGIONS_MAX))
		return rc;
	receiver_pauses(w, x);
	rc = w->plugged[x] ? vmm_guest_mem_unplug(g) : vmm_guest_mem_plug(g, PLUG_SIZE);
	w->plugged[x] = !w->plugged[x];
	return rc;
}

static unsigned int
ring_pick(struct walk *w, unsigned int x)
{
	return vmm_rng(&w->rng, w->guests[x]->n_queues);
}

static int
step_call(struct walk *w, unsigned int x)
{
	int rc = stream_burst(&w->stream, 1 + vmm_rng(&w->rng, 100));

	receiver_pauses(w, x);
	return rc < 0 ? rc : vmm_guest_call_change(w->guests[x], ring_pick(w, x));
}

static int
step_kick(struct walk *w, unsigned int x)
{
	int rc = stream_burst(&w->stream, 1 + vmm_rng(&w->rng, 100));

	receiver_pauses(w, x);
	return rc < 0 ? rc : vmm_guest_kick_change(w->guests[x], ring_pick(w, x));
}

static int
step_addr(struct walk *w, unsigned int x)
{
	int rc = stream_burst(&w->stream, 1 + vmm_rng(&w->rng, 100));

	receiver_pauses(w, x);
	return rc < 0 ? rc : vmm_guest_addr_send(w->guests[x], ring_pick(w, x));
}

/* The announcement is broadcast: the other guest hears it. */
static int
step_rarp(struct walk *w, unsigned int x)
{
	struct vmm_guest *g = w->guests[x];
	int64_t until_us = cmd_now_us() + g->conf.deadline_ms * 1000LL;
	uint64_t others = w->stream.others, mac = 0;
	int rc;

	if ((g->front->protocol & VMM_PROTO_RARP) == 0)
		return 0;
	memcpy(&mac, g->mac, sizeof(g->mac));
	rc = vmm_front_send_u64(g->front, VMM_SEND_RARP, mac);
	while (rc >= 0 && w->stream.others == others && cmd_now_us() < until_us) {
		rc = stream_receive(&w->stream);
		if (rc == 0)
			rc = vmm_guest_wait(w->guests, 2, 5);
	}
	if (rc >= 0 && w->stream.others == others)
		return vmm_fault_set(&w->cmd->fault, "SEND_RARP was not announced");
	return rc < 0 ? rc : 0;
}

static const struct {
	const char *name;
	int (*run)(struct walk *w, unsigned int x);
	uint32_t weight;
} steps[] = {
	{ "stream", step_stream, 6 },
	{ "nap", step_nap, 1 },
	{ "restart", step_restart, 3 },
	{ "reboot", step_reboot, 2 },
	{ "reconnect", step_reconnect, 2 },
	{ "disable", step_disable, 1 },
	{ "flicker", step_flicker, 2 },
	{ "memory", step_memory, 2 },
	{ "call", step_call, 2 },
	{ "kick", step_kick, 2 },
	{ "addr", step_addr, 2 },
	{ "rarp", step_rarp, 1 },
};

#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

static size_t
step_pick(struct walk *w)
{
	uint32_t total = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < N_STEPS; k++)
		total += steps[k].weight;
	for (at = vmm_rng(&w->rng, total); at >= steps[i].weight; i++)
		at -= steps[i].weight;
	return i;
}

static int
walk_run(struct walk *w, uint32_t *step, size_t *kind)
{
	int rc = 0;

	for (*step = 0; *step < w->cmd->steps; ++*step) {
		unsigned int x;

		*kind = step_pick(w);
		x = vmm_rng(&w->rng, 2);
		if (w->cmd->verbose)
			fprintf(stderr, "%u %s guest%u\n", *step, steps[*kind].name,
				w->guests[x]->conf.mac_id);
		rc = steps[*kind].run(w, x);
		if (rc >= 0)
			rc = walk_rest(w);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
walk_open(struct walk *w)
{
	struct cmd *cmd = w->cmd;
	int rc = 0;

	for (unsigned int i = 0; i < 2 && rc == 0; i++) {
		rc = cmd_guest(cmd, cmd->args[i], i, &w->guests[i]);
		if (rc == 0)
			rc = vmm_guest_open(w->guests[i]);
	}
	for (unsigned int i = 0; i < 2 && rc == 0; i++)
		rc = vmm_guest_announce(w->guests[i]);
	if (rc == 0)
		stream_init(&w->stream, w->guests[0], w->guests[1],
			    cmd->flows != 0 ? cmd->flows : 4, cmd->size_min, cmd->size_max,
			    cmd->conf.seed);
	return rc;
}

/* With a process to look at, nothing may have leaked once both guests are as they were at first. */
static int
walk_leaks(struct walk *w, pid_t pid, const struct leak *before)
{
	struct leak after;
	int rc = 0;

	for (unsigned int x = 0; x < 2 && rc == 0; x++)
		if (w->plugged[x])
			rc = step_memory(w, x);
	if (rc == 0)
		rc = walk_rest(w);
	sleep(1);
	if (rc == 0)
		rc = leak_count(&after, pid);
	return rc < 0 ? rc : leak_check(before, &after, &w->cmd->fault);
}

static void
result_print(const struct walk *w, uint32_t step, const char *kind, int rc)
{
	const struct stream_way *ways = w->stream.ways;

	printf("{\"ok\": %s, \"seed\": %u, \"steps\": %u, \"step\": \"%s\", \"sent\": %" PRIu64
	       ", \"received\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"late\": %" PRIu64
	       ", \"others\": %" PRIu64 ", \"fault\": ", rc == 0 ? "true" : "false",
	       w->cmd->conf.seed, step, kind, ways[0].sent + ways[1].sent,
	       ways[0].received + ways[1].received, w->lost, ways[0].late + ways[1].late,
	       w->stream.others);
	if (rc == 0)
		printf("null}\n");
	else {
		cmd_json_text(vmm_fault_found(&w->cmd->fault) ? w->cmd->fault.text : strerror(-rc));
		printf("}\n");
	}
}

int
cmd_walk(struct cmd *cmd)
{
	static struct walk w;
	pid_t pid = cmd->pids != NULL ? (pid_t)atoi(cmd->pids) : 0;
	struct leak before = { 0 };
	uint32_t step = 0;
	size_t kind = 0;
	int rc;

	if (cmd->n_args != 2)
		return CMD_USAGE;
	w.cmd = cmd;
	w.rng = cmd->conf.seed;
	rc = walk_open(&w);
	if (rc < 0)
		cmd_fail(cmd, "start", rc);
	if (rc == 0 && pid != 0)
		rc = leak_count(&before, pid);
	if (rc == 0)
		rc = walk_run(&w, &step, &kind);
	if (rc == 0 && pid != 0)
		rc = walk_leaks(&w, pid, &before);
	if (w.guests[1] != NULL)
		result_print(&w, step, steps[kind].name, rc);
	vmm_guest_destroy(w.guests[0]);
	vmm_guest_destroy(w.guests[1]);
	return rc < 0 ? CMD_FAILED : CMD_OK;
}
