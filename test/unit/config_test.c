/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration's checks: what is wrong names itself and what was expected. */
#include "check.h"
#include "config.h"
#include "fdb.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define VM(name, more) "{\"name\":\"" name "\",\"type\":\"vhost-user\",\"socket\":\"/x/" name "\"" \
	more "}"
#define PORTS(list) "{\"ports\":[" list "]}"
#define CPUS(list) "{\"workers\":{\"cpus\":\"" list "\"}}"
#define CPUS_BAD(list) "workers.cpus: expected a list of CPUs that this process may use, " \
	"as \"1,3-5\", not \"" list "\""
#define ENTRY(mac, port) "{\"mac\":\"" mac "\",\"port\":\"" port "\"}"
#define ENTRIES(list) "{\"ports\":[" VM("vm1", "") "],\"fdb\":{\"entries\":[" list "]}}"

static const struct {
	const char *story, *json, *message, *member;
} rows[] = {
	{ "not an object", "[]", "expected an object, not []", "" },
	{ "unknown section", "{\"portz\":[]}", "portz: unknown member; did you mean \"ports\"?",
	  "portz" },
	{ "memory that no park may have", "{\"park\":{\"bytes\":1073741825}}",
	  "park.bytes: expected an integer from 0 to 1073741824, not 1073741825", "park.bytes" },
	{ "no time to move", "{\"park\":{\"timeout\":0}}",
	  "park.timeout: expected an integer from 1 to 600000, not 0", "park.timeout" },
	{ "peers without a key", "{\"migration\":{\"listen\":\"0.0.0.0:4798\"}}",
	  "migration.key: missing: without a key, here or in \"key_file\", nobody is a peer",
	  "migration.key" },
	{ "a key that is too short", "{\"migration\":{\"key\":\"123456789012345\"}}",
	  "migration.key: expected a key of 16 to 1024 bytes", "migration.key" },
	{ "a key that was shown", "{\"migration\":{\"key\":\"(not shown)\"}}",
	  "migration.key: expected a key of 16 to 1024 bytes", "migration.key" },
	{ "two keys", "{\"migration\":{\"key\":\"1234567890123456\",\"key_file\":\"/x\"}}",
	  "migration.key_file: there is \"key\" already", "migration.key_file" },
	{ "no file with a key", "{\"migration\":{\"key_file\":\"/nowhere/x\"}}",
	  "migration.key_file: /nowhere/x: No such file or directory", "migration.key_file" },
	{ "an empty file for a key", "{\"migration\":{\"key_file\":\"/dev/null\"}}",
	  "migration.key_file: /dev/null: expected a key of 16 to 1024 bytes",
	  "migration.key_file" },
	{ "listens on no address", "{\"migration\":{\"listen\":\"4798\"}}",
	  "migration.listen: expected an address as \"10.0.0.2:4798\", \"[fe80::1]:4798\" or "
	  "\"unix:/run/ferry/peer\", not \"4798\"", "migration.listen" },
	{ "a peer that is no address", "{\"migration\":{\"peers\":[\"10.0.0.2:4798\",\"host\"]}}",
	  "migration.peers[1]: expected an address as \"10.0.0.2:4798\", \"[fe80::1]:4798\" or "
	  "\"unix:/run/ferry/peer\", not \"host\"", "migration.peers[1]" },
	{ "a park of the wrong kind", "{\"park\":true}", "park: expected an object, not true",
	  "park" },
	{ "far from any section", "{\"zzzzzz\":1}",
	  "zzzzzz: unknown member; known are rpc, workers, ports, fdb, park, migration, log, eal, privileges",
	  "zzzzzz" },
	{ "section of a wrong type", "{\"ports\":{}}", "ports: expected an array, not {}",
	  "ports" },
	{ "an uplink that is nobody", PORTS(VM("vm1", ",\"vdpa\":\"vd0\",\"uplink\":\"up0\"")),
	  "ports[0].uplink: expected a port of this file, not \"up0\"", "ports[0].uplink" },
	{ "an uplink that comes later", PORTS(VM("vm1", ",\"vdpa\":\"vd0\",\"uplink\":\"up0\"") ","
	  VM("up0", "") "," VM("vm2", ",\"uplink\":\"up0\"")),
	  "ports[2].uplink: not expected: \"vdpa\" names no device", "ports[2].uplink" },
	{ "a choice without a device", PORTS(VM("vm1", ",\"provider\":\"hw\"")),
	  "ports[0].provider: not expected: \"vdpa\" names no device", "ports[0].provider" },
	{ "eal is text", "{\"eal\":[]}", "eal: expected a string, not []", "eal" },

	{ "rpc: type", "{\"rpc\":{\"socket\":7}}",
	  "rpc.socket: expected a string of 1 to 107 characters, not 7", "rpc.socket" },
	{ "rpc: unknown", "{\"rpc\":{\"sokcet\":\"x\"}}",
	  "rpc.sokcet: unknown member; did you mean \"socket\"?", "rpc.sokcet" },
	{ "rpc: mode is octal", "{\"rpc\":{\"mode\":\"0680\"}}",
	  "rpc.mode: expected a mode in octal as \"0660\", not \"0680\"", "rpc.mode" },
	{ "rpc: mode is no number", "{\"rpc\":{\"mode\":432}}",
	  "rpc.mode: expected a string, not 432",
	  "rpc.mode" },
	{ "rpc: group", "{\"rpc\":{\"group\":\"no such group\"}}",
	  "rpc.group: expected a group of this system, not \"no such group\"", "rpc.group" },

	{ "cpus: a word", CPUS("one"), CPUS_BAD("one"), "workers.cpus" },
	{ "cpus: not there", CPUS("4095"), CPUS_BAD("4095"), "workers.cpus" },
	{ "cpus: empty", CPUS(""), CPUS_BAD(""), "workers.cpus" },
	{ "cpus: twice", CPUS("0,0"), CPUS_BAD("0,0"), "workers.cpus" },
	{ "cpus: backwards", CPUS("1-0"), CPUS_BAD("1-0"), "workers.cpus" },
	{ "cpus: a comma too many", CPUS("0,"), CPUS_BAD("0,"), "workers.cpus" },
	{ "cpus: negative", CPUS("-1"), CPUS_BAD("-1"), "workers.cpus" },
	{ "cpus: very large", CPUS("0-99999999999999999999"), CPUS_BAD("0-99999999999999999999"),
	  "workers.cpus" },
	{ "cpus: a number", "{\"workers\":{\"cpus\":1}}", "workers.cpus: expected a string, not 1",
	  "workers.cpus" },

	{ "port: a worker that the CPUs do not give",
	  "{\"workers\":{\"cpus\":\"0\"},\"ports\":[{\"name\":\"a\",\"type\":\"vhost-user\","
	  "\"socket\":\"/a\",\"workers\":[null,1]}]}",
	  "ports[0].workers[1]: expected 0 to 0, by workers.cpus, not 1", "ports[0].workers[1]" },
	{ "port: no object", PORTS("5"), "ports[0]: expected an object, not 5", "ports[0]" },
	{ "port: no name", PORTS("{\"type\":\"vhost-user\",\"socket\":\"/x\"}"),
	  "ports[0].name: missing; expected a string of 1 to 31 characters", "ports[0].name" },
	{ "port: no type", PORTS("{\"name\":\"vm1\",\"socket\":\"/x\"}"),
	  "ports[0].type: missing; expected \"vhost-user\" or \"ethdev\"", "ports[0].type" },
	{ "port: wrong type", PORTS("{\"name\":\"vm1\",\"type\":\"vhost-usr\"}"),
	  "ports[0].type: expected \"vhost-user\" or \"ethdev\", not \"vhost-usr\"",
	  "ports[0].type" },
	{ "port: no socket", PORTS("{\"name\":\"vm1\",\"type\":\"vhost-user\"}"),
	  "ports[0].socket: missing; the type is vhost-user", "ports[0].socket" },
	{ "port: socket of a wrong type",
	  PORTS(VM("vm1", "") "," VM("vm2",
	  "") ",{\"name\":\"a\",\"type\":\"vhost-user\",\"socket\":5}"),
	  "ports[2].socket: expected a string of 1 to 107 characters, not 5", "ports[2].socket" },
	{ "port: role", PORTS(VM("vm1", ",\"role\":\"sever\"")),
	  "ports[0].role: expected \"server\" or \"client\", not \"sever\"", "ports[0].role" },
	{ "port: no queue", PORTS(VM("vm1", ",\"queues\":0")),
	  "ports[0].queues: expected an integer from 1 to 128, not 0", "ports[0].queues" },
	{ "port: queues as text", PORTS(VM("vm1", ",\"queues\":\"4\"")),
	  "ports[0].queues: expected an integer from 1 to 128, not \"4\"", "ports[0].queues" },
	{ "port: mtu", PORTS(VM("vm1", ",\"mtu\":-1")),
	  "ports[0].mtu: expected an integer from 0 to 65535, not -1", "ports[0].mtu" },
	{ "port: name with a space",
	  PORTS("{\"name\":\"a b\",\"type\":\"vhost-user\",\"socket\":\"/x\"}"),
	  "ports[0].name: expected letters, digits, '-', '_' and '.', not \"a b\"",
	  "ports[0].name" },
	{ "port: mode", PORTS(VM("vm1", ",\"socket_mode\":\"rw\"")),
	  "ports[0].socket_mode: expected a mode in octal as \"0660\", not \"rw\"",
	  "ports[0].socket_mode" },
	{ "port: the same name", PORTS(VM("v",
	  "") ",{\"name\":\"v\",\"type\":\"ethdev\",\"devargs\":\"x\"}"),
	  "ports[1].name: v is that of ports[0] already", "ports[1].name" },
	{ "port: the same socket", PORTS(VM("v", "") ",{\"name\":\"w\",\"type\":\"vhost-user\","
	  "\"socket\":\"/x/v\"}"), "ports[1].socket: /x/v is that of ports[0] already",
	  "ports[1].socket" },
	{ "port: no device", PORTS("{\"name\":\"up0\",\"type\":\"ethdev\"}"),
	  "ports[0].devargs: missing; the type is ethdev", "ports[0].devargs" },
	{ "port: a member of the other type", PORTS(VM("vm1", ",\"devargs\":\"net_null0\"")),
	  "ports[0].devargs: not expected: the type is vhost-user", "ports[0].devargs" },
	{ "port: a role for a device",
	  PORTS("{\"name\":\"up0\",\"type\":\"ethdev\",\"devargs\":\"x\",\"role\":\"client\"}"),
	  "ports[0].role: not expected: the type is ethdev", "ports[0].role" },

	{ "fdb: age", "{\"fdb\":{\"age\":-1}}",
	  "fdb.age: expected an integer from 0 to 1000000, not -1", "fdb.age" },
	{ "fdb: quota", "{\"fdb\":{\"quota\":0}}",
	  "fdb.quota: expected an integer from 1 to 1000000, not 0", "fdb.quota" },
	{ "entry: address", ENTRIES(ENTRY("52:54:00:00:00", "vm1")),
	  "fdb.entries[0].mac: expected an address as \"52:54:00:00:00:01\", "
	  "not \"52:54:00:00:00\"",
	  "fdb.entries[0].mac" },
	{ "entry: group address", ENTRIES(ENTRY("01:00:5e:00:00:01", "vm1")),
	  "fdb.entries[0].mac: expected an address of one station, not \"01:00:5e:00:00:01\"",
	  "fdb.entries[0].mac" },
	{ "entry: port", ENTRIES(ENTRY("52:54:00:00:00:01", "vm2")),
	  "fdb.entries[0].port: expected a port of this file, not \"vm2\"", "fdb.entries[0].port" },
	{ "entry: VLAN", ENTRIES("{\"mac\":\"52:54:00:00:00:01\",\"port\":\"vm1\",\"vlan\":4095}"),
	  "fdb.entries[0].vlan: expected an integer from 0 to 4094, not 4095",
	  "fdb.entries[0].vlan" },
	{ "entry: twice", ENTRIES(ENTRY("52:54:00:00:00:0a", "vm1") "," ENTRY("52:54:00:00:00:0A",
	  "vm1")),
	  "fdb.entries[1].mac: 52:54:00:00:00:0a in VLAN 0 is that of fdb.entries[0] already",
	  "fdb.entries[1].mac" },

	{ "log: level", "{\"log\":{\"levels\":{\"ferry.*\":\"loud\"}}}",
	  "log.levels.ferry.*: expected \"emerg\", \"alert\", \"critical\", \"error\", "
	  "\"warning\", \"notice\", \"info\" or \"debug\", not \"loud\"", "log.levels.ferry.*" },
	{ "log: file", "{\"log\":{\"file\":\"\"}}",
	  "log.file: expected a string of 1 to 4095 characters, not \"\"", "log.file" },
};

static void
test_bad(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *json = json_loads(rows[i].json, 0, NULL);
		struct rpc_error err = { 0 };
		struct config *c = NULL;

		CHECK(json != NULL);
		CHECK(config_parse(json, &c, &err) == -EINVAL && c == NULL);
		CHECK_STR(rows[i].story, err.message, rows[i].message);
		CHECK_STR(rows[i].story, err.member, rows[i].member);
		json_decref(json);
	}
}

static void
test_good(void)
{
	json_t *json = json_loads(
		"{\"rpc\":{\"socket\":\"/run/f.sock\",\"mode\":\"0660\",\"group\":\"0\"},"
		"\"eal\":\"--no-pci\","
		"\"ports\":[" VM("vm1", ",\"queues\":128,\"role\":\"client\",\"mtu\":9000") "],"
		"\"fdb\":{\"age\":0,\"quota\":7,\"entries\":[" ENTRY("52:54:00:00:00:01",
			"vm1") "]},"
		"\"log\":{\"file\":\"/f.log\",\"levels\":{\"ferry.*\":\"debug\"}}}", 0, NULL);
	json_t *none = json_object();
	struct rpc_error err;
	struct config *c;

	CHECK(config_parse(json, &c, &err) == 0);
	CHECK_STR("socket", c->rpc_socket, "/run/f.sock");
	CHECK(c->rpc_mode == 0660 && c->rpc_group == 0);
	CHECK_STR("eal", c->eal, "--no-pci");
	CHECK(c->fdb_age_s == 0 && c->fdb_quota == 7);
	CHECK_STR("log", c->log.file, "/f.log");
	json_decref(json);
	config_destroy(c);

	CHECK(config_parse(none, &c, &err) == 0);
	CHECK(c->rpc_socket == NULL && c->rpc_mode == 0 && c->rpc_group == (gid_t)-1);
	CHECK(c->n_cpus == 0 && c->eal == NULL && c->log.file == NULL);
	CHECK(c->fdb_age_s == FDB_AGE_S && c->fdb_quota == FDB_QUOTA);
	json_decref(none);
	config_destroy(c);
	config_destroy(NULL);
}

static void
check_file(const char *story, const char *text, int expected, const char *message)
{
	char path[] = "/tmp/ferry-config-test-XXXXXX", full[300];
	struct rpc_error err = { 0 };
	json_t *json = NULL;
	int fd = mkstemp(path);

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	CHECK(config_read(path, &json, &err) == expected);
	if (message != NULL) {
		snprintf(full, sizeof(full), "%s: %s", path, message);
		CHECK_STR(story, err.message, full);
	}
	json_decref(json);
	unlink(path);
}

static void
test_files(void)
{
	struct rpc_error err = { 0 };
	json_t *json;

	check_file("an object", "{\n}\n", 0, NULL);
	check_file("cut", "{", -EINVAL,
		   "line 1 column 1: string or '}' expected near end of file");
	check_file("a comma too many", "{\n  \"ports\": [],\n}\n", -EINVAL,
		   "line 3 column 1: string or '}' expected near '}'");
	check_file("a section twice", "{\"ports\": [],\n\"ports\": []}\n", -EINVAL,
		   "line 2 column 7: duplicate object key near '\"ports\"'");
	check_file("empty", "", -EINVAL, "line 1 column 0: unexpected token near end of file");
	CHECK(config_read("/nowhere/ferry.json", &json, &err) == -ENOENT);
	CHECK_STR("no file", err.message, "/nowhere/ferry.json: No such file or directory");
}

/* With CPUs that this process may use, whichever these are. */
static void
test_cpus(void)
{
	int cpus[CONFIG_CPUS_MAX], all[CPU_SETSIZE], n = 0;
	struct rpc_error err;
	struct config *c;
	cpu_set_t allowed;
	char text[64];
	json_t *json;

	CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &allowed))
			all[n++] = i;
	snprintf(text, sizeof(text), "%d-%d", all[0], all[0]);
	CHECK(config_cpus(text, cpus) == 1 && cpus[0] == all[0]);
	json = json_pack("{s:{s:s}}", "workers", "cpus", text);
	CHECK(config_parse(json, &c, &err) == 0 && c->n_cpus == 1 && c->cpus[0] == all[0]);
	config_destroy(c);
	json_decref(json);
	if (n < 2)
		return;
	snprintf(text, sizeof(text), "%d,%d", all[1], all[0]);
	CHECK(config_cpus(text, cpus) == 2 && cpus[0] == all[1] && cpus[1] == all[0]);
}

int
main(void)
{
	test_bad();
	test_good();
	test_files();
	test_cpus();
	return check_done("config");
}
