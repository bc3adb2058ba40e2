/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PEER_RPC_H
#define FERRY_PEER_RPC_H

/**
 * @file
 * Peers in JSON: the section "migration" of the configuration, and the methods.
 *
 * Threads  control
 */

#include "peer.h"
#include "rpc.h"

struct rpc_switch;

/** Members of the section and parameters of peer.set. */
extern const struct rpc_param peer_rpc_params[];

/**
 * Checks a section as far as that goes without listening; a file with the key is read.
 *
 * @param where  "migration", or "" for parameters
 * @return       0; -EINVAL with `err` filled
 */
int peer_rpc_check(json_t *o, const char *where, struct rpc_error *err);

/** Makes a checked section what is; one that is so already changes nothing.  @return 0; -errno with `err` filled */
int peer_rpc_apply(struct rpc_switch *sw, json_t *o, const char *where, struct rpc_error *err);

/** Takes the key out of a configuration that is shown. */
void peer_rpc_hide(json_t *config);

/** Whether there is one to be taken out. */
bool peer_rpc_secret(const json_t *config);

#endif
