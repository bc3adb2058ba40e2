/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is where: learned, moved, static, flushed; the other stories of a database follow. */
#include "fdb_rig.h"

#include <rte_common.h>
#include <rte_eal.h>

#include <stdio.h>

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

#define MANY 4000

/* Sets of a worker's cache overflow here: what gives way keeps its answer and its slot, or goes. */
static void
test_many(void)
{
	struct fdb_entry e;
	uint32_t iter = 0;

	for (uint32_t i = 0; i < MANY; i++)
		assert(fdb_learn(fdb, key_of(i), i % 7) == 0);
	for (uint32_t i = 0; i < 2 * MANY; i++)
		assert(find(0, key_of(i % MANY)) == (int)(i % MANY % 7));
	tick(5);
	for (uint32_t i = 0; i < MANY; i++)
		assert(see(0, i % 7, key_of(i)) == 0);
	while (fdb_next(fdb, &iter, &e) == 0)
		assert(e.idle_s == 0);
	for (uint32_t i = 0; i < MANY; i += 3)
		assert(see(0, 7, key_of(i)) == 1);
	for (uint32_t i = 1; i < MANY; i += 3)
		assert(fdb_del(fdb, key_of(i)) == 0);
	for (uint32_t i = 0; i < MANY; i++)
		assert(find(0, key_of(i)) == (i % 3 == 0 ? 7 : i % 3 == 1 ? -ENOENT : (int)(i % 7)));
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
	{ "flush of a port and of all", { 0 }, test_flush },
	{ "a port goes with all that is known and reported of it", { 0 }, test_port_del },
	{ "one address in two VLANs", { 0 }, test_vlan },
	{ "a full table", { .capacity = MANY, .age_s = 10, .reports_per_s = MANY }, test_many },
};

int
main(void)
{
	char *eal[] = { "fdb_test", "--no-huge", "--no-shconf", "--no-pci", "-m", "256",
			"--no-telemetry", "--log-level=error" };

	assert(rte_eal_init(RTE_DIM(eal), eal) >= 0);
	for (uint32_t i = 0; i < RTE_DIM(rows); i++)
		fdb_story(rows[i].story, &rows[i].opts, rows[i].run);
	fdb_age_stories();
	fdb_quota_stories();
	fdb_race_stories();
	return 0;
}
