/* SPDX-License-Identifier: BSD-3-Clause */
/* `vmm gen`: one generator and sink for several switches, measured in slices by turns. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "fast.h"
#include "gather.h"
#include "vmm_rng.h"

#define PAIRS_MAX 8
#define BURST 64
#define DRAIN_US 3000
#define HARVEST_US 100000       /* QEMU's migration looks at the log about so often */

/* One direction of one pair of guests. */
struct gen_way {
	struct fast tx, rx;
	uint32_t per_frame;     /* receive buffers of one frame */
	struct vmm_guest *from, *to;
	uint32_t n_addresses;   /* frames go to so many of the receiver, drawn; 0: as they are */
	uint32_t rng;
};

/* Two guests on one switch. */
struct gen_pair {
	struct vmm_guest *guests[2];
	struct gen_way ways[2];
	struct vmm_log *logs[2];
	int64_t harvested_us;
	pid_t pid;              /* of the switch; 0: not to be stopped */
};

struct gen {
	struct gen_pair pairs[PAIRS_MAX];
	unsigned int n_pairs;
};

static uint32_t
frame_make(const struct cmd *cmd, const struct vmm_guest *from, const struct vmm_guest *to,
	   uint8_t *out)
{
	bool tcp = from->conf.offload && cmd->size_max >= VMM_FRAME_TCP_MIN;
	struct vmm_frame f = { .len = cmd->size_max, .tcp = tcp };
	struct virtio_net_hdr_v1 hdr = { 0 };

	memcpy(f.src, from->mac, 6);
	memcpy(f.dst, to->mac, 6);
	if (tcp)
		vmm_frame_offload(&hdr, &f, GATHER_MSS);
	memcpy(out, &hdr, from->hdr_len);
	vmm_frame_build(out + from->hdr_len, &f);
	return from->hdr_len + f.len;
}

static int
way_init(const struct cmd *cmd, struct gen_way *w, struct vmm_guest *from, struct vmm_guest *to)
{
	static uint8_t bytes[VMM_FRAME_MAX + sizeof(struct virtio_net_hdr_v1)];
	uint32_t len = frame_make(cmd, from, to, bytes);
	int rc = fast_init_tx(&w->tx, from, 0, bytes, len);

	w->from = from;
	w->to = to;
	w->rng = 1;
	w->per_frame = to->conf.mergeable ? (len + to->conf.rx_buf - 1) / to->conf.rx_buf : 1;
	return rc < 0 ? rc : fast_init_rx(&w->rx, to, 0);
}

/*
 * Draws the destinations of the next `n` frames: 02, the receiver's number, and four bytes of the
 * address's.  Only somebody who told the switch of these addresses should ask for them.
 */
static void
addresses_draw(struct gen_way *w, uint32_t n)
{
	const struct fast *f = &w->tx;

	for (uint32_t i = 0; i < n && i < f->n_held; i++) {
		uint32_t address = htobe32(vmm_rng(&w->rng, w->n_addresses));
		uint64_t gpa = f->addrs[f->held[f->n_held - 1 - i]] + w->from->hdr_len;
		uint8_t *dst = vmm_mem_host(w->from->mem, gpa, 6);

		dst[0] = 2;
		dst[1] = w->to->conf.mac_id;
		memcpy(&dst[2], &address, sizeof(address));
	}
}

/* What goes in at one end, and out at the other.  Returns the buffers that were received. */
static uint32_t
way_turn(struct gen_way *w, bool send)
{
	uint32_t n;

	fast_take(&w->tx);
	if (send && w->n_addresses > 0)
		addresses_draw(w, BURST);
	if (send)
		fast_offer(&w->tx, BURST);
	n = fast_take(&w->rx);
	fast_offer(&w->rx, n);
	return n;
}

/* Takes all bits, so that pages are marked again. */
static void
log_take(const struct vmm_log *log)
{
	for (uint64_t i = 0; i < log->n_words; i++)
		if (__atomic_load_n(&log->words[i], __ATOMIC_RELAXED) != 0)
			__atomic_exchange_n(&log->words[i], 0, __ATOMIC_ACQ_REL);
}

static void
logs_harvest(struct gen_pair *p, int64_t now)
{
	if (p->logs[0] == NULL || now - p->harvested_us < HARVEST_US)
		return;
	for (unsigned int i = 0; i < 2; i++)
		log_take(p->logs[i]);
	p->harvested_us = now;
}

static int
guest_log_set(struct gen_pair *p, unsigned int i, bool on)
{
	struct vmm_guest *g = p->guests[i];
	int rc = 0;

	if (p->logs[i] == NULL)
		rc = vmm_log_create(&p->logs[i], vmm_log_size(g->mem), true);
	if (rc == 0)
		rc = on ? vmm_guest_log_on(g, p->logs[i], false) : vmm_guest_log_off(g);
	return rc;
}

/* Sends for `us`, then lets what is under way arrive.  Frames count only while it sends. */
static int64_t
pair_slice(struct gen_pair *p, unsigned int n_ways, int64_t us, uint64_t frames[2])
{
	uint64_t bufs[2] = { 0, 0 };
	int64_t start = cmd_now_us(), now = start, quiet;

	while (now - start < us) {
		for (int turns = 0; turns < 16; turns++)
			for (unsigned int i = 0; i < n_ways; i++)
				bufs[i] += way_turn(&p->ways[i], true);
		now = cmd_now_us();
		logs_harvest(p, now);
	}
	for (quiet = now; cmd_now_us() - quiet < DRAIN_US;)
		for (unsigned int i = 0; i < 2; i++)
			if (way_turn(&p->ways[i], false) > 0)
				quiet = cmd_now_us();
	for (unsigned int i = 0; i < 2; i++)
		frames[i] = bufs[i] / p->ways[i].per_frame;
	return now - start;
}

/* Only the switch that is measured runs. */
static void
switches_turn(const struct gen *gen, unsigned int only)
{
	for (unsigned int i = 0; i < gen->n_pairs; i++)
		if (gen->pairs[i].pid != 0 && i != only)
			kill(gen->pairs[i].pid, SIGSTOP);
	if (gen->pairs[only].pid != 0)
		kill(gen->pairs[only].pid, SIGCONT);
}

static void
switches_free(const struct gen *gen)
{
	for (unsigned int i = 0; i < gen->n_pairs; i++)
		if (gen->pairs[i].pid != 0)
			kill(gen->pairs[i].pid, SIGCONT);
}

static void
slice_print(struct gen *gen, const struct cmd *cmd, unsigned int pair, int64_t us)
{
	uint64_t frames[2];

	switches_turn(gen, pair);
	us = pair_slice(&gen->pairs[pair], cmd->both ? 2 : 1, us, frames);
	printf("{\"pair\": %u, \"us\": %" PRId64 ", \"frames\": [%" PRIu64 ", %" PRIu64 "]}",
	       pair, us, frames[0], frames[1]);
}

static void
slices_run(struct gen *gen, const struct cmd *cmd)
{
	printf("{\"size\": %u, \"slices\": [", cmd->size_max);
	for (uint32_t i = 0; i < cmd->slices * gen->n_pairs; i++) {
		if (i > 0)
			printf(", ");
		slice_print(gen, cmd, i % gen->n_pairs,
			    (cmd->ms != 0 ? cmd->ms : 150) * 1000LL);
	}
	printf("]}\n");
}

/* "log PAIR 0|1": both guests' writes are logged, or not. */
static int
command_log(struct gen *gen, const char *line)
{
	unsigned int pair, on;
	int rc = 0;

	if (sscanf(line, "log %u %u", &pair, &on) < 2 || pair >= gen->n_pairs)
		return -EINVAL;
	for (unsigned int i = 0; i < 2 && rc == 0; i++)
		rc = guest_log_set(&gen->pairs[pair], i, on != 0);
	if (rc == 0)
		printf("{\"pair\": %u, \"log\": %u}\n", pair, on);
	return rc;
}

/* "run PAIR MS [N]": one slice, to N drawn addresses. */
static int
command_run(struct gen *gen, const struct cmd *cmd, const char *line)
{
	unsigned int pair, ms, n_addresses = 0;

	if (sscanf(line, "run %u %u %u", &pair, &ms, &n_addresses) < 2 || pair >= gen->n_pairs)
		return -EINVAL;
	for (unsigned int i = 0; i < 2; i++)
		gen->pairs[pair].ways[i].n_addresses = n_addresses;
	slice_print(gen, cmd, pair, ms * 1000LL);
	putchar('\n');
	return 0;
}

/* Each is answered by one line.  The caller looks at the switches in between. */
static int
commands_run(struct gen *gen, const struct cmd *cmd)
{
	char line[64];
	int rc;

	printf("{\"ready\": %u}\n", gen->n_pairs);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "quit\n") != 0) {
		rc = line[0] == 'l' ? command_log(gen, line) : command_run(gen, cmd, line);
		if (rc < 0) {
			fprintf(stderr, "vmm: %s: expected run PAIR MS [N], log PAIR 0|1 or quit: %s",
				strerror(-rc), line);
			return rc;
		}
		fflush(stdout);
	}
	return 0;
}

static int
pids_read(struct gen *gen, const struct cmd *cmd)
{
	const char *text = cmd->pids;

	for (unsigned int i = 0; text != NULL && i < gen->n_pairs; i++) {
		char *end;

		gen->pairs[i].pid = (pid_t)strtol(text, &end, 10);
		if (end == text || gen->pairs[i].pid <= 0) {
			fprintf(stderr, "vmm: pids: expected one for each pair: %s\n", cmd->pids);
			return -EINVAL;
		}
		text = *end == ',' ? end + 1 : end;
	}
	return 0;
}

static int
pair_open(struct cmd *cmd, struct gen_pair *p, unsigned int index)
{
	uint64_t frames[2];
	int rc = 0;

	for (unsigned int i = 0; i < 2 && rc == 0; i++) {
		rc = cmd_guest(cmd, cmd->args[index * 2 + i], i, &p->guests[i]);
		if (rc == 0)
			rc = vmm_guest_open(p->guests[i]);
	}
	for (unsigned int i = 0; i < 2 && rc == 0; i++)
		rc = vmm_guest_announce(p->guests[i]);
	for (unsigned int i = 0; i < 2 && rc == 0; i++)
		rc = way_init(cmd, &p->ways[i], p->guests[i], p->guests[1 - i]);
	/* Both addresses are learned, and caches warm, before anything counts. */
	if (rc == 0)
		pair_slice(p, 2, 20000, frames);
	return rc;
}

static void
pair_close(struct gen_pair *p)
{
	for (unsigned int i = 0; i < 2; i++) {
		fast_fini(&p->ways[i].tx);
		fast_fini(&p->ways[i].rx);
		vmm_guest_destroy(p->guests[i]);
		vmm_log_destroy(p->logs[i]);
	}
}

int
cmd_gen(struct cmd *cmd)
{
	static struct gen gen;
	int rc = 0;

	if (cmd->n_args < 2 || cmd->n_args % 2 != 0 || cmd->n_args / 2 > PAIRS_MAX)
		return CMD_USAGE;
	cmd->conf.segs = 1;
	while (gen.n_pairs < cmd->n_args / 2 && rc == 0) {
		rc = pair_open(cmd, &gen.pairs[gen.n_pairs], gen.n_pairs);
		gen.n_pairs++;
	}
	if (rc < 0)
		cmd_fail(cmd, "start", rc);
	if (rc == 0)
		rc = pids_read(&gen, cmd);
	if (rc == 0 && cmd->from_stdin)
		rc = commands_run(&gen, cmd);
	else if (rc == 0)
		slices_run(&gen, cmd);
	switches_free(&gen);
	while (gen.n_pairs > 0)
		pair_close(&gen.pairs[--gen.n_pairs]);
	return rc < 0 ? CMD_FAILED : CMD_OK;
}
