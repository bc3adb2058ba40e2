/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_rpc.h"
#include "feature.h"
#include "owner.h"
#include "port_provider_rpc.h"
#include "rpc_param.h"
#include "rpc_switch.h"
#include "stats_rpc.h"

#include <linux/virtio_config.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SOCKET_PATH_MAX 107

const struct rpc_param port_rpc_params[] = {
	{ "name", RPC_STRING, true, 1, PORT_NAME_MAX - 1,
	  .help = "letters, digits, '-', '_', '.'" },
	{ "type", RPC_STRING, true, .choices = "vhost-user|ethdev", .help = "kind of port" },
	{ "socket", RPC_STRING, .min = 1, .max = SOCKET_PATH_MAX, .completes = "file",
	  .help = "vhost-user: path of the socket" },
	{ "role", RPC_STRING, .choices = "server|client",
	  .help = "vhost-user: what ferryd is on the socket (server)" },
	{ "queues", RPC_INT, .min = 1, .max = VDEV_RINGS_MAX / 2,
	  .help = "vhost-user: most queue pairs of the guest (8); ethdev: receive queues" },
	{ "socket_mode", RPC_STRING, .help = "vhost-user: mode of the socket file, as 0660" },
	{ "socket_group", RPC_STRING, .help = "vhost-user: group of the socket file" },
	{ "devargs", RPC_STRING, .min = 1, .max = 4096,
	  .help = "ethdev: DPDK device, as net_tap0,iface=ferry0 or 0000:03:00.0" },
	{ "mtu", RPC_INT, .min = 0, .max = UINT16_MAX,
	  .help = "drop frames with more payload; 0: none" },
	{ "group", RPC_STRING, .min = 0, .max = 64,
	  .help = "isolation group: its ports do not hear each other (ethdev: uplink)" },
	{ "park", RPC_BOOL,
	  .help = "vhost-user: keep frames for a guest while it migrates (true)" },
	{ "workers", RPC_ARRAY,
	  .help = "who polls each queue, by number; null: who has least to do" },
	{ "vdpa", RPC_STRING, .min = 1, .max = 4096, .completes = "vdpa",
	  .help = "vhost-user: vDPA device that can move the rings, as 0000:03:00.0" },
	{ "provider", RPC_STRING, .choices = "auto|hw|sw",
	  .help = "vhost-user: who moves the rings, the device or software (auto)" },
	{ "uplink", RPC_STRING, .min = 1, .max = PORT_NAME_MAX - 1, .completes = "port",
	  .help = "vhost-user: port that stands for the device's own wire" },
	{ "drain", RPC_INT, .min = 0, .max = PORT_DRAIN_US_MAX,
	  .help = "vhost-user: microseconds that frames to and from the device have (1000)" },
	{ 0 },
};

/* Members that a type needs, and those that only it knows. */
static const struct {
	const char *member;
	enum port_type type;
	bool required;
} typed[] = {
	{ "socket",       PORT_VHOST_USER, true },
	{ "role",         PORT_VHOST_USER, false },
	{ "socket_mode",  PORT_VHOST_USER, false },
	{ "socket_group", PORT_VHOST_USER, false },
	{ "park",         PORT_VHOST_USER, false },
	{ "vdpa",         PORT_VHOST_USER, false },
	{ "provider",     PORT_VHOST_USER, false },
	{ "uplink",       PORT_VHOST_USER, false },
	{ "drain",        PORT_VHOST_USER, false },
	{ "devargs",      PORT_ETHDEV,     true },
};

static const char *
type_name(enum port_type type)
{
	return type == PORT_ETHDEV ? "ethdev" : "vhost-user";
}

static enum port_type
type_of(const char *name)
{
	return strcmp(name, type_name(PORT_ETHDEV)) == 0 ? PORT_ETHDEV : PORT_VHOST_USER;
}

static bool
name_valid(const char *name)
{
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) && strchr("-_.", *name) == NULL)
			return false;
	return true;
}

static int
check_type(json_t *o, enum port_type type, const char *where, struct rpc_error *err)
{
	char member[sizeof(err->member)];

	for (size_t i = 0; i < RTE_DIM(typed); i++) {
		bool given = json_object_get(o, typed[i].member) != NULL;

		rpc_member(member, sizeof(member), where, typed[i].member);
		if (given && typed[i].type != type)
			return rpc_fail(err, -EINVAL, member, "not expected: the type is %s",
					type_name(type));
		if (!given && typed[i].required && typed[i].type == type)
			return rpc_fail(err, -EINVAL, member, "missing; the type is %s",
					type_name(type));
	}
	return 0;
}

static int
workers_read(json_t *o, const char *where, struct port_opts *out, struct rpc_error *err)
{
	json_t *list = json_object_get(o, "workers"), *w;
	char member[sizeof(err->member)], name[32];
	size_t i;

	rpc_member(member, sizeof(member), where, "workers");
	if (json_array_size(list) > PORT_QUEUES_MAX)
		return rpc_fail(err, -EINVAL, member, "expected at most %d, not %zu",
				PORT_QUEUES_MAX, json_array_size(list));
	json_array_foreach(list, i, w) {
		int64_t n = json_is_null(w) ? PORT_WORKER_NONE : json_integer_value(w);

		snprintf(name, sizeof(name), "workers[%zu]", i);
		rpc_member(member, sizeof(member), where, name);
		if (!json_is_null(w) && (!json_is_integer(w) || n < 0 || n >= CROSS_WORKERS_MAX))
			return rpc_expected(err, member, "the number of a worker, or null", w);
		out->workers[i] = (uint16_t)n;
		if (!json_is_null(w))
			out->n_workers = (uint16_t)(i + 1);
	}
	return 0;
}

int
port_rpc_opts(json_t *o, const char *where, struct port_opts *out, struct rpc_error *err)
{
	char member[sizeof(err->member)];
	int rc = rpc_params_check(port_rpc_params, o, where, err);

	if (rc < 0)
		return rc;
	*out = (struct port_opts){
		.name = rpc_text_of(o, "name"),
		.type = type_of(rpc_text_of(o, "type")),
		.socket = rpc_text_of(o, "socket"),
		.client = rpc_text_of(o, "role") != NULL &&
			  strcmp(rpc_text_of(o, "role"), "client") == 0,
		.n_queues = (uint16_t)rpc_int_of(o, "queues", 0),
		.devargs = rpc_text_of(o, "devargs"),
		.mtu = (uint16_t)rpc_int_of(o, "mtu", 0),
		.group = rpc_text_of(o, "group"),
		.no_park = json_is_false(json_object_get(o, "park")),
	};
	rpc_member(member, sizeof(member), where, "name");
	if (!name_valid(out->name))
		return rpc_expected(err, member, "letters, digits, '-', '_' and '.'",
				    json_object_get(o, "name"));
	rc = check_type(o, out->type, where, err);
	if (rc == 0)
		rc = port_provider_rpc_read(o, where, out, err);
	if (rc == 0)
		rc = workers_read(o, where, out, err);
	if (rc == 0)
		rc = owner_mode(o, where, "socket_mode", &out->mode, err);
	if (rc == 0)
		rc = owner_group(o, where, "socket_group", &out->gid, err);
	return rc;
}

static json_t *
worker_json(uint16_t worker)
{
	return worker == PORT_WORKER_NONE ? json_null() : json_integer(worker);
}

static json_t *
workers_json(const uint16_t *workers, uint16_t n)
{
	json_t *list = json_array();

	for (uint16_t q = 0; q < n; q++)
		json_array_append_new(list, worker_json(workers[q]));
	return list;
}

json_t *
port_rpc_config(const struct port_opts *o)
{
	json_t *c = json_pack("{s:s, s:s, s:s*, s:s*}", "name", o->name, "type",
			      type_name(o->type), "socket", o->socket, "devargs", o->devargs);
	const char *group = o->group == NULL && o->type == PORT_ETHDEV ? "uplink" : o->group;

	if (o->client)
		json_object_set_new(c, "role", json_string("client"));
	if (o->n_queues != 0 && (o->type != PORT_VHOST_USER || o->n_queues != PORT_QUEUES_DEFAULT))
		json_object_set_new(c, "queues", json_integer(o->n_queues));
	if (o->mode != 0)
		json_object_set_new(c, "socket_mode", owner_mode_json(o->mode));
	if (o->type == PORT_VHOST_USER && o->gid != (gid_t)-1)
		json_object_set_new(c, "socket_group", owner_group_json(o->gid));
	if (o->mtu != 0)
		json_object_set_new(c, "mtu", json_integer(o->mtu));
	if (group != NULL && (group[0] != '\0' || o->type == PORT_ETHDEV))
		json_object_set_new(c, "group", json_string(group));
	if (o->no_park)
		json_object_set_new(c, "park", json_false());
	if (o->n_workers > 0)
		json_object_set_new(c, "workers", workers_json(o->workers, o->n_workers));
	port_provider_rpc_config(o, c);
	return c;
}

/* Port says "socket: why": the member is what stands before the colon, where it is one of ours. */
static int
refuse(struct rpc_error *err, int rc, const char *where, const char *why)
{
	size_t len = strcspn(why, ":");
	char member[sizeof(err->member)];

	for (const struct rpc_param *p = port_rpc_params; p->name != NULL; p++)
		if (strlen(p->name) == len && strncmp(p->name, why, len) == 0 && why[len] == ':') {
			rpc_member(member, sizeof(member), where, p->name);
			why += len + 1;
			return rpc_fail(err, rc, member, "%s", why + strspn(why, " "));
		}
	return rpc_fail(err, rc, where, "%s", why);
}

int
port_rpc_add(struct ports *ps, const struct port_opts *o, const char *where,
	     struct rpc_error *err)
{
	char why[sizeof(err->message)] = "";
	int rc = port_add(ps, o, why, sizeof(why), NULL);

	if (rc < 0)
		return refuse(err, rc, where, why[0] != '\0' ? why : strerror(-rc));
	return 0;
}

int
port_rpc_place(struct ports *ps, struct port *p, const struct port_opts *o, const char *where,
	       struct rpc_error *err)
{
	char why[sizeof(err->message)] = "";
	int rc = port_place(ps, p, o, why, sizeof(why));

	return rc < 0 ? refuse(err, rc, where, why) : 0;
}

static json_t *
asked_json(const struct vdev_ring_stats *now, bool wanted)
{
	return now->asked ? json_boolean(wanted) : json_null();
}

static json_t *
ring_json(const struct port_info *info, uint16_t i)
{
	const struct vdev_ring *r = &info->rings[i].ring;
	const struct vdev_ring_stats *now = &info->rings[i].now;
	bool packed = (info->features >> VIRTIO_F_RING_PACKED & 1) != 0;
	json_t *o = json_pack("{s:i, s:s, s:i, s:s, s:b, s:b, s:b, s:i, s:i, s:o, s:s}",
		"index", i, "direction", i % 2 == 0 ? "tx" : "rx", "size", r->size,
		"format", packed ? "packed" : "split", "started", r->started, "enabled", r->enabled,
		"running", now->running, "avail", now->pos.avail, "used", now->pos.used,
		"worker", worker_json(now->worker),
		"broken", vring_bad_texts[now->bad]);

	json_object_set_new(o, "provider", info->rings[i].provider == NULL ? json_null() :
			    json_string(info->rings[i].provider));
	if (packed)
		json_object_update_new(o, json_pack("{s:b, s:b}", "avail_wrap", now->pos.avail_wrap,
						    "used_wrap", now->pos.used_wrap));
	json_object_update_new(o, json_pack("{s:o, s:o}",
		"kicks_wanted", asked_json(now, now->kicks_wanted),
		"calls_wanted", asked_json(now, now->calls_wanted)));
	json_object_update_new(o, json_pack("{s:I, s:I, s:i, s:i, s:o, s:o, s:o}",
		"chains", (json_int_t)now->chains, "calls", (json_int_t)now->calls,
		"kickfd", r->kickfd, "callfd", r->callfd,
		"desc", json_sprintf("0x%" PRIx64, r->desc.v),
		"driver", json_sprintf("0x%" PRIx64, r->driver.v),
		"device", json_sprintf("0x%" PRIx64, r->device.v)));
	return o;
}

static json_t *
rings_json(const struct port_info *info)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < info->n_rings; i++)
		json_array_append_new(list, ring_json(info, i));
	return list;
}

static json_t *
memory_json(const struct session_info *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n_regions; i++)
		json_array_append_new(list, json_pack("{s:o, s:I, s:o}",
			"gpa", json_sprintf("0x%" PRIx64, s->regions[i].gpa),
			"size", (json_int_t)s->regions[i].size,
			"uva", json_sprintf("0x%" PRIx64, s->regions[i].uva)));
	return list;
}

static void
vhost_add(json_t *o, const struct port_opts *opts, const struct port_info *info)
{
	const struct session_info *s = &info->session;

	json_object_update_new(o, json_pack("{s:s, s:s, s:i, s:b, s:b, s:i, s:o, s:o}",
		"socket", opts->socket, "role", opts->client ? "client" : "server",
		"queues", opts->n_queues == 0 ? PORT_QUEUES_DEFAULT : opts->n_queues,
		"park", !opts->no_park, "connected", s->connected, "connections", (int)s->generation,
		"protocol_features", feature_protocol_json(s->protocol_features),
		"memory", memory_json(s)));
}

static void
eth_add(json_t *o, const struct port_opts *opts, const struct port_info *info)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(mac, sizeof(mac), &info->mac);
	json_object_update_new(o, json_pack("{s:s, s:o, s:s, s:b, s:i, s:i, s:i, s:b}",
		"devargs", opts->devargs, "driver", rpc_text(info->driver), "mac", mac,
		"link", info->link_up, "link_mbps", (int)info->link_mbps,
		"rx_queues", info->n_rxq, "tx_queues", info->n_txq,
		"rx_interrupts", info->rx_interrupts));
}

static json_t *
port_json(struct rpc_switch *sw, struct port *p)
{
	const struct port_info *info = rpc_switch_info(sw, p);
	const struct port_opts *opts = port_opts(p);
	json_t *o = json_pack("{s:s, s:i, s:s, s:s, s:o}", "name", port_name(p), "number",
			      port_number(p), "type", type_name(opts->type), "state", info->state,
			      "reason", rpc_text(info->reason));

	json_object_update_new(o, json_pack("{s:o, s:o, s:i, s:s}",
		"features", feature_json(info->features),
		"features_hex", json_sprintf("0x%" PRIx64, info->features),
		"mtu", opts->mtu, "group", opts->group == NULL ? "" : opts->group));
	if (opts->type == PORT_VHOST_USER)
		vhost_add(o, opts, info);
	else
		eth_add(o, opts, info);
	if (opts->vdpa != NULL)
		json_object_update_new(o, json_pack("{s:o, s:o}",
			"provider", port_provider_rpc_json(p),
			"device", port_provider_rpc_counters(sw, p)));
	json_object_set_new(o, "workers", workers_json(info->workers, info->n_queues));
	stats_rpc_update(o, &info->stats);
	json_object_set_new(o, "rings", rings_json(info));
	return o;
}

static int
port_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	return rpc_switch_show(arg, params, "name", port_json, result, err);
}

static int
port_add_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	struct rpc_switch *sw = arg;
	struct port_opts opts;
	int rc = port_rpc_opts(params, "", &opts, err);

	if (rc == 0 && opts.uplink != NULL && rpc_switch_port(sw, params, "uplink", err) == NULL)
		return -EINVAL;
	if (rc == 0)
		rc = port_rpc_add(sw->ports, &opts, "", err);
	return rc;
}

static int
port_del_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	struct rpc_switch *sw = arg;
	struct port *p = rpc_switch_port(sw, params, "name", err);
	int rc;

	if (p == NULL)
		return -EINVAL;
	rc = port_provider_rpc_del(sw->ports, p, err);
	if (rc == 0)
		port_del(sw->ports, p);
	return rc;
}

static const struct rpc_param show_params[] = {
	{ "name", RPC_STRING, .completes = "port", .help = "only this port" },
	{ 0 },
};

static const struct rpc_param del_params[] = {
	{ "name", RPC_STRING, true, .completes = "port", .help = "port" },
	{ 0 },
};

const struct rpc_method port_rpc[] = {
	{ "port.show", port_show, show_params, "name", "ports, their state, counters and rings" },
	{ "port.add", port_add_method, port_rpc_params, "name", "add a port" },
	{ "port.del", port_del_method, del_params, "name", "remove a port" },
	{ "port.provider", port_provider_method, port_provider_params, "name",
	  "say who moves a port's rings, and hand them over" },
	{ 0 },
};
