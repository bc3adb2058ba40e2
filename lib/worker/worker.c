/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker_impl.h"
#include "clock.h"
#include "log.h"
#include "mail.h"

#include <rte_arp.h>
#include <rte_byteorder.h>

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_REGISTER(worker);
LOG_USE(worker);

#define RARP_LEN   60
#define RARP_REQUEST_REVERSE 3

static int
worker_start(struct worker *w)
{
	pthread_attr_t attr;
	char name[16];
	cpu_set_t cpus;
	int rc;

	pthread_attr_init(&attr);
	if (w->cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(w->cpu, &cpus);
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	rc = -pthread_create(&w->thread, &attr, worker_loop, w);
	pthread_attr_destroy(&attr);
	if (rc < 0)
		return rc;
	w->started = true;
	snprintf(name, sizeof(name), "ferry-worker%u", w->index);
	pthread_setname_np(w->thread, name);
	return 0;
}

static int
worker_init(struct worker_set *ws, uint32_t i, const struct worker_opts *opts)
{
	struct worker *w = &ws->workers[i];
	struct fwd_opts fwd = opts->fwd;
	int rc;

	w->set = ws;
	w->index = i;
	w->cpu = opts->cpus != NULL ? opts->cpus[i] : -1;
	fwd.worker = i;
	rc = fwd_create(&fwd, &w->fwd);
	return rc < 0 ? rc : worker_start(w);
}

/* Signals are control's: no worker and nothing that is started here may take one. */
static int
workers_start(struct worker_set *ws, const struct worker_opts *opts)
{
	sigset_t all, before;
	int rc = 0;

	sigfillset(&all);
	sigdelset(&all, SIGBUS); /* vanished memory is raised where it was touched */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (uint32_t i = 0; rc == 0 && i < ws->n; i++)
		rc = worker_init(ws, i, opts);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int
worker_set_create(const struct worker_opts *opts, struct worker_set **out)
{
	uint32_t n = cross_n_workers(opts->cross);
	struct worker_set *ws;
	size_t size = sizeof(*ws) + n * sizeof(ws->workers[0]);
	int rc;

	size = RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE);
	ws = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (ws == NULL)
		return -ENOMEM;
	memset(ws, 0, size);
	ws->cross = opts->cross;
	ws->pool = opts->fwd.pool;
	ws->n = n;
	rc = workers_start(ws, opts);
	if (rc < 0) {
		LOG(ERR, "workers: %s", strerror(-rc));
		worker_set_destroy(ws);
		return rc;
	}
	*out = ws;
	return 0;
}

static void
worker_end(struct worker *w)
{
	const struct worker_info *info = &w->info;

	cross_wake(w->set->cross, w->index);
	pthread_join(w->thread, NULL);
	if (info->frames == 0)
		return;
	LOG(INFO, "worker %u: %" PRIu64 " frames at %" PRIu64 " busy cycles each, %" PRIu64 " sleeps",
	    w->index, info->frames, info->busy_cycles / info->frames, info->sleeps);
}

void
worker_set_destroy(struct worker_set *ws)
{
	if (ws == NULL)
		return;
	atomic_store(&ws->ending, true);
	for (uint32_t i = 0; i < ws->n; i++) {
		if (ws->workers[i].started)
			worker_end(&ws->workers[i]);
		fwd_destroy(ws->workers[i].fwd);
	}
	free(ws);
}

uint32_t
worker_count(const struct worker_set *ws)
{
	return ws->n;
}

static uint64_t
read64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

int
worker_info(const struct worker_set *ws, uint32_t worker, struct worker_info *out)
{
	const struct worker *w = &ws->workers[worker];
	const struct worker_info *in = &w->info;

	if (worker >= ws->n)
		return -ERANGE;
	*out = (struct worker_info){
		.cpu = w->cpu,
		.sleeping = __atomic_load_n(&in->sleeping, __ATOMIC_RELAXED),
		.bounded = __atomic_load_n(&in->bounded, __ATOMIC_RELAXED),
		.turns = read64(&in->turns),
		.frames = read64(&in->frames),
		.sleeps = read64(&in->sleeps),
		.busy_cycles = read64(&in->busy_cycles),
		.idle_cycles = read64(&in->idle_cycles),
		.sleep_cycles = read64(&in->sleep_cycles),
		.hz = rte_get_tsc_hz(),
	};
	fwd_polled(w->fwd, &out->n_rings, &out->n_queues);
	return 0;
}

/* What an announcement carries to the worker; the action frees it. */
struct announcement {
	struct worker_set *set;
	uint16_t port;
	uint32_t id;             /* of the port: its number may be another's when the mail is read */
	uint8_t frame[RARP_LEN];
};

static void
announce(uint32_t worker, void *arg)
{
	struct announcement *a = arg;

	fwd_inject(a->set->workers[worker].fwd, a->port, a->id, a->frame,
		   sizeof(a->frame));
	free(a);
}

static void
rarp_fill(uint8_t *frame, const struct rte_ether_addr *mac)
{
	struct rte_ether_hdr *eth = (void *)frame;
	struct rte_arp_hdr *arp = (void *)(eth + 1);

	memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
	eth->src_addr = *mac;
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_RARP);
	arp->arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER);
	arp->arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = RTE_ETHER_ADDR_LEN;
	arp->arp_plen = sizeof(uint32_t);
	arp->arp_opcode = rte_cpu_to_be_16(RARP_REQUEST_REVERSE);
	arp->arp_data.arp_sha = *mac;
	arp->arp_data.arp_tha = *mac;
}

void
worker_announce(struct worker_set *ws, uint16_t port, uint32_t id, const struct rte_ether_addr *mac)
{
	struct announcement *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return;
	a->set = ws;
	a->port = port;
	a->id = id;
	rarp_fill(a->frame, mac);
	mail_send(ws->cross, 0, announce, a);
}
