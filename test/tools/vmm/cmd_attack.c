/* SPDX-License-Identifier: BSD-3-Clause */
/* `vmm attack`: runs malicious cases, and looks each time whether the backend is well. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attack.h"
#include "cmd.h"
#include "stream.h"

#define WITNESS_FRAMES 200
#define REACTION_MS 150

/* Index of the guest that attacks: its address is not that of a guest of another command. */
#define VICTIM 100

/* Guests on other ports of the same switch: one to talk to the victim's port, a pair to suffer. */
struct witness {
	struct vmm_guest *guests[2];
	struct stream stream;
	bool pair;
};

static const char broadcast[6] = "\xff\xff\xff\xff\xff\xff";

static int
witness_open(struct cmd *cmd, struct witness *w)
{
	char text[256], *second;
	int rc;

	if (cmd->witness == NULL)
		return 0;
	snprintf(text, sizeof(text), "%s", cmd->witness);
	second = strchr(text, ':');
	if (second != NULL)
		*second++ = '\0';
	rc = cmd_guest(cmd, text, 10, &w->guests[0]);
	if (rc == 0)
		rc = vmm_guest_open(w->guests[0]);
	if (rc < 0 || second == NULL)
		return rc;
	w->pair = true;
	rc = cmd_guest(cmd, second, 11, &w->guests[1]);
	if (rc == 0)
		rc = vmm_guest_open(w->guests[1]);
	if (rc == 0)
		stream_init(&w->stream, w->guests[0], w->guests[1], 4, cmd->size_min,
			    cmd->size_max, cmd->conf.seed);
	return rc;
}

/* Broadcasts reach the victim's receive ring too. */
static int
witness_broadcast(struct witness *w)
{
	struct vmm_frame f = { .len = 900 };
	uint8_t bytes[900];

	memcpy(f.dst, broadcast, 6);
	memcpy(f.src, w->guests[0]->mac, 6);
	vmm_frame_build(bytes, &f);
	for (int i = 0; i < 20; i++) {
		int rc = vmm_guest_send(w->guests[0], 0, bytes, f.len, NULL);

		if (rc < 0 && rc != -EAGAIN)
			return rc;
	}
	return vmm_guest_flush(w->guests[0]);
}

/* What the witnesses notice.  Returns 0 or -EPROTO. */
static int
witness_ask(struct witness *w)
{
	static const uint64_t frames[2] = { WITNESS_FRAMES, WITNESS_FRAMES };
	int rc;

	if (w->guests[0] == NULL)
		return 0;
	rc = witness_broadcast(w);
	if (rc < 0 || !w->pair)
		return rc;
	rc = stream_run(&w->stream, frames);
	if (rc == -ETIMEDOUT)
		rc = vmm_fault_set(w->stream.fault, "the witnesses' frames stand still");
	for (int i = 0; i < 2 && rc == 0; i++)
		rc = vmm_mem_check(w->guests[i]->mem);
	return rc;
}

static int
victim_open(struct cmd *cmd, struct attack *a, const struct attack_case *c)
{
	struct vmm_guest_conf conf;
	int rc = cmd_guest_conf(cmd, cmd->args[0], VICTIM, &conf);

	conf.size = 256;
	conf.n_bufs = 1;
	conf.n_regions = 2;
	conf.adjacent = true;
	conf.mem_size = 8 << 20;
	if (rc == 0)
		rc = vmm_guest_create(&a->g, &conf, &a->fault);
	if (rc == 0)
		rc = c->when == WHEN_CONNECTED ? vmm_front_connect(a->g->front) :
			vmm_guest_connect(a->g);
	if (rc == 0 && c->when == WHEN_STARTED)
		rc = vmm_guest_start(a->g);
	if (rc == 0)
		a->spare = vmm_mem_alloc(a->g->mem, SPARE_SIZE, 4096);
	return rc;
}

/* Legal chains come back.  The ledger knows nothing of them, so only the ring is looked at. */
static bool
chain_returned(struct attack *a)
{
	for (uint32_t ms = 0; ms < a->g->conf.deadline_ms; ms++) {
		if (vmm_ring_used(a->g->queues[1].ring))
			return true;
		usleep(1000);
	}
	return false;
}

/* A new connection starts, and what it transmits is taken.  Tried until the deadline. */
static int
port_works(struct cmd *cmd)
{
	uint8_t bytes[100] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0xfe, 0,
			       VICTIM + 1 };
	int64_t until_us = cmd_now_us() + cmd->conf.deadline_ms * 1000LL;
	int rc = -ETIMEDOUT;

	while (rc < 0 && rc != -EPROTO && cmd_now_us() < until_us) {
		struct vmm_guest *g = NULL;

		cmd->fault.text[0] = '\0';
		rc = cmd_guest(cmd, cmd->args[0], VICTIM, &g);
		if (rc == 0)
			rc = vmm_guest_open(g);
		if (rc == 0)
			rc = vmm_guest_send(g, 0, bytes, sizeof(bytes), NULL);
		if (rc == 0)
			rc = vmm_guest_flush(g);
		while (rc == 0 && vmm_guest_unsent(g) > 0) {
			rc = vmm_guest_wait(&g, 1, 1000);
			rc = rc == 0 ? -ETIMEDOUT : rc < 0 ? rc : vmm_guest_reclaim(g);
			rc = rc > 0 ? 0 : rc;
		}
		vmm_guest_destroy(g);
		if (rc < 0)
			usleep(20000);
	}
	return rc;
}

static void
case_print(const struct attack_case *c, const char *fault, const char *reaction)
{
	printf("{\"case\": \"%s\", \"ok\": %s, \"reaction\": \"%s\", \"fault\": ", c->name,
	       fault == NULL ? "true" : "false", reaction);
	if (fault == NULL)
		printf("null");
	else
		cmd_json_text(fault);
	printf("}\n");
	fflush(stdout);
}

static const char *
fault_text(const struct vmm_fault *fault, int rc)
{
	return vmm_fault_found(fault) ? fault->text : strerror(-rc);
}

/* Returns true when all is well; `gone` when nobody listens any more. */
static bool
case_run(struct cmd *cmd, struct witness *w, const struct attack_case *c, bool *gone)
{
	struct attack a = { 0 };
	const char *reaction = "none", *fault = NULL;
	int rc = victim_open(cmd, &a, c);

	if (rc < 0)
		fault = fault_text(&a.fault, rc);
	if (fault == NULL && c->run(&a) == -EREMOTEIO)
		reaction = "refused";
	if (fault == NULL && c->legal && !chain_returned(&a))
		fault = "a legal chain was not served";
	rc = witness_ask(w);
	if (fault == NULL && rc < 0)
		fault = fault_text(&cmd->fault, rc);
	if (fault == NULL)
		usleep(REACTION_MS * 1000);
	if (a.g != NULL && vmm_front_closed(a.g->front))
		reaction = "closed";
	if (!c->keep)
		vmm_guest_destroy(a.g);
	rc = port_works(cmd);
	*gone = rc == -ECONNREFUSED || rc == -ENOENT;
	if (fault == NULL && rc < 0)
		fault = fault_text(&cmd->fault, rc);
	if (c->keep)
		vmm_guest_destroy(a.g);
	case_print(c, fault, reaction);
	return fault == NULL;
}

static const struct {
	const struct attack_case *cases;
	const unsigned int *n;
} lists[] = {
	{ attack_ring_cases, &n_attack_ring_cases },
	{ attack_mem_cases, &n_attack_mem_cases },
	{ attack_msg_cases, &n_attack_msg_cases },
};

static void
cases_print(void)
{
	for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++)
		for (unsigned int i = 0; i < *lists[k].n; i++)
			printf("%-22s %s\n", lists[k].cases[i].name, lists[k].cases[i].what);
}

/* Names may end in '*'. */
static bool
name_matches(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (strcmp(pattern, "all") == 0)
		return true;
	if (len > 0 && pattern[len - 1] == '*')
		return strncmp(pattern, name, len - 1) == 0;
	return strcmp(pattern, name) == 0;
}

static unsigned int
cases_run(struct cmd *cmd, struct witness *w, const char *pattern, unsigned int *n_failed)
{
	unsigned int n = 0;
	bool gone = false;

	for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
		for (unsigned int i = 0; i < *lists[k].n && !gone; i++) {
			const struct attack_case *c = &lists[k].cases[i];

			if (!name_matches(pattern, c->name) || (c->split_only && cmd->conf.packed))
				continue;
			n++;
			if (!case_run(cmd, w, c, &gone))
				++*n_failed;
		}
	}
	if (gone)
		fprintf(stderr, "vmm: the backend is gone, no more cases\n");
	return n;
}

int
cmd_attack(struct cmd *cmd)
{
	static struct witness w;
	unsigned int n = 0, n_failed = 0;
	int rc;

	if (cmd->list) {
		cases_print();
		return CMD_OK;
	}
	if (cmd->n_args < 2)
		return CMD_USAGE;
	rc = witness_open(cmd, &w);
	if (rc < 0)
		cmd_fail(cmd, "witness", rc);
	for (unsigned int i = 1; i < cmd->n_args && rc == 0; i++) {
		unsigned int found = cases_run(cmd, &w, cmd->args[i], &n_failed);

		if (found == 0)
			fprintf(stderr, "vmm: no such case: %s\n", cmd->args[i]);
		n_failed += found == 0;
		n += found;
	}
	printf("{\"cases\": %u, \"failed\": %u}\n", n, n_failed);
	vmm_guest_destroy(w.guests[0]);
	vmm_guest_destroy(w.guests[1]);
	return rc < 0 || n_failed > 0 ? CMD_FAILED : CMD_OK;
}
