/* SPDX-License-Identifier: BSD-3-Clause */
#include "fdb_rpc.h"
#include "rpc_param.h"
#include "rpc_switch.h"

#include <errno.h>
#include <string.h>

#define VLAN_MAX 4094

const struct rpc_param fdb_rpc_params[] = {
	{ "mac", RPC_STRING, true, .help = "address, as 52:54:00:00:00:01" },
	{ "port", RPC_STRING, true, .completes = "port", .help = "port behind which it is" },
	{ "vlan", RPC_INT, .min = 0, .max = VLAN_MAX, .help = "VLAN id, 0: untagged (0)" },
	{ 0 },
};

/* Checks "mac" and "vlan"; either may be missing. */
static int
key_of(json_t *o, const char *where, fdb_key_t *out, struct rpc_error *err)
{
	const char *text = rpc_text_of(o, "mac");
	struct rte_ether_addr mac = { { 0 } };
	char member[sizeof(err->member)];

	rpc_member(member, sizeof(member), where, "mac");
	if (text != NULL && rte_ether_unformat_addr(text, &mac) < 0)
		return rpc_expected(err, member, "an address as \"52:54:00:00:00:01\"",
				    json_object_get(o, "mac"));
	if (text != NULL && !rte_is_valid_assigned_ether_addr(&mac))
		return rpc_expected(err, member, "an address of one station",
				    json_object_get(o, "mac"));
	*out = fdb_key((uint16_t)rpc_int_of(o, "vlan", 0), mac.addr_bytes);
	return 0;
}

int
fdb_rpc_key(json_t *o, const char *where, fdb_key_t *out, struct rpc_error *err)
{
	int rc = rpc_params_check(fdb_rpc_params, o, where, err);

	return rc < 0 ? rc : key_of(o, where, out, err);
}

static void
mac_format(char out[RTE_ETHER_ADDR_FMT_SIZE], fdb_key_t key)
{
	const struct rte_ether_addr mac = fdb_key_mac(key);

	snprintf(out, RTE_ETHER_ADDR_FMT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac.addr_bytes[0],
		 mac.addr_bytes[1], mac.addr_bytes[2], mac.addr_bytes[3], mac.addr_bytes[4],
		 mac.addr_bytes[5]);
}

json_t *
fdb_rpc_config(fdb_key_t key, const char *port)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	mac_format(mac, key);
	return json_pack("{s:s, s:i, s:s}", "mac", mac, "vlan", fdb_key_vlan(key), "port", port);
}

int
fdb_rpc_add(struct fdb *fdb, fdb_key_t key, uint16_t port, const char *where,
	    struct rpc_error *err)
{
	char member[sizeof(err->member)];
	int rc = fdb_add(fdb, key, port);

	rpc_member(member, sizeof(member), where, "mac");
	if (rc == -EEXIST)
		return rpc_fail(err, rc, member, "is static on another port, remove it there");
	if (rc == -ENOSPC)
		return rpc_fail(err, rc, member, "the table is full; flush it or remove entries");
	return rc < 0 ? rpc_fail(err, rc, member, "%s", strerror(-rc)) : 0;
}

struct filter {
	struct port *port;   /* NULL: any */
	const char *mac;     /* NULL: any */
	fdb_key_t key;       /* its address */
	int64_t vlan;        /* -1: any */
	int64_t limit;
};

static bool
wanted(const struct filter *f, const struct fdb_entry *e)
{
	const fdb_key_t address = (1ULL << 48) - 1;

	if (f->port != NULL && e->port != port_number(f->port))
		return false;
	if (f->vlan >= 0 && fdb_key_vlan(e->key) != f->vlan)
		return false;
	return f->mac == NULL || (e->key & address) == (f->key & address);
}

static json_t *
entry_json(const struct rpc_switch *sw, const struct fdb_entry *e)
{
	const struct port *p = port_by_number(sw->ports, e->port);
	json_t *o = fdb_rpc_config(e->key, p == NULL ? "" : port_name(p));

	json_object_set_new(o, "type", json_string(e->fixed ? "static" : "learned"));
	json_object_set_new(o, "idle", json_integer(e->idle_s));
	return o;
}

static int
fdb_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;
	struct filter f = {
		.mac = rpc_text_of(params, "mac"),
		.vlan = rpc_int_of(params, "vlan", -1),
		.limit = rpc_int_of(params, "limit", INT64_MAX),
	};
	struct fdb_entry e;
	uint32_t iter = 0;
	int rc = key_of(params, "", &f.key, err);

	if (rc < 0)
		return rc;
	if (json_object_get(params, "port") != NULL) {
		f.port = rpc_switch_port(sw, params, "port", err);
		if (f.port == NULL)
			return -EINVAL;
	}
	*result = json_array();
	while (f.limit > 0 && fdb_next(sw->fdb, &iter, &e) == 0) {
		if (!wanted(&f, &e))
			continue;
		json_array_append_new(*result, entry_json(sw, &e));
		f.limit--;
	}
	return 0;
}

static int
fdb_add_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;
	struct port *p = rpc_switch_port(sw, params, "port", err);
	fdb_key_t key;
	int rc = p == NULL ? -EINVAL : key_of(params, "", &key, err);

	return rc < 0 ? rc : fdb_rpc_add(sw->fdb, key, port_number(p), "", err);
}

static int
fdb_del_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;
	fdb_key_t key;
	int rc = key_of(params, "", &key, err);

	if (rc < 0)
		return rc;
	if (fdb_del(sw->fdb, key) < 0)
		return rpc_fail(err, -ENOENT, "mac", "%s is not known in VLAN %d",
				rpc_text_of(params, "mac"), fdb_key_vlan(key));
	return 0;
}

static int
fdb_flush_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;
	uint16_t number = UINT16_MAX;
	const struct port *p;

	if (json_object_get(params, "port") != NULL) {
		p = rpc_switch_port(sw, params, "port", err);
		if (p == NULL)
			return -EINVAL;
		number = port_number(p);
	}
	*result = json_pack("{s:i}", "entries", (int)fdb_flush(sw->fdb, number));
	return 0;
}

static int
fdb_stats_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;
	struct fdb_stats s;

	fdb_stats(sw->fdb, &s);
	*result = json_pack("{s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I}",
		"entries", (int)s.n_entries, "static", (int)s.n_fixed, "capacity", (int)s.capacity,
		"age", (int)s.age_s, "quota", (int)s.quota, "learned", (json_int_t)s.learned,
		"moved", (json_int_t)s.moved, "aged", (json_int_t)s.aged,
		"refused_quota", (json_int_t)s.refused_quota,
		"refused_full", (json_int_t)s.refused_full,
		"refused_static", (json_int_t)s.refused_static);
	return 0;
}

static int
fdb_set_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;
	struct fdb_stats now;

	fdb_stats(sw->fdb, &now);
	fdb_set(sw->fdb, (uint32_t)rpc_int_of(params, "age", now.age_s),
		(uint32_t)rpc_int_of(params, "quota", 0));
	return 0;
}

static const struct rpc_param show_params[] = {
	{ "mac", RPC_STRING, .help = "only this address" },
	{ "port", RPC_STRING, .completes = "port", .help = "only what is behind this port" },
	{ "vlan", RPC_INT, .min = 0, .max = VLAN_MAX, .help = "only this VLAN, 0: untagged" },
	{ "limit", RPC_INT, .min = 1, .max = UINT32_MAX, .help = "at most so many entries" },
	{ 0 },
};

static const struct rpc_param del_params[] = {
	{ "mac", RPC_STRING, true, .help = "address" },
	{ "vlan", RPC_INT, .min = 0, .max = VLAN_MAX, .help = "VLAN id, 0: untagged (0)" },
	{ 0 },
};

static const struct rpc_param flush_params[] = {
	{ "port", RPC_STRING, .completes = "port", .help = "only what is behind this port" },
	{ 0 },
};

static const struct rpc_param set_params[] = {
	{ "age", RPC_INT, .min = 0, .max = CONFIG_AGE_MAX,
	  .help = "seconds after which a learned entry that is not seen goes; 0: never" },
	{ "quota", RPC_INT, .min = 1, .max = CONFIG_QUOTA_MAX,
	  .help = "learned entries that one port may have" },
	{ 0 },
};

const struct rpc_method fdb_rpc[] = {
	{ "fdb.show", fdb_show, show_params, "mac",
	  "addresses and the ports behind which they are" },
	{ "fdb.add", fdb_add_method, fdb_rpc_params, "mac", "add a static entry" },
	{ "fdb.del", fdb_del_method, del_params, "mac", "remove an entry" },
	{ "fdb.flush", fdb_flush_method, flush_params, "port", "forget learned entries" },
	{ "fdb.stats", fdb_stats_method, NULL, NULL, "what the table has been through" },
	{ "fdb.set", fdb_set_method, set_params, NULL, "change age and quota" },
	{ 0 },
};
