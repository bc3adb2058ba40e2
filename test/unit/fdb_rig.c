/* SPDX-License-Identifier: BSD-3-Clause */
#include "fdb_rig.h"

#include <stdio.h>

struct cross *cross;
struct fdb *fdb;

void
fdb_story(const char *name, const struct fdb_opts *opts, void (*run)(void))
{
	printf("%s\n", name);
	fflush(stdout);
	assert(cross_create(RIG_WORKERS, &cross) == 0);
	assert(fdb_create(cross, opts, &fdb) == 0);
	run();
	fdb_destroy(fdb);
	cross_destroy(cross);
}

fdb_key_t
key_of(uint32_t n)
{
	const uint8_t mac[] = { 0x52, 0x54, n >> 24, n >> 16, n >> 8, n };

	return fdb_key(0, mac);
}

int
find(uint32_t worker, fdb_key_t key)
{
	struct fdb_hit hit;

	return fdb_find(fdb, worker, &key, 1, &hit) == 1 ? hit.port : -ENOENT;
}

uint32_t
see(uint32_t worker, uint16_t port, fdb_key_t key)
{
	fdb_seen(fdb, worker, port, key);
	return event_run(cross, UINT32_MAX);
}

struct fdb_stats
stats(void)
{
	struct fdb_stats s;

	fdb_stats(fdb, &s);
	return s;
}

struct fdb_port_stats
port_stats(uint16_t port)
{
	struct fdb_port_stats s;

	fdb_port_stats(fdb, port, &s);
	return s;
}

void
tick(uint32_t n)
{
	while (n-- > 0)
		fdb_tick(fdb);
}
