/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vmm migrate`: mini-migrations over the whole matrix of rings, features, queues and regions.
 *
 * Everything follows from the seed and the number of the shape: what fails can be run again alone,
 * with --seed and --first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "guest_inner.h"
#include "migrate.h"
#include "vmm_rng.h"

#define PER_SHAPE 2     /* migrations of one guest before the next shape */
#define SHAPES 256
#define MACS 250

/* A shape is its bits, mixed so that any stretch of shapes has some of everything. */
static void
shape_fill(struct vmm_guest_conf *conf, uint32_t number, uint32_t *rng)
{
	static const uint16_t sizes[] = { 64, 128, 256 };
	uint32_t shape = number * 157 % SHAPES;
	bool edge = vmm_rng(rng, 2) == 0;

	conf->packed = shape & 1;
	conf->mergeable = shape & 2;
	conf->indirect = shape & 4;
	conf->event_idx = shape & 8;
	conf->pairs = shape & 16 ? 4 : 1;
	conf->n_regions = 1 + (shape >> 5) % 8;
	conf->adjacent = vmm_rng(rng, 2) == 0;
	conf->size = sizes[vmm_rng(rng, conf->pairs > 1 ? 1 : 3)];
	/* Long enough for its end, its beginning and its index to be in pages of their own. */
	if (edge && conf->pairs == 1)
		conf->size = conf->packed ? 512 : 1024;
	/* Soon at the end of the ring. */
	conf->pos = (uint16_t)(vmm_rng(rng, 3) == 0 ? 0 : conf->size - 4 - vmm_rng(rng, 16));
	if (conf->pos > 0 && !conf->packed)
		conf->pos |= (uint16_t)~(conf->size - 1);
	conf->segs = edge || vmm_rng(rng, 2) == 0 ? 1 : 3;
	conf->split_header = conf->segs > 1;
	conf->offload = vmm_rng(rng, 2) == 0;
	conf->rx_buf = conf->mergeable ? 300 + vmm_rng(rng, 1500) : 0;
	conf->edge = edge ? 70 + vmm_rng(rng, 200) : 0;
	conf->n_bufs = conf->segs > 1 ? conf->size / 4 : conf->pairs > 1 ? 32 : 64;
	conf->seed = 1 + vmm_rng(rng, 1 << 20);
	conf->twin = conf->pattern = true;
}

/* No more than the guest needs: every comparison is of all of it. */
static uint64_t
mem_needed(const struct vmm_guest_conf *conf)
{
	uint64_t tables = conf->indirect ? conf->size * VMM_SEGS_MAX * 16ULL : 0;
	/* The largest piece must fit into any region. */
	uint64_t region = (128ULL << 10) + (conf->pairs > 1 ? 0 : tables);
	/* Twice: a guest that boots again has its rings elsewhere. */
	uint64_t rings = 2 * (2 * (26 * conf->size + 2 * VMM_PAGE) + tables);
	uint64_t edges = conf->edge > 0 ? 3 * VMM_PAGE : 0;
	uint64_t bufs = conf->n_bufs * (edges + conf->rx_buf + conf->tx_buf + 128ULL);

	return conf->pairs * (rings + bufs) * 3 / 2 + conf->n_regions * region;
}

static int
side_open(struct migrate *m, unsigned int x, uint32_t shape)
{
	struct migrate_side *s = &m->sides[x];
	struct vmm_guest_conf conf;
	int rc = cmd_guest_conf(m->cmd, s->ports[s->at], x, &conf);

	if (rc < 0)
		return rc;
	shape_fill(&conf, shape, &m->rng);
	/* What a switch has kept for the guest before is not for this one. */
	conf.mac_id = (uint8_t)(1 + (2 * m->counts.shapes + x) % MACS);
	if (m->stream.size_max > conf.tx_buf - 12)
		conf.tx_buf = m->stream.size_max + 12;
	/* Room for several of the longest frames, or the window is none. */
	if (!conf.mergeable)
		conf.rx_buf = m->stream.size_max + 12;
	else if (conf.rx_buf < 4 * (m->stream.size_max + 12) / conf.n_bufs)
		conf.rx_buf = 4 * (m->stream.size_max + 12) / conf.n_bufs;
	if (conf.packed)
		conf.pos |= 1 << 15;
	conf.mem_size = mem_needed(&conf);
	rc = vmm_guest_create(&s->g, &conf, &m->cmd->fault);
	if (rc < 0)
		return rc;
	vmm_harvest_init(&s->harvest, s->g->mem, conf.seed);
	return vmm_guest_open(s->g);
}

static void
side_close(struct migrate *m, unsigned int x)
{
	struct migrate_side *s = &m->sides[x];

	m->counts.rounds += s->harvest.rounds;
	m->counts.pages += s->harvest.pages;
	vmm_harvest_fini(&s->harvest);
	if (s->g != NULL)
		vmm_guest_disconnect(s->g);
	vmm_guest_destroy(s->g);
	s->g = NULL;
	s->plugged = s->broken = false;
}

/* Larger than a segment now and then, so that the switch has to cut. */
static void
sizes_draw(struct migrate *m)
{
	m->stream.size_min = m->cmd->size_min;
	m->stream.size_max = vmm_rng(&m->rng, 4) == 0 ? 9000 : m->cmd->size_max;
}

static int
shape_open(struct migrate *m, uint32_t shape)
{
	uint32_t size_min, size_max;
	int rc;

	sizes_draw(m);
	rc = side_open(m, 0, shape);
	/* The peer is of another kind, and often can do what the guest cannot. */
	if (rc == 0)
		rc = side_open(m, 1, shape ^ vmm_rng(&m->rng, SHAPES));
	if (rc < 0)
		return rc;
	size_min = m->stream.size_min;
	size_max = m->stream.size_max;
	stream_init(&m->stream, m->sides[0].g, m->sides[1].g, 4, size_min, size_max, m->rng);
	m->stream.tcp = true;
	m->stream.ways[0].breaks = m->stream.ways[1].breaks = true;
	rc = vmm_guest_announce(m->sides[0].g);
	if (rc == 0)
		rc = vmm_guest_announce(m->sides[1].g);
	/* Both are heard before anything counts. */
	if (rc == 0)
		rc = migrate_rest(m);
	return rc < 0 ? rc : migrate_meet(m);
}

static void
shape_close(struct migrate *m)
{
	for (unsigned int i = 0; i < 2; i++) {
		m->counts.sent += m->stream.ways[i].sent;
		m->counts.received += m->stream.ways[i].received;
		side_close(m, i);
	}
	stream_fini(&m->stream);
	memset(m->stream.ways, 0, sizeof(m->stream.ways));
}

/* One guest each; that the next one is served shows that nobody else has suffered. */
static int
refusals_run(struct migrate *m, uint32_t first)
{
	int rc = 0;

	for (unsigned int i = 0; i < migrate_refusals() && rc == 0; i++) {
		m->rng = m->cmd->conf.seed + i;
		m->doing = "start";
		rc = shape_open(m, first + i);
		if (rc == 0)
			rc = migrate_refuse(m, i);
		m->counts.refused += rc == 0;
		shape_close(m);
	}
	return rc;
}

static int
shape_run(struct migrate *m, uint32_t shape, uint64_t until)
{
	int rc;

	/* By itself it is the same as in a long run. */
	m->rng = m->cmd->conf.seed * 2654435761u + shape;
	m->doing = "start";
	m->counts.shapes++;
	if (m->cmd->verbose)
		fprintf(stderr, "shape %u\n", shape);
	rc = shape_open(m, shape);
	for (int i = 0; i < PER_SHAPE && m->counts.migrations < until && rc == 0; i++)
		rc = migrate_run(m);
	shape_close(m);
	return rc;
}

static void
result_print(const struct migrate *m, uint32_t shape, int64_t us, int rc)
{
	const struct migrate_counts *c = &m->counts;

	printf("{\"ok\": %s, \"seed\": %u, \"shape\": %u, \"ms\": %" PRId64 ", \"shapes\": %" PRIu64
	       ", \"migrations\": %" PRIu64 ", \"completed\": %" PRIu64 ", \"resumed\": %" PRIu64
	       ", \"failed\": %" PRIu64 ", \"cancelled\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"off_ons\": %" PRIu64
	       ", \"logs\": %" PRIu64 ", \"steps\": %" PRIu64 ", \"checkpoints\": %" PRIu64
	       ", \"rounds\": %" PRIu64 ", \"pages\": %" PRIu64 ", \"sent\": %" PRIu64
	       ", \"received\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"fault\": ",
	       rc == 0 ? "true" : "false", m->cmd->conf.seed, shape, us / 1000, c->shapes,
	       c->migrations, c->completed, c->resumed, c->failed, c->cancelled, c->refused, c->off_ons,
	       c->logs, c->steps, c->checkpoints, c->rounds, c->pages, c->sent, c->received, c->lost);
	if (rc == 0)
		printf("null");
	else
		cmd_json_text(vmm_fault_found(&m->cmd->fault) ? m->cmd->fault.text : strerror(-rc));
	printf("}\n");
}

int
cmd_migrate(struct cmd *cmd)
{
	static struct migrate m;
	int64_t start_us = cmd_now_us();
	uint32_t shape = cmd->first;
	int rc;

	if (cmd->n_args < 3 || cmd->n_args > 4)
		return CMD_USAGE;
	m.cmd = cmd;
	m.sides[0] = (struct migrate_side){ .ports = { cmd->args[0], cmd->args[1] }, .n_ports = 2 };
	m.sides[1] = (struct migrate_side){ .ports = { cmd->args[2], cmd->args[3] },
					    .n_ports = cmd->n_args - 2 };
	rc = refusals_run(&m, shape);
	for (; rc == 0 && m.counts.migrations < cmd->count; shape += rc == 0) {
		m.sides[0].at = m.sides[1].at = 0;
		rc = shape_run(&m, shape, cmd->count);
	}
	result_print(&m, shape, cmd_now_us() - start_us, rc);
	return rc < 0 ? CMD_FAILED : CMD_OK;
}
