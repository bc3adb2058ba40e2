/* SPDX-License-Identifier: BSD-3-Clause */
#include "fdb_impl.h"

#include <rte_cycles.h>
#include <rte_prefetch.h>

/* What a burst asks for, and what the cache could not answer. */
struct ask {
	uint32_t hashes[FDB_BURST];
	uint32_t versions[FDB_BURST];
	uint8_t missed[FDB_BURST];
	uint32_t n_missed;
};

static struct fdb_cached *
cache_line(const struct fdb *fdb, const struct fdb_worker *w, uint32_t hash)
{
	return &w->cache[hash & (fdb->cache_len - 1)];
}

/*
 * Where the key is if it is in this line; without a branch, for which way it is nobody can guess.
 * Zero, which a frame may be sent to, equals every way that is empty: any of them will do.
 */
static uint32_t
cache_way(const struct fdb_cached *c, fdb_key_t key)
{
	return ((c->keys[1] == key) + 2 * (c->keys[2] == key) + 3 * (c->keys[3] == key)) %
	       CACHE_WAYS;
}

/* The version is loaded before the table is asked: an answer that was changed meanwhile is kept
 * with a version that nobody has any more.
 */
static uint32_t
cache_get(struct fdb *fdb, const struct fdb_worker *w, const fdb_key_t *keys, uint32_t n,
	  struct ask *ask, uint32_t *values)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct fdb_cached *c = cache_line(fdb, w, ask->hashes[i]);
		const uint32_t way = cache_way(c, keys[i]);
		const uint32_t version = atomic_load_explicit(key_version(fdb, ask->hashes[i]),
							      memory_order_acquire);

		if (likely(c->keys[way] == keys[i] && c->versions[way] == version)) {
			values[i] = c->values[way];
			found |= UINT32_C(1) << i;
		} else if (key_learnable(keys[i])) {
			/* A group address is in nobody's table: it costs no probe. */
			ask->versions[i] = version;
			ask->missed[ask->n_missed++] = i;
		}
	}
	return found;
}

/* The key comes first and the oldest goes, or the key's own stale way. */
static void
cache_put(struct fdb_cached *c, fdb_key_t key, uint32_t version, uint32_t value)
{
	uint32_t way = cache_way(c, key);

	if (c->keys[way] != key)
		way = CACHE_WAYS - 1;
	for (; way > 0; way--) {
		c->keys[way] = c->keys[way - 1];
		c->values[way] = c->values[way - 1];
		c->versions[way] = c->versions[way - 1];
	}
	c->keys[0] = key;
	c->values[0] = value;
	c->versions[0] = version;
}

static uint32_t
table_get(const struct fdb *fdb, const struct fdb_worker *w, const fdb_key_t *keys,
	  const struct ask *ask, uint32_t *values)
{
	const void *addrs[FDB_BURST];
	void *data[FDB_BURST];
	hash_sig_t sigs[FDB_BURST];
	uint64_t hits = 0;
	uint32_t found = 0;

	for (uint32_t m = 0; m < ask->n_missed; m++) {
		addrs[m] = &keys[ask->missed[m]];
		sigs[m] = ask->hashes[ask->missed[m]];
	}
	rte_hash_lookup_with_hash_bulk_data(fdb->table, addrs, sigs, ask->n_missed, &hits, data);
	for (; hits != 0; hits &= hits - 1) {
		const uint32_t m = __builtin_ctzll(hits);
		const uint32_t i = ask->missed[m];

		values[i] = (uintptr_t)data[m];
		cache_put(cache_line(fdb, w, sigs[m]), keys[i], ask->versions[i], values[i]);
		found |= UINT32_C(1) << i;
	}
	return found;
}

/* Three passes, so that the memory of all keys is on its way while the first is waited for. */
static uint32_t
resolve(struct fdb *fdb, const struct fdb_worker *w, const fdb_key_t *keys, uint32_t n,
	struct ask *ask, uint32_t *values)
{
	uint32_t found;

	ask->n_missed = 0;
	for (uint32_t i = 0; i < n; i++) {
		ask->hashes[i] = key_hash(fdb, keys[i]);
		rte_prefetch0(cache_line(fdb, w, ask->hashes[i]));
	}
	found = cache_get(fdb, w, keys, n, ask, values);
	if (ask->n_missed > 0)
		found |= table_get(fdb, w, keys, ask, values);
	return found;
}

uint32_t
fdb_find(struct fdb *fdb, uint32_t worker, const fdb_key_t *keys, uint32_t n,
	 struct fdb_hit *hits)
{
	struct ask ask;

	/* The first member stands in the lowest bits, as in value_pack(). */
	return resolve(fdb, &fdb->workers[worker], keys, n, &ask, (uint32_t *)hits);
}

/* Read first: a store would take the line from control and from nobody's need. */
static void
seen_mark(struct fdb_worker *w, uint32_t slot, uint32_t now)
{
	if (atomic_load_explicit(&w->seen[slot], memory_order_relaxed) != now)
		atomic_store_explicit(&w->seen[slot], now, memory_order_relaxed);
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
report(struct fdb *fdb, struct fdb_worker *w, uint16_t port, fdb_key_t key, uint32_t hash)
{
	struct fdb_report *said = &w->reports[hash & (REPORTS_LEN - 1)];
	const struct fdb_report now = {
		.key = key,
		.tsc = rte_rdtsc(),
		.version = atomic_load_explicit(key_version(fdb, hash), memory_order_relaxed),
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
	uint32_t values[FDB_BURST];
	const uint32_t n_runs = runs_merge(keys, n, runs);
	const uint32_t found = resolve(fdb, w, runs, n_runs, &ask, values);

	for (uint32_t i = 0; i < n_runs; i++) {
		if ((found >> i & 1) == 1 && value_port(values[i]) == port)
			seen_mark(w, value_slot(values[i]), now);
		else
			report(fdb, w, port, runs[i], ask.hashes[i]);
	}
}

void
fdb_seen(struct fdb *fdb, uint32_t worker, uint16_t port, fdb_key_t key)
{
	fdb_seen_burst(fdb, worker, port, &key, 1);
}
