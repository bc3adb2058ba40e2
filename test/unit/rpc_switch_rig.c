/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_switch_rig.h"

#include <event2/event.h>
#include <time.h>

char folder[] = "/tmp/ferry-switch-test-XXXXXX";
struct rig rig;

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
	migrations_port_del(rig.sw.migrations, port_number(p));
	capture_port_set(rig.capture, port_number(p), NULL);
}

static void
on_changed(void *arg, struct port *p)
{
	eventlog_changed(rig.sw.events, port_number(p));
}

static void
on_look(void *arg, uint16_t port, struct migration_look *out)
{
	*out = rig.look;
}

static void
on_park(void *arg)
{
}

static void
on_park_closed(void *arg, uint16_t port, uint16_t heir)
{
}

void
rig_start(void)
{
	static const struct port_ops ops = {
		.added = on_added, .removed = on_removed, .changed = on_changed,
	};
	static const struct peer_ops peer_ops;
	static const struct park_ops park_ops = { .wanted = on_park, .closed = on_park_closed };
	const struct park_opts parks = { .bytes = PARK_BYTES, .timeout_ms = PARK_TIMEOUT_MS };
	const struct fdb_opts fdb = { .age_s = FDB_AGE_S };
	struct migration_opts migrations = { .hz = 1000000000, .look = on_look };
	struct worker_opts workers = { 0 };
	json_t *json = json_pack("{s:{s:s}}", "rpc", "socket", "/run/x.sock");
	struct rpc_error err;

	CHECK(loop_create(&rig.loop) == 0);
	CHECK(cross_create(2, &rig.cross) == 0);
	CHECK(swdev_pool_create(rig.cross, &rig.pool) == 0);
	CHECK(fdb_create(rig.cross, &fdb, &rig.fdb) == 0);
	CHECK(capture_create(rig.cross, &rig.capture) == 0);
	CHECK(eventlog_create(&rig.sw.events) == 0);
	migrations.cross = rig.cross;
	migrations.loop = rig.loop;
	CHECK(migrations_create(&migrations, &rig.sw.migrations) == 0);
	CHECK(ports_create(rig.cross, rig.pool, &ops, NULL, &rig.sw.ports) == 0);
	CHECK(peer_set_create(rig.loop, &peer_ops, NULL, &rig.sw.peers) == 0);
	CHECK(park_set_create(rig.cross, &parks, &park_ops, NULL, &rig.sw.parks) == 0);
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

void
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
	peer_set_destroy(rig.sw.peers);
	park_set_destroy(rig.sw.parks);
	capture_destroy(rig.capture);
	fdb_destroy(rig.fdb);
	swdev_pool_destroy(rig.pool);
	migrations_destroy(rig.sw.migrations);
	eventlog_destroy(rig.sw.events);
	cross_destroy(rig.cross);
	loop_destroy(rig.loop);
	config_destroy(rig.config);
}

void
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

int
call(const char *method, const char *params, json_t **result, struct rpc_error *err)
{
	json_t *p = json_of(params);
	int rc = rpc_call(rig.sw.rpc, method, p, result, err);

	json_decref(p);
	return rc;
}

/* The result of a call that has to work; the caller's to free. */
json_t *
done(const char *method, const char *params)
{
	struct rpc_error err = { 0 };
	json_t *result = NULL;

	CHECK(call(method, params, &result, &err) == 0);
	if (result == NULL)
		fprintf(stderr, "%s %s: %s\n", method, params, err.message);
	return result;
}

void
does(const char *method, const char *params)
{
	json_decref(done(method, params));
}

void
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
void
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

void
file_write(const char *text)
{
	json_t *json = json_of(text);
	char path[128];

	snprintf(path, sizeof(path), "%s/c.json", folder);
	CHECK(json_dump_file(json, path, 0) == 0);
	json_decref(json);
}
