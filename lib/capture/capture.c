/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_impl.h"

#include "event.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

LOG_REGISTER(capture);
LOG_USE(capture);

/* The first blocks of a capture of one port, with the longest name and no filter, fit. */
#define BYTES_MIN 1024

/* What a port's view is made of: the runs that are published and have the port as an iface. */
static uint32_t
taps_fill(const struct capture *c, uint16_t port, struct capture_tap *taps)
{
	uint32_t n = 0;

	for (struct capture_run *run = c->runs; run != NULL; run = run->next)
		if (run->published && run->now[port] != NULL)
			taps[n++] = (struct capture_tap){ run, run->now[port] };
	return n;
}

static int
view_create(struct capture *c, uint16_t port, const struct capture_view **out)
{
	struct capture_tap taps[RUNS_MAX];
	const uint32_t n = taps_fill(c, port, taps);
	struct capture_view *v = NULL;

	if (n > 0) {
		v = malloc(sizeof(*v) + n * sizeof(v->taps[0]));
		if (v == NULL)
			return -ENOMEM;
		v->capture = c;
		v->n = n;
		memcpy(v->taps, taps, n * sizeof(taps[0]));
	}
	*out = v;
	return 0;
}

/*
 * Publishes the views of a port, or of all, anew.  After return no worker uses an old one.  Without
 * memory a port has no view, so that nobody finds a run in it that is about to go.
 */
static int
views_update(struct capture *c, uint16_t port)
{
	const struct capture_view *olds[CAPTURE_PORTS_MAX];
	const uint32_t first = port == UINT16_MAX ? 0 : port;
	const uint32_t end = port == UINT16_MAX ? CAPTURE_PORTS_MAX : port + 1u;
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t p = first; p < end; p++) {
		const struct capture_view *v = NULL;
		const struct capture_view *old = view_load(&c->views[p]);

		if (view_create(c, p, &v) < 0)
			rc = -ENOMEM;
		view_publish(&c->views[p], v);
		if (old != NULL)
			olds[n++] = old;
	}
	if (n > 0)
		cross_wait(c->cross);
	while (n > 0)
		free((void *)olds[--n]);
	return rc;
}

static void
drain_begin(struct capture *c, struct capture_run *run, const char *reason)
{
	pthread_mutex_lock(&c->lock);
	if (run_state(run) == RUN_ACTIVE) {
		snprintf(run->reason, sizeof(run->reason), "%s", reason);
		atomic_store_explicit(&run->state, RUN_DRAIN, memory_order_release);
	}
	atomic_store_explicit(&run->hurry, true, memory_order_relaxed);
	pthread_mutex_unlock(&c->lock);
	capture_bell(c);
}

static void
drain_wait(struct capture *c, struct capture_run *run)
{
	pthread_mutex_lock(&c->lock);
	while (run_state(run) != RUN_ENDED)
		pthread_cond_wait(&c->ended, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

/* Takes a run out of the views and waits until its file is complete. */
static void
run_finish(struct capture *c, struct capture_run *run, const char *reason)
{
	run->published = false;
	views_update(c, run->port);
	drain_begin(c, run, reason);
	drain_wait(c, run);
	run_strip(run);
}

/* Takes runs that the writer has ended out of the views. */
static void
reap(struct capture *c)
{
	for (struct capture_run *run = c->runs; run != NULL; run = run->next) {
		if (!run->published || run_state(run) != RUN_ENDED)
			continue;
		run_finish(c, run, "");
		LOG(NOTICE, "capture %s has ended: %s", run->name, run->reason);
	}
}

static void
ended_handle(void *arg, const struct event *ev)
{
	reap(arg);
}

static void
run_unlink(struct capture *c, struct capture_run *run)
{
	struct capture_run **at = &c->runs;

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
}

static void
run_link(struct capture *c, struct capture_run *run)
{
	struct capture_run **at = &c->runs;

	while (*at != NULL)
		at = &(*at)->next;
	*at = run;
}

static void
run_forget(struct capture *c, struct capture_run *run)
{
	run_unlink(c, run);
	run_destroy(run);
}

static struct capture_run *
run_find(const struct capture *c, const char *name)
{
	struct capture_run *run = c->runs;

	while (run != NULL && strcmp(run->name, name) != 0)
		run = run->next;
	return run;
}

/* Of captures that have ended the youngest are kept. */
static void
ended_trim(struct capture *c)
{
	struct capture_run *oldest = NULL;
	uint32_t n = 0;

	for (struct capture_run *run = c->runs; run != NULL; run = run->next) {
		if (run->published)
			continue;
		if (n++ == 0)
			oldest = run;
	}
	if (n >= RUNS_MAX)
		run_forget(c, oldest);
}

static int
refuse(char *why, size_t why_size, int rc, const char *text)
{
	snprintf(why, why_size, "%s", text);
	return rc;
}

static uint32_t
n_published(const struct capture *c)
{
	uint32_t n = 0;

	for (const struct capture_run *run = c->runs; run != NULL; run = run->next)
		n += run->published;
	return n;
}

static int
opts_check(const struct capture *c, const struct capture_opts *o, char *why, size_t why_size)
{
	const struct capture_run *run = o->name == NULL ? NULL : run_find(c, o->name);

	if (o->port != UINT16_MAX && (o->port >= CAPTURE_PORTS_MAX || c->names[o->port] == NULL))
		return refuse(why, why_size, -EINVAL, "port: there is none of this number");
	if (o->dir < CAPTURE_RX || o->dir > CAPTURE_BOTH)
		return refuse(why, why_size, -EINVAL, "dir: rx, tx or both expected");
	if (o->snaplen > CAPTURE_SNAPLEN_MAX)
		return refuse(why, why_size, -EINVAL, "snaplen: at most 65535 expected");
	if (o->bytes_max > 0 && o->bytes_max < BYTES_MIN)
		return refuse(why, why_size, -EINVAL, "bytes_max: 0 or at least 1024 expected");
	if (o->file == NULL && o->fd < 0)
		return refuse(why, why_size, -EINVAL, "file: a path or a descriptor expected");
	if (o->name != NULL && (o->name[0] == '\0' || strlen(o->name) >= sizeof(run->name)))
		return refuse(why, why_size, -EINVAL, "name: 1 to 63 characters expected");
	if (run != NULL && run->published)
		return refuse(why, why_size, -EEXIST, "name: a running capture has it");
	if (n_published(c) == RUNS_MAX)
		return refuse(why, why_size, -ENOSPC, "64 captures run already");
	return 0;
}

/* "vm1-1", "all-2" */
static void
name_make(const struct capture *c, struct capture_run *run)
{
	const char *of = run->port == UINT16_MAX ? "all" : c->names[run->port];
	uint32_t n = 0;

	do
		snprintf(run->name, sizeof(run->name), "%.48s-%u", of, ++n);
	while (run_find(c, run->name) != NULL);
}

static void
name_set(struct capture *c, struct capture_run *run, const char *name)
{
	struct capture_run *ended;

	if (name == NULL) {
		name_make(c, run);
		return;
	}
	ended = run_find(c, name);
	if (ended != NULL)
		run_forget(c, ended);
	snprintf(run->name, sizeof(run->name), "%s", name);
}

static int
ifaces_add(struct capture *c, struct capture_run *run)
{
	int rc = 0;

	for (uint32_t port = 0; rc == 0 && port < CAPTURE_PORTS_MAX; port++)
		if (run_wants(run, port) && c->names[port] != NULL)
			rc = run_iface_add(c, run, port);
	return rc;
}

/* Hands a run to the writer, who has room: what is active is published too. */
static void
run_activate(struct capture *c, struct capture_run *run)
{
	pthread_mutex_lock(&c->lock);
	c->active[c->n_active++] = run;
	pthread_mutex_unlock(&c->lock);
	capture_bell(c);
}

static int
run_launch(struct capture *c, struct capture_run *run, const char *name)
{
	int rc = ifaces_add(c, run);

	if (rc < 0)
		return rc;
	name_set(c, run, name);
	run_link(c, run);
	run_activate(c, run);
	run->published = true;
	rc = views_update(c, run->port);
	if (rc < 0) {
		run_finish(c, run, "out of memory");
		run_unlink(c, run);
	}
	return rc;
}

int
capture_start(struct capture *c, const struct capture_opts *opts, char *why, size_t why_size)
{
	struct capture_run *run = NULL;
	int rc;

	reap(c);
	refuse(why, why_size, 0, "");
	rc = opts_check(c, opts, why, why_size);
	if (rc == 0)
		rc = run_create(c, opts, why, why_size, &run);
	if (rc == 0)
		rc = run_launch(c, run, opts->name);
	if (rc < 0) {
		run_destroy(run);
		if (why_size > 0 && why[0] == '\0')
			refuse(why, why_size, rc, strerror(-rc));
		return rc;
	}
	if (opts->file == NULL)
		close(opts->fd); /* the run has its own */
	ended_trim(c);
	return 0;
}

int
capture_stop(struct capture *c, const char *name)
{
	struct capture_run *run = run_find(c, name);

	if (run == NULL)
		return -ENOENT;
	run_finish(c, run, "stopped");
	run_forget(c, run);
	return 0;
}

/* Captures of this one port end with it; those of all ports go on without it. */
static void
port_forget(struct capture *c, uint16_t port)
{
	for (struct capture_run *run = c->runs; run != NULL; run = run->next)
		run->now[port] = NULL;
	views_update(c, port);
	for (struct capture_run *run = c->runs; run != NULL; run = run->next)
		if (run->published && run->port == port)
			run_finish(c, run, "its port was removed");
	free(c->names[port]);
	c->names[port] = NULL;
}

static void
port_learn(struct capture *c, uint16_t port, const char *name)
{
	c->names[port] = strdup(name);
	if (c->names[port] == NULL)
		return;
	for (struct capture_run *run = c->runs; run != NULL; run = run->next)
		if (run->published && run_wants(run, port))
			run_iface_add(c, run, port); /* without memory: not captured */
	views_update(c, port);
}

void
capture_port_set(struct capture *c, uint16_t port, const char *name)
{
	if (port >= CAPTURE_PORTS_MAX)
		return;
	reap(c);
	if (c->names[port] != NULL)
		port_forget(c, port);
	if (name != NULL)
		port_learn(c, port, name);
}

int
capture_next(const struct capture *c, uint32_t *iter, struct capture_info *out)
{
	const struct capture_run *run = c->runs;

	for (uint32_t i = 0; run != NULL && i < *iter; i++)
		run = run->next;
	if (run == NULL)
		return -ENOENT;
	run_info(run, out);
	(*iter)++;
	return 0;
}

static int
writer_create(struct capture *c)
{
	int rc;

	c->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (c->bell < 0)
		return -errno;
	rc = pthread_create(&c->writer, NULL, capture_writer, c);
	if (rc != 0)
		return -rc;
	c->writer_runs = true;
	pthread_setname_np(c->writer, "ferry-capture");
	return 0;
}

int
capture_create(struct cross *x, struct capture **out)
{
	struct capture *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return -ENOMEM;
	c->cross = x;
	c->bell = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->ended, NULL);
	c->scratches = malloc((size_t)cross_n_workers(x) * FRAME_MAX);
	rc = c->scratches == NULL ? -ENOMEM : writer_create(c);
	if (rc < 0) {
		capture_destroy(c);
		return rc;
	}
	event_handle(x, EVENT_CAPTURE_ENDED, ended_handle, c);
	*out = c;
	return 0;
}

/* All at once: a reader that does not read costs its moment once and not for each. */
static void
runs_finish(struct capture *c)
{
	for (struct capture_run *run = c->runs; run != NULL; run = run->next)
		run->published = false;
	views_update(c, UINT16_MAX);
	for (struct capture_run *run = c->runs; run != NULL; run = run->next)
		drain_begin(c, run, "stopped");
	while (c->runs != NULL) {
		drain_wait(c, c->runs);
		run_forget(c, c->runs);
	}
}

static void
writer_destroy(struct capture *c)
{
	pthread_mutex_lock(&c->lock);
	c->quit = true;
	pthread_mutex_unlock(&c->lock);
	capture_bell(c);
	pthread_join(c->writer, NULL);
}

void
capture_destroy(struct capture *c)
{
	if (c == NULL)
		return;
	if (c->writer_runs) {
		runs_finish(c);
		writer_destroy(c);
		event_handle(c->cross, EVENT_CAPTURE_ENDED, NULL, NULL);
	}
	if (c->bell >= 0)
		close(c->bell);
	for (uint32_t port = 0; port < CAPTURE_PORTS_MAX; port++)
		free(c->names[port]);
	pthread_cond_destroy(&c->ended);
	pthread_mutex_destroy(&c->lock);
	free(c->scratches);
	free(c);
}
