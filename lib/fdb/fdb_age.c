/* SPDX-License-Identifier: BSD-3-Clause */
#include "fdb_impl.h"

#include <errno.h>

/*
 * Ageing.  A tick is cheap unless something can have become too old: what workers have seen is
 * asked only for entries whose age control must know, and the table is walked at most every
 * sixteenth of the age.
 */

#define WALKS_PER_AGE 16

/* The youngest sign of life, from control or any worker. */
static uint32_t
seen_fold(const struct fdb *fdb, uint32_t slot)
{
	uint32_t seen = fdb->slots[slot].seen;

	for (uint32_t i = 0; i < cross_n_workers(fdb->cross); i++)
		seen = RTE_MAX(seen, atomic_load_explicit(&fdb->workers[i].seen[slot],
							  memory_order_relaxed));
	return seen;
}

void
fdb_due(struct fdb *fdb, uint32_t seen)
{
	fdb->due = RTE_MIN(fdb->due, seen + fdb->stats.age_s + 1);
}

static bool
too_old(const struct fdb *fdb, uint32_t slot, uint32_t now)
{
	struct fdb_slot *s = &fdb->slots[slot];

	if (now - s->seen <= fdb->stats.age_s)
		return false;
	s->seen = seen_fold(fdb, slot);
	return now - s->seen > fdb->stats.age_s;
}

static uint32_t
walk(struct fdb *fdb, uint32_t now)
{
	const uint32_t rest = RTE_MAX(fdb->stats.age_s / WALKS_PER_AGE, 1u);
	uint32_t n = 0;

	fdb->due = UINT32_MAX;
	for (uint32_t i = 0; i < fdb->high; i++) {
		if (fdb->slots[i].state != SLOT_LEARNED)
			continue;
		if (too_old(fdb, i, now)) {
			fdb_bury(fdb, i);
			n++;
		} else {
			fdb_due(fdb, fdb->slots[i].seen);
		}
	}
	fdb->due = RTE_MAX(fdb->due, now + rest);
	return n;
}

uint32_t
fdb_tick(struct fdb *fdb)
{
	const uint32_t now = fdb_now(fdb) + 1;
	uint32_t n = 0;

	atomic_store_explicit(&fdb->now, now, memory_order_relaxed);
	if (fdb->stats.age_s > 0 && now >= fdb->due)
		n = walk(fdb, now);
	fdb->stats.aged += n;
	fdb_graves_free(fdb);
	return n;
}

void
fdb_set(struct fdb *fdb, uint32_t age_s, uint32_t quota)
{
	fdb->stats.age_s = age_s;
	if (quota > 0)
		fdb->quota = quota;
	fdb->due = 0;
}

int
fdb_next(const struct fdb *fdb, uint32_t *iter, struct fdb_entry *out)
{
	while (*iter < fdb->high) {
		const uint32_t slot = (*iter)++;
		const struct fdb_slot *s = &fdb->slots[slot];
		const bool fixed = s->state == SLOT_FIXED;

		if (s->state == SLOT_FREE)
			continue;
		*out = (struct fdb_entry){
			.key = s->key,
			.port = s->port,
			.fixed = fixed,
			.idle_s = fixed ? 0 : fdb_now(fdb) - seen_fold(fdb, slot),
		};
		return 0;
	}
	return -ENOENT;
}
