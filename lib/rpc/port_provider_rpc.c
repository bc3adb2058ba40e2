/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_provider_rpc.h"
#include "rpc_param.h"

#include <errno.h>
#include <string.h>

static enum port_want
want_of(const char *name)
{
	for (enum port_want w = PORT_AUTO; name != NULL && w <= PORT_SW; w++)
		if (strcmp(name, port_want_names[w]) == 0)
			return w;
	return PORT_AUTO;
}

/* What says something of a device needs one. */
static int
check_device(json_t *o, const char *where, struct rpc_error *err)
{
	static const char *const names[] = { "provider", "uplink", "drain" };
	char member[sizeof(err->member)];

	for (size_t i = 0; i < RTE_DIM(names); i++) {
		if (json_object_get(o, names[i]) == NULL || json_object_get(o, "vdpa") != NULL)
			continue;
		rpc_member(member, sizeof(member), where, names[i]);
		return rpc_fail(err, -EINVAL, member, "not expected: \"vdpa\" names no device");
	}
	return 0;
}

int
port_provider_rpc_read(json_t *o, const char *where, struct port_opts *out, struct rpc_error *err)
{
	out->vdpa = rpc_text_of(o, "vdpa");
	out->provider = want_of(rpc_text_of(o, "provider"));
	out->uplink = rpc_text_of(o, "uplink");
	out->drain_us = (uint32_t)rpc_int_of(o, "drain", PORT_DRAIN_US);
	return check_device(o, where, err);
}

void
port_provider_rpc_config(const struct port_opts *o, json_t *c)
{
	if (o->vdpa == NULL)
		return;
	json_object_set_new(c, "vdpa", json_string(o->vdpa));
	if (o->provider != PORT_AUTO)
		json_object_set_new(c, "provider", json_string(port_want_names[o->provider]));
	if (o->uplink != NULL)
		json_object_set_new(c, "uplink", json_string(o->uplink));
	if (o->drain_us != PORT_DRAIN_US)
		json_object_set_new(c, "drain", json_integer(o->drain_us));
}

/* Positions are told by ring, and what did not happen needs no line. */
static bool
worth_showing(const struct vdpadev_stat *st)
{
	size_t len = strlen(st->name);

	if (len > 6 && strcmp(st->name + len - 6, "_index") == 0)
		return false;
	return st->value != 0 ||
	       (strncmp(st->name, "bad_", 4) != 0 && strncmp(st->name, "failed_", 7) != 0);
}

json_t *
port_provider_rpc_counters(struct rpc_switch *sw, struct port *p)
{
	uint16_t n_rings = sw->info->n_rings;
	json_t *o = json_object();
	struct vdpadev_stat st;

	for (uint16_t i = 0; i < n_rings; i++)
		for (uint32_t iter = 0; port_device_stats_next(p, i, &iter, &st);) {
			json_int_t sum = json_integer_value(json_object_get(o, st.name));

			if (worth_showing(&st))
				json_object_set_new(o, st.name,
						    json_integer(sum + (json_int_t)st.value));
		}
	return o;
}

json_t *
port_provider_rpc_json(struct port *p)
{
	const struct port_opts *opts = port_opts(p);
	struct port_provider_info info;
	json_t *o;

	port_provider_info(p, &info);
	o = json_pack("{s:s, s:s, s:s, s:o, s:b, s:s*, s:i}", "device", info.device, "wanted",
		      port_want_names[opts->provider], "now", info.hw ? "hw" : "sw", "reason",
		      rpc_text(info.why), "failed", info.failed, "uplink", opts->uplink, "drain",
		      (int)opts->drain_us);
	json_object_update_new(o, json_pack("{s:I, s:I, s:I, s:o, s:o}",
		"to_hw", (json_int_t)info.n_to_hw, "to_sw", (json_int_t)info.n_to_sw,
		"last_gap_us", (json_int_t)info.gap_us, "last_reason", rpc_text(info.last),
		"last_time", info.time_ns == 0 ? json_null() : rpc_time(info.time_ns)));
	return o;
}

void
port_provider_rpc_place(struct ports *ps, struct port *p, const struct port_opts *o)
{
	char why[160];

	/* What cannot be now will be when it can: that is no error of the configuration. */
	if (o->vdpa != NULL && o->provider != port_opts(p)->provider)
		port_provider_set(ps, p, o->provider, why, sizeof(why));
}

int
port_provider_rpc_del(struct ports *ps, const struct port *p, struct rpc_error *err)
{
	const struct port *other;
	uint32_t iter = 0;

	while ((other = port_next(ps, &iter)) != NULL)
		if (port_opts(other)->uplink != NULL &&
		    strcmp(port_opts(other)->uplink, port_name(p)) == 0)
			return rpc_fail(err, -EBUSY, "name", "%s stands for the wire of the device of "
					"%s: remove that one first", port_name(p), port_name(other));
	return 0;
}

const struct rpc_param port_provider_params[] = {
	{ "name", RPC_STRING, true, .completes = "port", .help = "port that has a device" },
	{ "to", RPC_STRING, true, .choices = "hw|sw|auto",
	  .help = "the device, software, or the device while it can do what is asked" },
	{ 0 },
};

int
port_provider_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	struct rpc_switch *sw = arg;
	struct port *p = rpc_switch_port(sw, params, "name", err);
	char why[sizeof(err->message)] = "";
	int rc;

	if (p == NULL)
		return -EINVAL;
	rc = port_provider_set(sw->ports, p, want_of(rpc_text_of(params, "to")), why, sizeof(why));
	if (rc < 0)
		return rpc_fail(err, rc, rc == -EINVAL ? "name" : "to", "%s", why);
	*result = port_provider_rpc_json(p);
	return 0;
}
