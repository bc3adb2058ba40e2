/* SPDX-License-Identifier: BSD-3-Clause */
#include "fdb_impl.h"

#include <rte_cycles.h>
#include <rte_prefetch.h>
#include <string.h>

/* What a burst asks for, and what the cache could not answer. */
struct ask {
	uint64_t ways[FDB_BURST]; /* as they stand in the lines, without an answer */
	struct fdb_line *lines[FDB_BURST];
	uint8_t missed[FDB_BURST];
	uint32_t n_missed;
};

/* Two ways at a time. */
typedef uint64_t pair_t __attribute__((vector_size(16), may_alias));

static inline uint32_t
place_line(const struct fdb *fdb, uint64_t place)
{
	return place >> (64 - fdb->line_bits);
}

/* A place's way in its line, without the answer. */
static inline uint64_t
place_way(const struct fdb *fdb, uint64_t place)
{
	return place << fdb->line_bits | WAY_TAKEN;
}

static inline bool
way_same(uint64_t way, uint64_t wanted)
{
	return (way ^ wanted) <= ANSWER_MASK;
}

/* What of two ways is wanted; a shift, for compilers make an unsigned compare of a mask. */
static inline pair_t
pair_find(pair_t pair, pair_t wanted)
{
	return pair & (pair_t)((pair ^ wanted) >> ANSWER_BITS == 0);
}

/* Which half of its line a key comes into first. */
static inline uint32_t
way_home(uint64_t way)
{
	return (way >> 63) * (CACHE_WAYS / 2);
}

static inline uint64_t
half_find(const uint64_t *ways, uint64_t way)
{
	const pair_t *pairs = (const pair_t *)ways;
	const pair_t wanted = { way, way };
	const pair_t found = pair_find(pairs[0], wanted) | pair_find(pairs[1], wanted);

	return found[0] | found[1];
}

_Static_assert(CACHE_WAYS / 2 == 4, "half a line is two pairs");

/*
 * The way as it stands in the line, or 0.  Which of four it is nobody can guess, so there is no
 * branch; that it is in the half where it came first is a good guess.
 */
static inline uint64_t
line_find(const struct fdb_line *line, uint64_t way)
{
	const uint32_t home = way_home(way);
	const uint64_t found = half_find(&line->ways[home], way);

	if (likely(found != 0))
		return found;
	return half_find(&line->ways[home ^ (CACHE_WAYS / 2)], way);
}

static void
group_empty(const struct fdb *fdb, struct fdb_worker *w, uint32_t group)
{
	const uint32_t bits = fdb->line_bits - GROUP_BITS;

	memset(&w->lines[group << bits], 0, sizeof(w->lines[0]) << bits);
}

static __rte_noinline void
groups_check(const struct fdb *fdb, struct fdb_worker *w)
{
	for (uint32_t i = 0; i < GROUPS; i++) {
		uint32_t version = atomic_load_explicit(&fdb->versions[i], memory_order_acquire);

		if (w->versions[i] == version)
			continue;
		group_empty(fdb, w, i);
		w->versions[i] = version;
	}
}

/*
 * Before the table is asked: an answer that is changed meanwhile is forgotten by the next burst,
 * and one is at most as old as the burst is.
 */
static inline void
changes_check(const struct fdb *fdb, struct fdb_worker *w)
{
	const uint32_t changes = atomic_load_explicit(&fdb->changes, memory_order_acquire);

	if (likely(w->changes == changes))
		return;
	w->changes = changes;
	groups_check(fdb, w);
}

static uint32_t
cache_get(const fdb_key_t *keys, uint32_t n, struct ask *ask, uint32_t *answers)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < n; i++) {
		const uint64_t way = line_find(ask->lines[i], ask->ways[i]);

		if (likely(way != 0)) {
			answers[i] = way & ANSWER_MASK;
			found |= UINT32_C(1) << i;
		} else if (key_learnable(keys[i])) {
			/* A group address is in nobody's table: it costs no probe. */
			ask->missed[ask->n_missed++] = i;
		}
	}
	return found;
}

/*
 * It comes first, from its home round the line, and all others give way: up to the first place that
 * was empty, or its own, or the oldest goes.
 */
static void
cache_put(struct fdb_worker *w, struct fdb_line *line, uint64_t way, uint32_t value)
{
	uint32_t *slots = w->slots[line - w->lines].slots;
	uint64_t carried = way | value_answer(value);
	uint32_t slot = value_slot(value);

	for (uint32_t i = 0; i < CACHE_WAYS; i++) {
		const uint32_t at = (way_home(way) + i) % CACHE_WAYS;
		const uint64_t way_was = line->ways[at];
		const uint32_t slot_was = slots[at];

		line->ways[at] = carried;
		slots[at] = slot;
		carried = way_was;
		slot = slot_was;
		if (carried == 0 || way_same(carried, way))
			return;
	}
}

static uint32_t
table_get(const struct fdb *fdb, struct fdb_worker *w, const fdb_key_t *keys,
	  const struct ask *ask, uint32_t *answers)
{
	const void *addrs[FDB_BURST];
	void *data[FDB_BURST];
	hash_sig_t sigs[FDB_BURST];
	uint64_t hits = 0;
	uint32_t found = 0;

	for (uint32_t m = 0; m < ask->n_missed; m++) {
		addrs[m] = &keys[ask->missed[m]];
		sigs[m] = key_hash(fdb, keys[ask->missed[m]]);
	}
	rte_hash_lookup_with_hash_bulk_data(fdb->table, addrs, sigs, ask->n_missed, &hits, data);
	for (; hits != 0; hits &= hits - 1) {
		const uint32_t m = __builtin_ctzll(hits);
		const uint32_t i = ask->missed[m];
		const uint32_t value = (uintptr_t)data[m];

		answers[i] = value_answer(value);
		cache_put(w, ask->lines[i], ask->ways[i], value);
		found |= UINT32_C(1) << i;
	}
	return found;
}

/* Three passes, so that the memory of all keys is on its way while the first is waited for. */
static uint32_t
resolve(const struct fdb *fdb, struct fdb_worker *w, const fdb_key_t *keys, uint32_t n,
	struct ask *ask, uint32_t *answers)
{
	uint32_t found;

	changes_check(fdb, w);
	ask->n_missed = 0;
	for (uint32_t i = 0; i < n; i++) {
		const uint64_t place = key_place(fdb, keys[i]);

		ask->ways[i] = place_way(fdb, place);
		ask->lines[i] = &w->lines[place_line(fdb, place)];
		rte_prefetch0(ask->lines[i]);
	}
	found = cache_get(keys, n, ask, answers);
	if (unlikely(ask->n_missed > 0))
		found |= table_get(fdb, w, keys, ask, answers);
	return found;
}

uint32_t
fdb_find(struct fdb *fdb, uint32_t worker, const fdb_key_t *keys, uint32_t n,
	 struct fdb_hit *hits)
{
	struct ask ask;

	/* The first member stands in the lowest bits, as in an answer. */
	return resolve(fdb, &fdb->workers[worker], keys, n, &ask, (uint32_t *)hits);
}

/*
 * Keeps the entry alive that the cache has for a way: it was just found or put there.  Read first:
 * a store would take the line from control and from nobody's need.
 *
 * @return  false: it has gone again, others of the burst had no room beside it
 */
static bool
seen_mark(struct fdb_worker *w, const struct fdb_line *line, uint64_t way, uint32_t now)
{
	_Atomic uint32_t *seen;
	uint32_t i = 0;

	while (i < CACHE_WAYS && !way_same(line->ways[i], way))
		i++;
	if (unlikely(i == CACHE_WAYS))
		return false;
	seen = &w->seen[w->slots[line - w->lines].slots[i]];
	if (atomic_load_explicit(seen, memory_order_relaxed) != now)
		atomic_store_explicit(seen, now, memory_order_relaxed);
	return true;
}

static bool
allowance_take(const struct fdb *fdb, struct fdb_allowance *a, uint64_t tsc)
{
	if (tsc - a->since >= fdb->second_cycles) {
		a->since = tsc;
		a->left = fdb->reports_per_s;
	}
	if (a->left == 0)
		return false;
	a->left--;
	return true;
}

/* Once control has changed something about the address, what was said before is old news. */
static bool
just_reported(const struct fdb *fdb, const struct fdb_report *said, const struct fdb_report *now)
{
	return said->key == now->key && said->port == now->port &&
	       said->version == now->version && now->tsc - said->tsc < fdb->again_cycles;
}

/* An event that is lost is not remembered: the next frame repeats it. */
static void
report(struct fdb *fdb, struct fdb_worker *w, uint16_t port, fdb_key_t key)
{
	struct fdb_report *said = &w->reports[key_hash(fdb, key) & (REPORTS_LEN - 1)];
	const struct fdb_report now = {
		.key = key,
		.tsc = rte_rdtsc(),
		.version = atomic_load_explicit(key_version(fdb, key), memory_order_relaxed),
		.port = port,
	};
	struct event ev = { .kind = EVENT_FDB_SEEN, .port = port, .key = key };

	if (!key_learnable(key) || just_reported(fdb, said, &now))
		return;
	if (!allowance_take(fdb, &w->ports[port], now.tsc))
		return;
	ev.values[0] = atomic_load_explicit(&fdb->tenants[port], memory_order_relaxed);
	if (event_send(fdb->cross, &ev))
		*said = now;
}

/* A guest that sends has one address: a burst of it is one question. */
static uint32_t
runs_merge(const fdb_key_t *keys, uint32_t n, fdb_key_t *runs)
{
	uint32_t n_runs = 1;

	runs[0] = keys[0];
	for (uint32_t i = 1; i < n; i++)
		if (keys[i] != keys[i - 1])
			runs[n_runs++] = keys[i];
	return n_runs;
}

void
fdb_seen_burst(struct fdb *fdb, uint32_t worker, uint16_t port, const fdb_key_t *keys, uint32_t n)
{
	struct fdb_worker *w = &fdb->workers[worker];
	const uint32_t now = fdb_now(fdb);
	struct ask ask;
	fdb_key_t runs[FDB_BURST];
	uint32_t answers[FDB_BURST];
	const uint32_t n_runs = runs_merge(keys, n, runs);
	const uint32_t found = resolve(fdb, w, runs, n_runs, &ask, answers);

	for (uint32_t i = 0; i < n_runs; i++) {
		const bool here = (found >> i & 1) == 1 &&
				  (answers[i] & (FDB_PORTS_MAX - 1)) == port;

		if (!here || !seen_mark(w, ask.lines[i], ask.ways[i], now))
			report(fdb, w, port, runs[i]);
	}
}

void
fdb_seen(struct fdb *fdb, uint32_t worker, uint16_t port, fdb_key_t key)
{
	fdb_seen_burst(fdb, worker, port, &key, 1);
}
