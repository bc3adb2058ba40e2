/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration_check.h"
#include "rpc_param.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct rpc_param offer_rows[] = {
	{ "version", RPC_STRING, true }, { "dpdk", RPC_STRING, true },
	{ "regions_max", RPC_INT, true, 1, 4096 }, { "ports", RPC_ARRAY, true },
	{ 0 },
};

static const struct rpc_param port_rows[] = {
	{ "name", RPC_STRING, true }, { "type", RPC_STRING, true },
	{ "group", RPC_STRING, true }, { "mtu", RPC_INT, true, 0, UINT16_MAX },
	{ "queues", RPC_INT, true, 0, UINT16_MAX }, { "queues_used", RPC_INT, true, 0, UINT16_MAX },
	{ "connected", RPC_BOOL, true }, { "running", RPC_BOOL, true },
	{ "park", RPC_BOOL, true }, { "regions", RPC_INT, true, 0, 4096 },
	{ "offered", RPC_ARRAY, true }, { "features", RPC_ARRAY, true },
	{ "protocol_offered", RPC_ARRAY, true }, { "protocol_features", RPC_ARRAY, true },
	{ 0 },
};

int
migration_offer_check(json_t *offer, const char *where, struct rpc_error *err)
{
	int rc = rpc_params_check(offer_rows, offer, where, err);
	char path[64];
	json_t *port;
	size_t i;

	json_array_foreach(json_object_get(offer, "ports"), i, port) {
		snprintf(path, sizeof(path), "%.32s.ports[%zu]", where, i);
		if (rc == 0)
			rc = rpc_params_check(port_rows, port, path, err);
	}
	return rc;
}

enum severity { FAILS, LOSES, NOTE, SEVERITY_N };

static const char *const severities[SEVERITY_N] = { "fails", "loses", "note" };

/* One comparison: from `src` of `ours` to `dst` of `theirs`. */
struct check {
	const json_t *ours, *theirs;
	const json_t *src, *dst;
	const char *port, *peer_port;
	json_t *findings;
	json_int_t n[SEVERITY_N];
};

static bool
true_of(const json_t *o, const char *member)
{
	return json_is_true(json_object_get(o, member));
}

static void __attribute__((format(printf, 4, 5)))
find(struct check *c, enum severity severity, const char *what, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	json_array_append_new(c->findings, json_pack("{s:s, s:s, s:s, s:s, s:o}",
		"port", c->port, "peer_port", c->peer_port, "severity", severities[severity],
		"what", what, "text", rpc_text(text)));
	c->n[severity]++;
}

static bool
list_has(const json_t *o, const char *member, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(o, member), i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), name) == 0)
			return true;
	return false;
}

/* Names of `member` of `o` that `other` lacks; false: there are none. */
static bool
lacks(const json_t *o, const char *member, const json_t *other, const char *other_member,
      char *out, size_t size)
{
	const json_t *item;
	size_t i, n = 0;

	out[0] = '\0';
	json_array_foreach(json_object_get(o, member), i, item) {
		const char *name = json_string_value(item);

		if (name != NULL && n < size && !list_has(other, other_member, name))
			n += (size_t)snprintf(out + n, size - n, "%s%s", n == 0 ? "" : ", ", name);
	}
	return n > 0;
}

static void
check_place(struct check *c)
{
	if (strcmp(rpc_text_of(c->dst, "type"), "vhost-user") != 0)
		find(c, FAILS, "type", "the peer's port is of type %.32s",
		     rpc_text_of(c->dst, "type"));
	else if (true_of(c->dst, "running"))
		find(c, FAILS, "busy", "the peer's port has a running guest already");
}

static void
check_features(struct check *c)
{
	char names[256];

	if (!true_of(c->src, "connected")) {
		find(c, NOTE, "guest", "no guest is connected: what it will negotiate is not known");
		if (lacks(c->src, "offered", c->dst, "offered", names, sizeof(names)))
			find(c, FAILS, "features", "the peer does not offer %s; a guest that "
			     "negotiates them cannot move there", names);
		return;
	}
	if (lacks(c->src, "features", c->dst, "offered", names, sizeof(names)))
		find(c, FAILS, "features", "the guest uses %s, which the peer does not offer", names);
	else if (lacks(c->src, "offered", c->dst, "offered", names, sizeof(names)))
		find(c, NOTE, "features", "the peer does not offer %s: the guest, which uses none of "
		     "it now, can no longer after its next boot", names);
	if (list_has(c->src, "features", "ring_packed") &&
	    !list_has(c->dst, "offered", "ring_packed"))
		find(c, FAILS, "format", "the guest's rings are packed, the peer takes split ones only");
}

static void
check_queues(struct check *c)
{
	json_int_t used = rpc_int_of(c->src, "queues_used", 0);
	json_int_t here = rpc_int_of(c->src, "queues", 0);
	json_int_t there = rpc_int_of(c->dst, "queues", 0);

	if (used > there)
		find(c, FAILS, "queues", "the guest has %lld queue pairs, the peer takes %lld",
		     (long long)used, (long long)there);
	else if (here > there)
		find(c, NOTE, "queues", "the peer takes %lld queue pairs, this port %lld; the guest "
		     "has %lld", (long long)there, (long long)here, (long long)used);
	if (used > 1 && !list_has(c->dst, "protocol_offered", "mq"))
		find(c, FAILS, "queues", "the peer does not offer mq to a guest with %lld queue pairs",
		     (long long)used);
}

static void
check_mtu(struct check *c)
{
	json_int_t here = rpc_int_of(c->src, "mtu", 0), there = rpc_int_of(c->dst, "mtu", 0);

	if (there != 0 && here == 0)
		find(c, LOSES, "mtu", "no limit here, %lld at the peer: it drops longer frames",
		     (long long)there);
	else if (there != 0 && there < here)
		find(c, LOSES, "mtu", "%lld here, %lld at the peer: it drops longer frames",
		     (long long)here, (long long)there);
	else if (there != here)
		find(c, NOTE, "mtu", "%lld here, %lld at the peer (0: no limit)", (long long)here,
		     (long long)there);
}

static bool
logs(const json_t *port)
{
	return list_has(port, "offered", "log_all") &&
	       list_has(port, "protocol_offered", "log_shmfd");
}

static void
check_memory(struct check *c)
{
	json_int_t regions = rpc_int_of(c->src, "regions", 0);
	json_int_t most = rpc_int_of(c->theirs, "regions_max", 0);

	if (regions > most)
		find(c, FAILS, "memory", "the guest's memory has %lld regions, the peer takes %lld",
		     (long long)regions, (long long)most);
	if (!logs(c->src))
		find(c, FAILS, "logging", "this port offers no dirty log: QEMU will not migrate");
	if (!logs(c->dst))
		find(c, NOTE, "logging", "the peer offers no dirty log: the guest cannot leave again");
}

static void
check_frames(struct check *c)
{
	const char *here = rpc_text_of(c->src, "group"), *there = rpc_text_of(c->dst, "group");

	if (!true_of(c->src, "park"))
		find(c, LOSES, "park", "frames for the guest are not parked while it is on its way");
	if (!true_of(c->dst, "park"))
		find(c, NOTE, "park", "the peer does not park frames when the guest leaves again");
	if (!list_has(c->dst, "protocol_offered", "rarp") &&
	    !list_has(c->src, "features", "guest_announce"))
		find(c, LOSES, "announce", "nobody announces the guest at the peer: it offers no rarp, "
		     "and the guest does not do it");
	if (strcmp(here, there) != 0)
		find(c, NOTE, "group", "isolation group \"%.64s\" here, \"%.64s\" at the peer: the "
		     "guest will hear others", here, there);
}

static void
check_versions(struct check *c)
{
	static const struct { const char *member, *text; } rows[] = {
		{ "version", "ferryd" }, { "dpdk", "DPDK" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *here = rpc_text_of(c->ours, rows[i].member);
		const char *there = rpc_text_of(c->theirs, rows[i].member);

		if (strcmp(here, there) != 0)
			find(c, NOTE, rows[i].member, "%s is %.64s here, %.64s at the peer",
			     rows[i].text, here, there);
	}
}

static const json_t *
port_named(const json_t *offer, const char *name)
{
	const json_t *port;
	size_t i;

	json_array_foreach(json_object_get(offer, "ports"), i, port)
		if (strcmp(rpc_text_of(port, "name"), name) == 0)
			return port;
	return NULL;
}

static void
check_port(struct check *c, const json_t *src, const char *peer_port)
{
	c->src = src;
	c->port = rpc_text_of(src, "name");
	c->peer_port = peer_port != NULL ? peer_port : c->port;
	c->dst = port_named(c->theirs, c->peer_port);
	if (c->dst == NULL) {
		find(c, FAILS, "port", "the peer has no port \"%.64s\"", c->peer_port);
		return;
	}
	check_place(c);
	check_features(c);
	check_queues(c);
	check_mtu(c);
	check_memory(c);
	check_frames(c);
}

static const char *
verdict(const struct check *c, json_int_t n_ports)
{
	if (n_ports == 0)
		return "there is no vhost-user port to migrate from";
	if (c->n[FAILS] > 0)
		return "a migration fails";
	return c->n[LOSES] > 0 ? "a migration loses something" : "nothing stands against a migration";
}

json_t *
migration_check(const json_t *ours, const json_t *theirs, const char *port, const char *peer_port)
{
	struct check c = {
		.ours = ours, .theirs = theirs, .port = "", .peer_port = "",
		.findings = json_array(),
	};
	json_int_t n_ports = 0;
	const json_t *src;
	size_t i;

	check_versions(&c);
	json_array_foreach(json_object_get(ours, "ports"), i, src) {
		if (strcmp(rpc_text_of(src, "type"), "vhost-user") != 0 ||
		    (port != NULL && strcmp(rpc_text_of(src, "name"), port) != 0))
			continue;
		n_ports++;
		check_port(&c, src, peer_port);
	}
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "verdict", verdict(&c, n_ports),
			 "ports", n_ports, "fails", c.n[FAILS], "loses", c.n[LOSES],
			 "notes", c.n[NOTE], "findings", c.findings);
}
