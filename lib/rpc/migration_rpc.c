/* SPDX-License-Identifier: BSD-3-Clause */
#include "feature.h"
#include "migration_check.h"
#include "rpc_param.h"
#include "rpc_switch.h"

#include <rte_version.h>

#include <errno.h>
#include <string.h>

static json_t *
port_value(const struct rpc_switch *sw, uint16_t number)
{
	const struct port *p = port_by_number(sw->ports, number);

	return p == NULL ? json_null() : json_string(port_name(p));
}

static json_t *
value_json(const struct rpc_switch *sw, const struct migration_moment *mo)
{
	const char *is = moment_values[mo->moment];
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	struct rte_ether_addr addr;

	if (is[0] == '\0')
		return json_null();
	if (strcmp(is, "port") == 0)
		return port_value(sw, (uint16_t)mo->value);
	if (strcmp(is, "mac") != 0)
		return json_integer((json_int_t)mo->value);
	memcpy(&addr, &mo->value, sizeof(addr));
	rte_ether_format_addr(mac, sizeof(mac), &addr);
	return json_string(mac);
}

static json_t *
moments_json(const struct rpc_switch *sw, const struct migration *m)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < m->n_moments; i++) {
		const struct migration_moment *mo = &m->moments[i];

		json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:o, s:s}",
			"us", (json_int_t)migration_us(m, mo->tsc), "moment", moment_names[mo->moment],
			"text", moment_texts[mo->moment], "value", value_json(sw, mo), "unit",
			moment_values[mo->moment]));
	}
	return list;
}

static json_t *
spans_json(const struct migration *m)
{
	struct migration_span spans[MIGRATION_SPANS_MAX];
	uint32_t n = migration_spans(m, spans, MIGRATION_SPANS_MAX);
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}",
			"lane", migration_lane_names[spans[i].lane],
			"from_us", (json_int_t)migration_us(m, spans[i].from),
			"to_us", (json_int_t)migration_us(m, spans[i].to)));
	return list;
}

static json_t *
rounds_json(const struct migration *m)
{
	json_t *list = json_array();
	struct migration_round r;
	uint32_t iter = 0;

	while (migration_round_next(m, &iter, &r))
		json_array_append_new(list, json_pack("{s:I, s:I, s:I, s:I, s:f}",
			"us", (json_int_t)migration_us(m, r.tsc),
			"duration_us", (json_int_t)((double)r.cycles * 1e6 / (double)m->hz),
			"pages", (json_int_t)r.pages, "harvests", (json_int_t)r.rounds,
			"pages_per_s", migration_rate(m, r.pages, r.cycles)));
	return list;
}

/* Between the sample before and this one; the first one begins with the record. */
static double
sample_rate(const struct migration *m, uint32_t i)
{
	const struct migration_sample *s = &m->samples[i];
	uint64_t tsc = i == 0 ? m->moments[0].tsc : s[-1].tsc;

	return tsc > s->tsc ? 0 :
	       migration_rate(m, s->pages - (i == 0 ? 0 : s[-1].pages), s->tsc - tsc);
}

static json_t *
dirty_json(const struct migration *m)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < m->n_samples; i++)
		json_array_append_new(list, json_pack("{s:I, s:f}",
			"us", (json_int_t)migration_us(m, m->samples[i].tsc),
			"pages_per_s", sample_rate(m, i)));
	return list;
}

static json_t *
migration_json(const struct rpc_switch *sw, const struct port *p, const struct migration *m,
	       bool all)
{
	int64_t blackout = migration_blackout_us(m);
	struct migration_story s;
	uint32_t done, of;
	char verdict[256];
	json_t *o;

	migration_story(m, &s);
	migration_progress(m, &done, &of);
	migration_verdict(m, verdict, sizeof(verdict));
	o = json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:o}", "port", port_name(p),
		      "number", (int)m->number, "direction", m->incoming ? "in" : "out",
		      "state", migration_state_names[s.state], "verdict", verdict,
		      "time", rpc_time(migration_wall_ns(m)),
		      "blackout_us", blackout < 0 ? json_null() : json_integer(blackout));
	json_object_update_new(o, json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:i, s:i, s:i}",
		"parked", (json_int_t)(m->now.parked - m->before.parked),
		"delivered", (json_int_t)(m->now.delivered - m->before.delivered),
		"dropped", (json_int_t)(m->now.dropped - m->before.dropped),
		"pages", (json_int_t)(m->now.pages - m->before.pages),
		"harvests", (json_int_t)(m->now.rounds - m->before.rounds),
		"pages_per_s", s.logging && !s.stopped && m->n_samples > 0 ?
			sample_rate(m, m->n_samples - 1) : 0.0,
		"us", (json_int_t)migration_us(m, s.end != 0 ? s.end : m->looked),
		"done", (int)done, "of", (int)of, "cut", (int)m->n_cut));
	json_object_set_new(o, "lost_events", json_integer((json_int_t)m->n_lost));
	json_object_set_new(o, "moments", moments_json(sw, m));
	if (all) {
		json_object_set_new(o, "spans", spans_json(m));
		json_object_set_new(o, "rounds", rounds_json(m));
		json_object_set_new(o, "dirty", dirty_json(m));
	}
	return o;
}

static void
port_append(struct rpc_switch *sw, const struct port *p, json_t *list)
{
	const struct migration *m;
	uint32_t iter = 0;

	migrations_look(sw->migrations, port_number(p));
	while ((m = migrations_next(sw->migrations, port_number(p), &iter)) != NULL)
		json_array_append_new(list, migration_json(sw, p, m, false));
}

/* Number 0: the last one. */
static const struct migration *
find(struct rpc_switch *sw, const struct port *p, int64_t number)
{
	const struct migration *m, *found = NULL;
	uint32_t iter = 0;

	migrations_look(sw->migrations, port_number(p));
	while ((m = migrations_next(sw->migrations, port_number(p), &iter)) != NULL)
		if (number == 0 || m->number == number)
			found = m;
	return found;
}

static int
show_one(struct rpc_switch *sw, const struct port *p, int64_t number, json_t **result,
	 struct rpc_error *err)
{
	const struct migration *m = find(sw, p, number);

	if (m == NULL && number == 0)
		return rpc_fail(err, -ENOENT, "port", "%s has had no migration", port_name(p));
	if (m == NULL)
		return rpc_fail(err, -ENOENT, "number", "%s has no record of migration %lld",
				port_name(p), (long long)number);
	*result = migration_json(sw, p, m, true);
	return 0;
}

static int
migration_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	int64_t number = rpc_int_of(params, "number", -1);
	struct rpc_switch *sw = arg;
	uint32_t iter = 0;
	struct port *p = NULL;

	if (json_object_get(params, "port") != NULL) {
		p = rpc_switch_port(sw, params, "port", err);
		if (p == NULL)
			return -EINVAL;
	}
	if (number >= 0 && p == NULL)
		return rpc_fail(err, -EINVAL, "port", "missing; a number is one of a port's");
	if (number >= 0)
		return show_one(sw, p, number, result, err);
	*result = json_array();
	if (p != NULL)
		port_append(sw, p, *result);
	else
		while ((p = port_next(sw->ports, &iter)) != NULL)
			port_append(sw, p, *result);
	return 0;
}

/* Pairs of which a ring is started, counted to the last one. */
static int
queues_used(const struct port_info *info)
{
	int n = 0;

	for (uint16_t i = 0; i < info->n_rings; i++)
		if (info->rings[i].ring.started)
			n = i / 2 + 1;
	return n;
}

static bool
parks_frames(const struct rpc_switch *sw, const struct port_opts *opts)
{
	struct park_opts parks;

	park_set_opts_get(sw->parks, &parks);
	return opts->type == PORT_VHOST_USER && !opts->no_park && parks.bytes > 0;
}

static json_t *
port_offer(struct rpc_switch *sw, struct port *p)
{
	const struct port_info *info = rpc_switch_info(sw, p);
	const struct session_info *s = &info->session;
	const struct port_opts *opts = port_opts(p);
	bool vhost = opts->type == PORT_VHOST_USER;
	int used = queues_used(info);
	json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:b, s:b, s:i}",
		"name", port_name(p), "type", vhost ? "vhost-user" : "ethdev",
		"group", opts->group == NULL ? "" : opts->group, "mtu", opts->mtu,
		"queues", opts->n_queues, "queues_used", used, "connected", s->connected,
		"running", used > 0, "park", parks_frames(sw, opts), "regions", (int)s->n_regions);

	json_object_update_new(o, json_pack("{s:o, s:o, s:o, s:o}",
		"offered", feature_json(s->offered), "features", feature_json(s->features),
		"protocol_offered", feature_protocol_json(s->protocol_offered),
		"protocol_features", feature_protocol_json(s->protocol_features)));
	return o;
}

static json_t *
offer(struct rpc_switch *sw)
{
	json_t *ports = json_array();
	uint32_t iter = 0;
	struct port *p;

	while ((p = port_next(sw->ports, &iter)) != NULL)
		json_array_append_new(ports, port_offer(sw, p));
	return json_pack("{s:s, s:s, s:i, s:o}", "version", FERRY_VERSION, "dpdk", rte_version(),
			 "regions_max", GMEM_REGIONS_MAX, "ports", ports);
}

static int
migration_offer(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	*result = offer(arg);
	return 0;
}

static int
migration_check_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *peer_port = rpc_text_of(params, "peer_port");
	json_t *peer = json_object_get(params, "peer"), *ours;
	const char *port = rpc_text_of(params, "port");
	struct rpc_switch *sw = arg;
	int rc = migration_offer_check(peer, "peer", err);

	if (rc < 0)
		return rc;
	if (port == NULL && peer_port != NULL)
		return rpc_fail(err, -EINVAL, "port", "missing; expected with peer_port");
	if (port != NULL && rpc_switch_port(sw, params, "port", err) == NULL)
		return -EINVAL;
	ours = offer(sw);
	*result = migration_check(ours, peer, port, peer_port);
	json_decref(ours);
	return 0;
}

static const struct rpc_param show_params[] = {
	{ "port", RPC_STRING, .completes = "port", .help = "only this port" },
	{ "number", RPC_INT, .min = 0, .max = UINT32_MAX,
	  .help = "all about one of the port's migrations; 0: the last one" },
	{ 0 },
};

static const struct rpc_param check_params[] = {
	{ "port", RPC_STRING, .completes = "port", .help = "only this port" },
	{ "peer", RPC_OBJECT, true, .completes = "file", .asks = "migration.offer",
	  .help = "RPC socket of the ferryd to migrate to" },
	{ "peer_port", RPC_STRING, .help = "its port (the one of the same name)" },
	{ 0 },
};

const struct rpc_method migration_rpc[] = {
	{ "migration.show", migration_show, show_params, "port",
	  "the last migrations of ports: what happened when, blackout, frames" },
	{ "migration.check", migration_check_method, check_params, "port",
	  "what would make a migration to another ferryd's ports fail or lose something" },
	{ "migration.offer", migration_offer, NULL, NULL,
	  "what this ferryd's ports offer to a guest that arrives" },
	{ 0 },
};
