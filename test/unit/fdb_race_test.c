/* SPDX-License-Identifier: BSD-3-Clause */
/* Readers beside the writer: grace periods, and entries that come and go under a look-up. */
#include "fdb_rig.h"

#include <rte_common.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic bool reader_holds;
static _Atomic bool reader_quiet;
static _Atomic bool reader_ends;
static _Atomic uint32_t reader_turns;

static void *
holding_reader(void *arg)
{
	cross_online(cross, 0);
	assert(find(0, key_of(1)) == 1);
	atomic_store(&reader_holds, true);
	usleep(50000);
	atomic_store(&reader_quiet, true);
	cross_quiescent(cross, 0);
	while (!atomic_load(&reader_ends)) {
		atomic_fetch_add(&reader_turns, 1);
		usleep(1000);
		cross_quiescent(cross, 0);
	}
	cross_offline(cross, 0);
	return NULL;
}

static pthread_t
reader_start(void)
{
	pthread_t thread;

	atomic_store(&reader_holds, false);
	atomic_store(&reader_quiet, false);
	atomic_store(&reader_ends, false);
	assert(pthread_create(&thread, NULL, holding_reader, NULL) == 0);
	while (!atomic_load(&reader_holds))
		sched_yield();
	return thread;
}

static void
reader_stop(pthread_t thread)
{
	atomic_store(&reader_ends, true);
	pthread_join(thread, NULL);
}

static void
test_grace(void)
{
	pthread_t thread;

	assert(fdb_learn(fdb, key_of(1), 1) == 0);
	thread = reader_start();
	assert(fdb_del(fdb, key_of(1)) == 0);
	assert(!atomic_load(&reader_quiet));
	assert(fdb_learn(fdb, key_of(2), 2) == 0); /* wants the only slot */
	assert(atomic_load(&reader_quiet));
	reader_stop(thread);
}

static void
test_grace_once(void)
{
	pthread_t thread;
	uint32_t turns;

	for (uint32_t i = 0; i < 10000; i++)
		assert(fdb_learn(fdb, key_of(i), i % 4) == 0);
	tick(10);
	assert(fdb_learn(fdb, key_of(1), 1) == 0);
	thread = reader_start();
	turns = atomic_load(&reader_turns);
	assert(fdb_tick(fdb) == 9999);
	assert(fdb_flush(fdb, 1) == 1);
	turns = atomic_load(&reader_turns) - turns;
	reader_stop(thread);
	assert(turns < 1000);
}

/* Key k may stand on ports k and k + KEYS, the last FOREVER keys never go away. */
#define KEYS    64
#define FOREVER 8

static void *
racing_reader(void *arg)
{
	const uint32_t worker = (uintptr_t)arg;
	uint64_t looks = 0;

	cross_online(cross, worker);
	while (!atomic_load_explicit(&reader_ends, memory_order_relaxed)) {
		fdb_key_t keys[FDB_BURST];
		struct fdb_hit hits[FDB_BURST];
		const uint32_t from = looks % 2 * FDB_BURST;
		uint32_t found;

		for (uint32_t i = 0; i < FDB_BURST; i++)
			keys[i] = key_of(from + i);
		found = fdb_find(fdb, worker, keys, FDB_BURST, hits);
		for (uint32_t i = 0; i < FDB_BURST; i++) {
			assert((found >> i & 1) == 0 || hits[i].port % KEYS == from + i);
			assert((found >> i & 1) == 1 || from + i < KEYS - FOREVER);
		}
		cross_quiescent(cross, worker);
		if (looks++ == 0)
			atomic_fetch_add(&reader_turns, 1);
		if (looks % 16 == 0)
			sched_yield(); /* three threads may share one core */
	}
	cross_offline(cross, worker);
	return NULL;
}

static void
race_step(uint32_t k, uint32_t what)
{
	if (k < KEYS - FOREVER && what == 0)
		fdb_del(fdb, key_of(k));
	else if (k < KEYS - FOREVER && what == 1)
		fdb_flush(fdb, k);
	else
		fdb_learn(fdb, key_of(k), k + what % 2 * KEYS);
}

static void
test_race(void)
{
	pthread_t threads[RIG_WORKERS];
	unsigned int seed = 20221;

	for (uint32_t k = 0; k < KEYS; k++)
		assert(fdb_learn(fdb, key_of(KEYS - 1 - k), KEYS - 1 - k) ==
		       (k < stats().capacity ? 0 : -ENOSPC));
	atomic_store(&reader_ends, false);
	atomic_store(&reader_turns, 0);
	for (uintptr_t i = 0; i < RIG_WORKERS; i++)
		assert(pthread_create(&threads[i], NULL, racing_reader, (void *)i) == 0);
	while (atomic_load(&reader_turns) < RIG_WORKERS)
		sched_yield();
	for (uint32_t i = 0; i < 20000; i++)
		race_step(rand_r(&seed) % KEYS, rand_r(&seed) % 32);
	atomic_store(&reader_ends, true);
	for (uint32_t i = 0; i < RIG_WORKERS; i++)
		pthread_join(threads[i], NULL);
	assert(stats().moved > 0 && stats().refused_full > 0);
}

static const struct {
	const char *story;
	struct fdb_opts opts;
	void (*run)(void);
} rows[] = {
	{ "a slot waits for the grace period", { .capacity = 1 }, test_grace },
	{ "ten thousand entries age in one grace period", { .age_s = 10 }, test_grace_once },
	{ "readers and the writer at once", { .capacity = 48 }, test_race },
};

void
fdb_race_stories(void)
{
	for (uint32_t i = 0; i < RTE_DIM(rows); i++)
		fdb_story(rows[i].story, &rows[i].opts, rows[i].run);
}
