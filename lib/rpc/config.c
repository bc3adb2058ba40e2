/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"
#include "fdb_rpc.h"
#include "log.h"
#include "owner.h"
#include "park_rpc.h"
#include "peer_rpc.h"
#include "port_rpc.h"
#include "rpc_param.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_LEVELS "emerg|alert|critical|error|warning|notice|info|debug"

const char *const config_start_only[] = { "rpc", "workers", "eal", "privileges", NULL };

static const struct rpc_param top_rows[] = {
	{ "rpc", RPC_OBJECT },
	{ "workers", RPC_OBJECT },
	{ "ports", RPC_ARRAY },
	{ "fdb", RPC_OBJECT },
	{ "park", RPC_OBJECT },
	{ "migration", RPC_OBJECT },
	{ "log", RPC_OBJECT },
	{ "eal", RPC_STRING },
	{ "privileges", RPC_STRING, .choices = "drop|keep" },
	{ 0 },
};

static const struct rpc_param rpc_rows[] = {
	{ "socket", RPC_STRING, .min = 1, .max = 107 },
	{ "mode", RPC_STRING },
	{ "group", RPC_STRING },
	{ 0 },
};

static const struct rpc_param workers_rows[] = {
	{ "cpus", RPC_STRING },
	{ 0 },
};

static const struct rpc_param fdb_rows[] = {
	{ "age", RPC_INT, .min = 0, .max = CONFIG_AGE_MAX },
	{ "quota", RPC_INT, .min = 1, .max = CONFIG_QUOTA_MAX },
	{ "entries", RPC_ARRAY },
	{ 0 },
};

static const struct rpc_param log_rows[] = {
	{ "file", RPC_STRING, .min = 1, .max = 4095 },
	{ "levels", RPC_OBJECT },
	{ 0 },
};

int
config_read(const char *path, json_t **out, struct rpc_error *err)
{
	FILE *f = fopen(path, "re");
	json_error_t at;

	if (f == NULL)
		return rpc_fail(err, -errno, NULL, "%s: %s", path, strerror(errno));
	*out = json_loadf(f, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
	fclose(f);
	if (*out == NULL)
		return rpc_fail(err, -EINVAL, NULL, "%s: line %d column %d: %s", path, at.line,
				at.column, at.text);
	return 0;
}

static int
range_take(long first, long last, const cpu_set_t *allowed, int *cpus, int n)
{
	for (long c = first; c <= last; c++) {
		if (c >= CPU_SETSIZE || !CPU_ISSET((int)c, allowed) || n == CONFIG_CPUS_MAX)
			return -EINVAL;
		for (int i = 0; i < n; i++)
			if (cpus[i] == c)
				return -EINVAL;
		cpus[n++] = (int)c;
	}
	return n;
}

static long
number_take(const char **at)
{
	char *end;
	long n;

	if (**at < '0' || **at > '9')
		return -EINVAL;
	n = strtol(*at, &end, 10);
	*at = end;
	return n;
}

int
config_cpus(const char *list, int *cpus)
{
	cpu_set_t allowed;
	int n = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	for (const char *at = list; n >= 0; at++) {
		long first = number_take(&at), last = first;

		if (*at == '-') {
			at++;
			last = number_take(&at);
		}
		if (first < 0 || last < first || (*at != ',' && *at != '\0'))
			return -EINVAL;
		n = range_take(first, last, &allowed, cpus, n);
		if (*at == '\0')
			break;
	}
	return n;
}

static int
parse_rpc(struct config *c, json_t *o, struct rpc_error *err)
{
	int rc = rpc_params_check(rpc_rows, o, "rpc", err);

	if (rc == 0)
		rc = owner_mode(o, "rpc", "mode", &c->rpc_mode, err);
	if (rc == 0)
		rc = owner_group(o, "rpc", "group", &c->rpc_group, err);
	c->rpc_socket = json_string_value(json_object_get(o, "socket"));
	return rc;
}

static int
parse_workers(struct config *c, json_t *o, struct rpc_error *err)
{
	const json_t *cpus = json_object_get(o, "cpus");
	int rc = rpc_params_check(workers_rows, o, "workers", err);

	if (rc < 0 || cpus == NULL)
		return rc;
	rc = config_cpus(json_string_value(cpus), c->cpus);
	if (rc < 0)
		return rpc_expected(err, "workers.cpus",
				    "a list of CPUs that this process may use, as \"1,3-5\"", cpus);
	c->n_cpus = (uint32_t)rc;
	return 0;
}

/* Notes who has a value of a member that must be unique; `seen` is an object of where they are. */
static int
unique(json_t *seen, const char *value, const char *where, const char *name,
       struct rpc_error *err)
{
	const json_t *first = json_object_get(seen, value);
	char member[sizeof(err->member)];

	if (first == NULL) {
		json_object_set_new(seen, value, json_string(where));
		return 0;
	}
	rpc_member(member, sizeof(member), where, name);
	return rpc_fail(err, -EINVAL, member, "%s is that of %s already", value,
			json_string_value(first));
}

/* How many workers there will be is known where the file says it. */
static int
check_workers(const struct port_opts *o, uint32_t n_cpus, const char *where, struct rpc_error *err)
{
	char member[sizeof(err->member)], name[32];

	for (uint16_t q = 0; n_cpus > 0 && q < o->n_workers; q++) {
		if (o->workers[q] == PORT_WORKER_NONE || o->workers[q] < n_cpus)
			continue;
		snprintf(name, sizeof(name), "workers[%u]", q);
		rpc_member(member, sizeof(member), where, name);
		return rpc_fail(err, -EINVAL, member, "expected 0 to %u, by workers.cpus, not %u",
				n_cpus - 1, o->workers[q]);
	}
	return 0;
}

/* `names` becomes an object of the ports' names. */
static int
parse_ports(json_t *list, uint32_t n_cpus, json_t *names, struct rpc_error *err)
{
	json_t *sockets = json_object(), *o;
	struct port_opts opts;
	char where[48];
	int rc = 0;
	size_t i;

	json_array_foreach(list, i, o) {
		snprintf(where, sizeof(where), "ports[%zu]", i);
		rc = port_rpc_opts(o, where, &opts, err);
		if (rc == 0)
			rc = check_workers(&opts, n_cpus, where, err);
		if (rc == 0)
			rc = unique(names, opts.name, where, "name", err);
		if (rc == 0 && opts.socket != NULL)
			rc = unique(sockets, opts.socket, where, "socket", err);
		if (rc < 0)
			break;
	}
	json_decref(sockets);
	return rc;
}

/* Ports may stand in any order: when all names are known. */
static int
check_uplinks(json_t *list, const json_t *names, struct rpc_error *err)
{
	char where[48], member[sizeof(err->member)];
	json_t *o;
	size_t i;

	json_array_foreach(list, i, o) {
		const char *uplink = json_string_value(json_object_get(o, "uplink"));

		if (uplink == NULL || json_object_get(names, uplink) != NULL)
			continue;
		snprintf(where, sizeof(where), "ports[%zu]", i);
		rpc_member(member, sizeof(member), where, "uplink");
		return rpc_expected(err, member, "a port of this file", json_object_get(o, "uplink"));
	}
	return 0;
}

static int
parse_entry(json_t *o, const char *where, const json_t *names, json_t *seen,
	    struct rpc_error *err)
{
	char member[sizeof(err->member)], text[64];
	fdb_key_t key;
	json_t *plain;
	int rc = fdb_rpc_key(o, where, &key, err);

	if (rc < 0)
		return rc;
	if (names != NULL &&
	    json_object_get(names, json_string_value(json_object_get(o, "port"))) == NULL) {
		rpc_member(member, sizeof(member), where, "port");
		return rpc_expected(err, member, "a port of this file", json_object_get(o, "port"));
	}
	/* an address may be spelled in two ways: what is compared is made from the key */
	plain = fdb_rpc_config(key, "");
	snprintf(text, sizeof(text), "%s in VLAN %d",
		 json_string_value(json_object_get(plain, "mac")), fdb_key_vlan(key));
	json_decref(plain);
	return unique(seen, text, where, "mac", err);
}

static int
parse_fdb(struct config *c, json_t *o, const json_t *names, struct rpc_error *err)
{
	json_t *seen, *entry;
	char where[48];
	size_t i;
	int rc = rpc_params_check(fdb_rows, o, "fdb", err);

	if (rc < 0)
		return rc;
	if (json_object_get(o, "age") != NULL)
		c->fdb_age_s = (uint32_t)json_integer_value(json_object_get(o, "age"));
	if (json_object_get(o, "quota") != NULL)
		c->fdb_quota = (uint32_t)json_integer_value(json_object_get(o, "quota"));
	seen = json_object();
	json_array_foreach(json_object_get(o, "entries"), i, entry) {
		snprintf(where, sizeof(where), "fdb.entries[%zu]", i);
		rc = parse_entry(entry, where, names, seen, err);
		if (rc < 0)
			break;
	}
	json_decref(seen);
	return rc;
}

static int
parse_park(struct config *c, json_t *o, struct rpc_error *err)
{
	int rc = rpc_params_check(park_rpc_params, o, "park", err);

	if (rc == 0)
		park_rpc_read(o, &c->park);
	return rc;
}

static int
parse_log(struct config *c, json_t *o, struct rpc_error *err)
{
	static const struct rpc_param level = { "level", RPC_STRING, .choices = LOG_LEVELS };
	const char *file = json_string_value(json_object_get(o, "file")), *pattern;
	struct rpc_param rows[] = { level, { 0 } };
	json_t *value;
	int rc = rpc_params_check(log_rows, o, "log", err);

	if (rc < 0)
		return rc;
	json_object_foreach(json_object_get(o, "levels"), pattern, value) {
		json_t *one = json_pack("{s:O}", pattern, value);

		rows[0].name = pattern;
		rc = rpc_params_check(rows, one, "log.levels", err);
		json_decref(one);
		if (rc < 0)
			return rc;
	}
	c->log.levels = json_deep_copy(json_object_get(o, "levels"));
	c->log.file = file == NULL ? NULL : strdup(file);
	return 0;
}

static int
parse(struct config *c, struct rpc_error *err)
{
	json_t *ports = json_object_get(c->json, "ports"), *o;
	json_t *names = ports == NULL ? NULL : json_object();
	int rc = rpc_params_check(top_rows, c->json, "", err);

	c->eal = json_string_value(json_object_get(c->json, "eal"));
	if (rc == 0 && (o = json_object_get(c->json, "privileges")) != NULL)
		c->privileges_keep = strcmp(json_string_value(o), "keep") == 0;
	if (rc == 0 && (o = json_object_get(c->json, "rpc")) != NULL)
		rc = parse_rpc(c, o, err);
	if (rc == 0 && (o = json_object_get(c->json, "workers")) != NULL)
		rc = parse_workers(c, o, err);
	if (rc == 0)
		rc = parse_ports(ports, c->n_cpus, names, err);
	if (rc == 0)
		rc = check_uplinks(ports, names, err);
	if (rc == 0 && (o = json_object_get(c->json, "fdb")) != NULL)
		rc = parse_fdb(c, o, names, err);
	if (rc == 0 && (o = json_object_get(c->json, "park")) != NULL)
		rc = parse_park(c, o, err);
	if (rc == 0 && (o = json_object_get(c->json, "migration")) != NULL)
		rc = peer_rpc_check(o, "migration", err);
	if (rc == 0 && (o = json_object_get(c->json, "log")) != NULL)
		rc = parse_log(c, o, err);
	json_decref(names);
	return rc;
}

int
config_parse(json_t *json, struct config **out, struct rpc_error *err)
{
	struct config *c;
	int rc;

	if (!json_is_object(json))
		return rpc_expected(err, "", "an object", json);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return rpc_fail(err, -ENOMEM, NULL, "out of memory");
	c->json = json_incref(json);
	c->rpc_group = (gid_t)-1;
	c->fdb_age_s = FDB_AGE_S;
	c->fdb_quota = FDB_QUOTA;
	c->park = (struct park_opts){ .bytes = PARK_BYTES, .timeout_ms = PARK_TIMEOUT_MS };
	rc = parse(c, err);
	if (rc < 0) {
		config_destroy(c);
		return rc;
	}
	*out = c;
	return 0;
}

void
config_destroy(struct config *c)
{
	if (c == NULL)
		return;
	config_log_fini(&c->log);
	json_decref(c->json);
	free(c);
}

int
config_log_set(const struct config_log *log, struct rpc_error *err)
{
	int rc = log->file == NULL ? 0 : log_open(log->file);
	const char *pattern;
	json_t *level;

	if (rc < 0)
		return rpc_fail(err, rc, "log.file", "%s: %s", log->file, strerror(-rc));
	/* a type that nobody has registered yet is no mistake: a plugin may bring it */
	json_object_foreach(log->levels, pattern, level)
		log_set(pattern, json_string_value(level));
	return 0;
}

int
config_log_copy(const struct config_log *from, struct config_log *to)
{
	to->file = from->file == NULL ? NULL : strdup(from->file);
	to->levels = from->levels == NULL ? json_object() : json_deep_copy(from->levels);
	return to->levels == NULL || (from->file != NULL && to->file == NULL) ? -ENOMEM : 0;
}

void
config_log_fini(struct config_log *log)
{
	free(log->file);
	json_decref(log->levels);
	*log = (struct config_log){ 0 };
}
