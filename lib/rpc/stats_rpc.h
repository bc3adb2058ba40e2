/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_STATS_RPC_H
#define FERRY_STATS_RPC_H

/**
 * @file
 * Counters in JSON: the same members wherever a port's counters are told.
 *
 * Threads  any
 */

#include "stats.h"

#include <jansson.h>

/** Adds "rx", "tx", the other counters by their names, and "drops" by name. */
void stats_rpc_update(json_t *o, const struct stats_lane *s);

#endif
