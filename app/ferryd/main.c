/* SPDX-License-Identifier: BSD-3-Clause */
#include "ferryd.h"
#include "dirty_fault.h"
#include "gmem.h"
#include "log.h"
#include "vdpadev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_REGISTER(ferryd);
LOG_USE(ferryd);

#define RPC_PATH "/run/ferry/ferry.sock"

static int
watch_keep(struct ferryd *d, int rc, struct loop_watch *w)
{
	if (rc == 0)
		d->watches[d->n_watches++] = w;
	return rc;
}

int
ferryd_read(struct ferryd *d, int fd, loop_fn *fn)
{
	struct loop_watch *w = NULL;

	return watch_keep(d, loop_read(d->loop, fd, fn, d, &w), w);
}

int
ferryd_timer(struct ferryd *d, uint64_t period_us, loop_fn *fn)
{
	struct loop_watch *w = NULL;

	return watch_keep(d, loop_timer(d->loop, period_us, fn, d, &w), w);
}

int
ferryd_signal(struct ferryd *d, int signo, loop_fn *fn)
{
	struct loop_watch *w = NULL;

	return watch_keep(d, loop_signal(d->loop, signo, fn, d, &w), w);
}

static int
guard_init(struct ferryd *d)
{
	return gmem_guard_init();
}

static int
vdpa_init(struct ferryd *d)
{
	return vdpadev_init();
}

static int
loop_init(struct ferryd *d)
{
	return loop_create(&d->loop);
}

static void
loop_fini(struct ferryd *d)
{
	for (uint32_t i = 0; i < d->n_watches; i++)
		loop_watch_destroy(d->watches[i]);
	loop_destroy(d->loop);
}

static int
cross_init(struct ferryd *d)
{
	return cross_create(d->config->n_cpus > 0 ? d->config->n_cpus : 1, &d->cross);
}

static void
cross_fini(struct ferryd *d)
{
	cross_destroy(d->cross);
}

static int
swdev_init(struct ferryd *d)
{
	return swdev_pool_create(d->cross, &d->pool);
}

static void
swdev_fini(struct ferryd *d)
{
	swdev_pool_destroy(d->pool);
}

static int
fdb_init(struct ferryd *d)
{
	const struct fdb_opts opts = {
		.age_s = d->config->fdb_age_s, .quota = d->config->fdb_quota,
	};

	return fdb_create(d->cross, &opts, &d->fdb);
}

static void
fdb_fini(struct ferryd *d)
{
	fdb_destroy(d->fdb);
}

static int
capture_init(struct ferryd *d)
{
	return capture_create(d->cross, &d->capture);
}

static void
capture_fini(struct ferryd *d)
{
	capture_destroy(d->capture);
}

static int
ports_init(struct ferryd *d)
{
	static const struct port_devices devices = {
		.create = vdpadev_create, .failed = vdpadev_failed, .info = vdpadev_info,
		.stats_next = vdpadev_stats_next,
	};
	int rc = ports_create(d->cross, d->pool, &glue_port_ops, d, &d->ports);

	if (rc == 0)
		ports_devices(d->ports, &devices);
	return rc;
}

static void
ports_fini(struct ferryd *d)
{
	ports_destroy(d->ports);
}

static int
workers_init(struct ferryd *d)
{
	const struct worker_opts opts = {
		.cross = d->cross,
		.cpus = d->config->n_cpus > 0 ? d->config->cpus : NULL,
		.fwd = {
			.cross = d->cross, .pool = d->pool, .ports = d->ports, .fdb = d->fdb,
			.capture = d->capture, .parks = d->parks,
		},
	};

	return worker_set_create(&opts, &d->workers);
}

static void
workers_fini(struct ferryd *d)
{
	worker_set_destroy(d->workers);
}

static int
events_init(struct ferryd *d)
{
	return eventlog_create(&d->events);
}

static void
events_fini(struct ferryd *d)
{
	eventlog_destroy(d->events);
}

const char *
ferryd_rpc_path(const struct ferryd *d)
{
	return d->config->rpc_socket != NULL ? d->config->rpc_socket : RPC_PATH;
}

static int
rpc_refused(const struct ferryd *d, int rc)
{
	const char *path = ferryd_rpc_path(d);

	if (rc == -EADDRINUSE)
		LOG(ERR, "%s: a live process answers on this socket; --rpc PATH gives another", path);
	else
		LOG(ERR, "%s: %s", path, strerror(-rc));
	return rc;
}

static int
rpc_init(struct ferryd *d)
{
	const struct rpc_opts opts = {
		.path = ferryd_rpc_path(d), .mode = d->config->rpc_mode,
		.group = d->config->rpc_group,
	};
	int rc = rpc_create(d->loop, &opts, &d->methods.rpc);

	if (rc < 0)
		return rpc_refused(d, rc);
	d->methods.loop = d->loop;
	d->methods.ports = d->ports;
	d->methods.fdb = d->fdb;
	d->methods.capture = d->capture;
	d->methods.workers = d->workers;
	d->methods.parks = d->parks;
	d->methods.peers = peer_moves_set(d->peers);
	d->methods.events = d->events;
	d->methods.migrations = d->migrations;
	d->methods.config = d->config;
	rc = rpc_switch_init(&d->methods);
	if (rc < 0)
		rpc_destroy(d->methods.rpc);
	return rc;
}

static void
rpc_fini(struct ferryd *d)
{
	rpc_destroy(d->methods.rpc);
	rpc_switch_fini(&d->methods);
}

static int
config_init(struct ferryd *d)
{
	struct rpc_error err = { .code = 0 };
	int rc = config_apply(&d->methods, d->config, &err);

	if (rc < 0)
		LOG(ERR, "%s", err.message);
	return rc;
}

/* Ports go while their workers run: what is queued for them is still delivered. */
static void
config_fini(struct ferryd *d)
{
	uint32_t iter = 0;
	struct port *p;

	while ((p = port_next(d->ports, &iter)) != NULL)
		port_del(d->ports, p);
}

static const struct module modules[] = {
	{ "privileges", false, privileges_init, NULL },
	{ "descriptors", false, descriptors_init, NULL },
	{ "eal",        true,  eal_init,     eal_fini },
	{ "guard",      false, guard_init,   NULL },
	{ "vdpadev",    true,  vdpa_init,    NULL },
	{ "loop",       false, loop_init,    loop_fini },
	{ "cross",      false, cross_init,   cross_fini },
	{ "swdev",      false, swdev_init,   swdev_fini },
	{ "fdb",        false, fdb_init,     fdb_fini },
	{ "capture",    false, capture_init, capture_fini },
	{ "events",     false, events_init,  events_fini },
	{ "migration",  false, migration_init, migration_fini },
	{ "parks",      false, park_init,    park_fini },
	{ "announcer",  false, announcer_init, announcer_fini },
	{ "ports",      false, ports_init,   ports_fini },
	{ "peers",      false, peer_init,    peer_fini },
	{ "handovers",  false, handover_init, handover_fini },
	{ "workers",    true,  workers_init, workers_fini },
	{ "glue",       false, glue_init,    NULL },
	{ "rpc",        true,  rpc_init,     rpc_fini },
	{ "config",     true,  config_init,  config_fini },
	{ "service",    false, service_init, service_fini },
	{ "console",    false, console_init, console_fini },
};

static int
run(struct ferryd *d)
{
	size_t n = 0;
	int rc = 0;

	for (; n < RTE_DIM(modules); n++) {
		rc = modules[n].init(d);
		if (rc < 0) {
			if (!modules[n].tells)
				LOG(ERR, "cannot start (%s): %s", modules[n].name, strerror(-rc));
			d->status = EXIT_FAILURE;
			break;
		}
	}
	if (rc == 0)
		loop_run(d->loop);
	while (n-- > 0)
		if (modules[n].fini != NULL)
			modules[n].fini(d);
	return d->status;
}

static int
start(struct ferryd *d)
{
	struct rpc_error err = { .code = 0 };
	int status = EXIT_FAILURE;

	if (options_config(&d->opts, &d->config) < 0)
		return EXIT_FAILURE;
	if (d->opts.check) {
		puts("ferryd: the configuration is good");
		status = EXIT_SUCCESS;
	} else if (config_log_set(&d->config->log, &err) < 0) {
		fprintf(stderr, "ferryd: %s\n", err.message);
	} else {
		status = run(d);
	}
	config_destroy(d->config);
	return status;
}

int
main(int argc, char **argv)
{
	static struct ferryd d;
	int status = 2;

	dirty_fault_init();
	log_open(NULL);
	switch (options_parse(argc, argv, &d.opts)) {
	case OPTIONS_DONE:
		status = EXIT_SUCCESS;
		break;
	case OPTIONS_WRONG:
		break;
	case OPTIONS_RUN:
		status = start(&d);
	}
	options_fini(&d.opts);
	return status;
}
