/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_TELEMETRY_H
#define FERRY_TELEMETRY_H

/**
 * @file
 * DPDK telemetry with the numbers of the RPC: /ferry/port/list, /ferry/port/info,NAME,
 * /ferry/port/stats,NAME, /ferry/worker/list, /ferry/worker/stats,INDEX and /ferry/fdb/stats.
 *
 * DPDK calls its handlers on threads of its own, one a client, and ports, tables and workers are
 * control's to look at.  So a handler looks at nothing: it puts its question into one slot, rings
 * control's bell and waits, for a bounded time, until control has answered from the same methods
 * that RPC clients call.  The slot is guarded by one mutex that control holds for a few stores and
 * never while it answers; handlers take turns.  Control never waits for them.
 *
 * Life     one per process; commands stay registered (DPDK cannot take them back) and answer
 *          nothing after telemetry_fini().
 * Threads  control; the handlers: any
 * Source   rte_telemetry.h
 */

#include "rpc.h"

/**
 * Registers the commands and answers them from the loop.
 *
 * @return  0; -errno
 */
int telemetry_init(struct loop *l, struct rpc *r);

/** Call it before the server and what its methods work on are destroyed. */
void telemetry_fini(void);

#endif
