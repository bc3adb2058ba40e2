/* SPDX-License-Identifier: BSD-3-Clause */
#include "park_rpc.h"
#include "rpc_switch.h"

#include <errno.h>

const struct rpc_param park_rpc_params[] = {
	{ "bytes", RPC_INT, .min = 0, .max = PARK_BYTES_MAX,
	  .help = "memory for frames of one migrating guest; 0: none are kept (16777216)" },
	{ "timeout", RPC_INT, .min = 1, .max = PARK_TIMEOUT_MAX_MS,
	  .help = "milliseconds that a guest may be on its way (5000)" },
	{ 0 },
};

void
park_rpc_read(json_t *o, struct park_opts *opts)
{
	opts->bytes = (uint32_t)rpc_int_of(o, "bytes", opts->bytes);
	opts->timeout_ms = (uint32_t)rpc_int_of(o, "timeout", opts->timeout_ms);
}

json_t *
park_rpc_config(const struct park_opts *opts)
{
	return json_pack("{s:I, s:I}", "bytes", (json_int_t)opts->bytes, "timeout",
			 (json_int_t)opts->timeout_ms);
}

json_t *
park_rpc_json(const struct rpc_switch *sw, const struct port *p)
{
	const struct port *heir;
	struct park_info info;

	if (park_info(sw->parks, port_number(p), &info) < 0)
		return NULL;
	heir = port_by_number(sw->ports, info.heir);
	return json_pack("{s:s, s:s, s:s*, s:I, s:I, s:I}", "port", port_name(p), "phase",
			 park_phase_names[info.phase], "heir",
			 heir != NULL ? port_name(heir) : NULL, "bytes", (json_int_t)info.bytes,
			 "kept", (json_int_t)info.kept, "since_us", (json_int_t)info.since_us);
}

static int
park_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;
	const struct port *only = NULL;
	uint32_t iter = 0;
	struct port *p;

	if (rpc_text_of(params, "port") != NULL) {
		only = rpc_switch_port(sw, params, "port", err);
		if (only == NULL)
			return -EINVAL;
	}
	*result = json_array();
	while ((p = port_next(sw->ports, &iter)) != NULL) {
		json_t *one = only == NULL || p == only ? park_rpc_json(sw, p) : NULL;

		if (one != NULL)
			json_array_append_new(*result, one);
	}
	return 0;
}

static int
park_set_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;
	struct park_opts opts;

	park_set_opts_get(sw->parks, &opts);
	park_rpc_read(params, &opts);
	park_set_opts(sw->parks, &opts);
	return 0;
}

static const struct rpc_param show_params[] = {
	{ "port", RPC_STRING, .completes = "port", .help = "only this port" },
	{ 0 },
};

const struct rpc_method park_rpc[] = {
	{ "park.show", park_show, show_params, "port",
	  "ports whose guest may leave, or has left, and what is kept for it" },
	{ "park.set", park_set_method, park_rpc_params, NULL,
	  "memory and time that migrations from now on have for their frames" },
	{ 0 },
};
