/* SPDX-License-Identifier: BSD-3-Clause */
#include "fdb_impl.h"

#include "clock.h"

#include <rte_errno.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define VLAN_MAX 4094

/* Control inserts within a millisecond; what it refused is not asked again more often than this. */
#define REPORT_AGAIN_US 10000

/* Zeroed, populated, and on few large pages where the kernel has them to give. */
static void *
pages_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0, size);
	return p;
}

static void
pages_free(void *p, size_t size)
{
	if (p != NULL)
		munmap(p, size);
}

static size_t
seen_size(const struct fdb *fdb)
{
	return fdb->stats.capacity * sizeof(uint32_t);
}

static size_t
lines_size(const struct fdb *fdb)
{
	return sizeof(struct fdb_line) << fdb->line_bits;
}

static size_t
slots_size(const struct fdb *fdb)
{
	return sizeof(struct fdb_slots) << fdb->line_bits;
}

static int
workers_create(struct fdb *fdb)
{
	const uint32_t n = cross_n_workers(fdb->cross);

	fdb->workers = aligned_alloc(RTE_CACHE_LINE_SIZE, n * sizeof(*fdb->workers));
	if (fdb->workers == NULL)
		return -ENOMEM;
	memset(fdb->workers, 0, n * sizeof(*fdb->workers));
	for (uint32_t i = 0; i < n; i++) {
		struct fdb_worker *w = &fdb->workers[i];

		w->lines = pages_alloc(lines_size(fdb));
		w->slots = pages_alloc(slots_size(fdb));
		w->seen = pages_alloc(seen_size(fdb));
		if (w->lines == NULL || w->slots == NULL || w->seen == NULL)
			return -ENOMEM;
	}
	return 0;
}

static void
workers_destroy(struct fdb *fdb)
{
	if (fdb->workers == NULL)
		return;
	for (uint32_t i = 0; i < cross_n_workers(fdb->cross); i++) {
		pages_free(fdb->workers[i].lines, lines_size(fdb));
		pages_free(fdb->workers[i].slots, slots_size(fdb));
		pages_free(fdb->workers[i].seen, seen_size(fdb));
	}
	free(fdb->workers);
}

/* Twice the capacity: no insert ever fails for want of a bucket, most lookups need only one, and
 * what is buried has room too.
 */
static int
table_create(struct fdb *fdb)
{
	static uint32_t serial;
	char name[RTE_HASH_NAMESIZE];
	const struct rte_hash_parameters params = {
		.name = name,
		.entries = RTE_MAX(2 * fdb->stats.capacity, 64u),
		.key_len = sizeof(fdb_key_t),
		.hash_func = rte_hash_crc,
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};

	snprintf(name, sizeof(name), "ferry_fdb_%u", serial++);
	fdb->table = rte_hash_create(&params);
	return fdb->table == NULL ? -ENOMEM : 0;
}

static int
slots_create(struct fdb *fdb)
{
	const uint32_t capacity = fdb->stats.capacity;

	fdb->slots = calloc(capacity, sizeof(*fdb->slots));
	fdb->free_slots = calloc(capacity, sizeof(*fdb->free_slots));
	fdb->graves = calloc(capacity, sizeof(*fdb->graves));
	if (fdb->slots == NULL || fdb->free_slots == NULL || fdb->graves == NULL)
		return -ENOMEM;
	while (fdb->n_free < capacity) {
		fdb->free_slots[fdb->n_free] = capacity - 1 - fdb->n_free;
		fdb->n_free++;
	}
	return 0;
}

static void
opts_take(struct fdb *fdb, const struct fdb_opts *opts)
{
	fdb->stats.capacity = opts->capacity == 0 ? FDB_CAPACITY : opts->capacity;
	fdb->line_bits = rte_log2_u32(RTE_MAX(2 * fdb->stats.capacity / CACHE_WAYS, GROUPS));
	fdb->stats.age_s = opts->age_s;
	fdb->quota = opts->quota == 0 ? FDB_QUOTA : opts->quota;
	fdb->reports_per_s = opts->reports_per_s == 0 ? FDB_REPORTS : opts->reports_per_s;
	fdb->second_cycles = clock_us_to_cycles(1000000);
	fdb->again_cycles = clock_us_to_cycles(REPORT_AGAIN_US);
}

static int
fdb_init(struct fdb *fdb)
{
	int rc;

	if (getrandom(&fdb->secret, sizeof(fdb->secret), 0) != sizeof(fdb->secret))
		return -errno;
	fdb->secret |= 1;
	atomic_store(&fdb->now, 1);
	fdb->due = UINT32_MAX;
	rc = slots_create(fdb);
	if (rc == 0)
		rc = table_create(fdb);
	return rc == 0 ? workers_create(fdb) : rc;
}

/* The port may have gone, and its number to somebody else, since the worker looked. */
static void
seen_handle(void *arg, const struct event *ev)
{
	struct fdb *fdb = arg;

	if (ev->port < FDB_PORTS_MAX && ev->values[0] == atomic_load(&fdb->tenants[ev->port]))
		fdb_learn(fdb, ev->key, ev->port);
}

int
fdb_create(struct cross *x, const struct fdb_opts *opts, struct fdb **out)
{
	struct fdb *fdb;
	int rc;

	if (opts->capacity > FDB_CAPACITY_MAX)
		return -EINVAL;
	fdb = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*fdb));
	if (fdb == NULL)
		return -ENOMEM;
	memset(fdb, 0, sizeof(*fdb));
	fdb->cross = x;
	opts_take(fdb, opts);
	rc = fdb_init(fdb);
	if (rc < 0) {
		fdb_destroy(fdb);
		return rc;
	}
	event_handle(x, EVENT_FDB_SEEN, seen_handle, fdb);
	*out = fdb;
	return 0;
}

void
fdb_destroy(struct fdb *fdb)
{
	if (fdb == NULL)
		return;
	event_handle(fdb->cross, EVENT_FDB_SEEN, NULL, NULL);
	workers_destroy(fdb);
	rte_hash_free(fdb->table);
	free(fdb->slots);
	free(fdb->free_slots);
	free(fdb->graves);
	free(fdb);
}

static int
check(fdb_key_t key, uint16_t port)
{
	if (!key_learnable(key) || fdb_key_vlan(key) > VLAN_MAX || port >= FDB_PORTS_MAX)
		return -EINVAL;
	return 0;
}

static struct fdb_slot *
slot_find(const struct fdb *fdb, fdb_key_t key)
{
	void *data;

	if (rte_hash_lookup_with_hash_data(fdb->table, &key, key_hash(fdb, key), &data) < 0)
		return NULL;
	return &fdb->slots[value_slot((uintptr_t)data)];
}

static void
number_step(_Atomic uint32_t *number)
{
	uint32_t old = atomic_load_explicit(number, memory_order_relaxed);

	atomic_store_explicit(number, old + 1, memory_order_release);
}

/* After the table: who still finds the old numbers has perhaps read the old entry. */
static void
version_step(struct fdb *fdb, fdb_key_t key)
{
	number_step(key_version(fdb, key));
	number_step(&fdb->changes);
}

/* One release store for a key that is there already: readers find the old answer or the new. */
static int
slot_publish(struct fdb *fdb, const struct fdb_slot *s)
{
	const uint32_t value = value_pack(s - fdb->slots, s->port, s->state == SLOT_FIXED);

	return rte_hash_add_key_with_hash_data(fdb->table, &s->key, key_hash(fdb, s->key),
					       (void *)(uintptr_t)value);
}

static void
account(struct fdb *fdb, const struct fdb_slot *s, int n)
{
	fdb->stats.n_entries += n;
	if (s->state == SLOT_FIXED)
		fdb->stats.n_fixed += n;
	else
		fdb->n_learned[s->port] += n;
}

static int
slot_insert(struct fdb *fdb, fdb_key_t key, uint16_t port, enum fdb_state state)
{
	struct fdb_slot *s;
	uint32_t slot;
	int rc;

	if (fdb->n_free == 0)
		fdb_graves_free(fdb);
	if (fdb->n_free == 0)
		return -ENOSPC;
	slot = fdb->free_slots[fdb->n_free - 1];
	s = &fdb->slots[slot];
	*s = (struct fdb_slot){ .key = key, .seen = fdb_now(fdb), .port = port, .state = state };
	rc = slot_publish(fdb, s);
	if (rc < 0) {
		s->state = SLOT_FREE;
		return rc;
	}
	fdb->n_free--;
	fdb->high = RTE_MAX(fdb->high, slot + 1);
	fdb_due(fdb, s->seen);
	account(fdb, s, 1);
	return 0;
}

static void
slot_move(struct fdb *fdb, struct fdb_slot *s, uint16_t port, enum fdb_state state)
{
	account(fdb, s, -1);
	s->port = port;
	s->state = state;
	s->seen = fdb_now(fdb);
	account(fdb, s, 1);
	slot_publish(fdb, s); /* cannot fail: the key has its place */
	version_step(fdb, s->key);
}

void
fdb_bury(struct fdb *fdb, uint32_t slot)
{
	struct fdb_slot *s = &fdb->slots[slot];

	fdb->graves[fdb->n_graves++] = (struct fdb_grave){
		.slot = slot,
		.position = rte_hash_del_key_with_hash(fdb->table, &s->key,
						       key_hash(fdb, s->key)),
	};
	version_step(fdb, s->key);
	account(fdb, s, -1);
	s->state = SLOT_FREE;
}

void
fdb_graves_free(struct fdb *fdb)
{
	if (fdb->n_graves == 0)
		return;
	cross_wait(fdb->cross);
	while (fdb->n_graves > 0) {
		const struct fdb_grave *g = &fdb->graves[--fdb->n_graves];

		rte_hash_free_key_with_position(fdb->table, g->position);
		fdb->free_slots[fdb->n_free++] = g->slot;
	}
}

int
fdb_add(struct fdb *fdb, fdb_key_t key, uint16_t port)
{
	struct fdb_slot *s;

	if (check(key, port) < 0)
		return -EINVAL;
	s = slot_find(fdb, key);
	if (s == NULL)
		return slot_insert(fdb, key, port, SLOT_FIXED);
	if (s->state == SLOT_FIXED)
		return s->port == port ? 0 : -EEXIST;
	slot_move(fdb, s, port, SLOT_FIXED);
	return 0;
}

int
fdb_del(struct fdb *fdb, fdb_key_t key)
{
	const struct fdb_slot *s = slot_find(fdb, key);

	if (s == NULL)
		return -ENOENT;
	fdb_bury(fdb, s - fdb->slots);
	return 0;
}

static void
bump(uint64_t *all, uint64_t *of_port)
{
	(*all)++;
	(*of_port)++;
}

static void
learned_tell(const struct fdb *fdb, fdb_key_t key, uint16_t port)
{
	if (fdb->learned != NULL)
		fdb->learned(fdb->learned_arg, key, port);
}

static int
learn_new(struct fdb *fdb, fdb_key_t key, uint16_t port)
{
	int rc = slot_insert(fdb, key, port, SLOT_LEARNED);

	if (rc < 0) {
		bump(&fdb->stats.refused_full, &fdb->ports[port].refused_full);
		return rc;
	}
	fdb->stats.learned++;
	learned_tell(fdb, key, port);
	return 0;
}

static int
learn_move(struct fdb *fdb, struct fdb_slot *s, uint16_t port)
{
	if (fdb->moving != NULL && fdb->moving(fdb->moving_arg, s->key, s->port, port))
		return 0;
	fdb->ports[port].moved_from = s->port;
	slot_move(fdb, s, port, SLOT_LEARNED);
	bump(&fdb->stats.moved, &fdb->ports[port].moved);
	learned_tell(fdb, s->key, port);
	return 0;
}

int
fdb_learn(struct fdb *fdb, fdb_key_t key, uint16_t port)
{
	struct fdb_slot *s;

	if (check(key, port) < 0)
		return -EINVAL;
	s = slot_find(fdb, key);
	if (s != NULL && s->port == port) {
		s->seen = fdb_now(fdb);
		return 0;
	}
	if (s != NULL && s->state == SLOT_FIXED) {
		bump(&fdb->stats.refused_static, &fdb->ports[port].refused_static);
		return -EPERM;
	}
	if (fdb->n_learned[port] >= fdb->quota) {
		bump(&fdb->stats.refused_quota, &fdb->ports[port].refused_quota);
		return -EDQUOT;
	}
	return s != NULL ? learn_move(fdb, s, port) : learn_new(fdb, key, port);
}

void
fdb_moving(struct fdb *fdb, fdb_moving_fn *fn, void *arg)
{
	fdb->moving = fn;
	fdb->moving_arg = arg;
}

void
fdb_learned(struct fdb *fdb, fdb_learned_fn *fn, void *arg)
{
	fdb->learned = fn;
	fdb->learned_arg = arg;
}

int
fdb_get(const struct fdb *fdb, fdb_key_t key, uint16_t *port)
{
	const struct fdb_slot *s = slot_find(fdb, key);

	if (s == NULL)
		return -ENOENT;
	*port = s->port;
	return 0;
}

uint32_t
fdb_port_move(struct fdb *fdb, uint16_t from, uint16_t to)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < fdb->high; i++) {
		struct fdb_slot *s = &fdb->slots[i];

		if (s->state != SLOT_LEARNED || s->port != from)
			continue;
		slot_move(fdb, s, to, SLOT_LEARNED);
		bump(&fdb->stats.moved, &fdb->ports[to].moved);
		n++;
	}
	if (n > 0)
		fdb->ports[to].moved_from = from;
	return n;
}

static uint32_t
forget(struct fdb *fdb, uint16_t port, enum fdb_state most)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < fdb->high; i++) {
		const struct fdb_slot *s = &fdb->slots[i];

		if (s->state == SLOT_FREE || s->state > most)
			continue;
		if (port != UINT16_MAX && s->port != port)
			continue;
		fdb_bury(fdb, i);
		n++;
	}
	fdb_graves_free(fdb);
	return n;
}

uint32_t
fdb_flush(struct fdb *fdb, uint16_t port)
{
	return forget(fdb, port, SLOT_LEARNED);
}

uint32_t
fdb_port_del(struct fdb *fdb, uint16_t port)
{
	if (port >= FDB_PORTS_MAX)
		return 0;
	atomic_fetch_add(&fdb->tenants[port], 1);
	memset(&fdb->ports[port], 0, sizeof(fdb->ports[port]));
	return forget(fdb, port, SLOT_FIXED);
}

void
fdb_stats(const struct fdb *fdb, struct fdb_stats *out)
{
	*out = fdb->stats;
	out->quota = fdb->quota;
}

void
fdb_port_stats(const struct fdb *fdb, uint16_t port, struct fdb_port_stats *out)
{
	*out = fdb->ports[port];
}
