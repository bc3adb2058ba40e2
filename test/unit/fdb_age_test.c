/* SPDX-License-Identifier: BSD-3-Clause */
/* Ageing: what no worker sees goes, when its time has come. */
#include "fdb_rig.h"

#include <rte_common.h>

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

static const struct {
	const char *story;
	struct fdb_opts opts;
	void (*run)(void);
} rows[] = {
	{ "what no worker sees ages", { .age_s = 10 }, test_age },
	{ "age changes while running", { .age_s = 300 }, test_age_set },
};

void
fdb_age_stories(void)
{
	for (uint32_t i = 0; i < RTE_DIM(rows); i++)
		fdb_story(rows[i].story, &rows[i].opts, rows[i].run);
}
