/* SPDX-License-Identifier: BSD-3-Clause */
/* Quotas, full tables and floods: who has too much pays for it, and nobody else. */
#include "fdb_rig.h"

#include "clock.h"

#include <rte_common.h>

#include <unistd.h>

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

static const struct {
	const char *story;
	struct fdb_opts opts;
	void (*run)(void);
} rows[] = {
	{ "a port has as many entries as its quota", { .age_s = 10, .quota = 2 }, test_quota },
	{ "a small table is full", { .capacity = 100 }, test_full },
	{ "the default table takes all that it promises", { 0 }, test_full },
	{ "a source is reported once", { 0 }, test_suppressed },
	{ "a flood costs its own port and worker", { .reports_per_s = 20 }, test_allowance },
	{ "a lost report is repeated by the next frame", { 0 }, test_lost },
};

void
fdb_quota_stories(void)
{
	for (uint32_t i = 0; i < RTE_DIM(rows); i++)
		fdb_story(rows[i].story, &rows[i].opts, rows[i].run);
}
