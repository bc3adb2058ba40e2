/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PARK_RPC_H
#define FERRY_PARK_RPC_H

/**
 * @file
 * Parks in JSON: the section "park" of the configuration, and the methods.
 *
 * Threads  control
 */

#include "park.h"
#include "port.h"
#include "rpc.h"

struct rpc_switch;

#define PARK_BYTES_MAX      (1LL << 30)
#define PARK_TIMEOUT_MAX_MS 600000

/** Members of the section and parameters of park.set. */
extern const struct rpc_param park_rpc_params[];

/** Takes what a checked object gives and leaves the rest as it is. */
void park_rpc_read(json_t *o, struct park_opts *opts);

/** The section that recreates this. */
json_t *park_rpc_config(const struct park_opts *opts);

/** A port's park; NULL: it has none. */
json_t *park_rpc_json(const struct rpc_switch *sw, const struct port *p);

#endif
