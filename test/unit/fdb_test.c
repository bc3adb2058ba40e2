/* SPDX-License-Identifier: BSD-3-Clause */
#include "event.h"
#include "fdb.h"

#include "clock.h"

#include <rte_common.h>
#include <rte_eal.h>

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_WORKERS 2

static struct cross *cross;
static struct fdb *fdb;

static void
rig_create(const struct fdb_opts *opts)
{
	assert(cross_create(N_WORKERS, &cross) == 0);
	assert(fdb_create(cross, opts, &fdb) == 0);
}

static void
rig_destroy(void)
{
	fdb_destroy(fdb);
	cross_destroy(cross);
}

/* The n-th address of the tests; n = 0 is a good one. */
static fdb_key_t
key_of(uint32_t n)
{
	const uint8_t mac[] = { 0x52, 0x54, n >> 24, n >> 16, n >> 8, n };

	return fdb_key(0, mac);
}

/* Port behind a key as a worker sees it, or -ENOENT. */
static int
find(uint32_t worker, fdb_key_t key)
{
	struct fdb_hit hit;

	return fdb_find(fdb, worker, &key, 1, &hit) == 1 ? hit.port : -ENOENT;
}

/* A frame of `key` comes in on `port`.  Returns what control heard of it. */
static uint32_t
see(uint32_t worker, uint16_t port, fdb_key_t key)
{
	fdb_seen(fdb, worker, port, key);
	return event_run(cross, UINT32_MAX);
}

static struct fdb_stats
stats(void)
{
	struct fdb_stats s;

	fdb_stats(fdb, &s);
	return s;
}

static struct fdb_port_stats
port_stats(uint16_t port)
{
	struct fdb_port_stats s;

	fdb_port_stats(fdb, port, &s);
	return s;
}

static void
tick(uint32_t n)
{
	while (n-- > 0)
		fdb_tick(fdb);
}

static void
test_learn(void)
{
	assert(find(0, key_of(1)) == -ENOENT);
	assert(see(0, 7, key_of(1)) == 1);
	assert(find(0, key_of(1)) == 7);
	assert(find(1, key_of(1)) == 7);
	assert(see(0, 7, key_of(1)) == 0);
	assert(see(1, 7, key_of(1)) == 0);
	assert(stats().learned == 1 && stats().n_entries == 1);
}

static void
test_find_bulk(void)
{
	fdb_key_t keys[FDB_BURST];
	struct fdb_hit hits[FDB_BURST];

	for (uint32_t i = 0; i < FDB_BURST; i++) {
		keys[i] = key_of(i);
		if (i % 3 != 0)
			assert(fdb_learn(fdb, keys[i], i + 1) == 0);
	}
	assert(fdb_add(fdb, keys[4], 5) == 0);
	for (int pass = 0; pass < 2; pass++) {
		const uint32_t found = fdb_find(fdb, 0, keys, FDB_BURST, hits);

		for (uint32_t i = 0; i < FDB_BURST; i++) {
			assert((found >> i & 1) == (i % 3 != 0));
			assert(i % 3 == 0 || hits[i].port == i + 1);
			assert(i % 3 == 0 || hits[i].fixed == (i == 4));
		}
	}
}

static void
test_seen_burst(void)
{
	fdb_key_t keys[FDB_BURST];

	for (uint32_t i = 0; i < FDB_BURST; i++)
		keys[i] = key_of(i / 2);
	fdb_seen_burst(fdb, 0, 3, keys, FDB_BURST);
	assert(event_run(cross, UINT32_MAX) >= FDB_BURST / 2);
	for (uint32_t i = 0; i < FDB_BURST; i++)
		assert(find(1, keys[i]) == 3);
	assert(stats().learned == FDB_BURST / 2);
}

static void
test_move(void)
{
	see(0, 1, key_of(1));
	assert(find(0, key_of(1)) == 1 && find(1, key_of(1)) == 1);
	assert(see(1, 2, key_of(1)) == 1);
	assert(find(0, key_of(1)) == 2 && find(1, key_of(1)) == 2);
	assert(see(0, 1, key_of(1)) == 1);
	assert(find(0, key_of(1)) == 1 && find(1, key_of(1)) == 1);
	assert(stats().moved == 2 && stats().learned == 1 && stats().n_entries == 1);
	assert(port_stats(1).moved == 1 && port_stats(1).moved_from == 2);
	assert(port_stats(2).moved == 1 && port_stats(2).moved_from == 1);
	fdb_port_del(fdb, 1);
	assert(port_stats(1).moved == 0 && port_stats(2).moved == 1 && stats().moved == 2);
}

static void
test_never_learned(void)
{
	static const struct { const char *what; fdb_key_t key; } rows[] = {
		{ "group",               0x0100000000000000 >> 16 },
		{ "broadcast",           0x0000ffffffffffff },
		{ "zero",                0 },
		{ "zero in a VLAN",      UINT64_C(5) << 48 },
		{ "group in a VLAN",     UINT64_C(5) << 48 | 0x01005e000001 },
	};

	for (uint32_t i = 0; i < RTE_DIM(rows); i++) {
		printf("    %s\n", rows[i].what);
		assert(see(0, 1, rows[i].key) == 0);
		assert(fdb_learn(fdb, rows[i].key, 1) == -EINVAL);
		assert(fdb_add(fdb, rows[i].key, 1) == -EINVAL);
		assert(find(0, rows[i].key) == -ENOENT);
	}
	assert(fdb_add(fdb, UINT64_C(4095) << 48 | key_of(1), 1) == -EINVAL);
	assert(fdb_add(fdb, key_of(1), FDB_PORTS_MAX) == -EINVAL);
	assert(stats().n_entries == 0);
}

static void
test_static(void)
{
	struct fdb_entry e;
	uint32_t iter = 0;

	assert(fdb_add(fdb, key_of(1), 1) == 0);
	assert(fdb_add(fdb, key_of(1), 1) == 0);
	assert(fdb_add(fdb, key_of(1), 2) == -EEXIST);
	assert(fdb_learn(fdb, key_of(1), 2) == -EPERM);
	assert(see(0, 2, key_of(1)) == 1);
	assert(find(0, key_of(1)) == 1);
	assert(stats().refused_static == 2);
	assert(port_stats(2).refused_static == 2 && port_stats(1).refused_static == 0);
	tick(1000);
	assert(fdb_flush(fdb, UINT16_MAX) == 0);
	assert(find(0, key_of(1)) == 1);
	assert(fdb_next(fdb, &iter, &e) == 0 && e.fixed && e.port == 1 && e.idle_s == 0);
	assert(fdb_next(fdb, &iter, &e) == -ENOENT);
	assert(fdb_del(fdb, key_of(1)) == 0);
	assert(fdb_del(fdb, key_of(1)) == -ENOENT);
	assert(find(0, key_of(1)) == -ENOENT);
	assert(stats().n_entries == 0 && stats().n_fixed == 0);
}

static void
test_made_static(void)
{
	struct fdb_hit hit;
	const fdb_key_t key = key_of(1);

	see(0, 1, key);
	assert(fdb_find(fdb, 0, &key, 1, &hit) == 1 && !hit.fixed);
	assert(fdb_add(fdb, key, 2) == 0);
	assert(fdb_find(fdb, 0, &key, 1, &hit) == 1 && hit.fixed && hit.port == 2);
	assert(stats().n_entries == 1 && stats().n_fixed == 1);
	tick(1000);
	assert(find(0, key) == 2);
}

static void
test_quota(void)
{
	assert(fdb_learn(fdb, key_of(1), 1) == 0);
	assert(fdb_learn(fdb, key_of(2), 1) == 0);
	assert(fdb_learn(fdb, key_of(3), 1) == -EDQUOT);
	assert(fdb_learn(fdb, key_of(1), 1) == 0);
	assert(fdb_learn(fdb, key_of(3), 2) == 0);
	assert(stats().refused_quota == 1);
	assert(port_stats(1).refused_quota == 1 && port_stats(2).refused_quota == 0);

	/* a move leaves the old port's account and enters the new one's */
	assert(fdb_learn(fdb, key_of(1), 2) == 0);
	assert(fdb_learn(fdb, key_of(4), 1) == 0);
	assert(fdb_learn(fdb, key_of(5), 2) == -EDQUOT);
	assert(fdb_learn(fdb, key_of(4), 2) == -EDQUOT);
	assert(find(0, key_of(4)) == 1);

	/* so do static entries, age, deletion and the port's end */
	assert(fdb_add(fdb, key_of(4), 1) == 0);
	assert(fdb_learn(fdb, key_of(6), 1) == 0);
	assert(fdb_learn(fdb, key_of(7), 1) == -EDQUOT);
	assert(fdb_del(fdb, key_of(6)) == 0);
	assert(fdb_learn(fdb, key_of(7), 1) == 0);
	tick(20);
	assert(stats().n_entries == 1);
	assert(fdb_learn(fdb, key_of(8), 2) == 0);
	assert(fdb_learn(fdb, key_of(9), 2) == 0);
	assert(fdb_port_del(fdb, 2) == 2);
	assert(fdb_learn(fdb, key_of(8), 2) == 0);
	assert(fdb_learn(fdb, key_of(9), 2) == 0);
	fdb_set(fdb, 10, 3);
	assert(fdb_learn(fdb, key_of(10), 2) == 0);
	assert(fdb_learn(fdb, key_of(11), 2) == -EDQUOT);
}

static uint32_t
idle_of(fdb_key_t key)
{
	struct fdb_entry e;

	for (uint32_t iter = 0; fdb_next(fdb, &iter, &e) == 0;)
		if (e.key == key)
			return e.idle_s;
	return UINT32_MAX;
}

static void
test_age(void)
{
	see(0, 1, key_of(1));
	see(0, 1, key_of(2));
	for (uint32_t i = 0; i < 100; i++) {
		tick(1);
		if (i % 7 == 0)
			see(1, 1, key_of(2));
		assert(find(0, key_of(1)) == (i < 10 ? 1 : -ENOENT));
		assert(idle_of(key_of(1)) == (i < 10 ? i + 1 : UINT32_MAX));
		assert(find(0, key_of(2)) == 1);
		assert(idle_of(key_of(2)) == i % 7);
	}
	assert(stats().aged == 1);
	tick(11);
	assert(stats().aged == 2 && stats().n_entries == 0);

	/* the slot's next tenant starts young and is not kept by what was seen of the last one */
	tick(3);
	see(0, 1, key_of(3));
	tick(10);
	assert(find(0, key_of(3)) == 1);
	tick(1);
	assert(find(0, key_of(3)) == -ENOENT);
}

static void
test_age_set(void)
{
	fdb_set(fdb, 0, 0);
	see(0, 1, key_of(1));
	tick(10000);
	assert(find(0, key_of(1)) == 1);
	fdb_set(fdb, 5, 0);
	assert(fdb_tick(fdb) == 1);
	assert(stats().age_s == 5);
	see(0, 1, key_of(1));
	fdb_set(fdb, 100, 0);
	tick(100);
	assert(find(0, key_of(1)) == 1);
	tick(100 / 16 + 2);
	assert(find(0, key_of(1)) == -ENOENT);
}

static void
test_flush(void)
{
	for (uint32_t i = 0; i < 30; i++)
		assert(fdb_learn(fdb, key_of(i), i % 3) == 0);
	assert(fdb_add(fdb, key_of(100), 1) == 0);
	for (uint32_t i = 0; i < 30; i++)
		assert(find(0, key_of(i)) == (int)(i % 3));
	assert(fdb_flush(fdb, 1) == 10);
	for (uint32_t i = 0; i < 30; i++)
		assert(find(0, key_of(i)) == (i % 3 == 1 ? -ENOENT : (int)(i % 3)));
	assert(find(0, key_of(100)) == 1);
	assert(fdb_flush(fdb, UINT16_MAX) == 20);
	assert(stats().n_entries == 1 && stats().aged == 0);
}

static void
test_port_del(void)
{
	see(0, 3, key_of(1));
	assert(fdb_add(fdb, key_of(2), 3) == 0);
	see(0, 4, key_of(3));
	fdb_seen(fdb, 0, 3, key_of(4)); /* still on its way when the port goes */
	assert(fdb_port_del(fdb, 3) == 2);
	assert(event_run(cross, UINT32_MAX) == 1);
	assert(stats().n_entries == 1 && stats().n_fixed == 0);
	for (uint32_t i = 1; i <= 4; i++)
		assert(find(0, key_of(i)) == (i == 3 ? 4 : -ENOENT));
	assert(see(1, 3, key_of(4)) == 1);
	assert(find(0, key_of(4)) == 3);
}

static void
test_vlan(void)
{
	const fdb_key_t tagged = UINT64_C(10) << 48 | key_of(1);

	see(0, 1, key_of(1));
	assert(find(0, tagged) == -ENOENT);
	see(0, 2, tagged);
	assert(find(0, key_of(1)) == 1 && find(0, tagged) == 2);
	assert(stats().moved == 0 && stats().n_entries == 2);
	assert(fdb_del(fdb, key_of(1)) == 0);
	assert(find(0, key_of(1)) == -ENOENT && find(0, tagged) == 2);
}

static void
test_full(void)
{
	const uint32_t n = stats().capacity;

	fdb_set(fdb, 10, UINT32_MAX);
	for (uint32_t i = 0; i < n; i++)
		assert(fdb_learn(fdb, key_of(i), i % FDB_PORTS_MAX) == 0);
	assert(fdb_learn(fdb, key_of(n), 1) == -ENOSPC);
	assert(fdb_add(fdb, key_of(n), 1) == -ENOSPC);
	assert(stats().refused_full == 1 && stats().n_entries == n);
	assert(port_stats(1).refused_full == 1);
	for (uint32_t i = 0; i < n; i++)
		assert(find(0, key_of(i)) == (int)(i % FDB_PORTS_MAX));
	assert(fdb_learn(fdb, key_of(3), 900) == 0); /* a move needs no room */
	assert(fdb_del(fdb, key_of(5)) == 0);
	assert(fdb_learn(fdb, key_of(n), 1) == 0);
	assert(find(0, key_of(n)) == 1 && find(0, key_of(5)) == -ENOENT);
	tick(11);
	assert(stats().n_entries == 0);
}

static void
test_suppressed(void)
{
	uint64_t took_ns;
	uint32_t n = 0;

	/* Only a try that was not interrupted tells something. */
	do {
		const uint64_t start_ns = clock_ns();

		n++;
		for (uint32_t i = 0; i < 100; i++)
			fdb_seen(fdb, 0, 1, key_of(n));
		took_ns = clock_ns() - start_ns;
	} while (took_ns > 5000 * NS_PER_US && event_run(cross, UINT32_MAX) > 0);
	assert(event_run(cross, UINT32_MAX) == 1);

	/* what control refused is asked again, later */
	assert(fdb_add(fdb, key_of(1000), 5) == 0);
	assert(see(0, 1, key_of(1000)) == 1);
	while (see(0, 1, key_of(1000)) == 0)
		usleep(1000);
}

static void
test_allowance(void)
{
	const uint64_t start_ns = clock_ns();
	uint64_t seconds;
	uint32_t heard;

	for (uint32_t i = 0; i < 5000; i++)
		fdb_seen(fdb, 0, 1, key_of(i));
	seconds = (clock_ns() - start_ns) / NS_PER_S + 1;
	heard = event_run(cross, UINT32_MAX);
	assert(heard >= 20 && heard <= 20 * seconds);
	assert(stats().learned == heard);

	/* nobody else pays: another port, another worker */
	assert(see(0, 2, key_of(9000)) == 1);
	assert(see(1, 1, key_of(9001)) == 1);
	while (see(0, 1, key_of(9002)) == 0)
		usleep(10000);
	assert(find(0, key_of(9002)) == 1);
}

static void
test_lost(void)
{
	const struct event ev = { .kind = EVENT_RING_BROKEN };

	while (event_send(cross, &ev))
		;
	fdb_seen(fdb, 0, 1, key_of(1));
	assert(event_lost(cross) == 2);
	event_run(cross, UINT32_MAX);
	assert(find(0, key_of(1)) == -ENOENT);
	assert(see(0, 1, key_of(1)) == 1);
	assert(find(0, key_of(1)) == 1);
}

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
	pthread_t threads[N_WORKERS];
	unsigned int seed = 20221;

	for (uint32_t k = 0; k < KEYS; k++)
		assert(fdb_learn(fdb, key_of(KEYS - 1 - k), KEYS - 1 - k) ==
		       (k < stats().capacity ? 0 : -ENOSPC));
	atomic_store(&reader_ends, false);
	atomic_store(&reader_turns, 0);
	for (uintptr_t i = 0; i < N_WORKERS; i++)
		assert(pthread_create(&threads[i], NULL, racing_reader, (void *)i) == 0);
	while (atomic_load(&reader_turns) < N_WORKERS)
		sched_yield();
	for (uint32_t i = 0; i < 20000; i++)
		race_step(rand_r(&seed) % KEYS, rand_r(&seed) % 32);
	atomic_store(&reader_ends, true);
	for (uint32_t i = 0; i < N_WORKERS; i++)
		pthread_join(threads[i], NULL);
	assert(stats().moved > 0 && stats().refused_full > 0);
}

static const struct {
	const char *story;
	struct fdb_opts opts;
	void (*run)(void);
} rows[] = {
	{ "unknown, reported, learned, found", { .age_s = 10 }, test_learn },
	{ "a burst of known and unknown addresses", { 0 }, test_find_bulk },
	{ "a burst of sources is learned", { 0 }, test_seen_burst },
	{ "an address moves to another port and back", { 0 }, test_move },
	{ "group, zero and impossible keys are never learned", { 0 }, test_never_learned },
	{ "static entries stay where they are", { .age_s = 10 }, test_static },
	{ "a learned entry is made static", { .age_s = 10 }, test_made_static },
	{ "a port has as many entries as its quota", { .age_s = 10, .quota = 2 }, test_quota },
	{ "what no worker sees ages", { .age_s = 10 }, test_age },
	{ "age changes while running", { .age_s = 300 }, test_age_set },
	{ "flush of a port and of all", { 0 }, test_flush },
	{ "a port goes with all that is known and reported of it", { 0 }, test_port_del },
	{ "one address in two VLANs", { 0 }, test_vlan },
	{ "a small table is full", { .capacity = 100 }, test_full },
	{ "the default table takes all that it promises", { 0 }, test_full },
	{ "a source is reported once", { 0 }, test_suppressed },
	{ "a flood costs its own port and worker", { .reports_per_s = 20 }, test_allowance },
	{ "a lost report is repeated by the next frame", { 0 }, test_lost },
	{ "a slot waits for the grace period", { .capacity = 1 }, test_grace },
	{ "ten thousand entries age in one grace period", { .age_s = 10 }, test_grace_once },
	{ "readers and the writer at once", { .capacity = 48 }, test_race },
};

int
main(void)
{
	char *eal[] = { "fdb_test", "--no-huge", "--no-shconf", "--no-pci", "-m", "256",
			"--no-telemetry", "--log-level=error" };

	assert(rte_eal_init(RTE_DIM(eal), eal) >= 0);
	for (uint32_t i = 0; i < RTE_DIM(rows); i++) {
		printf("%s\n", rows[i].story);
		fflush(stdout);
		rig_create(&rows[i].opts);
		rows[i].run();
		rig_destroy();
	}
	return 0;
}
