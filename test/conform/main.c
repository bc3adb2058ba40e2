/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the cases of the contract on one provider and one ring format. */
#include "conform.h"
#include "dirty.h"
#include "provider_qemu.h"
#include "provider_sw.h"
#include "provider_vdpa.h"
#include "shapes.h"

#include <rte_common.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct provider *const providers[] = {
	&provider_sw, &provider_vdpa_log, &provider_vdpa_shadow, &provider_vdpa_qemu,
};

static unsigned int n_run, n_failed;

uint64_t
conform_drops(const struct conform *c)
{
	return c->provider->drops(c->wire) - c->drops;
}

uint32_t
conform_random(struct conform *c, uint32_t below)
{
	c->seed = c->seed * 1664525 + 1013904223;
	return (c->seed >> 8) % below;
}

/* No more than the guest needs: a stop compares all of it. */
static uint64_t
mem_needed(const struct vmm_guest_conf *conf)
{
	uint64_t n_bufs = RTE_MIN(conf->size, conf->n_bufs), size = conf->size;
	uint64_t tables = conf->indirect ? RTE_MIN(size, 512u) * VMM_SEGS_MAX * 16 : 0;
	/* Twice: a guest that boots again has its rings elsewhere. */
	uint64_t rings = 2 * (2 * (26 * size + 4096) + tables);
	uint64_t bufs = n_bufs * (conf->rx_buf + conf->tx_buf + 128);

	return conf->pairs * (rings + bufs) * 5 / 4 + conf->n_regions * (64ULL << 10);
}

static int
side_make(struct conform *c, struct side *s, uint16_t port)
{
	const struct shape *shape = c->shape;
	struct vmm_guest_conf conf;
	struct vdev *dev;
	int rc;

	vmm_guest_conf_init(&conf);
	conf.size = shape->size;
	conf.pairs = shape->pairs;
	conf.pos = shape->pos;
	conf.packed = shape->packed;
	conf.indirect = shape->indirect;
	conf.mergeable = shape->mergeable;
	conf.event_idx = shape->event_idx;
	conf.in_order = shape->in_order;
	conf.legacy = shape->legacy;
	conf.segs = shape->segs;
	conf.split_header = !shape->legacy;
	conf.rx_buf = shape->rx_buf > 0 ? shape->rx_buf : conf.rx_buf;
	conf.n_regions = shape->n_regions > 0 ? shape->n_regions : 1;
	conf.shadow = true;
	conf.twin = c->twin;
	conf.seed = c->seed;
	conf.n_bufs = shape->pairs > 1 ? 32 : 128;
	conf.lenient = c->provider->lenient;
	conf.mem_size = mem_needed(&conf);
	rc = c->provider->make(c->wire, port, shape->pairs, &dev);
	if (rc < 0)
		return vmm_fault_set(&c->fault, "port %u: no vdev: %s", port, strerror(-rc));
	rc = side_create(s, &conf, port, dev, &c->fault);
	if (rc < 0) {
		vdev_destroy(dev);
		return vmm_fault_set(&c->fault, "port %u: no guest: %s", port, strerror(-rc));
	}
	return 0;
}

static void
side_unmake(struct side *s)
{
	struct vdev *dev = s->dev;

	side_destroy(s);
	vdev_destroy(dev);
}

static int
sides_make(struct conform *c)
{
	int rc = side_make(c, &c->a, 0);

	return rc < 0 ? rc : side_make(c, &c->b, 1);
}

static void
sides_unmake(struct conform *c)
{
	if (c->b.dev != NULL)
		side_unmake(&c->b);
	if (c->a.dev != NULL)
		side_unmake(&c->a);
	c->provider->tend(c->wire);
}

static int
case_run(struct conform *c, const struct conform_case *row)
{
	int rc = c->a.dev == NULL ? sides_make(c) : 0;

	if (rc < 0)
		return rc;
	c->drops = c->provider->drops(c->wire);
	c->forgotten = 0;
	traffic_init(&c->ab, &c->a, &c->b, 100, c->seed, &c->fault);
	traffic_init(&c->ba, &c->b, &c->a, 200, c->seed + 1, &c->fault);
	rc = row->run(c);
	return vmm_fault_found(&c->fault) ? -EPROTO : rc;
}

static void
case_failed(struct conform *c, const struct conform_case *row, uint32_t seed)
{
	const struct shape *s = c->shape;

	n_failed++;
	printf("FAILED: %s, size %u, %u pairs, from 0x%x, seed %u: %s: %s\n", s->name, s->size,
	       s->pairs, s->pos, seed, row->story, c->fault.text);
	fflush(stdout);
	sides_unmake(c);
	c->fault.text[0] = '\0';
}

/* Cases of a group follow each other on the same guests, from wherever the last one has stopped;
 * after `wild` ones the guests are of no use any more. */
static void
cases_run(const struct provider *p, struct wire *w, const struct shape *shape, uint32_t seed,
	  const struct conform_case *cases, unsigned int n, bool wild)
{
	struct conform c = {
		.provider = p, .wire = w, .shape = shape, .seed = seed, .twin = cases == log_cases,
	};

	for (unsigned int i = 0; i < n; i++) {
		n_run++;
		if (case_run(&c, &cases[i]) < 0)
			case_failed(&c, &cases[i], seed);
		else if (wild)
			sides_unmake(&c);
	}
	sides_unmake(&c);
}

/* A device with fewer queues has its turn with each shape, too. */
static void
shape_fit(const struct provider *p, struct shape *shape)
{
	if (p->n_pairs_max > 0)
		shape->pairs = RTE_MIN(shape->pairs, p->n_pairs_max);
}

static void
format_run(const struct provider *p, struct wire *w, bool packed, uint32_t seed)
{
	struct shape shape;

	for (unsigned int i = 0; shapes_next(packed, i, &shape); i++) {
		shape_fit(p, &shape);
		if (p->modern && shape.legacy)
			cases_run(p, w, &shape, seed + i, legacy_cases, n_legacy_cases, false);
		else
			cases_run(p, w, &shape, seed + i, life_cases, n_life_cases, false);
	}
	for (unsigned int i = 0; shapes_few_next(packed, i, &shape); i++) {
		shape_fit(p, &shape);
		cases_run(p, w, &shape, seed + i, change_cases, n_change_cases, false);
		cases_run(p, w, &shape, seed + i, refuse_cases, n_refuse_cases, false);
		cases_run(p, w, &shape, seed + i, log_cases, n_log_cases, true);
		cases_run(p, w, &shape, seed + i, bad_cases, n_bad_cases, true);
	}
}

static const struct provider *
provider_find(const char *name)
{
	for (unsigned int i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
		if (strcmp(providers[i]->name, name) == 0)
			return providers[i];
	return NULL;
}

int
main(int argc, char **argv)
{
	const struct provider *p = argc > 2 ? provider_find(argv[1]) : NULL;
	uint32_t seed = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 0) : 1;
	const char *fault;
	struct wire *w;
	int rc;

	if (p == NULL || (strcmp(argv[2], "split") != 0 && strcmp(argv[2], "packed") != 0)) {
		fprintf(stderr, "usage: conform PROVIDER split|packed [SEED]\n");
		return 2;
	}
	dirty_fault_init();
	rc = p->open(&w);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", p->name, strerror(-rc));
		return 1;
	}
	format_run(p, w, strcmp(argv[2], "packed") == 0, seed);
	fault = p->fault != NULL ? p->fault(w) : NULL;
	if (fault != NULL) {
		printf("FAILED: %s\n", fault);
		n_failed++;
	}
	p->close(w);
	printf("%s-%s: %u cases, %u failed, seed %u\n", p->name, argv[2], n_run, n_failed, seed);
	return n_failed > 0 || n_run == 0;
}
