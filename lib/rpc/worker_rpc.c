/* SPDX-License-Identifier: BSD-3-Clause */
#include "rates.h"
#include "rpc_switch.h"

#include <errno.h>

static json_t *
number_json(double n)
{
	return n < 0 ? json_null() : json_real(n);
}

static json_t *
worker_json(struct rpc_switch *sw, uint32_t i)
{
	struct rates_worker rates = { -1, -1 };
	struct worker_info w;
	json_t *o;

	worker_info(sw->workers, i, &w);
	rates_worker(sw->rates, i, &rates);
	o = json_pack("{s:i, s:o, s:s, s:s, s:o, s:o}", "index", (int)i,
		      "cpu", w.cpu < 0 ? json_null() : json_integer(w.cpu),
		      "state", w.sleeping ? "sleeping" : "polling",
		      "sleep", w.bounded ? "bounded" : "interrupt",
		      "load", number_json(rates.load_percent),
		      "cycles_per_frame", number_json(rates.cycles_per_frame));
	json_object_update_new(o, json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"rings", (int)w.n_rings, "queues", (int)w.n_queues,
		"frames", (json_int_t)w.frames, "turns", (json_int_t)w.turns,
		"sleeps", (json_int_t)w.sleeps, "busy_cycles", (json_int_t)w.busy_cycles,
		"idle_cycles", (json_int_t)w.idle_cycles,
		"sleep_cycles", (json_int_t)w.sleep_cycles, "hz", (json_int_t)w.hz));
	return o;
}

static int
worker_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	struct rpc_switch *sw = arg;
	uint32_t n = worker_count(sw->workers);
	int64_t only = rpc_int_of(params, "index", -1);

	if (only >= n)
		return rpc_fail(err, -EINVAL, "index", "expected 0 to %u, not %lld", n - 1,
				(long long)only);
	if (only >= 0) {
		*result = worker_json(sw, (uint32_t)only);
		return 0;
	}
	*result = json_array();
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(*result, worker_json(sw, i));
	return 0;
}

static const struct rpc_param show_params[] = {
	{ "index", RPC_INT, .min = 0, .max = CROSS_WORKERS_MAX - 1, .completes = "worker",
	  .help = "only this worker" },
	{ 0 },
};

const struct rpc_method worker_rpc[] = {
	{ "worker.show", worker_show, show_params, "index",
	  "workers: load, cycles per frame, how they sleep" },
	{ 0 },
};
