/* SPDX-License-Identifier: BSD-3-Clause */
/* The methods on a real switch: what they answer, what they refuse, and that a load that fails
 * changes nothing. */
#include "check.h"
#include "rpc_switch.h"

#include <rte_eal.h>

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/ferry-switch-test-XXXXXX";

static struct rig {
	struct loop *loop;
	struct cross *cross;
	struct swdev_pool *pool;
	struct fdb *fdb;
	struct capture *capture;
	struct config *config;
	struct rpc_switch sw;
} rig;

static void
on_added(void *arg, struct port *p)
{
	eventlog_forget(rig.sw.events, port_number(p));
	eventlog_add(rig.sw.events, port_name(p), "added");
	eventlog_changed(rig.sw.events, port_number(p));
	capture_port_set(rig.capture, port_number(p), port_name(p));
}

static void
on_removed(void *arg, struct port *p)
{
	eventlog_add(rig.sw.events, port_name(p), "removed");
	fdb_port_del(rig.fdb, port_number(p));
	capture_port_set(rig.capture, port_number(p), NULL);
}

static void
on_changed(void *arg, struct port *p)
{
	eventlog_changed(rig.sw.events, port_number(p));
}

static void
rig_start(void)
{
	static const struct port_ops ops = {
		.added = on_added, .removed = on_removed, .changed = on_changed,
	};
	const struct fdb_opts fdb = { .age_s = FDB_AGE_S };
	struct worker_opts workers = { 0 };
	json_t *json = json_pack("{s:{s:s}}", "rpc", "socket", "/run/x.sock");
	struct rpc_error err;

	CHECK(loop_create(&rig.loop) == 0);
	CHECK(cross_create(2, &rig.cross) == 0);
	CHECK(swdev_pool_create(rig.cross, &rig.pool) == 0);
	CHECK(fdb_create(rig.cross, &fdb, &rig.fdb) == 0);
	CHECK(capture_create(rig.cross, &rig.capture) == 0);
	CHECK(eventlog_create(&rig.sw.events) == 0);
	CHECK(ports_create(rig.cross, rig.pool, &ops, NULL, &rig.sw.ports) == 0);
	workers.cross = rig.cross;
	workers.fwd = (struct fwd_opts){
		.cross = rig.cross, .pool = rig.pool, .ports = rig.sw.ports, .fdb = rig.fdb,
		.capture = rig.capture,
	};
	CHECK(worker_set_create(&workers, &rig.sw.workers) == 0);
	CHECK(config_parse(json, &rig.config, &err) == 0);
	CHECK(rpc_create(NULL, NULL, &rig.sw.rpc) == 0);
	rig.sw.loop = rig.loop;
	rig.sw.fdb = rig.fdb;
	rig.sw.capture = rig.capture;
	rig.sw.config = rig.config;
	CHECK(rpc_switch_init(&rig.sw) == 0);
	json_decref(json);
}

static void
rig_stop(void)
{
	uint32_t iter = 0;
	struct port *p;

	rpc_switch_fini(&rig.sw);
	rpc_destroy(rig.sw.rpc);
	while ((p = port_next(rig.sw.ports, &iter)) != NULL)
		port_del(rig.sw.ports, p);
	worker_set_destroy(rig.sw.workers);
	ports_destroy(rig.sw.ports);
	capture_destroy(rig.capture);
	fdb_destroy(rig.fdb);
	swdev_pool_destroy(rig.pool);
	eventlog_destroy(rig.sw.events);
	cross_destroy(rig.cross);
	loop_destroy(rig.loop);
	config_destroy(rig.config);
}

static void
pump(unsigned int ms)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (unsigned int i = 0; i < ms; i++) {
		event_base_loop(loop_base(rig.loop), EVLOOP_NONBLOCK);
		nanosleep(&pause, NULL);
	}
}

/* Every '@' of the text is the folder of this test. */
static json_t *
json_of(const char *text)
{
	char full[4096] = "";
	json_t *json;

	for (size_t n = 0; *text != '\0' && n < sizeof(full) - 1; text++)
		n += (size_t)(*text == '@' ? snprintf(full + n, sizeof(full) - n, "%s", folder) :
			      snprintf(full + n, sizeof(full) - n, "%c", *text));
	json = json_loads(full, JSON_DECODE_ANY, NULL);
	if (json == NULL)
		fprintf(stderr, "no JSON: %s\n", full);
	return json;
}

static int
call(const char *method, const char *params, json_t **result, struct rpc_error *err)
{
	json_t *p = json_of(params);
	int rc = rpc_call(rig.sw.rpc, method, p, result, err);

	json_decref(p);
	return rc;
}

/* The result of a call that has to work; the caller's to free. */
static json_t *
done(const char *method, const char *params)
{
	struct rpc_error err = { 0 };
	json_t *result = NULL;

	CHECK(call(method, params, &result, &err) == 0);
	if (result == NULL)
		fprintf(stderr, "%s %s: %s\n", method, params, err.message);
	return result;
}

static void
does(const char *method, const char *params)
{
	json_decref(done(method, params));
}

static void
check_json(const char *story, json_t *got, const char *expected)
{
	json_t *e = json_of(expected);
	char *g = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	char *t = json_dumps(e, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	CHECK_STR(story, g, t);
	free(g);
	free(t);
	json_decref(e);
}

/* Checks one member of a result, by a path like "rx.frames". */
static void
check_member(const char *story, json_t *object, const char *path, const char *expected)
{
	char key[32];

	for (const char *at = path; object != NULL; at++) {
		size_t len = strcspn(at, ".");

		snprintf(key, sizeof(key), "%.*s", (int)len, at);
		object = json_object_get(object, key);
		at += len;
		if (*at == '\0')
			break;
	}
	check_json(story, object, expected);
}

static const struct {
	const char *method, *params, *message, *member;
	int code;
} refusals[] = {
	{ "port.show", "{\"name\":\"nobody\"}", "name: no port \"nobody\"", "name", -32602 },
	{ "port.show", "{\"name\":\"vm11\"}", "name: no port \"vm11\"; did you mean \"vm1\"?", "name",
	  -32602 },
	{ "port.del", "{\"name\":\"nobody\"}", "name: no port \"nobody\"", "name", -32602 },
	{ "port.add", "{\"name\":\"vm9\",\"type\":\"vhost-user\"}",
	  "socket: missing; the type is vhost-user", "socket", -32602 },
	{ "port.add", "{\"name\":\"vm1\",\"type\":\"vhost-user\",\"socket\":\"/x\"}",
	  "name: there is a port \"vm1\" already", "name", -32000 },
	{ "queue.move", "{\"port\":\"vm1\",\"ring\":1,\"worker\":2}",
	  "worker: expected 0 to 1, not 2", "worker", -32602 },
	{ "queue.move", "{\"port\":\"vm1\",\"ring\":1,\"worker\":1}",
	  "ring: vm1 has no running transmit ring or receive queue 1", "ring", -32000 },
	{ "worker.show", "{\"index\":2}", "index: expected 0 to 1, not 2", "index", -32602 },
	{ "fdb.add", "{\"mac\":\"ff:ff:ff:ff:ff:ff\",\"port\":\"vm1\"}",
	  "mac: expected an address of one station, not \"ff:ff:ff:ff:ff:ff\"", "mac", -32602 },
	{ "fdb.add", "{\"mac\":\"52:54:00:00:00:01\",\"port\":\"vm3\"}",
	  "port: no port \"vm3\"; did you mean \"vm1\"?", "port", -32602 },
	{ "fdb.del", "{\"mac\":\"52:54:00:00:00:99\"}",
	  "mac: 52:54:00:00:00:99 is not known in VLAN 0", "mac", -32000 },
	{ "capture.start", "{\"port\":\"vm1\"}", "file: missing; expected a string of 1 to 4095 "
	  "characters", "file", -32602 },
	{ "capture.stop", "{\"name\":\"nothing\"}", "name: no capture \"nothing\"", "name", -32000 },
	{ "log.set", "{\"type\":\"ferry.prot\",\"level\":\"debug\"}",
	  "type: no log type matches \"ferry.prot\"; did you mean \"ferry.port\"?", "type", -32602 },
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
	json_t *first = done("stats.show", "{\"port\":\"vm1\"}"), *r;

	check_member("no rate yet", first, "rates", "null");
	json_decref(first);
	pump(150);
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
	json_t *r = done("capture.start", "{\"port\":\"vm1\",\"file\":\"@/a.pcapng\",\"direction\":\"rx\","
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
	CHECK(call("capture.start", "{\"port\":\"vm1\",\"file\":\"@/b\",\"filter\":\"no such thing\"}", &r,
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

/* configuration */

static void
file_write(const char *text)
{
	json_t *json = json_of(text);
	char path[128];

	snprintf(path, sizeof(path), "%s/c.json", folder);
	CHECK(json_dump_file(json, path, 0) == 0);
	json_decref(json);
}

#define VM1 "{\"name\":\"vm1\",\"type\":\"vhost-user\",\"socket\":\"@/vm1.sock\"}"
#define VM2 "{\"name\":\"vm2\",\"type\":\"vhost-user\",\"socket\":\"@/vm2.sock\",\"role\":\"client\"," \
	"\"queues\":2,\"mtu\":9000,\"group\":\"blue\"}"
#define VM3 "{\"name\":\"vm3\",\"type\":\"vhost-user\",\"socket\":\"@/vm3.sock\"}"
#define NOW "{\"rpc\":{\"socket\":\"/run/x.sock\"}," \
	"\"log\":{\"levels\":{\"ferry.rpc\":\"debug\",\"ferry.po*\":\"error\"}}," \
	"\"fdb\":{\"age\":17,\"quota\":98,\"entries\":[" \
	"{\"mac\":\"52:54:00:00:00:01\",\"vlan\":0,\"port\":\"vm1\"}," \
	"{\"mac\":\"52:54:00:00:00:02\",\"vlan\":7,\"port\":\"vm2\"}]}," \
	"\"ports\":[" VM1 "," VM2 "]}"

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
	does("port.add", "{\"name\":\"vm3\",\"type\":\"vhost-user\",\"socket\":\"@/vm3.sock\"}");
	does("config.load", "{\"file\":\"@/c.json\"}");
	check_config("the saved state is back", NOW);
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

static const struct {
	const char *story, *file, *message;
} bad_loads[] = {
	{ "a wrong member", "{\"ports\":[],\"fbd\":{}}", "fbd: unknown member; did you mean \"fdb\"?" },
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
	  "{\"ports\":[" VM3 "],\"fdb\":{\"age\":5,\"entries\":[]},\"log\":{\"file\":\"@/no/f.log\"}}",
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

/* telemetry */

static int
telemetry_fd(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s/dpdk_telemetry.v2",
		 rte_eal_get_runtime_dir());
	CHECK(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return fd;
}

/* What a client of DPDK's socket gets, while control runs its loop. */
static void
ask(int fd, const char *command, char *out, size_t size)
{
	ssize_t n = -1;

	CHECK(send(fd, command, strlen(command), 0) > 0);
	for (int i = 0; i < 5000 && n < 0; i++) {
		pump(1);
		n = recv(fd, out, size - 1, MSG_DONTWAIT);
	}
	out[n > 0 ? n : 0] = '\0';
}

static void
test_telemetry(void)
{
	int fd = telemetry_fd();
	static char text[65536];
	json_t *r;

	CHECK(recv(fd, text, sizeof(text), 0) > 0);
	ask(fd, "/ferry/port/list", text, sizeof(text));
	CHECK_STR("ports", text, "{\"/ferry/port/list\":[\"vm1\",\"vm2\"]}");
	ask(fd, "/ferry/worker/list", text, sizeof(text));
	CHECK_STR("workers", text, "{\"/ferry/worker/list\":[0,1]}");
	ask(fd, "/ferry/port/stats,vm1", text, sizeof(text));
	r = json_loads(text, 0, NULL);
	check_member("counters", json_object_get(r, "/ferry/port/stats"), "rx.frames", "0");
	check_member("drops", json_object_get(r, "/ferry/port/stats"), "drops.no_desc", "0");
	json_decref(r);
	ask(fd, "/ferry/port/info,vm2", text, sizeof(text));
	r = json_loads(text, 0, NULL);
	check_member("state", json_object_get(r, "/ferry/port/info"), "state", "\"waiting\"");
	json_decref(r);
	ask(fd, "/ferry/worker/stats,1", text, sizeof(text));
	r = json_loads(text, 0, NULL);
	check_member("worker", json_object_get(r, "/ferry/worker/stats"), "index", "1");
	json_decref(r);
	ask(fd, "/ferry/fdb/stats", text, sizeof(text));
	r = json_loads(text, 0, NULL);
	check_member("fdb", json_object_get(r, "/ferry/fdb/stats"), "static", "2");
	json_decref(r);
	ask(fd, "/ferry/port/stats", text, sizeof(text));
	CHECK_STR("no name", text, "{\"/ferry/port/stats\":null}");
	ask(fd, "/ferry/port/stats,nobody", text, sizeof(text));
	CHECK_STR("no such port", text, "{\"/ferry/port/stats\":null}");
	close(fd);
}

/* Control does not answer: the client gets nothing, soon, and later ones are served. */
static void
test_telemetry_alone(void)
{
	int fd = telemetry_fd(), other = telemetry_fd();
	char text[16384];
	ssize_t n;

	CHECK(recv(fd, text, sizeof(text), 0) > 0 && recv(other, text, sizeof(text), 0) > 0);
	CHECK(send(fd, "/ferry/port/list", 16, 0) == 16);
	CHECK(send(other, "/ferry/port/list", 16, 0) == 16);
	n = recv(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	CHECK_STR("control is busy", text, "{\"/ferry/port/list\":null}");
	n = recv(other, text, sizeof(text) - 1, 0);
	ask(fd, "/ferry/port/list", text, sizeof(text));
	CHECK_STR("control is back", text, "{\"/ferry/port/list\":[\"vm1\",\"vm2\"]}");
	close(fd);
	close(other);
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
	test_ports();
	test_refusals();
	test_fdb();
	test_stats();
	test_capture();
	test_log();
	test_events();
	test_save();
	test_untouched();
	test_bad_loads();
	test_telemetry();
	test_telemetry_alone();
	rig_stop();
	rte_eal_cleanup();
	CHECK(rmdir(folder) == 0);
	return check_done("rpc_switch");
}
