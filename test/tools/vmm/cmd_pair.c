/* SPDX-License-Identifier: BSD-3-Clause */
/* `vmm pair`: two guests, streams both ways, every oracle. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "stream.h"

static void
way_print(const struct stream_way *w)
{
	const struct vmm_guest *g = w->from;
	uint64_t kicks = 0, suppressed = 0, segments = 0;

	for (uint32_t f = 0; f < STREAM_FLOWS_MAX; f++)
		segments += w->gathers[f].segments;
	for (unsigned int i = 0; i < g->n_queues; i++) {
		kicks += g->queues[i].ring->stats.kicks;
		suppressed += g->queues[i].ring->stats.kicks_suppressed;
	}
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", \"bytes\": %" PRIu64 ", \"kicks\": %" PRIu64 ", \"kicks_suppressed\": %" PRIu64
	       ", \"interrupts\": %" PRIu64 ", \"segments\": %" PRIu64 "}", w->sent, w->received,
	       w->written_off, w->bytes, kicks, suppressed, g->interrupts, segments);
}

static void
result_print(const struct cmd *cmd, const struct stream *s, int64_t us, int rc)
{
	printf("{\"ok\": %s, \"ms\": %" PRId64 ", \"features\": \"0x%" PRIx64 "\", \"a_to_b\": ",
	       rc == 0 ? "true" : "false", us / 1000, s->ways[0].from->front->features);
	way_print(&s->ways[0]);
	printf(", \"b_to_a\": ");
	way_print(&s->ways[1]);
	printf(", \"others\": %" PRIu64 ", \"seed\": %u, \"fault\": ", s->others, cmd->conf.seed);
	if (rc == 0)
		printf("null");
	else
		cmd_json_text(vmm_fault_found(&cmd->fault) ? cmd->fault.text : strerror(-rc));
	printf("}\n");
}

/* What did not arrive: a fault, or lost on a lossy way. */
static int
losses_judge(struct cmd *cmd, struct stream *s, int rc)
{
	for (int i = 0; i < 2 && rc == -ETIMEDOUT; i++) {
		struct stream_way *w = &s->ways[i];

		if (vmm_guest_unsent(w->from) > 0)
			return vmm_fault_set(&cmd->fault, "guest%u: %u chains are never used",
					     w->from->conf.mac_id, vmm_guest_unsent(w->from));
		if (stream_in_flight(w) > 0 && !cmd->lossy)
			return vmm_fault_set(&cmd->fault, "guest%u: %" PRIu64 " of %" PRIu64
					     " frames never arrived", w->from->conf.mac_id,
					     stream_in_flight(w), w->sent);
		stream_write_off(w);
	}
	return rc == -ETIMEDOUT ? 0 : rc;
}

static int
guests_settle(struct stream *s)
{
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++)
		rc = vmm_guest_stop(s->ways[i].from);
	if (rc == 0)
		rc = stream_receive(s);
	for (int i = 0; i < 2 && rc >= 0; i++)
		rc = vmm_guest_settle(s->ways[i].from);
	return rc < 0 ? rc : 0;
}

static int
pair_run(struct cmd *cmd, struct vmm_guest *a, struct vmm_guest *b)
{
	uint64_t frames[2] = { cmd->frames, cmd->one_way ? 0 : cmd->frames };
	struct stream *s = malloc(sizeof(*s));
	int64_t start_us = cmd_now_us();
	int rc;

	if (s == NULL)
		return -ENOMEM;
	stream_init(s, a, b, cmd->flows != 0 ? cmd->flows : cmd->conf.pairs, cmd->size_min,
		    cmd->size_max, cmd->conf.seed);
	s->rate = cmd->rate;
	s->tcp = !cmd->lossy;
	if (cmd->poll)
		s->nap_ms = 0;
	rc = losses_judge(cmd, s, stream_run(s, frames));
	if (rc == 0)
		rc = guests_settle(s);
	result_print(cmd, s, cmd_now_us() - start_us, rc);
	stream_fini(s);
	free(s);
	return rc;
}

int
cmd_pair(struct cmd *cmd)
{
	struct vmm_guest *a = NULL, *b = NULL;
	int rc;

	if (cmd->n_args != 2)
		return CMD_USAGE;
	if (cmd_guest(cmd, cmd->args[0], 0, &a) < 0 || cmd_guest(cmd, cmd->args[1], 1, &b) < 0) {
		vmm_guest_destroy(a);
		return CMD_USAGE;
	}
	rc = vmm_guest_open(a);
	if (rc == 0)
		rc = vmm_guest_open(b);
	if (rc == 0)
		rc = vmm_guest_announce(a);
	if (rc == 0)
		rc = vmm_guest_announce(b);
	if (rc < 0)
		cmd_fail(cmd, "start", rc);
	else
		rc = pair_run(cmd, a, b);
	vmm_guest_destroy(a);
	vmm_guest_destroy(b);
	return rc < 0 ? CMD_FAILED : CMD_OK;
}
