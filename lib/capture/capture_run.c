/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_impl.h"

#include "pcapng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a filter may be long; libpcap takes more, a file's option does not. */
#define FILTER_MAX 8192

static int
filter_compile(struct capture_run *run, char *why, size_t why_size)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, CAPTURE_SNAPLEN_MAX);
	int rc = 0;

	if (dead == NULL)
		return -ENOMEM;
	if (pcap_compile(dead, &run->program, run->filter, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		snprintf(why, why_size, "filter: %s", pcap_geterr(dead));
		rc = -EINVAL;
	}
	run->filtering = rc == 0;
	pcap_close(dead);
	return rc;
}

static int
filter_set(struct capture_run *run, const char *filter, char *why, size_t why_size)
{
	if (filter == NULL || filter[0] == '\0')
		return 0;
	if (strlen(filter) > FILTER_MAX) {
		snprintf(why, why_size, "filter: longer than %u characters", FILTER_MAX);
		return -EINVAL;
	}
	run->filter = strdup(filter);
	if (run->filter == NULL)
		return -ENOMEM;
	return filter_compile(run, why, why_size);
}

static bool
file_in_use(struct capture *c, const struct capture_run *run)
{
	bool used = false;

	pthread_mutex_lock(&c->lock);
	for (uint32_t i = 0; i < c->n_active; i++) {
		const struct capture_sink *s = &c->active[i]->sink;

		used = used || (s->dev == run->sink.dev && s->ino == run->sink.ino);
	}
	pthread_mutex_unlock(&c->lock);
	return used;
}

/* Emptied only when it is sure that no other capture writes there. */
static int
sink_set(struct capture *c, struct capture_run *run, const struct capture_opts *opts, char *why,
	 size_t why_size)
{
	const char *what = opts->file == NULL ? "descriptor" : opts->file;
	int rc;

	rc = opts->file == NULL ? sink_share(&run->sink, opts->fd) :
				  sink_open(&run->sink, opts->file);
	if (rc == 0 && run->sink.kind != SINK_STREAM && file_in_use(c, run)) {
		snprintf(why, why_size, "%s: another capture writes there", what);
		return -EEXIST;
	}
	if (rc == 0 && opts->file != NULL)
		rc = sink_empty(&run->sink);
	if (rc < 0)
		snprintf(why, why_size, "%s: %s", what, strerror(-rc));
	return rc;
}

static int
rings_create(struct capture_run *run)
{
	for (uint32_t i = 0; i < run->n_workers; i++) {
		run->rings[i] = ring_create();
		if (run->rings[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int
run_init(struct capture *c, struct capture_run *run, const struct capture_opts *opts, char *why,
	 size_t why_size)
{
	int rc;

	run->port = opts->port;
	run->dir = opts->dir;
	run->snaplen = opts->snaplen == 0 ? CAPTURE_SNAPLEN_MAX : opts->snaplen;
	run->frames_max = opts->frames_max;
	run->bytes_max = opts->bytes_max;
	run->n_workers = cross_n_workers(c->cross);
	run->file = strdup(opts->file == NULL ? "-" : opts->file);
	if (run->file == NULL)
		return -ENOMEM;
	rc = filter_set(run, opts->filter, why, why_size);
	if (rc == 0)
		rc = rings_create(run);
	return rc == 0 ? sink_set(c, run, opts, why, why_size) : rc;
}

int
run_create(struct capture *c, const struct capture_opts *opts, char *why, size_t why_size,
	   struct capture_run **out)
{
	struct capture_run *run = calloc(1, sizeof(*run));
	int rc;

	if (run == NULL)
		return -ENOMEM;
	run->sink.fd = -1;
	run->ifaces_end = &run->ifaces;
	rc = run_init(c, run, opts, why, why_size);
	if (rc < 0) {
		run_destroy(run);
		return rc;
	}
	*out = run;
	return 0;
}

int
run_iface_add(struct capture *c, struct capture_run *run, uint16_t port)
{
	struct capture_iface *i;
	size_t size = sizeof(*i) + run->n_workers * sizeof(i->counts[0]);

	i = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));
	if (i == NULL)
		return -ENOMEM;
	memset(i, 0, size);
	snprintf(i->name, sizeof(i->name), "%s", c->names[port]);
	i->port = port;
	i->id = -1;
	pthread_mutex_lock(&c->lock);
	*run->ifaces_end = i;
	run->ifaces_end = &i->next;
	pthread_mutex_unlock(&c->lock);
	run->now[port] = i;
	return 0;
}

struct iface_sum
run_iface_sum(const struct capture_run *run, const struct capture_iface *i)
{
	struct iface_sum sum = { 0 };

	for (uint32_t w = 0; w < run->n_workers; w++) {
		const struct capture_count *n = &i->counts[w];

		sum.offered += atomic_load_explicit(&n->offered, memory_order_relaxed);
		sum.filtered += atomic_load_explicit(&n->filtered, memory_order_relaxed);
		sum.dropped += atomic_load_explicit(&n->dropped, memory_order_relaxed);
	}
	return sum;
}

void
run_info(const struct capture_run *run, struct capture_info *out)
{
	memset(out, 0, sizeof(*out));
	out->port = run->port;
	out->dir = run->dir;
	out->snaplen = run->snaplen;
	out->running = run_state(run) != RUN_ENDED;
	out->frames = atomic_load_explicit(&run->frames, memory_order_relaxed);
	out->bytes = atomic_load_explicit(&run->bytes, memory_order_relaxed);
	out->drops = atomic_load_explicit(&run->lost, memory_order_relaxed);
	for (const struct capture_iface *i = run->ifaces; i != NULL; i = i->next) {
		const struct iface_sum sum = run_iface_sum(run, i);

		out->filtered += sum.filtered;
		out->drops += sum.dropped;
	}
	snprintf(out->name, sizeof(out->name), "%s", run->name);
	snprintf(out->file, sizeof(out->file), "%s", run->file);
	snprintf(out->filter, sizeof(out->filter), "%s", run->filter == NULL ? "" : run->filter);
	if (!out->running)
		snprintf(out->reason, sizeof(out->reason), "%s", run->reason);
}

void
run_strip(struct capture_run *run)
{
	for (uint32_t i = 0; i < run->n_workers; i++) {
		ring_destroy(run->rings[i]);
		run->rings[i] = NULL;
	}
	if (run->filtering)
		pcap_freecode(&run->program);
	run->filtering = false;
	sink_close(&run->sink);
}

void
run_destroy(struct capture_run *run)
{
	if (run == NULL)
		return;
	run_strip(run);
	while (run->ifaces != NULL) {
		struct capture_iface *i = run->ifaces;

		run->ifaces = i->next;
		free(i);
	}
	free(run->filter);
	free(run->file);
	free(run);
}
