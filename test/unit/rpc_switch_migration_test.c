/* SPDX-License-Identifier: BSD-3-Clause */
/* migration.show, .offer and .check: timelines as they are told, and every kind of mismatch. */
#include "rpc_switch_rig.h"
#include "moment.h"

#include <rte_cycles.h>

#include <stdlib.h>

static void
tell(uint64_t tsc, enum moment moment, uint64_t value)
{
	moment_send_at(rig.cross, port_number(port_find(rig.sw.ports, "vm1")), moment, tsc, value);
	while (event_run(rig.cross, 100) > 0)
		;
}

static void
show(void)
{
	uint64_t begin = rte_rdtsc() + 1000000000000;
	json_t *all, *one, *moment;
	struct rpc_error err;

	all = done("migration.show", "{}");
	check_json("no migration yet", all, "[]");
	json_decref(all);
	CHECK(call("migration.show", "{\"port\":\"vm1\",\"number\":0}", &all, &err) < 0);
	CHECK_STR("none yet", err.message, "port: vm1 has had no migration");

	tell(begin, MOMENT_LOG_BASE, 8192);
	tell(begin + 20000, MOMENT_LOG_ON, 0);
	rig.look.pages = 30;
	rig.look.rounds = 2;
	tell(begin + 100000000, MOMENT_STOP, 0);
	tell(begin + 100000000, MOMENT_BASE, 1);
	rig.look.parked = rig.look.delivered = 7;
	tell(begin + 110000000, MOMENT_RELEASED, 0);
	tell(begin + 110100000, MOMENT_OUT, 7);
	tell(begin + 120000000, MOMENT_DISCONNECTED, 0);
	tell(begin + 200000000, MOMENT_ANNOUNCED, 0x010000005452);
	tell(begin + 200100000, MOMENT_STARTED, 5);

	all = done("migration.show", "{\"port\":\"vm1\"}");
	CHECK(json_array_size(all) == 2);
	one = json_array_get(all, 0);
	CHECK(json_object_get(one, "rounds") == NULL && json_object_get(one, "dirty") == NULL);
	check_member("1", one, "port", "\"vm1\"");
	check_member("1", one, "number", "1");
	check_member("1", one, "direction", "\"out\"");
	check_member("1", one, "state", "\"completed\"");
	check_member("1", one, "verdict",
		     "\"blackout 10.0 ms, parked 7, delivered 7, dropped 0\"");
	check_member("1", one, "blackout_us", "10000");
	check_member("1", one, "parked", "7");
	check_member("1", one, "pages", "30");
	check_member("1", one, "harvests", "2");
	check_member("1", one, "done", "5");
	check_member("1", one, "of", "5");
	check_member("1", one, "lost_events", "0");
	check_member("1", one, "us", "110000");
	moment = json_array_get(json_object_get(one, "moments"), 0);
	check_json("first moment", moment, "{\"us\":0,\"moment\":\"log_base\",\"value\":8192,"
		   "\"unit\":\"bytes\",\"text\":\"dirty log received\"}");
	one = json_array_get(all, 1);
	check_member("2", one, "direction", "\"in\"");
	check_member("2", one, "blackout_us", "null");
	moment = json_array_get(json_object_get(one, "moments"), 0);
	check_member("announced", moment, "value", "\"52:54:00:00:00:01\"");
	json_decref(all);

	one = done("migration.show", "{\"port\":\"vm1\",\"number\":1}");
	check_member("rounds", one, "rounds", "[{\"us\":0,\"duration_us\":100000,\"pages\":30,"
		     "\"harvests\":2,\"pages_per_s\":300.0}]");
	check_member("spans", one, "spans",
		     "[{\"lane\":\"stopped\",\"from_us\":100000,\"to_us\":110000},"
		     "{\"lane\":\"logging\",\"from_us\":20,\"to_us\":120000}]");
	check_member("dirty", one, "dirty", "[{\"us\":100000,\"pages_per_s\":300.0}]");
	json_decref(one);
	one = done("migration.show", "{\"port\":\"vm1\",\"number\":0}");
	check_member("the last one", one, "number", "2");
	json_decref(one);
}

static void
refusals(void)
{
	static const struct { const char *method, *params, *message; } rows[] = {
		{ "migration.show", "{\"port\":\"vm11\"}",
		  "port: no port \"vm11\"; did you mean \"vm1\"?" },
		{ "migration.show", "{\"port\":\"vm1\",\"number\":9}",
		  "number: vm1 has no record of migration 9" },
		{ "migration.show", "{\"number\":1}", "port: missing; a number is one of a port's" },
		{ "migration.show", "{\"port\":\"vm1\",\"number\":-1}",
		  "number: expected an integer from 0 to 4294967295, not -1" },
		{ "migration.check", "{}", "peer: missing; expected an object" },
		{ "migration.check", "{\"peer\":{}}", "peer.version: missing; expected a string" },
		{ "migration.check", "{\"peer\":{\"version\":\"1\",\"dpdk\":\"D\",\"regions_max\":8,"
		  "\"ports\":[{}]}}", "peer.ports[0].name: missing; expected a string" },
		{ "migration.check", "{\"peer\":{\"version\":\"1\",\"dpdk\":\"D\",\"regions_max\":8,"
		  "\"ports\":[5]}}", "peer.ports[0]: expected an object, not 5" },
		{ "migration.check", "{\"peer\":{\"version\":\"1\",\"dpdk\":\"D\",\"regions_max\":8,"
		  "\"ports\":[]},\"peer_port\":\"x\"}", "port: missing; expected with peer_port" },
		{ "migration.check", "{\"peer\":{\"version\":\"1\",\"dpdk\":\"D\",\"regions_max\":8,"
		  "\"ports\":[]},\"port\":\"vm8\"}",
		  "port: no port \"vm8\"; did you mean \"vm1\"?" },
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rpc_error err = { 0 };
		json_t *result = NULL;

		CHECK(call(rows[i].method, rows[i].params, &result, &err) < 0);
		CHECK_STR(rows[i].params, err.message, rows[i].message);
		json_decref(result);
	}
}

/* This ferryd's own offer fits its own ports; an empty one has none of them. */
static void
own(void)
{
	json_t *offer = done("migration.offer", "{}"), *params, *result = NULL;
	struct rpc_error err = { 0 };

	CHECK(json_array_size(json_object_get(offer, "ports")) == 2);
	check_json("parks", json_object_get(json_array_get(json_object_get(offer, "ports"), 0),
					    "park"), "true");
	check_member("regions", offer, "regions_max", "8");
	params = json_pack("{s:O, s:s, s:s}", "peer", offer, "port", "vm1", "peer_port", "vm2");
	CHECK(rpc_call(rig.sw.rpc, "migration.check", params, &result, &err) == 0);
	check_member("own", result, "ports", "1");
	json_decref(result);
	json_decref(params);
	json_array_clear(json_object_get(offer, "ports"));
	params = json_pack("{s:o}", "peer", offer);
	CHECK(rpc_call(rig.sw.rpc, "migration.check", params, &result, &err) == 0);
	check_member("empty", result, "fails", "2");
	check_member("empty", result, "verdict", "\"a migration fails\"");
	json_decref(result);
	json_decref(params);
}

void
rpc_switch_migration_test(void)
{
	show();
	refusals();
	own();
}
