/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration on a real switch: what is saved comes back, and a load that fails changes
 * nothing. */
#include "rpc_switch_rig.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define VM1 "{\"name\":\"vm1\",\"type\":\"vhost-user\",\"socket\":\"@/vm1.sock\"}"
#define VM2 "{\"name\":\"vm2\",\"type\":\"vhost-user\",\"socket\":\"@/vm2.sock\"," \
	"\"role\":\"client\",\"queues\":2,\"mtu\":9000,\"group\":\"blue\"}"
#define VM3 "{\"name\":\"vm3\",\"type\":\"vhost-user\",\"socket\":\"@/vm3.sock\"}"
#define NOW "{\"rpc\":{\"socket\":\"/run/x.sock\"}," \
	"\"log\":{\"levels\":{\"ferry.rpc\":\"debug\",\"ferry.po*\":\"error\"}}," \
	"\"fdb\":{\"age\":17,\"quota\":98,\"entries\":[" \
	"{\"mac\":\"52:54:00:00:00:01\",\"vlan\":0,\"port\":\"vm1\"}," \
	"{\"mac\":\"52:54:00:00:00:02\",\"vlan\":7,\"port\":\"vm2\"}]}," \
	"\"park\":{\"bytes\":1000000,\"timeout\":900},\"ports\":[" VM1 "," VM2 "]}"

static void
check_config(const char *story, const char *expected)
{
	json_t *r = done("config.show", "{}");

	check_json(story, r, expected);
	json_decref(r);
}

static void
test_save(void)
{
	char path[128], text[16] = "";
	struct stat st;
	int fd;

	does("park.set", "{\"bytes\":1000000,\"timeout\":900}");
	check_config("what runs", NOW);
	does("config.save", "{\"file\":\"@/c.json\"}");
	snprintf(path, sizeof(path), "%s/c.json", folder);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0644);
	CHECK(chmod(path, 0600) == 0);
	does("config.save", "{\"file\":\"@/c.json\"}");
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	fd = open(path, O_RDONLY);
	CHECK(read(fd, text, 4) == 4);
	CHECK_STR("for people to read", text, "{\n  ");
	close(fd);

	does("port.del", "{\"name\":\"vm1\"}");
	does("fdb.add", "{\"mac\":\"52:54:00:00:00:05\",\"port\":\"vm2\"}");
	does("fdb.set", "{\"age\":1,\"quota\":1}");
	does("park.set", "{\"bytes\":0}");
	does("port.add", "{\"name\":\"vm3\",\"type\":\"vhost-user\",\"socket\":\"@/vm3.sock\"}");
	does("config.load", "{\"file\":\"@/c.json\"}");
	check_config("the saved state is back", NOW);
}

static void
check_refused(const char *params, const char *message)
{
	struct rpc_error err = { 0 };
	json_t *r = NULL;

	CHECK(call("peer.set", params, &r, &err) < 0);
	CHECK(strstr(err.message, message) != NULL);
	json_decref(r);
}

/* A key is saved, for its owner only, and never shown. */
static void
test_key(void)
{
	json_t *shown, *saved, *list;
	char path[128], *keep;
	struct stat st;

	does("peer.set", "{\"listen\":\"unix:@/peer\",\"peers\":[\"unix:@/other\"],"
	     "\"key\":\"a key of some length\"}");
	shown = done("config.show", "{}");
	check_member("hidden", shown, "migration.key", "\"(not shown)\"");
	json_decref(shown);
	does("config.save", "{\"file\":\"@/key.json\"}");
	snprintf(path, sizeof(path), "%s/key.json", folder);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	saved = json_load_file(path, 0, NULL);
	keep = strdup(path);
	check_member("saved", saved, "migration.key", "\"a key of some length\"");
	check_member("saved", saved, "migration.peers", "[\"unix:@/other\"]");
	json_decref(saved);
	list = done("peer.show", "{}");
	check_member("called", json_array_get(list, 0), "address", "\"unix:@/other\"");
	check_member("called", json_array_get(list, 0), "state", "\"waiting\"");
	json_decref(list);

	check_refused("{\"listen\":\"unix:@/no/where\",\"key\":\"a key of some length\"}",
		      "/no/where: No such file or directory");
	snprintf(path, sizeof(path), "%s/peer", folder);
	CHECK(stat(path, &st) == 0); /* as it was before */
	does("peer.set", "{}");
	CHECK(stat(path, &st) < 0);
	does("config.load", "{\"file\":\"@/key.json\"}");
	CHECK(stat(path, &st) == 0);
	CHECK(unlink(keep) == 0);
	free(keep);
	file_write("{\"migration\":{}}");
	does("config.load", "{\"file\":\"@/c.json\"}");
	CHECK(stat(path, &st) < 0);
	snprintf(path, sizeof(path), "%s/c.json", folder);
	CHECK(unlink(path) == 0);
}

/* A port that is as the file says is not touched: its number and its history stay. */
static void
test_untouched(void)
{
	struct port *vm2 = port_find(rig.sw.ports, "vm2");
	uint16_t number = port_number(vm2);

	file_write("{\"ports\":[" VM3 "," VM2 "]}");
	does("config.load", "{\"file\":\"@/c.json\"}");
	CHECK(port_find(rig.sw.ports, "vm2") == vm2 && port_number(vm2) == number);
	CHECK(port_find(rig.sw.ports, "vm1") == NULL && port_find(rig.sw.ports, "vm3") != NULL);
	file_write(NOW);
	does("config.load", "{\"file\":\"@/c.json\"}");
	CHECK(port_find(rig.sw.ports, "vm2") == vm2);
	check_config("as before", NOW);
}

static void
check_workers(const char *story, const char *expected)
{
	json_t *r = done("config.show", "{}");
	json_t *vm2 = json_array_get(json_object_get(r, "ports"), 1);

	check_member(story, vm2, "workers", expected);
	json_decref(r);
}

/* Where queues were moved to is configuration: saved, loaded live, and undone with a bad load. */
static void
test_workers(void)
{
	struct port *vm2 = port_find(rig.sw.ports, "vm2");
	struct rpc_error err = { 0 };
	json_t *result = NULL;

	does("queue.move", "{\"port\":\"vm2\",\"ring\":3,\"worker\":1}");
	check_workers("moved before the guest has started it", "[null,1]");
	does("config.save", "{\"file\":\"@/c.json\"}");
	does("queue.move", "{\"port\":\"vm2\",\"ring\":1,\"worker\":1}");
	does("queue.move", "{\"port\":\"vm2\",\"ring\":3,\"worker\":0}");
	check_workers("both", "[1,0]");
	CHECK(park_open(rig.sw.parks, 5) == 0);
	park_begin(rig.sw.parks, 5, 0, 1);
	CHECK(call("queue.move", "{\"port\":\"vm2\",\"ring\":1,\"worker\":0}", &result, &err) < 0);
	CHECK_STR("kept", err.message, "frames are kept for a migrating guest");
	check_workers("nothing has moved", "[1,0]");
	park_forget(rig.sw.parks, 5);
	does("config.load", "{\"file\":\"@/c.json\"}");
	check_workers("as saved", "[null,1]");
	CHECK(port_find(rig.sw.ports, "vm2") == vm2);
	does("port.del", "{\"name\":\"vm2\"}");
	does("config.load", "{\"file\":\"@/c.json\"}");
	check_workers("a port that comes anew", "[null,1]");
	vm2 = port_find(rig.sw.ports, "vm2");
	file_write("{\"ports\":[" VM1 ",{\"name\":\"vm2\",\"type\":\"vhost-user\","
		   "\"socket\":\"@/vm2.sock\",\"role\":\"client\",\"queues\":2,\"mtu\":9000,"
		   "\"group\":\"blue\",\"workers\":[0,7]}]}");
	CHECK(call("config.load", "{\"file\":\"@/c.json\"}", &result, &err) < 0);
	CHECK_STR("no such worker", err.message, "ports[1].workers: expected 0 to 1, not 7");
	check_workers("nothing has changed", "[null,1]");
	CHECK(port_find(rig.sw.ports, "vm2") == vm2);
	file_write(NOW);
	does("config.load", "{\"file\":\"@/c.json\"}");
	check_config("without a word on workers", NOW);
	CHECK(port_find(rig.sw.ports, "vm2") == vm2);
}

static const struct {
	const char *story, *file, *message;
} bad_loads[] = {
	{ "a wrong member", "{\"ports\":[],\"fbd\":{}}",
	  "fbd: unknown member; did you mean \"fdb\"?" },
	{ "a change that only a start can make", "{\"rpc\":{\"socket\":\"/other\"},\"ports\":[]}",
	  "rpc: cannot change while ferryd runs: start it with this file" },
	{ "workers, which were not given", "{\"workers\":{},\"ports\":[]}",
	  "workers: cannot change while ferryd runs: start it with this file" },
	{ "the last port cannot be added, others have gone and come",
	  "{\"fdb\":{\"age\":5},\"ports\":[" VM3 ","
	  "{\"name\":\"vm4\",\"type\":\"vhost-user\",\"socket\":\"@/plain\"}]}", NULL },
	{ "an entry's port is neither in the file nor here",
	  "{\"fdb\":{\"age\":5,\"entries\":[{\"mac\":\"52:54:00:00:00:01\",\"port\":\"vm9\"}]}}",
	  "fdb.entries[0].port: no port \"vm9\"" },
	{ "the log file cannot be opened, all else has changed",
	  "{\"ports\":["
	  VM3 "],\"fdb\":{\"age\":5,\"entries\":[]},\"log\":{\"file\":\"@/no/f.log\"}}",
	  NULL },
};

static void
test_bad_loads(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/plain", folder);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	for (size_t i = 0; i < RTE_DIM(bad_loads); i++) {
		struct rpc_error err = { 0 };
		json_t *result = NULL;

		file_write(bad_loads[i].file);
		CHECK(call("config.load", "{\"file\":\"@/c.json\"}", &result, &err) < 0);
		if (bad_loads[i].message != NULL)
			CHECK_STR(bad_loads[i].story, err.message, bad_loads[i].message);
		else
			CHECK(strstr(err.message, folder) != NULL && err.member[0] != '\0');
		check_config(bad_loads[i].story, NOW);
	}
	CHECK(unlink(path) == 0);
	snprintf(path, sizeof(path), "%s/c.json", folder);
	CHECK(unlink(path) == 0);
	snprintf(path, sizeof(path), "%s/f.log", folder);
	CHECK(unlink(path) == 0);
}

void
rpc_switch_config_test(void)
{
	test_save();
	test_untouched();
	test_workers();
	test_bad_loads();
	test_key();
}
