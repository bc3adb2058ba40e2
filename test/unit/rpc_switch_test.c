/* SPDX-License-Identifier: BSD-3-Clause */
/* The methods on a real switch: what they answer, and what they refuse. */
#include "rpc_switch_rig.h"

#include <rte_eal.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *method, *params, *message, *member;
	int code;
} refusals[] = {
	{ "port.show", "{\"name\":\"nobody\"}", "name: no port \"nobody\"", "name", -32602 },
	{ "port.show", "{\"name\":\"vm11\"}", "name: no port \"vm11\"; did you mean \"vm1\"?",
	  "name",
	  -32602 },
	{ "port.del", "{\"name\":\"nobody\"}", "name: no port \"nobody\"", "name", -32602 },
	{ "port.add", "{\"name\":\"vm9\",\"type\":\"vhost-user\"}",
	  "socket: missing; the type is vhost-user", "socket", -32602 },
	{ "port.add", "{\"name\":\"vm1\",\"type\":\"vhost-user\",\"socket\":\"/x\"}",
	  "name: there is a port \"vm1\" already", "name", -32000 },
	{ "queue.move", "{\"port\":\"vm1\",\"ring\":1,\"worker\":2}",
	  "worker: expected 0 to 1, not 2", "worker", -32602 },
	{ "queue.move", "{\"port\":\"vm1\",\"ring\":2,\"worker\":1}",
	  "ring: vm1 has no transmit ring or receive queue 2", "ring", -32000 },
	{ "queue.move", "{\"port\":\"vm1\",\"ring\":17,\"worker\":1}",
	  "ring: vm1 has no transmit ring or receive queue 17", "ring", -32000 },
	{ "port.add", "{\"name\":\"vm9\",\"type\":\"vhost-user\",\"socket\":\"@/9\","
	  "\"workers\":[0,null,2]}", "workers: expected 0 to 1, not 2", "workers", -32602 },
	{ "port.add", "{\"name\":\"vm9\",\"type\":\"vhost-user\",\"socket\":\"@/9\","
	  "\"queues\":1,\"workers\":[0,1]}",
	  "workers: expected at most 1, one for each queue, not 2", "workers", -32602 },
	{ "port.add", "{\"name\":\"vm9\",\"type\":\"vhost-user\",\"socket\":\"@/9\","
	  "\"workers\":[0,\"1\"]}",
	  "workers[1]: expected the number of a worker, or null, not \"1\"", "workers[1]",
	  -32602 },
	{ "port.provider", "{\"name\":\"vm1\",\"to\":\"hw\"}", "name: vm1 has no device", "name", -32602 },
	{ "port.add", "{\"name\":\"vm9\",\"type\":\"vhost-user\",\"socket\":\"@/9\",\"vdpa\":\"vd0\"}",
	  "vdpa: this ferryd has no devices", "vdpa", -32000 },
	{ "port.add", "{\"name\":\"vm9\",\"type\":\"vhost-user\",\"socket\":\"@/9\",\"vdpa\":\"vd0\","
	  "\"uplink\":\"vm8\"}", "uplink: no port \"vm8\"; did you mean \"vm1\"?", "uplink", -32602 },
	{ "vdpa.show", "{\"name\":\"vd0\"}", "name: no device \"vd0\"", "name", -32602 },
	{ "worker.show", "{\"index\":2}", "index: expected 0 to 1, not 2", "index", -32602 },
	{ "fdb.add", "{\"mac\":\"ff:ff:ff:ff:ff:ff\",\"port\":\"vm1\"}",
	  "mac: expected an address of one station, not \"ff:ff:ff:ff:ff:ff\"", "mac", -32602 },
	{ "fdb.add", "{\"mac\":\"52:54:00:00:00:01\",\"port\":\"vm3\"}",
	  "port: no port \"vm3\"; did you mean \"vm1\"?", "port", -32602 },
	{ "fdb.del", "{\"mac\":\"52:54:00:00:00:99\"}",
	  "mac: 52:54:00:00:00:99 is not known in VLAN 0", "mac", -32000 },
	{ "capture.start", "{\"port\":\"vm1\"}", "file: missing; expected a string of 1 to 4095 "
	  "characters", "file", -32602 },
	{ "capture.stop", "{\"name\":\"nothing\"}", "name: no capture \"nothing\"", "name",
	  -32000 },
	{ "log.set", "{\"type\":\"ferry.prot\",\"level\":\"debug\"}",
	  "type: no log type matches \"ferry.prot\"; did you mean \"ferry.port\"?", "type",
	  -32602 },
	{ "log.set", "{\"type\":\"ferry.*\"}",
	  "level: missing; a level needs a type, and a type a level", "level", -32602 },
	{ "log.set", "{}", "type: missing; expected type and level, or file", "type", -32602 },
	{ "log.set", "{\"file\":\"/nowhere/f.log\"}",
	  "file: /nowhere/f.log: No such file or directory", "file", -32000 },
	{ "config.load", "{\"file\":\"/nowhere/f.json\"}",
	  "/nowhere/f.json: No such file or directory", "", -32000 },
	{ "config.save", "{\"file\":\"/nowhere/f.json\"}",
	  "file: /nowhere/f.json: No such file or directory", "file", -32000 },
};

static void
test_refusals(void)
{
	for (size_t i = 0; i < RTE_DIM(refusals); i++) {
		struct rpc_error err = { 0 };
		json_t *result = NULL;

		CHECK(call(refusals[i].method, refusals[i].params, &result, &err) < 0);
		CHECK_STR(refusals[i].params, err.message, refusals[i].message);
		CHECK_STR(refusals[i].params, err.member, refusals[i].member);
		CHECK(err.code == refusals[i].code);
		json_decref(result);
	}
}

/* Without a descriptor for its socket a port is not there, and the error says what helps. */
static void
test_descriptors(void)
{
	struct rpc_error err = { 0 };
	struct rlimit before, none;
	json_t *result = NULL;

	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = before;
	none.rlim_cur = (rlim_t)dup(0);
	close((int)none.rlim_cur);
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(call("port.add", "{\"name\":\"vm1\",\"type\":\"vhost-user\",\"socket\":\"@/vm1.sock\"}",
		   &result, &err) == -EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(strstr(err.message, "no file descriptor is left") != NULL);
	CHECK(port_find(rig.sw.ports, "vm1") == NULL);
}

static void
test_ports(void)
{
	json_t *one, *all;

	does("port.add", "{\"name\":\"vm1\",\"type\":\"vhost-user\",\"socket\":\"@/vm1.sock\"}");
	does("port.add", "{\"name\":\"vm2\",\"type\":\"vhost-user\",\"socket\":\"@/vm2.sock\","
	     "\"role\":\"client\",\"queues\":2,\"mtu\":9000,\"group\":\"blue\"}");
	one = done("port.show", "{\"name\":\"vm2\"}");
	check_member("type", one, "type", "\"vhost-user\"");
	check_member("state", one, "state", "\"waiting\"");
	check_member("role", one, "role", "\"client\"");
	check_member("queues", one, "queues", "2");
	check_member("mtu", one, "mtu", "9000");
	check_member("group", one, "group", "\"blue\"");
	check_member("features", one, "features", "[]");
	check_member("rings", one, "rings", "[]");
	check_member("rx", one, "rx", "{\"frames\":0,\"bytes\":0}");
	check_member("a drop", one, "drops.no_desc", "0");
	CHECK(json_object_size(json_object_get(one, "drops")) == DROP_N);
	all = done("port.show", "{}");
	CHECK(json_array_size(all) == 2);
	CHECK(json_equal(json_array_get(all, 1), one));
	json_decref(one);
	json_decref(all);
}

/* A device has no rings of a guest: who polls its queues stands by itself. */
static void
test_device(void)
{
	json_t *o;

	does("port.add", "{\"name\":\"up\",\"type\":\"ethdev\",\"devargs\":\"net_null0,no-rx=1\","
	     "\"queues\":1}");
	does("queue.move", "{\"port\":\"up\",\"ring\":0,\"worker\":1}");
	o = done("port.show", "{\"name\":\"up\"}");
	check_member("moved", o, "workers", "[1]");
	check_member("rings", o, "rings", "[]");
	json_decref(o);
	does("port.del", "{\"name\":\"up\"}");
}

static void
test_fdb(void)
{
	json_t *r;

	does("fdb.add", "{\"mac\":\"52:54:00:00:00:01\",\"port\":\"vm1\"}");
	does("fdb.add", "{\"mac\":\"52:54:00:00:00:02\",\"port\":\"vm2\",\"vlan\":7}");
	CHECK(fdb_learn(rig.fdb, fdb_key(0, (const uint8_t *)"\x52\x54\0\0\0\x03"), 0) == 0);
	r = done("fdb.show", "{\"mac\":\"52:54:00:00:00:02\"}");
	check_json("by address", r, "[{\"mac\":\"52:54:00:00:00:02\",\"vlan\":7,\"port\":\"vm2\","
		   "\"type\":\"static\",\"idle\":0}]");
	json_decref(r);
	r = done("fdb.show", "{\"port\":\"vm1\"}");
	CHECK(json_array_size(r) == 2);
	json_decref(r);
	r = done("fdb.show", "{\"vlan\":7}");
	CHECK(json_array_size(r) == 1);
	json_decref(r);
	r = done("fdb.show", "{\"limit\":2}");
	CHECK(json_array_size(r) == 2);
	json_decref(r);
	r = done("fdb.flush", "{\"port\":\"vm1\"}");
	check_json("flush", r, "{\"entries\":1}");
	json_decref(r);
	does("fdb.set", "{\"age\":17,\"quota\":99}");
	r = done("fdb.stats", "{}");
	check_member("entries", r, "entries", "2");
	check_member("age", r, "age", "17");
	check_member("quota", r, "quota", "99");
	json_decref(r);
	does("fdb.set", "{\"quota\":98}");
	r = done("fdb.stats", "{}");
	check_member("age is left", r, "age", "17");
	json_decref(r);
}

static void
test_stats(void)
{
	json_t *r;

	/* Nobody has asked before: the first answer has them. */
	pump(1200);
	r = done("stats.show", "{}");
	CHECK(json_array_size(r) == 2);
	check_member("port", json_array_get(r, 0), "port", "\"vm1\"");
	check_member("rates", json_array_get(r, 0), "rates",
		     "{\"rx_frames\":0.0,\"rx_bits\":0.0,\"tx_frames\":0.0,\"tx_bits\":0.0,"
		     "\"drops\":0.0}");
	json_decref(r);
	r = done("worker.show", "{}");
	CHECK(json_array_size(r) == 2);
	check_member("index", json_array_get(r, 1), "index", "1");
	check_member("cpu", json_array_get(r, 1), "cpu", "null");
	check_member("nothing came", json_array_get(r, 1), "cycles_per_frame", "null");
	CHECK(json_is_real(json_object_get(json_array_get(r, 1), "load")));
	json_decref(r);
	r = done("worker.show", "{\"index\":0}");
	check_member("one worker", r, "index", "0");
	json_decref(r);
}

static void
test_capture(void)
{
	char pipe_path[128];
	struct rpc_error err = { 0 };
	json_t *r = done("capture.start",
		"{\"port\":\"vm1\",\"file\":\"@/a.pcapng\",\"direction\":\"rx\","
			 "\"filter\":\"icmp\",\"snaplen\":96}");
	char block[32];
	int fd;

	check_json("its name", r, "{\"name\":\"vm1-1\"}");
	json_decref(r);
	r = done("capture.show", "{\"name\":\"vm1-1\"}");
	check_member("port", r, "port", "\"vm1\"");
	check_member("direction", r, "direction", "\"rx\"");
	check_member("filter", r, "filter", "\"icmp\"");
	check_member("snaplen", r, "snaplen", "96");
	check_member("running", r, "running", "true");
	json_decref(r);
	CHECK(call("capture.start",
		"{\"port\":\"vm1\",\"file\":\"@/b\",\"filter\":\"no such thing\"}", &r,
		   &err) == -EINVAL);
	does("capture.stop", "{\"name\":\"vm1-1\"}");

	snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", folder);
	CHECK(mkfifo(pipe_path, 0600) == 0);
	CHECK(call("capture.start", "{\"file\":\"@/pipe\"}", &r, &err) == -ENXIO);
	CHECK(strstr(err.message, "nobody reads this pipe") != NULL);
	fd = open(pipe_path, O_RDONLY | O_NONBLOCK);
	r = done("capture.start", "{\"file\":\"@/pipe\"}");
	check_json("all ports", r, "{\"name\":\"all-4\"}");
	json_decref(r);
	does("capture.stop", "{\"name\":\"all-4\"}");
	CHECK(read(fd, block, sizeof(block)) == sizeof(block));
	CHECK(memcmp(block, "\n\r\r\n", 4) == 0);
	while (read(fd, block, sizeof(block)) > 0)
		;
	CHECK(read(fd, block, 1) == 0);
	close(fd);
	unlink(pipe_path);
	snprintf(pipe_path, sizeof(pipe_path), "%s/a.pcapng", folder);
	CHECK(unlink(pipe_path) == 0);
}

static void
test_log(void)
{
	json_t *r;

	does("log.set", "{\"type\":\"ferry.rpc\",\"level\":\"debug\"}");
	does("log.set", "{\"type\":\"ferry.po*\",\"level\":\"error\"}");
	r = done("log.show", "{\"type\":\"ferry.rpc\"}");
	check_json("level", r, "[{\"type\":\"ferry.rpc\",\"level\":\"debug\"}]");
	json_decref(r);
	does("log.set", "{\"file\":\"@/f.log\"}");
	does("log.set", "{\"file\":\"\"}");
}

/* What the switch last said of a port. */
static void
check_last(const char *port, const char *text)
{
	json_t *r = done("event.show", "{}"), *o = json_array_get(r, json_array_size(r) - 1);

	CHECK_STR(text, json_string_value(json_object_get(o, "port")), port);
	CHECK_STR(port, json_string_value(json_object_get(o, "text")), text);
	json_decref(r);
}

/* Addresses that move or are refused are told of with the port that sent from them. */
static void
test_fdb_events(void)
{
	const uint16_t vm1 = port_number(port_find(rig.sw.ports, "vm1"));
	const uint16_t vm2 = port_number(port_find(rig.sw.ports, "vm2"));
	uint64_t number;
	json_t *r;

	fdb_learn(rig.fdb, 0x525400000091, vm1);
	fdb_learn(rig.fdb, 0x525400000092, vm1);
	fdb_learn(rig.fdb, 0x525400000091, vm2);
	eventlog_fdb(rig.sw.events, rig.fdb, rig.sw.ports);
	check_last("vm2", "1 address moved here from vm1");
	fdb_learn(rig.fdb, 0x525400000091, vm1);
	fdb_learn(rig.fdb, 0x525400000091, vm2);
	fdb_learn(rig.fdb, 0x525400000092, vm2);
	eventlog_fdb(rig.sw.events, rig.fdb, rig.sw.ports);
	check_last("vm2", "2 addresses moved here, the last one from vm1");
	CHECK(fdb_add(rig.fdb, 0x525400000093, vm2) == 0);
	fdb_learn(rig.fdb, 0x525400000093, vm1);
	eventlog_fdb(rig.sw.events, rig.fdb, rig.sw.ports);
	check_last("vm1", "1 address not learned: static on another port");
	r = done("event.show", "{}");
	number = (uint64_t)json_array_size(r);
	json_decref(r);
	eventlog_fdb(rig.sw.events, rig.fdb, rig.sw.ports);
	r = done("event.show", "{}");
	CHECK(json_array_size(r) == number);
	json_decref(r);
	CHECK(fdb_del(rig.fdb, 0x525400000093) == 0);
	fdb_flush(rig.fdb, UINT16_MAX);
}

static void
test_events(void)
{
	json_t *r, *o;

	pump(5);
	r = done("event.show", "{\"port\":\"vm1\"}");
	o = json_array_get(r, 0);
	check_member("first", o, "text", "\"added\"");
	CHECK(json_string_length(json_object_get(o, "time")) == strlen("2024-05-01T12:00:00.123Z"));
	o = json_array_get(r, 1);
	CHECK(strncmp(json_string_value(json_object_get(o, "text")), "waiting", 7) == 0);
	json_decref(r);
	for (int i = 0; i < 300; i++)
		eventlog_add(rig.sw.events, NULL, "line %d", i);
	r = done("event.show", "{}");
	CHECK(json_array_size(r) == 256);
	check_member("the oldest", json_array_get(r, 0), "text", "\"line 44\"");
	check_member("the newest", json_array_get(r, 255), "text", "\"line 299\"");
	o = json_object_get(json_array_get(r, 253), "number");
	json_decref(done("event.show", "{\"after\":5}"));
	json_decref(r);
}

int
main(void)
{
	char *eal[] = { "rpc_switch_test", "--no-huge", "--no-shconf", "--no-pci", "-m", "256",
			"--file-prefix", NULL, "--log-level", "ferry.*:critical",
			"--log-level", "lib.vhost.*:critical" };
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "ferry-test-%d", (int)getpid());
	eal[7] = prefix;
	CHECK(mkdtemp(folder) != NULL);
	if (rte_eal_init(RTE_DIM(eal), eal) < 0)
		return 1;
	rig_start();
	test_descriptors();
	test_ports();
	test_refusals();
	test_device();
	test_fdb();
	test_stats();
	test_capture();
	test_log();
	test_fdb_events();
	test_events();
	rpc_switch_config_test();
	rpc_switch_telemetry_test();
	rpc_switch_migration_test();
	rig_stop();
	rte_eal_cleanup();
	CHECK(rmdir(folder) == 0);
	return check_done("rpc_switch");
}
