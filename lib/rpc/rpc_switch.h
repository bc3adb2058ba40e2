/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_RPC_SWITCH_H
#define FERRY_RPC_SWITCH_H

/**
 * @file
 * The methods of a switch: port, fdb, worker, queue, stats, capture, migration, config, log,
 * event, ferryd.
 * Names, parameters and answers are in README.rst beside this file.
 *
 * Life     after everything that `struct rpc_switch` names, destroyed before it.
 * Threads  control
 */

#include "capture.h"
#include "config.h"
#include "eventlog.h"
#include "fdb.h"
#include "loop.h"
#include "migration.h"
#include "peer.h"
#include "port.h"
#include "park.h"
#include "rpc.h"
#include "rpc_param.h"
#include "worker.h"

struct rates;

/** What the methods work on; all of it the caller's but for the last part. */
struct rpc_switch {
	struct rpc *rpc;
	struct loop *loop;
	struct ports *ports;
	struct fdb *fdb;
	struct capture *capture;
	struct worker_set *workers;
	struct park_set *parks;
	struct peer_set *peers;
	struct eventlog *events;
	struct migrations *migrations;
	const struct config *config;   /**< what the process was started with */

	/* set by rpc_switch_init() */
	struct rates *rates;
	struct loop_watch *event_watch;
	struct port_info *info;        /**< one at a time; too large for a stack */
	struct config_log log;         /**< as it is now */
	json_t *migration;             /**< the section, as it is now; NULL: never given */
	uint64_t n_captures;
};

/**
 * Adds the methods, starts what they need, and answers DPDK telemetry with them.
 *
 * @return  0; -ENOMEM; -errno of eventfd()
 */
int rpc_switch_init(struct rpc_switch *sw);

/** No request may be handled any more: the loop has ended.  Half-built is allowed. */
void rpc_switch_fini(struct rpc_switch *sw);

/* for the tables */

extern const struct rpc_method port_rpc[], fdb_rpc[], worker_rpc[], queue_rpc[], stats_rpc[],
	capture_rpc[], peer_rpc[], park_rpc[], migration_rpc[], config_rpc[], log_rpc[], vdpa_rpc[],
	event_rpc[], ferryd_rpc[];

/** Finds the port that a parameter names; NULL: there is none, `err` is filled. */
struct port *rpc_switch_port(const struct rpc_switch *sw, json_t *params, const char *member,
			     struct rpc_error *err);

/** Makes the JSON of a port. */
typedef json_t *(*rpc_switch_json)(struct rpc_switch *sw, struct port *p);

/**
 * Answers a method that shows the port that a parameter names, as one object, or all in an array.
 *
 * @return  0; -EINVAL: no such port, `err` is filled
 */
int rpc_switch_show(struct rpc_switch *sw, json_t *params, const char *member, rpc_switch_json json,
		    json_t **result, struct rpc_error *err);

/** Looks at a port; valid until the next call. */
const struct port_info *rpc_switch_info(struct rpc_switch *sw, struct port *p);

#endif
