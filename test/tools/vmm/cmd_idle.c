/* SPDX-License-Identifier: BSD-3-Clause */
/* `vmm idle` and `vmm latency`: what a switch costs and does when there is nothing to do. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

static struct vmm_guest *guests[CMD_GUESTS_MAX];

static int
guests_open(struct cmd *cmd, unsigned int n)
{
	int rc = 0;

	for (unsigned int i = 0; i < n && rc == 0; i++) {
		rc = cmd_guest(cmd, cmd->args[i], i, &guests[i]);
		if (rc == 0)
			rc = vmm_guest_open(guests[i]);
		/* An idle guest's driver sleeps until it is interrupted. */
		for (unsigned int q = 0; rc == 0 && q < guests[i]->n_queues; q++)
			vmm_ring_arm(guests[i]->queues[q].ring);
	}
	return rc < 0 ? cmd_fail(cmd, "start", rc) : CMD_OK;
}

static int
connected_check(const struct cmd *cmd)
{
	for (unsigned int i = 0; i < cmd->n_args; i++) {
		if (!vmm_front_closed(guests[i]->front))
			continue;
		fprintf(stderr, "vmm: %s: the backend closed the connection\n",
			guests[i]->conf.path);
		return CMD_FAILED;
	}
	return CMD_OK;
}

/* Stays until SIGTERM or SIGINT, or until a backend hangs up. */
static int
idle_stay(const struct cmd *cmd, const sigset_t *set)
{
	const struct timespec second = { .tv_sec = 1 };
	int rc = CMD_OK;

	printf("{\"connected\": %u}\n", cmd->n_args);
	fflush(stdout);
	while (rc == CMD_OK && sigtimedwait(set, NULL, &second) < 0)
		rc = connected_check(cmd);
	return rc;
}

int
cmd_idle(struct cmd *cmd)
{
	sigset_t set;
	int rc;

	if (cmd->n_args == 0)
		return CMD_USAGE;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	rc = guests_open(cmd, cmd->n_args);
	if (rc == CMD_OK)
		rc = idle_stay(cmd, &set);
	for (unsigned int i = 0; i < cmd->n_args; i++)
		vmm_guest_destroy(guests[i]);
	return rc;
}

/* Sends one frame and waits until the other has it.  Returns microseconds, or -errno. */
static int64_t
frame_time(struct cmd *cmd, struct vmm_guest *from, struct vmm_guest *to, uint64_t seq,
	   const uint8_t *dst)
{
	struct vmm_frame f = { .seq = seq, .len = cmd->size_min };
	uint8_t bytes[VMM_FRAME_MAX];
	int64_t start, end;
	int rc;

	memcpy(f.src, from->mac, 6);
	memcpy(f.dst, dst, 6);
	vmm_frame_build(bytes, &f);
	rc = vmm_guest_send(from, 0, bytes, f.len, NULL);
	start = cmd_now_us();
	if (rc == 0)
		rc = vmm_guest_flush(from);
	do {
		if (rc >= 0)
			rc = vmm_guest_wait(&to, 1, cmd->conf.deadline_ms);
		if (rc <= 0)
			return rc < 0 ? rc : -ETIMEDOUT;
		end = cmd_now_us();
		rc = vmm_guest_recv(to, 0, bytes, sizeof(bytes), NULL);
	} while (rc == 0);
	if (rc > 0)
		rc = vmm_frame_parse(&f, bytes, (uint32_t)rc, &cmd->fault);
	if (rc == 0 && f.seq != seq)
		rc = vmm_fault_set(&cmd->fault, "frame %" PRIu64 " instead of %" PRIu64, f.seq,
				   seq);
	if (rc == 0)
		rc = vmm_guest_reclaim(from) < 0 || vmm_guest_flush(to) < 0 ? -EPROTO : 0;
	return rc < 0 ? rc : end - start;
}

static int
time_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int
latency_measure(struct cmd *cmd, uint32_t gap_ms, int64_t *times)
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	/* As guests do that come up: both addresses are known then, wherever they were before. */
	int64_t us = frame_time(cmd, guests[1], guests[0], 0, everybody);

	if (us >= 0)
		us = frame_time(cmd, guests[0], guests[1], 0, everybody);
	for (uint32_t i = 0; i < cmd->count && us >= 0; i++) {
		usleep(gap_ms * 1000);
		us = frame_time(cmd, guests[0], guests[1], i + 1, guests[1]->mac);
		times[i] = us;
	}
	return us < 0 ? (int)us : 0;
}

static int
latency_run(struct cmd *cmd)
{
	uint32_t gap_ms = cmd->ms != 0 ? cmd->ms : 1000;
	int64_t *times = calloc(cmd->count + 1, sizeof(*times));
	int rc = times == NULL ? -ENOMEM : latency_measure(cmd, gap_ms, times);

	if (rc == 0) {
		qsort(times, cmd->count, sizeof(*times), time_compare);
		printf("{\"gap_ms\": %u, \"count\": %u, \"min_us\": %" PRId64
		       ", \"median_us\": %" PRId64 ", \"p99_us\": %" PRId64
		       ", \"max_us\": %" PRId64 "}\n", gap_ms, cmd->count, times[0],
		       times[cmd->count / 2], times[(cmd->count * 99 + 99) / 100 - 1],
		       times[cmd->count - 1]);
	}
	free(times);
	return rc < 0 ? cmd_fail(cmd, "latency", rc) : CMD_OK;
}

int
cmd_latency(struct cmd *cmd)
{
	int rc;

	if (cmd->n_args != 2 || cmd->count == 0)
		return CMD_USAGE;
	rc = guests_open(cmd, 2);
	if (rc == CMD_OK)
		rc = latency_run(cmd);
	vmm_guest_destroy(guests[0]);
	vmm_guest_destroy(guests[1]);
	return rc;
}
