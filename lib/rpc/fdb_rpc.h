/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FDB_RPC_H
#define FERRY_FDB_RPC_H

/**
 * @file
 * A static FDB entry in JSON: the same members in fdb.add and in the configuration file.
 *
 * Threads  control
 */

#include "fdb.h"
#include "rpc.h"

extern const struct rpc_param fdb_rpc_params[];

/**
 * Checks an entry but for whether its port is there.
 *
 * @param where  prefix of members in messages ("fdb.entries[2]"); ""
 * @return       0; -EINVAL with `err` filled
 */
int fdb_rpc_key(json_t *o, const char *where, fdb_key_t *out, struct rpc_error *err);

/** The object of an entry of a port. */
json_t *fdb_rpc_config(fdb_key_t key, const char *port);

/** Adds a static entry; what it is refused for is told with its member. */
int fdb_rpc_add(struct fdb *fdb, fdb_key_t key, uint16_t port, const char *where,
		struct rpc_error *err);

#endif
