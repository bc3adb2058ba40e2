/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_param.h"
#include "rpc_switch.h"

#include <string.h>

static int
event_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *port = rpc_text_of(params, "port");
	int64_t after = rpc_int_of(params, "after", 0);
	const struct rpc_switch *sw = arg;
	struct eventlog_entry e;
	uint64_t iter = 0;

	*result = json_array();
	while (eventlog_next(sw->events, &iter, &e) == 0) {
		if ((port != NULL && strcmp(port, e.port) != 0) || (int64_t)e.number <= after)
			continue;
		json_array_append_new(*result, json_pack("{s:I, s:o, s:o, s:o}",
			"number", (json_int_t)e.number, "time", rpc_time(e.time_ns),
			"port", rpc_text(e.port), "text", rpc_text(e.text)));
	}
	return 0;
}

static const struct rpc_param show_params[] = {
	{ "port", RPC_STRING, .completes = "port", .help = "only what happened to this port" },
	{ "after", RPC_INT, .min = 0, .max = INT64_MAX,
	  .help = "only events with a higher number" },
	{ 0 },
};

const struct rpc_method event_rpc[] = {
	{ "event.show", event_show, show_params, "port", "the last 256 things that happened" },
	{ 0 },
};
