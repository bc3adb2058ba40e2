/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_switch.h"

#include <rte_version.h>
#include <unistd.h>

static int
ferryd_version(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	*result = json_pack("{s:s, s:s, s:i}", "version", FERRY_VERSION, "dpdk", rte_version(),
			    "pid", (int)getpid());
	return 0;
}

static int
ferryd_quit(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;

	loop_stop(sw->loop);
	return 0;
}

const struct rpc_method ferryd_rpc[] = {
	{ "ferryd.version", ferryd_version, NULL, NULL, "version of ferryd and of its DPDK" },
	{ "ferryd.quit", ferryd_quit, NULL, NULL, "end ferryd; guests wait for the next one" },
	{ 0 },
};
