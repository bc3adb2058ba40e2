/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_impl.h"

#include "clock.h"
#include "event.h"
#include "pcapng.h"

#include <rte_cycles.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Frames that come slowly are in the file after this time at most. */
#define NAP_MS 50

/* At a stop, a reader has so long to take what is queued. */
#define STOP_NS (100 * 1000 * NS_PER_US)

/* Time between two looks at the clocks that is long enough to know the speed of the counter. */
#define SPEED_NS NS_PER_S

/* The same moment on three clocks. */
struct moment {
	uint64_t tsc;
	uint64_t wall_ns;
	uint64_t mono_ns;
};

struct writer {
	struct capture *capture;
	struct moment first;
	struct moment now;
	double ns_per_cycle;
};

/* The best of a few tries: between two looks the thread may have been put aside. */
static struct moment
moment_get(void)
{
	struct moment best = { 0 };
	uint64_t shortest = UINT64_MAX;

	for (int i = 0; i < 3; i++) {
		const uint64_t before = rte_rdtsc();
		const uint64_t wall_ns = clock_wall_ns();
		const uint64_t mono_ns = clock_ns();
		const uint64_t took = rte_rdtsc() - before;

		if (took >= shortest)
			continue;
		shortest = took;
		best = (struct moment){ before + took / 2, wall_ns, mono_ns };
	}
	return best;
}

static void
clock_sync(struct writer *w)
{
	w->now = moment_get();
	if (w->now.mono_ns - w->first.mono_ns >= SPEED_NS)
		w->ns_per_cycle = (double)(w->now.mono_ns - w->first.mono_ns) /
				  (double)(w->now.tsc - w->first.tsc);
}

/* The moment is at most a turn or a nap away, on either side. */
static uint64_t
wall_of(const struct writer *w, uint64_t tsc)
{
	return w->now.wall_ns + (int64_t)((double)(int64_t)(tsc - w->now.tsc) * w->ns_per_cycle);
}

static bool
fits(const struct capture_run *run, uint64_t size)
{
	const struct capture_sink *s = &run->sink;
	const uint64_t closing = (uint64_t)run->n_ifaces * pcapng_stats_size();

	return run->bytes_max == 0 ||
	       s->taken + sink_pending(s) + size + closing <= run->bytes_max;
}

static uint64_t
iface_size(const struct capture_run *run, const struct capture_iface *i)
{
	return pcapng_iface_size(i->name, run->filter) + pcapng_stats_size();
}

static void
iface_write(struct capture_run *run, struct capture_iface *i)
{
	pcapng_iface(&run->sink, i->name, run->snaplen, run->filter);
	i->id = run->n_ifaces++;
}

static void
run_begin(struct writer *w, struct capture_run *run)
{
	run->start_ns = w->now.wall_ns;
	pcapng_section(&run->sink);
	pthread_mutex_lock(&w->capture->lock);
	for (struct capture_iface *i = run->ifaces; i != NULL; i = i->next)
		if (fits(run, iface_size(run, i)))
			iface_write(run, i);
	pthread_mutex_unlock(&w->capture->lock);
}

/* No frame comes after this from workers; what they have put into the rings still may. */
static void
run_drain(struct capture *c, struct capture_run *run, const char *reason)
{
	pthread_mutex_lock(&c->lock);
	if (run_state(run) == RUN_ACTIVE) {
		snprintf(run->reason, sizeof(run->reason), "%s", reason);
		atomic_store_explicit(&run->state, RUN_DRAIN, memory_order_release);
	}
	pthread_mutex_unlock(&c->lock);
}

static void
run_limit(struct writer *w, struct capture_run *run, const char *reason)
{
	run->limited = true;
	run_drain(w->capture, run, reason);
}

static void
frame_write(struct writer *w, struct capture_run *run, const struct capture_record *r)
{
	struct capture_iface *i = r->iface;
	const uint64_t frames = atomic_load_explicit(&run->frames, memory_order_relaxed);
	const uint64_t size = pcapng_frame_size(r->cap_len);

	if (!fits(run, i->id < 0 ? size + iface_size(run, i) : size)) {
		run_limit(w, run, "its size limit is reached");
		return;
	}
	if (i->id < 0)
		iface_write(run, i);
	pcapng_frame(&run->sink, &(struct pcapng_frame){
		.iface = i->id,
		.time_ns = wall_of(w, r->tsc),
		.len = r->len,
		.cap_len = r->cap_len,
		.dir = r->dir,
		.data = r->data,
	});
	i->written++;
	atomic_store_explicit(&run->frames, frames + 1, memory_order_relaxed);
	if (frames + 1 == run->frames_max)
		run_limit(w, run, "its frame limit is reached");
}

/* The ring whose oldest frame is the oldest of all. */
static struct capture_ring *
oldest(const struct capture_run *run)
{
	struct capture_ring *best = NULL;
	uint64_t tsc = 0;

	for (uint32_t i = 0; i < run->n_workers; i++) {
		const struct capture_record *r = ring_peek(run->rings[i]);

		if (r != NULL && (best == NULL || (int64_t)(r->tsc - tsc) < 0)) {
			best = run->rings[i];
			tsc = r->tsc;
		}
	}
	return best;
}

/* True: some were taken. */
static bool
frames_take(struct writer *w, struct capture_run *run)
{
	struct capture_ring *ring;
	bool taken = false;

	while (!run->limited && run->sink.len < SINK_FULL) {
		ring = oldest(run);
		if (ring == NULL)
			break;
		frame_write(w, run, ring_peek(ring));
		ring_drop(ring);
		taken = true;
	}
	return taken;
}

static void
stats_write(const struct writer *w, struct capture_run *run, const struct capture_iface *i)
{
	const struct iface_sum sum = run_iface_sum(run, i);

	pcapng_stats(&run->sink, &(struct pcapng_stats){
		.iface = i->id,
		.start_ns = run->start_ns,
		.end_ns = w->now.wall_ns,
		.received = sum.offered,
		.accepted = sum.offered - sum.filtered,
		.dropped = sum.dropped,
		.written = i->written,
	});
}

static void
closing_write(struct writer *w, struct capture_run *run)
{
	run->closing = true;
	pthread_mutex_lock(&w->capture->lock);
	for (struct capture_iface *i = run->ifaces; i != NULL; i = i->next) {
		/* Came late and had no frame that was written: only losses are worth telling. */
		if (i->id < 0 && run_iface_sum(run, i).dropped > 0 && fits(run, iface_size(run, i)))
			iface_write(run, i);
		if (i->id >= 0)
			stats_write(w, run, i);
	}
	pthread_mutex_unlock(&w->capture->lock);
}

static void
lost_add(struct capture_run *run, uint64_t n)
{
	const uint64_t lost = atomic_load_explicit(&run->lost, memory_order_relaxed);

	atomic_store_explicit(&run->lost, lost + n, memory_order_relaxed);
}

/* Frames whose blocks stand in the buffer and never left it, not as a whole. */
static void
buffer_lose(struct capture_run *run)
{
	struct capture_sink *s = &run->sink;
	uint64_t frames = atomic_load_explicit(&run->frames, memory_order_relaxed);
	uint64_t n = 0;

	for (size_t at = pcapng_whole(s->buf, s->sent); at < s->len;
	     at += pcapng_block_size(&s->buf[at]))
		n += pcapng_iface_of(&s->buf[at]) >= 0;
	atomic_store_explicit(&run->frames, frames - n, memory_order_relaxed);
	lost_add(run, n);
	sink_discard(s);
}

static void
rings_lose(struct capture_run *run)
{
	struct capture_ring *ring;

	while (!run->limited && (ring = oldest(run)) != NULL) {
		ring_drop(ring);
		lost_add(run, 1);
	}
}

static void
bytes_tell(struct capture_run *run)
{
	atomic_store_explicit(&run->bytes, run->sink.taken, memory_order_relaxed);
}

/* The last touch: from here on the run is control's. */
static void
run_end(struct writer *w, struct capture_run *run)
{
	struct capture *c = w->capture;
	const struct event ev = { .kind = EVENT_CAPTURE_ENDED };
	uint32_t i = 0;

	bytes_tell(run);
	sink_close(&run->sink);
	pthread_mutex_lock(&c->lock);
	while (c->active[i] != run)
		i++;
	c->active[i] = c->active[--c->n_active];
	atomic_store_explicit(&run->state, RUN_ENDED, memory_order_release);
	pthread_cond_broadcast(&c->ended);
	pthread_mutex_unlock(&c->lock);
	event_send(c->cross, &ev); /* when it is lost, control's next call finds out */
}

static void
run_fail(struct writer *w, struct capture_run *run, int rc)
{
	char reason[sizeof(run->reason)];

	if (rc == -EPIPE || rc == -ECONNRESET)
		snprintf(reason, sizeof(reason), "its reader has gone");
	else
		snprintf(reason, sizeof(reason), "write: %s", strerror(-rc));
	run_drain(w->capture, run, reason);
	buffer_lose(run);
	rings_lose(run);
	run_end(w, run);
}

/* Control waits: a reader that does not read may hold it for a moment, not longer. */
static bool
too_late(const struct writer *w, struct capture_run *run)
{
	if (!atomic_load_explicit(&run->hurry, memory_order_relaxed))
		return false;
	if (run->deadline_ns == 0)
		run->deadline_ns = w->now.mono_ns + STOP_NS;
	return w->now.mono_ns >= run->deadline_ns;
}

static void
run_give_up(struct writer *w, struct capture_run *run)
{
	buffer_lose(run);
	rings_lose(run);
	run_end(w, run);
}

/* True: there may be more to do at once. */
static bool
run_turn(struct writer *w, struct capture_run *run)
{
	/* Before the rings are looked at: what was put there before the drain is seen now. */
	const bool draining = run_state(run) == RUN_DRAIN;
	bool taken;
	int rc;

	if (run->start_ns == 0)
		run_begin(w, run);
	taken = frames_take(w, run);
	if (draining && !run->closing && (run->limited || oldest(run) == NULL))
		closing_write(w, run);
	rc = sink_flush(&run->sink);
	bytes_tell(run);
	if (rc == -EAGAIN) {
		if (!too_late(w, run))
			return taken;
		run_give_up(w, run);
	} else if (rc < 0) {
		run_fail(w, run, rc);
	} else if (run->closing) {
		run_end(w, run);
	} else {
		return taken || run->limited;
	}
	return true;
}

/* With a capture, a few looks a second; without one, none. */
static void
writer_sleep(struct capture *c, struct capture_run *const *runs, uint32_t n)
{
	struct pollfd fds[RUNS_MAX + 1] = { { .fd = c->bell, .events = POLLIN } };
	eventfd_t rung;

	for (uint32_t i = 0; i < n; i++) {
		const struct capture_sink *s = &runs[i]->sink;

		fds[i + 1].fd = s->kind == SINK_FILE ? -1 : s->fd;
		fds[i + 1].events = sink_pending(s) > 0 ? POLLOUT : 0;
	}
	atomic_store_explicit(&c->asleep, true, memory_order_relaxed);
	if (poll(fds, n + 1, n > 0 ? NAP_MS : -1) > 0)
		for (uint32_t i = 0; i < n; i++)
			runs[i]->sink.gone = (fds[i + 1].revents & (POLLERR | POLLHUP)) != 0;
	atomic_store_explicit(&c->asleep, false, memory_order_relaxed);
	eventfd_read(c->bell, &rung);
}

/* False: time to go. */
static bool
writer_turn(struct writer *w)
{
	struct capture *c = w->capture;
	struct capture_run *runs[RUNS_MAX];
	uint32_t n;
	bool busy = false, quit;

	pthread_mutex_lock(&c->lock);
	n = c->n_active;
	memcpy(runs, c->active, n * sizeof(runs[0]));
	quit = c->quit;
	pthread_mutex_unlock(&c->lock);
	if (n == 0 && quit)
		return false;
	clock_sync(w);
	for (uint32_t i = 0; i < n; i++)
		busy = run_turn(w, runs[i]) || busy;
	if (!busy)
		writer_sleep(c, runs, n);
	return true;
}

/* Signals are for the others, and SIGPIPE for nobody. */
static void
signals_block(void)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < RTE_DIM(own); i++)
		sigdelset(&set, own[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void *
capture_writer(void *arg)
{
	struct writer w = {
		.capture = arg,
		.first = moment_get(),
		.ns_per_cycle = (double)NS_PER_S / rte_get_tsc_hz(),
	};

	signals_block();
	while (writer_turn(&w))
		;
	return NULL;
}
