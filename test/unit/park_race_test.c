/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parks under two threads that change them and workers that use them: what is kept comes out, and
 * nothing is kept where nobody looks any more.
 */
#include "park_test.h"
#include "clock.h"
#include "event.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define N_WORKERS 2
#define N_PORTS   48
#define RUN_NS    (3ULL * NS_PER_S)

static struct cross *cross;
static struct park_set *parks;
static _Atomic bool ending;
static _Atomic uint32_t n_closed;
static bool forgets;             /* ports come and go: what is kept for them may be lost */

struct worker {
	pthread_t thread;
	uint32_t index;
	unsigned int seed;
	uint64_t put, taken, stuck, stale;
	uint64_t last[N_PORTS];      /* number of the frame taken last */
	uint64_t next[N_PORTS];
	uint64_t disordered;
};

static void
keep(struct worker *w, const struct park_live *p)
{
	struct park_frame *pf = park_buf_room(p->bufs[w->index], 60);

	if (pf == NULL)
		return;
	pf->version = ++w->next[p->port];
	memset(pf->bytes, p->port, 60);
	park_buf_put(p->bufs[w->index], pf, 60);
	w->put++;
}

static void
take(struct worker *w, const struct park_live *p, uint32_t n)
{
	struct park_buf *b = p->bufs[w->index];
	const struct park_frame *pf;
	uint64_t at = 0;

	for (; n > 0 && (pf = park_buf_next(b, &at)) != NULL; n--) {
		w->disordered += pf->version <= w->last[p->port] || pf->bytes[59] != p->port;
		w->last[p->port] = pf->version;
		w->taken++;
	}
	park_buf_take(b, at);
}

/* By the rules of forwarding; now and then the heir is not ready. */
static void
look(struct worker *w, const struct park_live *p)
{
	const bool empty = park_buf_empty(p->bufs[w->index]);

	if (p->phase == PARK_READY)
		w->stuck += !empty;
	else if (p->phase == PARK_DROPPING)
		take(w, p, UINT32_MAX);
	else if (p->phase == PARK_KEEPING)
		keep(w, p);
	else if (!empty)
		take(w, p, 64);
	else if (!p->closing && rand_r(&w->seed) % 16 == 0)
		keep(w, p);
}

static void *
worker_run(void *arg)
{
	struct worker *w = arg;

	cross_online(cross, w->index);
	while (!ending) {
		const struct park_view *v = park_view(parks);

		for (uint32_t i = 0; i < v->n; i++) {
			w->stale += v->ports[v->lives[i].port] != &v->lives[i];
			look(w, &v->lives[i]);
		}
		cross_quiescent(cross, w->index);
		if (rand_r(&w->seed) % 16 != 0)
			continue;
		cross_offline(cross, w->index);
		sched_yield();
		cross_online(cross, w->index);
	}
	cross_offline(cross, w->index);
	return NULL;
}

static void *
vhost_run(void *arg)
{
	unsigned int seed = 7;

	while (!ending) {
		uint16_t port = (uint16_t)(rand_r(&seed) % N_PORTS);

		switch (rand_r(&seed) % 4) {
		case 0: CHECK(park_open(parks, port) == 0); break;
		case 1: park_begin(parks, port, 0, 1); break;
		case 2: park_return(parks, port); break;
		case 3: park_cancel(parks, port); break;
		}
		usleep(5000);
	}
	return arg;
}

static void
control_turn(unsigned int *seed)
{
	uint16_t port = (uint16_t)(rand_r(seed) % N_PORTS);
	struct park_info info;

	if (rand_r(seed) % 32 == 0)
		park_tick(parks);
	event_run(cross, UINT32_MAX);
	park_learned(parks, port, (uint16_t)(rand_r(seed) % N_PORTS));
	if (park_info(parks, port, &info) == 0)
		CHECK(info.phase <= PARK_DROPPING && info.kept <= info.bytes);
	if (forgets && rand_r(seed) % 64 == 0)
		park_forget(parks, (uint16_t)(rand_r(seed) % N_PORTS));
	usleep(500);
}

static void
on_wanted(void *arg)
{
	CHECK(arg == NULL);
}

static void
on_closed(void *arg, uint16_t port, uint16_t heir)
{
	CHECK(arg == NULL && port < N_PORTS && (heir < N_PORTS || heir == PARK_NOWHERE));
	n_closed++;
}

/* Nobody leaves any more; all that there is comes to its end. */
static void
wind_up(void)
{
	const uint64_t end = clock_ns() + 10ULL * NS_PER_S;

	for (uint16_t port = 0; port < N_PORTS; port++)
		park_cancel(parks, port);
	while (park_tick(parks) > 0 && clock_ns() < end)
		usleep(1000);
	for (uint16_t port = 0; port < N_PORTS; port++)
		park_cancel(parks, port);
	CHECK(!park_any(parks) && park_view(parks)->n == 0);
}

static void
workers_check(const struct worker *workers)
{
	for (uint32_t i = 0; i < N_WORKERS; i++) {
		const struct worker *w = &workers[i];

		CHECK(w->put > 0 && w->stuck == 0 && w->stale == 0 && w->disordered == 0);
		CHECK(forgets ? w->taken <= w->put : w->taken == w->put);
	}
}

static void
race(bool with_forget)
{
	const struct park_opts opts = { .bytes = 1, .timeout_ms = 300 };
	const struct park_ops ops = { .wanted = on_wanted, .closed = on_closed };
	struct worker workers[N_WORKERS] = { 0 };
	const uint64_t end = clock_ns() + RUN_NS;
	unsigned int seed = 1;
	pthread_t vhost;

	forgets = with_forget;
	n_closed = 0;
	ending = false;
	CHECK(cross_create(N_WORKERS, &cross) == 0);
	CHECK(park_set_create(cross, &opts, &ops, NULL, &parks) == 0);
	for (uint32_t i = 0; i < N_WORKERS; i++) {
		workers[i] = (struct worker){ .index = i, .seed = i + 1 };
		pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]);
	}
	pthread_create(&vhost, NULL, vhost_run, NULL);
	while (clock_ns() < end)
		control_turn(&seed);
	ending = true;
	pthread_join(vhost, NULL);
	for (uint32_t i = 0; i < N_WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	ending = false;
	for (uint32_t i = 0; i < N_WORKERS; i++)
		pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]);
	wind_up();
	ending = true;
	for (uint32_t i = 0; i < N_WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	CHECK(n_closed > 10);
	workers_check(workers);
	park_set_destroy(parks);
	cross_destroy(cross);
}

/* A worker in the middle of its turn keeps a frame where control has just seen nothing. */
static void *
late_run(void *arg)
{
	const uint64_t end = clock_ns() + 10ULL * NS_PER_S;
	const struct park_view *v;
	struct worker *w = arg;

	cross_online(cross, 0);
	v = park_view(parks);
	__atomic_store_n(&w->next[0], 1, __ATOMIC_RELEASE);
	while (park_view(parks) == v && clock_ns() < end)
		sched_yield();
	keep(w, v->ports[0]);
	cross_offline(cross, 0);
	return NULL;
}

static void
late(void)
{
	const struct park_opts opts = { .bytes = 1, .timeout_ms = 5000 };
	const struct park_ops ops = { .wanted = on_wanted, .closed = on_closed };
	struct worker w = { 0 };
	struct park_info info;
	pthread_t thread;

	n_closed = 0;
	CHECK(cross_create(1, &cross) == 0);
	CHECK(park_set_create(cross, &opts, &ops, NULL, &parks) == 0);
	CHECK(park_open(parks, 0) == 0);
	park_begin(parks, 0, 0, 1);
	park_return(parks, 0);
	park_tick(parks);
	usleep(210000);
	pthread_create(&thread, NULL, late_run, &w);
	while (__atomic_load_n(&w.next[0], __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	CHECK(park_tick(parks) == 1);
	pthread_join(thread, NULL);
	CHECK(w.put == 1 && n_closed == 0);
	CHECK(park_info(parks, 0, &info) == 0 && info.phase == PARK_RELEASING && info.kept > 0);
	CHECK(!park_view(parks)->ports[0]->closing);
	take(&w, park_view(parks)->ports[0], 1);
	CHECK(w.taken == 1 && w.disordered == 0);
	park_tick(parks);
	usleep(210000);
	park_tick(parks);
	CHECK(n_closed == 1 && !park_any(parks));
	park_set_destroy(parks);
	cross_destroy(cross);
}

void
park_race_stories(void)
{
	late();
	race(false);
	race(true);
}
