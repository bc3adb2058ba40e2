/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FDB_H
#define FERRY_FDB_H

/**
 * @file
 * Forwarding database: the port behind a MAC address, per VLAN.
 *
 * Life     one per switch; entries come by learning or by RPC, go by age, move, flush or port
 *          removal.
 * Threads  control writes; workers look up without locks.  A move is one store of what the lookup
 *          answers: no moment without an entry; a deleted slot is reused after a grace period.
 * Units    age in seconds, capacity in entries
 * Source   IEEE 802.1Q clause 8.8 (filtering database)
 */

#include "cross.h"

#include <rte_ether.h>

#include <stdbool.h>
#include <stdint.h>

/** VLAN id in bits 48..59 (0: untagged or priority-tagged), address below, first octet highest. */
typedef uint64_t fdb_key_t;

struct fdb;

struct fdb_opts {
	uint32_t capacity;      /**< entries; 0: FDB_CAPACITY */
	uint32_t age_s;         /**< idle time after which a learned entry goes; 0: never */
	uint32_t quota;         /**< learned entries that one port may have; 0: FDB_QUOTA */
	uint32_t reports_per_s; /**< unknown or moved sources that a port may report a second through
				     one worker; 0: FDB_REPORTS */
};

#define FDB_CAPACITY 131072
#define FDB_AGE_S    300
#define FDB_QUOTA    8192
#define FDB_REPORTS  1000

/** Port numbers are below this. */
#define FDB_PORTS_MAX 1024

/** Addresses that a worker asks about at once. */
#define FDB_BURST 32

/** What a lookup answers. */
struct fdb_hit {
	uint32_t port  : 10;
	uint32_t fixed : 1;  /**< static: does not move or age */
};

static inline fdb_key_t
fdb_key(uint16_t vlan, const uint8_t mac[RTE_ETHER_ADDR_LEN])
{
	return (uint64_t)vlan << 48 | (uint64_t)mac[0] << 40 | (uint64_t)mac[1] << 32 |
	       (uint64_t)mac[2] << 24 | (uint64_t)mac[3] << 16 | (uint64_t)mac[4] << 8 | mac[5];
}

static inline uint16_t
fdb_key_vlan(fdb_key_t key)
{
	return (uint16_t)(key >> 48);
}

static inline struct rte_ether_addr
fdb_key_mac(fdb_key_t key)
{
	struct rte_ether_addr mac;

	for (int i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		mac.addr_bytes[i] = (uint8_t)(key >> (40 - 8 * i));
	return mac;
}

/* life */

/**
 * Creates an empty database and makes it the handler of EVENT_FDB_SEEN; rte_eal_init() has run.
 *
 * @return  0; -EINVAL: more than a million entries; -ENOMEM
 * @role    control, before workers start
 */
int fdb_create(struct cross *x, const struct fdb_opts *opts, struct fdb **out);

/** Frees it after the last worker has ended; NULL and half-built are allowed. */
void fdb_destroy(struct fdb *fdb);

/* worker */

/**
 * Finds the ports behind several addresses at once.
 *
 * @param keys  n keys, at most FDB_BURST
 * @param hits  filled where the bit is set
 * @return      one bit per key that was found
 * @role        worker, between two quiescent points
 * @cost        a steady flow: one look a key into the worker's own cache; else one hash probe a
 *              key, prefetched; stores only into that cache
 */
uint32_t fdb_find(struct fdb *fdb, uint32_t worker, const fdb_key_t *keys, uint32_t n,
		  struct fdb_hit *hits);

/**
 * Handles a frame's source address: keeps its entry alive or reports it to control.
 *
 * Cheap when the address is where it was: one look into the worker's own cache.  Unknown and moved
 * sources are sent to control as EVENT_FDB_SEEN, within the port's allowance per second and not
 * twice in a row.
 *
 * @role  worker
 */
void fdb_seen(struct fdb *fdb, uint32_t worker, uint16_t port, fdb_key_t key);

/** Like fdb_seen() for 1 <= n <= FDB_BURST frames of one port: their memory is waited for together. */
void fdb_seen_burst(struct fdb *fdb, uint32_t worker, uint16_t port, const fdb_key_t *keys,
		    uint32_t n);

/* control */

/** An entry for show and save. */
struct fdb_entry {
	fdb_key_t key;
	uint16_t port;
	bool fixed;
	uint32_t idle_s; /**< since a worker last saw it as a source; 0 for static entries */
};

/** What changes an entry has gone through; only grow. */
struct fdb_stats {
	uint64_t learned;
	uint64_t moved;
	uint64_t aged;
	uint64_t refused_quota;  /**< port had as many learned entries as it may */
	uint64_t refused_full;   /**< no room in the table */
	uint64_t refused_static; /**< address is static on another port */
	uint32_t n_entries;
	uint32_t n_fixed;
	uint32_t capacity;
	uint32_t age_s;
	uint32_t quota;
};

/** What of it one port has done; only grow until fdb_port_del(). */
struct fdb_port_stats {
	uint64_t moved;          /**< to this port */
	uint64_t refused_quota;
	uint64_t refused_full;
	uint64_t refused_static;
	uint16_t moved_from;     /**< where the last one of them was */
};

/**
 * Adds a static entry, or makes a learned one static.
 *
 * @return  0; -EINVAL: group or zero address, VLAN above 4094, port number; -EEXIST: static on
 *          another port; -ENOSPC
 */
int fdb_add(struct fdb *fdb, fdb_key_t key, uint16_t port);

/** @return 0; -ENOENT */
int fdb_del(struct fdb *fdb, fdb_key_t key);

/**
 * Learns an address now, as EVENT_FDB_SEEN does and with its rules.
 *
 * @return  0; -EINVAL; -EDQUOT; -ENOSPC; -EPERM: static elsewhere
 */
int fdb_learn(struct fdb *fdb, fdb_key_t key, uint16_t port);

/**
 * A learned address was seen on another port; asked before it moves.
 *
 * @return  true: not now, fdb_port_move() will follow
 */
typedef bool fdb_moving_fn(void *arg, fdb_key_t key, uint16_t from, uint16_t to);

/** Names who is asked; before workers start. */
void fdb_moving(struct fdb *fdb, fdb_moving_fn *fn, void *arg);

/** An address was learned on a port where it was not, by fdb_learn(). */
typedef void fdb_learned_fn(void *arg, fdb_key_t key, uint16_t port);

/** Names who is told; before workers start. */
void fdb_learned(struct fdb *fdb, fdb_learned_fn *fn, void *arg);

/** Finds one entry.  @return 0; -ENOENT  @role control */
int fdb_get(const struct fdb *fdb, fdb_key_t key, uint16_t *port);

/** Moves all learned entries of a port to another.  @return entries */
uint32_t fdb_port_move(struct fdb *fdb, uint16_t from, uint16_t to);

/** Forgets learned entries of a port; UINT16_MAX: of all ports.  @return entries */
uint32_t fdb_flush(struct fdb *fdb, uint16_t port);

/**
 * Forgets all entries of a port that goes, static ones too, and what workers have reported of it
 * and control has not yet heard.  Call it when no worker handles frames of the port any more.
 *
 * @return  entries
 */
uint32_t fdb_port_del(struct fdb *fdb, uint16_t port);

/** Folds what workers have seen and ages; call it once a second.  @return entries aged */
uint32_t fdb_tick(struct fdb *fdb);

/**
 * Walks the entries.
 *
 * @param iter  starts at 0
 * @return      0; -ENOENT: no more
 */
int fdb_next(const struct fdb *fdb, uint32_t *iter, struct fdb_entry *out);

/** Changes age and quota while running; 0 in `quota` leaves it. */
void fdb_set(struct fdb *fdb, uint32_t age_s, uint32_t quota);

void fdb_stats(const struct fdb *fdb, struct fdb_stats *out);

/** @param port  below FDB_PORTS_MAX */
void fdb_port_stats(const struct fdb *fdb, uint16_t port, struct fdb_port_stats *out);

#endif
