/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"
#include "fdb_rpc.h"
#include "log.h"
#include "park_rpc.h"
#include "peer_rpc.h"
#include "port_provider_rpc.h"
#include "port_rpc.h"
#include "rpc_switch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_USE(rpc);

/* now */

static json_t *
ports_now(const struct rpc_switch *sw)
{
	json_t *list = json_array();
	uint32_t iter = 0;
	struct port *p;

	while ((p = port_next(sw->ports, &iter)) != NULL)
		json_array_append_new(list, port_rpc_config(port_opts(p)));
	return list;
}

static int
entry_compare(const void *a, const void *b)
{
	const struct fdb_entry *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* Static entries by VLAN and address, so that equal states are equal files. */
static json_t *
entries_now(const struct rpc_switch *sw, uint32_t n_max)
{
	struct fdb_entry *entries = calloc(n_max + 1, sizeof(*entries));
	json_t *list = json_array();
	uint32_t iter = 0, n = 0;

	while (entries != NULL && n < n_max && fdb_next(sw->fdb, &iter, &entries[n]) == 0)
		n += entries[n].fixed;
	if (n > 0)
		qsort(entries, n, sizeof(*entries), entry_compare);
	for (uint32_t i = 0; i < n; i++) {
		const struct port *p = port_by_number(sw->ports, entries[i].port);

		if (p != NULL)
			json_array_append_new(list, fdb_rpc_config(entries[i].key, port_name(p)));
	}
	free(entries);
	return list;
}

static json_t *
fdb_now(const struct rpc_switch *sw)
{
	struct fdb_stats stats;

	fdb_stats(sw->fdb, &stats);
	return json_pack("{s:i, s:i, s:o}", "age", (int)stats.age_s, "quota", (int)stats.quota,
			 "entries", entries_now(sw, stats.n_fixed));
}

static json_t *
log_now(const struct rpc_switch *sw)
{
	return json_pack("{s:s*, s:o}", "file", sw->log.file, "levels",
			 json_deep_copy(sw->log.levels));
}

static json_t *
park_now(const struct rpc_switch *sw)
{
	struct park_opts opts;

	park_set_opts_get(sw->parks, &opts);
	return park_rpc_config(&opts);
}

json_t *
config_now(struct rpc_switch *sw)
{
	json_t *c = json_object();

	for (const char *const *name = config_start_only; *name != NULL; name++) {
		json_t *section = json_object_get(sw->config->json, *name);

		if (section != NULL)
			json_object_set_new(c, *name, json_deep_copy(section));
	}
	if (sw->log.file != NULL || json_object_size(sw->log.levels) > 0)
		json_object_set_new(c, "log", log_now(sw));
	json_object_set_new(c, "fdb", fdb_now(sw));
	json_object_set_new(c, "park", park_now(sw));
	if (sw->migration != NULL)
		json_object_set_new(c, "migration", json_deep_copy(sw->migration));
	json_object_set_new(c, "ports", ports_now(sw));
	return c;
}

/* ports */

/* What a port has to go for when it is to be another; defaults are left out, queues can move. */
static json_t *
port_core(const struct port_opts *opts)
{
	json_t *o = port_rpc_config(opts);

	json_object_del(o, "workers");
	json_object_del(o, "provider");
	return o;
}

/* By name, what each port of the file is added with. */
static json_t *
ports_wanted(const json_t *list)
{
	json_t *wanted = json_object(), *o;
	struct port_opts opts;
	struct rpc_error err;
	size_t i;

	json_array_foreach(list, i, o)
		if (port_rpc_opts(o, "", &opts, &err) == 0)
			json_object_set_new(wanted, opts.name, port_core(&opts));
	return wanted;
}

static void
ports_remove_others(struct rpc_switch *sw, const json_t *list)
{
	json_t *wanted = ports_wanted(list);
	uint32_t iter = 0;
	struct port *p;

	while ((p = port_next(sw->ports, &iter)) != NULL) {
		json_t *is = port_core(port_opts(p));

		if (!json_equal(json_object_get(wanted, port_name(p)), is))
			port_del(sw->ports, p);
		json_decref(is);
	}
	json_decref(wanted);
}

static int
ports_apply(struct rpc_switch *sw, const json_t *list, struct rpc_error *err)
{
	struct port_opts opts;
	struct port *p;
	char where[48];
	int rc = 0;
	json_t *o;
	size_t i;

	ports_remove_others(sw, list);
	json_array_foreach(list, i, o) {
		snprintf(where, sizeof(where), "ports[%zu]", i);
		rc = port_rpc_opts(o, where, &opts, err);
		p = port_find(sw->ports, rpc_text_of(o, "name"));
		if (rc == 0)
			rc = p != NULL ? port_rpc_place(sw->ports, p, &opts, where, err) :
			     port_rpc_add(sw->ports, &opts, where, err);
		if (rc < 0)
			break;
		if (p != NULL)
			port_provider_rpc_place(sw->ports, p, &opts);
	}
	return rc;
}

/* fdb */

static void
key_text(char out[32], fdb_key_t key)
{
	snprintf(out, 32, "%llx", (unsigned long long)key);
}

static void
entries_remove_others(struct rpc_switch *sw, const json_t *list)
{
	json_t *wanted = json_object(), *o;
	struct rpc_error err;
	struct fdb_entry e;
	uint32_t iter = 0;
	char text[32];
	fdb_key_t key;
	size_t i;

	json_array_foreach(list, i, o) {
		if (fdb_rpc_key(o, "", &key, &err) < 0)
			continue;
		key_text(text, key);
		json_object_set(wanted, text, json_object_get(o, "port"));
	}
	while (fdb_next(sw->fdb, &iter, &e) == 0) {
		const struct port *p = port_by_number(sw->ports, e.port);
		const char *port;

		key_text(text, e.key);
		port = rpc_text_of(wanted, text);
		if (e.fixed && (p == NULL || port == NULL || strcmp(port, port_name(p)) != 0))
			fdb_del(sw->fdb, e.key);
	}
	json_decref(wanted);
}

static int
entries_apply(struct rpc_switch *sw, const json_t *list, struct rpc_error *err)
{
	char where[48], member[64];
	struct port *p;
	fdb_key_t key;
	json_t *o;
	size_t i;
	int rc;

	entries_remove_others(sw, list);
	json_array_foreach(list, i, o) {
		snprintf(where, sizeof(where), "fdb.entries[%zu]", i);
		rc = fdb_rpc_key(o, where, &key, err);
		p = port_find(sw->ports, rpc_text_of(o, "port"));
		if (rc == 0 && p == NULL) {
			snprintf(member, sizeof(member), "%s.port", where);
			rc = rpc_fail(err, -EINVAL, member, "no port \"%s\"", rpc_text_of(o, "port"));
		}
		if (rc == 0)
			rc = fdb_rpc_add(sw->fdb, key, port_number(p), where, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
fdb_apply(struct rpc_switch *sw, json_t *o, struct rpc_error *err)
{
	const json_t *entries = json_object_get(o, "entries");
	struct fdb_stats now;

	fdb_stats(sw->fdb, &now);
	fdb_set(sw->fdb, (uint32_t)rpc_int_of(o, "age", now.age_s),
		(uint32_t)rpc_int_of(o, "quota", 0));
	return entries == NULL ? 0 : entries_apply(sw, entries, err);
}

/* log */

/* The only step that can fail is its first: what comes last needs no way back. */
static int
log_apply(struct rpc_switch *sw, const struct config_log *log, struct rpc_error *err)
{
	int rc = config_log_set(log, err);
	const char *pattern;
	json_t *level;

	if (rc < 0)
		return rc;
	if (log->file != NULL) {
		free(sw->log.file);
		sw->log.file = strdup(log->file);
	}
	json_object_foreach(log->levels, pattern, level) {
		/* what was set last counts: it goes to the end */
		json_object_del(sw->log.levels, pattern);
		json_object_set(sw->log.levels, pattern, level);
	}
	return 0;
}

static int
apply(struct rpc_switch *sw, const struct config *c, struct rpc_error *err)
{
	json_t *ports = json_object_get(c->json, "ports"), *fdb = json_object_get(c->json, "fdb");
	json_t *migration = json_object_get(c->json, "migration");
	int rc = ports == NULL ? 0 : ports_apply(sw, ports, err);

	if (rc == 0 && fdb != NULL)
		rc = fdb_apply(sw, fdb, err);
	if (rc == 0 && migration != NULL)
		rc = peer_rpc_apply(sw, migration, "migration", err);
	if (rc == 0 && json_object_get(c->json, "park") != NULL)
		park_set_opts(sw->parks, &c->park);
	return rc < 0 ? rc : log_apply(sw, &c->log, err);
}

static void
go_back(struct rpc_switch *sw, json_t *before)
{
	struct config *c = NULL;
	struct rpc_error err;
	int rc = config_parse(before, &c, &err);

	if (rc == 0)
		rc = apply(sw, c, &err);
	if (rc < 0)
		LOG(ERR, "configuration: what was done could not be undone: %s", err.message);
	config_destroy(c);
}

int
config_apply(struct rpc_switch *sw, const struct config *c, struct rpc_error *err)
{
	json_t *before = config_now(sw);
	int rc = apply(sw, c, err);

	if (rc < 0)
		go_back(sw, before);
	json_decref(before);
	return rc;
}
