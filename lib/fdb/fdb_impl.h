/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FDB_IMPL_H
#define FERRY_FDB_IMPL_H

/*
 * Inside of lib/fdb: who writes each field is said beside it.
 *
 * An entry has a slot, which control fills, and a key in the table, which workers look up.  The
 * table's data pointer is not a pointer: it holds the slot's number, the port and the static bit
 * in 31 bits, so that one load answers a lookup and one store moves an address.
 */

#include "event.h"
#include "fdb.h"

#include <rte_hash.h>
#include <rte_hash_crc.h>

#define SLOT_BITS 20
#define PORT_BITS 10

#define FDB_CAPACITY_MAX (1u << SLOT_BITS)

_Static_assert(FDB_PORTS_MAX == 1u << PORT_BITS, "a port number fills its bits");
_Static_assert(sizeof(struct fdb_hit) == sizeof(uint32_t), "an answer is part of a value");

/*
 * Addresses are spread over this many groups, each with a version that a move or a deletion steps:
 * it empties the caches by so small a part.
 */
#define GROUP_BITS 8
#define GROUPS     (1u << GROUP_BITS)

/* Per worker: what it has just reported. */
#define REPORTS_LEN 1024

/*
 * The cache of addresses that a worker has looked up; worker only.  A key times the secret is its
 * place: the topmost bits are the line, so that a group's lines are neighbours, and the others with
 * the answer are a way of it, for the product tells the key.  Eight bytes an address are little
 * enough for twice a full table of 100,000 to be two megabytes, one large page; sets of eight then
 * answer 99 of 100 random looks with one miss of the processor's caches, where the table takes two
 * or three.  What only a source's answer has stands beside: most looks are for destinations.
 */
#define CACHE_WAYS 8

struct fdb_line {
	uint64_t ways[CACHE_WAYS]; /* rest of the place, WAY_TAKEN, answer; 0: empty */
} __rte_cache_aligned;

_Static_assert(sizeof(struct fdb_line) == 64, "a line of ours is a line of the processor's");

struct fdb_slots {
	uint32_t slots[CACHE_WAYS]; /* way by way */
};

#define VLAN_BITS   12
#define KEY_BITS    (VLAN_BITS + 48)
#define ANSWER_BITS (PORT_BITS + 1)
#define ANSWER_MASK ((UINT64_C(1) << ANSWER_BITS) - 1)
#define WAY_TAKEN   (UINT64_C(1) << ANSWER_BITS)

_Static_assert(64 - KEY_BITS + GROUP_BITS > ANSWER_BITS, "what the line tells makes room");

/* Worker only. */
struct fdb_report {
	fdb_key_t key;
	uint64_t tsc;
	uint32_t version;
	uint16_t port;
};

/* Worker only. */
struct fdb_allowance {
	uint64_t since; /* cycles */
	uint32_t left;
};

struct fdb_worker {
	struct fdb_line *lines;
	struct fdb_slots *slots;
	uint32_t changes;          /* when the versions were compared */
	uint32_t versions[GROUPS]; /* of each group as its lines are */
	_Atomic uint32_t *seen; /* by slot, in ticks; worker: store; control: load */
	struct fdb_report reports[REPORTS_LEN];
	struct fdb_allowance ports[FDB_PORTS_MAX];
} __rte_cache_aligned;

enum fdb_state { SLOT_FREE, SLOT_LEARNED, SLOT_FIXED };

/* Control only. */
struct fdb_slot {
	fdb_key_t key;
	uint32_t seen; /* tick of the last sign of life that control knows of */
	uint16_t port;
	uint8_t state; /* enum fdb_state */
};

/* Deleted, but perhaps in the hands of a worker; control only. */
struct fdb_grave {
	uint32_t slot;
	int32_t position; /* of the key in the table */
};

struct fdb {
	struct rte_hash *table; /* control: write; workers: lock-free read */
	struct cross *cross;
	struct fdb_worker *workers;
	uint32_t line_bits;     /* of a cache; at least GROUP_BITS */
	uint64_t secret;        /* odd; keeps strangers from choosing addresses that collide */
	uint64_t second_cycles;
	uint64_t again_cycles;
	uint32_t reports_per_s;

	/* Numbers that only grow.  Control: store; workers: load. */
	_Atomic uint32_t now __rte_cache_aligned; /* ticks, about seconds, from 1 */
	_Atomic uint32_t changes;                 /* of all versions */
	_Atomic uint32_t versions[GROUPS] __rte_cache_aligned;
	_Atomic uint32_t tenants[FDB_PORTS_MAX];  /* how often a port number was given up */

	/* Control only. */
	fdb_moving_fn *moving;  /* NULL: every address moves at once */
	void *moving_arg;
	fdb_learned_fn *learned; /* NULL: nobody wants to know */
	void *learned_arg;
	struct fdb_slot *slots __rte_cache_aligned;
	uint32_t *free_slots;
	uint32_t n_free;
	struct fdb_grave *graves;
	uint32_t n_graves;
	uint32_t high;          /* slots from here on were never used */
	uint32_t due;           /* tick before which nothing can be too old */
	uint32_t quota;
	uint32_t n_learned[FDB_PORTS_MAX];
	struct fdb_stats stats;
	struct fdb_port_stats ports[FDB_PORTS_MAX];
};

static inline uint32_t
value_pack(uint32_t slot, uint16_t port, bool fixed)
{
	return slot | (uint32_t)port << SLOT_BITS | (uint32_t)fixed << (SLOT_BITS + PORT_BITS);
}

static inline uint32_t
value_slot(uint32_t value)
{
	return value & (FDB_CAPACITY_MAX - 1);
}

static inline uint32_t
value_answer(uint32_t value)
{
	return value >> SLOT_BITS & ANSWER_MASK;
}

/* CRC alone is linear: who knows one collision knows them all.  The secret factor hides them. */
static inline uint32_t
key_hash(const struct fdb *fdb, fdb_key_t key)
{
	return rte_hash_crc_8byte(key * fdb->secret, 0);
}

static inline uint64_t
key_place(const struct fdb *fdb, fdb_key_t key)
{
	return key * fdb->secret << (64 - KEY_BITS);
}

static inline _Atomic uint32_t *
key_version(struct fdb *fdb, fdb_key_t key)
{
	return &fdb->versions[key_place(fdb, key) >> (64 - GROUP_BITS)];
}

/* A group address never stands as a source, and zero is nobody's. */
static inline bool
key_learnable(fdb_key_t key)
{
	const uint64_t mac = key & ((UINT64_C(1) << 48) - 1);

	return mac != 0 && (mac >> 40 & RTE_ETHER_GROUP_ADDR) == 0;
}

static inline uint32_t
fdb_now(const struct fdb *fdb)
{
	return atomic_load_explicit(&fdb->now, memory_order_relaxed);
}

/* Takes an entry out of the table and buries its slot. */
void fdb_bury(struct fdb *fdb, uint32_t slot);

/* Frees what is buried, after one grace period for all of it. */
void fdb_graves_free(struct fdb *fdb);

/* Makes sure that the tick at which an entry can be too old is not slept through. */
void fdb_due(struct fdb *fdb, uint32_t seen);

#endif
