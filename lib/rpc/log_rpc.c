/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "nearest.h"
#include "rpc_switch.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* DPDK lists its log types as text only: "id 31: ferry.fdb, level is info". */
static json_t *
type_json(const char *line)
{
	char name[128], level[32];

	if (sscanf(line, "id %*u: %127[^,], level is %31s", name, level) != 2)
		return NULL;
	return json_pack("{s:s, s:s}", "type", name, "level", level);
}

static json_t *
types_json(const char *pattern)
{
	json_t *list = json_array();
	char *text = NULL, *save, *line;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return list;
	rte_log_dump(f);
	fclose(f);
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		json_t *type = type_json(line);

		if (type != NULL && (pattern == NULL ||
				     fnmatch(pattern, rpc_text_of(type, "type"), 0) == 0))
			json_array_append(list, type);
		json_decref(type);
	}
	free(text);
	return list;
}

static int
fail_pattern(const char *pattern, struct rpc_error *err)
{
	struct nearest near = { .word = pattern };
	json_t *types = types_json(NULL), *type;
	size_t i;
	int rc;

	json_array_foreach(types, i, type)
		nearest_offer(&near, rpc_text_of(type, "type"));
	if (near.best != NULL)
		rc = rpc_fail(err, -EINVAL, "type", "no log type matches \"%.60s\"; did you mean "
			      "\"%s\"?", pattern, near.best);
	else
		rc = rpc_fail(err, -EINVAL, "type", "no log type matches \"%.60s\"; log.show lists "
			      "them", pattern);
	json_decref(types);
	return rc;
}

static int
log_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *pattern = rpc_text_of(params, "type");

	*result = types_json(pattern);
	if (json_array_size(*result) > 0)
		return 0;
	json_decref(*result);
	*result = NULL;
	return fail_pattern(pattern == NULL ? "" : pattern, err);
}

static int
level_set(struct rpc_switch *sw, const char *pattern, const char *level, struct rpc_error *err)
{
	json_t *types = types_json(pattern);
	bool matches = json_array_size(types) > 0;

	json_decref(types);
	if (!matches)
		return fail_pattern(pattern, err);
	log_set(pattern, level);
	/* what was set last counts: it goes to the end */
	json_object_del(sw->log.levels, pattern);
	json_object_set_new(sw->log.levels, pattern, json_string(level));
	return 0;
}

static int
file_set(struct rpc_switch *sw, const char *file, struct rpc_error *err)
{
	int rc = log_open(file[0] == '\0' ? NULL : file);

	if (rc < 0)
		return rpc_fail(err, rc, "file", "%s: %s", file, strerror(-rc));
	free(sw->log.file);
	sw->log.file = file[0] == '\0' ? NULL : strdup(file);
	return 0;
}

static int
log_set_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *type = rpc_text_of(params, "type"), *level = rpc_text_of(params, "level");
	const char *file = rpc_text_of(params, "file");
	struct rpc_switch *sw = arg;
	int rc;

	if ((type == NULL) != (level == NULL))
		return rpc_fail(err, -EINVAL, type == NULL ? "type" : "level",
				"missing; a level needs a type, and a type a level");
	if (type == NULL && file == NULL)
		return rpc_fail(err, -EINVAL, "type", "missing; expected type and level, or file");
	rc = file == NULL ? 0 : file_set(sw, file, err);
	return rc < 0 || type == NULL ? rc : level_set(sw, type, level, err);
}

static const struct rpc_param show_params[] = {
	{ "type", RPC_STRING, .help = "only types that match, as ferry.*" },
	{ 0 },
};

static const struct rpc_param set_params[] = {
	{ "type", RPC_STRING, .min = 1, .max = 100, .help = "types that match, as ferry.*" },
	{ "level", RPC_STRING, .choices = "emerg|alert|critical|error|warning|notice|info|debug",
	  .help = "least important lines to write" },
	{ "file", RPC_STRING, .min = 0, .max = 4095, .completes = "file",
	  .help = "file to write to from now on; empty: stderr" },
	{ 0 },
};

const struct rpc_method log_rpc[] = {
	{ "log.show", log_show, show_params, "type", "log types and their levels" },
	{ "log.set", log_set_method, set_params, "type", "change levels, or where lines go" },
	{ 0 },
};
