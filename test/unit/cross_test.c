/* SPDX-License-Identifier: BSD-3-Clause */
/* What crosses threads: views under readers that look for their retirement, mail, events. */
#include "event.h"
#include "mail.h"
#include "moment.h"

#include "check.h"

#include <rte_cycles.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define READERS 2

static struct cross *cross;
static _Atomic bool ending;

/* Views */

#define LIVE 0x11febeefU
#define DEAD 0xdeadU

struct thing {
	_Atomic uint32_t mark;
	uint64_t n;
};

static _Atomic(struct thing *) view;

struct reader {
	pthread_t thread;
	uint32_t worker;
	_Atomic uint64_t looks;
	uint64_t wrong, back, last;
};

static void
view_look(struct reader *r)
{
	struct thing *t = view_load(&view);

	for (int i = 0; i < 20; i++)
		r->wrong += atomic_load_explicit(&t->mark, memory_order_relaxed) != LIVE;
	r->back += t->n < r->last;
	r->last = t->n;
	r->looks++;
}

/* Works as a worker does: looks, passes a quiescent point, and now and then sleeps. */
static void *
reader_run(void *arg)
{
	struct reader *r = arg;

	cross_online(cross, r->worker);
	while (!atomic_load(&ending)) {
		view_look(r);
		cross_quiescent(cross, r->worker);
		if (r->looks % 64 != 0)
			continue;
		cross_offline(cross, r->worker);
		sched_yield();
		cross_online(cross, r->worker);
	}
	cross_offline(cross, r->worker);
	return NULL;
}

/* Whether both readers have had their share; a machine that is busy may not let them for long. */
static bool
looked(struct reader *readers)
{
	for (uint32_t i = 0; i < READERS; i++)
		if (atomic_load(&readers[i].looks) < 5000)
			return false;
	return true;
}

/* What is retired is marked before it is reused: no reader may meet the mark. */
static void
views(void)
{
	static struct thing things[2];
	struct reader readers[READERS];

	atomic_store(&ending, false);
	things[0] = (struct thing){ .mark = LIVE };
	view_publish(&view, &things[0]);
	for (uint32_t i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .worker = i };
		CHECK(pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]) == 0);
	}
	for (uint64_t n = 1; n <= 20000 || !looked(readers); n++) {
		struct thing *next = &things[n % 2], *old = &things[(n + 1) % 2];

		next->n = n;
		atomic_store_explicit(&next->mark, LIVE, memory_order_relaxed);
		view_publish(&view, next);
		cross_wait(cross);
		atomic_store_explicit(&old->mark, DEAD, memory_order_relaxed);
	}
	atomic_store(&ending, true);
	for (uint32_t i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		CHECK(readers[i].last > 0);
		CHECK(readers[i].wrong == 0 && readers[i].back == 0);
	}
}

static void *
waiter_run(void *arg)
{
	cross_wait(cross);
	atomic_store((_Atomic bool *)arg, true);
	return NULL;
}

/* A grace period ends when every worker that is online has passed a quiescent point, no sooner;
 * those that are offline are not waited for. */
static void
grace(void)
{
	_Atomic bool done = false;
	pthread_t waiter;

	cross_wait(cross);
	cross_online(cross, 0);
	cross_online(cross, 1);
	CHECK(pthread_create(&waiter, NULL, waiter_run, &done) == 0);
	usleep(20000);
	CHECK(!atomic_load(&done));
	cross_quiescent(cross, 0);
	usleep(20000);
	CHECK(!atomic_load(&done));
	cross_offline(cross, 1);
	pthread_join(waiter, NULL);
	CHECK(atomic_load(&done));
	cross_offline(cross, 0);
}

/* Mail */

#define SENDERS 2
#define LETTERS 20000

struct letter {
	uint32_t sender, n;
};

static uint32_t next_letter[SENDERS], letters_wrong;

static void
letter_open(uint32_t worker, void *arg)
{
	struct letter *l = arg;

	letters_wrong += worker != 1 || l->n != next_letter[l->sender]++;
	free(l);
}

static void *
letters_send(void *arg)
{
	for (uint32_t n = 0; n < LETTERS; n++) {
		struct letter *l = malloc(sizeof(*l));

		*l = (struct letter){ .sender = (uint32_t)(uintptr_t)arg, .n = n };
		mail_send(cross, 1, letter_open, l);
	}
	return NULL;
}

/* More than the box holds: senders wait for room, nothing is lost, each sender's order is kept. */
static void
mail(void)
{
	struct pollfd p = { .fd = cross_wakefd(cross, 1), .events = POLLIN };
	pthread_t threads[SENDERS];
	uint32_t n = 0;

	CHECK(poll(&p, 1, 0) == 0);
	CHECK(mail_run(cross, 1) == 0);
	for (uintptr_t i = 0; i < SENDERS; i++)
		CHECK(pthread_create(&threads[i], NULL, letters_send, (void *)i) == 0);
	while (n < SENDERS * LETTERS) {
		uint32_t some = mail_run(cross, 1);

		CHECK(mail_run(cross, 0) == 0);
		if (some == 0)
			sched_yield();
		n += some;
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	CHECK(letters_wrong == 0 && mail_run(cross, 1) == 0);
	CHECK(poll(&p, 1, 0) == 1);
}

/* Events */

static struct event last_event;
static uint64_t n_events, events_wrong;

static void
on_event(void *arg, const struct event *ev)
{
	events_wrong += arg != &last_event || ev->values[1] != n_events;
	last_event = *ev;
	n_events++;
}

static bool
readable(void)
{
	struct pollfd p = { .fd = event_fd(cross), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void
events(void)
{
	struct event ev = { .kind = EVENT_FDB_SEEN, .port = 3, .index = 5, .reason = 7, .key = 9 };
	uint64_t sent = 0;

	event_handle(cross, EVENT_FDB_SEEN, on_event, &last_event);
	CHECK(!readable() && event_run(cross, 10) == 0);
	CHECK(event_send(cross, &ev) && readable());
	CHECK(event_run(cross, 10) == 1 && !readable());
	CHECK(last_event.port == 3 && last_event.index == 5 && last_event.reason == 7 &&
	      last_event.key == 9);
	n_events = 0;
	do {
		ev.values[1] = sent;
	} while (event_send(cross, &ev) && ++sent < 1000000);
	CHECK(sent >= 4096 && event_lost(cross) == 1);
	CHECK(!event_send(cross, &ev) && event_lost(cross) == 2);
	/* A part of them, and the rest is not forgotten. */
	CHECK(event_run(cross, 100) == 100 && readable());
	while (readable())
		event_run(cross, 1000);
	CHECK(n_events == sent && events_wrong == 0);
	ev.values[1] = n_events;
	CHECK(event_send(cross, &ev) && event_run(cross, 10) == 1 && event_lost(cross) == 2);
	/* A kind that nobody handles is taken and forgotten. */
	ev.kind = EVENT_RING_BROKEN;
	CHECK(event_send(cross, &ev) && event_run(cross, 10) == 1 && !readable());
}

static void
on_moment(void *arg, const struct event *ev)
{
	*(struct event *)arg = *ev;
}

static void
moments(void)
{
	uint64_t before = rte_rdtsc();
	struct event ev = { 0 };

	event_handle(cross, EVENT_MOMENT, on_moment, &ev);
	moment_send(cross, 3, MOMENT_LOG_BASE, 8192);
	CHECK(event_run(cross, 10) == 1);
	CHECK(ev.port == 3 && ev.reason == MOMENT_LOG_BASE && ev.values[1] == 8192);
	CHECK(ev.values[0] > before && ev.values[0] < rte_rdtsc());
	for (int i = 0; i < MOMENT_N; i++)
		CHECK(moment_names[i] != NULL && moment_texts[i] != NULL);
}

static void
creations(void)
{
	struct cross *x;

	CHECK(cross_create(0, &x) == -EINVAL);
	CHECK(cross_create(CROSS_WORKERS_MAX + 1, &x) == -EINVAL);
	CHECK(cross_create(CROSS_WORKERS_MAX, &x) == 0 && cross_n_workers(x) == CROSS_WORKERS_MAX);
	cross_wait(x);
	cross_destroy(x);
	cross_destroy(NULL);
}

int
main(void)
{
	creations();
	CHECK(cross_create(READERS, &cross) == 0);
	views();
	grace();
	mail();
	events();
	moments();
	cross_destroy(cross);
	return check_done("cross");
}
