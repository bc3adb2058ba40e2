/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_switch.h"

#include <errno.h>
#include <string.h>

static int
queue_move(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	struct rpc_switch *sw = arg;
	struct port *p = rpc_switch_port(sw, params, "port", err);
	int64_t ring = rpc_int_of(params, "ring", 0), worker = rpc_int_of(params, "worker", 0);
	uint32_t n = worker_count(sw->workers);
	int rc;

	if (p == NULL)
		return -EINVAL;
	if (worker >= n)
		return rpc_fail(err, -EINVAL, "worker", "expected 0 to %u, not %lld", n - 1,
				(long long)worker);
	/* What a source has parked with one worker must not be overtaken by what another gets. */
	if (park_any(sw->parks))
		return rpc_fail(err, -EBUSY, NULL, "frames are kept for a migrating guest");
	rc = port_queue_move(sw->ports, p, (uint16_t)ring, (uint32_t)worker);
	if (rc == -ERANGE)
		return rpc_fail(err, rc, "ring",
				"%s has no transmit ring or receive queue %lld",
				port_name(p), (long long)ring);
	return rc < 0 ? rpc_fail(err, rc, NULL, "%s", strerror(-rc)) : 0;
}

static const struct rpc_param move_params[] = {
	{ "port", RPC_STRING, true, .completes = "port", .help = "port" },
	{ "ring", RPC_INT, true, 0, VDEV_RINGS_MAX - 1,
	  .help = "vhost-user: index of a transmit ring, which is odd; ethdev: receive queue" },
	{ "worker", RPC_INT, true, 0, CROSS_WORKERS_MAX - 1, .completes = "worker",
	  .help = "who polls it from now on" },
	{ 0 },
};

const struct rpc_method queue_rpc[] = {
	{ "queue.move", queue_move, move_params, "port",
	  "have another worker poll a ring, without loss or reordering" },
	{ 0 },
};
