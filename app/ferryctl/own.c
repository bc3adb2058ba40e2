/* SPDX-License-Identifier: BSD-3-Clause */
#include "own.h"
#include "plot.h"

#include <errno.h>
#include <string.h>

static enum status
failed(const char *path)
{
	fprintf(stderr, "ferryctl: %s%s: %s\n", client_where, path, strerror(errno));
	return STATUS_FAILED;
}

static enum status
plot_write(const json_t *migration, const char *path, FILE *out)
{
	FILE *f;
	bool bad;

	if (strcmp(path, "-") == 0) {
		plot_draw(migration, out);
		return STATUS_OK;
	}
	f = fopen(path, "we");
	if (f == NULL)
		return failed(path);
	plot_draw(migration, f);
	bad = ferror(f) != 0;
	return fclose(f) != 0 || bad ? failed(path) : STATUS_OK;
}

/* `migration plot`: what is missing or wrong but the file, ferryd says. */
static enum status
plot_run(struct shell *s, json_t *params, FILE *out)
{
	const char *path = json_string_value(json_object_get(params, "file"));
	json_t *migration = NULL, *asked;
	enum status st;

	if (path == NULL) {
		fprintf(stderr, "ferryctl: %sfile: missing; name the file to write\n", client_where);
		return STATUS_USAGE;
	}
	asked = json_copy(params);
	json_object_del(asked, "file");
	if (json_object_get(asked, "number") == NULL)
		json_object_set_new(asked, "number", json_integer(0));
	st = client_call(s->client, "migration.show", asked, &migration);
	if (st == STATUS_OK)
		st = plot_write(migration, path, out);
	json_decref(migration);
	return st;
}

static const char plot_row[] =
	"{\"method\": \"migration.plot\", \"help\": \"draw one of a port's migrations (SVG)\","
	"\"positional\": \"port\", \"params\": ["
	"{\"name\": \"port\", \"type\": \"string\", \"required\": true, \"completes\": \"port\","
	"\"help\": \"port\"},"
	"{\"name\": \"file\", \"type\": \"string\", \"required\": true, \"completes\": \"file\","
	"\"help\": \"file to write; -: stdout\"},"
	"{\"name\": \"number\", \"type\": \"integer\", \"required\": false,"
	"\"help\": \"which migration (the last one)\"}]}";

static const struct own owns[] = {
	{ plot_row, "migration.plot", "migration.show", plot_run },
	{ 0 },
};

static bool
has(const json_t *methods, const char *method)
{
	const json_t *row;
	size_t i;

	json_array_foreach(methods, i, row) {
		const char *name = json_string_value(json_object_get(row, "method"));

		if (name != NULL && strcmp(name, method) == 0)
			return true;
	}
	return false;
}

void
own_add(json_t *methods)
{
	for (const struct own *o = owns; o->row != NULL; o++)
		if (has(methods, o->needs))
			json_array_append_new(methods, json_loads(o->row, 0, NULL));
}

const struct own *
own_find(const char *method)
{
	for (const struct own *o = owns; o->row != NULL; o++)
		if (strcmp(o->method, method) == 0)
			return o;
	return NULL;
}
