/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats_rpc.h"
#include "rates.h"
#include "rpc_switch.h"

static json_t *
traffic_json(uint64_t frames, uint64_t bytes)
{
	return json_pack("{s:I, s:I}", "frames", (json_int_t)frames, "bytes", (json_int_t)bytes);
}

static json_t *
drops_json(const struct stats_lane *s)
{
	json_t *drops = json_object();

	for (int i = 0; i < DROP_N; i++)
		json_object_set_new(drops, drop_names[i], json_integer((json_int_t)s->drops[i]));
	return drops;
}

void
stats_rpc_update(json_t *o, const struct stats_lane *s)
{
	json_object_set_new(o, "rx", traffic_json(s->counts[COUNT_RX_FRAMES],
						  s->counts[COUNT_RX_BYTES]));
	json_object_set_new(o, "tx", traffic_json(s->counts[COUNT_TX_FRAMES],
						  s->counts[COUNT_TX_BYTES]));
	for (int i = COUNT_TX_BYTES + 1; i < COUNT_N; i++)
		json_object_set_new(o, count_names[i], json_integer((json_int_t)s->counts[i]));
	json_object_set_new(o, "drops", drops_json(s));
}

static json_t *
rates_json(const struct rates_port *r)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f}", "rx_frames", r->rx_frames, "rx_bits",
			 r->rx_bits, "tx_frames", r->tx_frames, "tx_bits", r->tx_bits, "drops",
			 r->drops);
}

static json_t *
port_json(struct rpc_switch *sw, struct port *p)
{
	json_t *o = json_pack("{s:s}", "port", port_name(p));
	struct rates_port rates;

	stats_rpc_update(o, &rpc_switch_info(sw, p)->stats);
	json_object_set_new(o, "rates", rates_port(sw->rates, p, &rates) ? rates_json(&rates) :
			    json_null());
	return o;
}

static int
stats_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	return rpc_switch_show(arg, params, "port", port_json, result, err);
}

static const struct rpc_param show_params[] = {
	{ "port", RPC_STRING, .completes = "port", .help = "only this port" },
	{ 0 },
};

const struct rpc_method stats_rpc[] = {
	{ "stats.show", stats_show, show_params, "port",
	  "counters, drops by name, and live rates" },
	{ 0 },
};
