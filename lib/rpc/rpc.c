/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc.h"
#include "log.h"
#include "nearest.h"
#include "rpc_impl.h"
#include "rpc_param.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

LOG_REGISTER(rpc);

static const struct rpc_param no_params[] = { { 0 } };

static const struct rpc_param *
method_params(const struct rpc_method *m)
{
	return m->params == NULL ? no_params : m->params;
}

static json_t *
choices_json(const char *choices)
{
	json_t *list = json_array();

	for (const char *at = choices; *at != '\0';) {
		size_t len = strcspn(at, "|");

		json_array_append_new(list, json_stringn(at, len));
		at += len + (at[len] == '|');
	}
	return list;
}

static json_t *
param_json(const struct rpc_param *p)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:s*, s:s}", "name", p->name, "type",
			      rpc_type_names[p->type], "required", p->required, "completes",
			      p->completes, "help", p->help == NULL ? "" : p->help);

	if (p->min != 0 || p->max != 0) {
		json_object_set_new(o, "min", json_integer(p->min));
		json_object_set_new(o, "max", json_integer(p->max));
	}
	if (p->choices != NULL)
		json_object_set_new(o, "choices", choices_json(p->choices));
	if (p->asks != NULL)
		json_object_set_new(o, "asks", json_string(p->asks));
	return o;
}

static json_t *
method_json(const struct rpc_method *m)
{
	json_t *params = json_array();

	for (const struct rpc_param *p = method_params(m); p->name != NULL; p++)
		json_array_append_new(params, param_json(p));
	return json_pack("{s:s, s:s, s:s*, s:o}", "method", m->name, "help",
			 m->help == NULL ? "" : m->help, "positional", m->positional, "params",
			 params);
}

static int
rpc_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *only = json_string_value(json_object_get(params, "method"));
	const struct rpc *r = arg;

	*result = json_array();
	for (uint32_t i = 0; i < r->n_tables; i++)
		for (const struct rpc_method *m = r->tables[i].methods; m->name != NULL; m++)
			if (only == NULL || strcmp(only, m->name) == 0)
				json_array_append_new(*result, method_json(m));
	return 0;
}

static const struct rpc_param show_params[] = {
	{ "method", RPC_STRING, .help = "only this one" },
	{ 0 },
};

static const struct rpc_method rpc_methods[] = {
	{ "rpc.show", rpc_show, show_params, "method", "list the methods and their parameters" },
	{ 0 },
};

int
rpc_create(struct loop *l, const struct rpc_opts *opts, struct rpc **out)
{
	struct rpc *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return -ENOMEM;
	rpc_add(r, rpc_methods, r);
	if (opts != NULL) {
		rc = rpc_server_create(r, l, opts, &r->server);
		if (rc < 0) {
			rpc_destroy(r);
			return rc;
		}
	}
	*out = r;
	return 0;
}

void
rpc_destroy(struct rpc *r)
{
	if (r == NULL)
		return;
	rpc_server_destroy(r->server);
	free(r);
}

void
rpc_add(struct rpc *r, const struct rpc_method *methods, void *arg)
{
	if (r->n_tables == RPC_TABLES_MAX)
		rte_panic("more than %u method tables\n", RPC_TABLES_MAX);
	r->tables[r->n_tables++] = (struct rpc_table){ .methods = methods, .arg = arg };
}

static const struct rpc_method *
method_find(const struct rpc *r, const char *name, void **arg)
{
	for (uint32_t i = 0; i < r->n_tables; i++)
		for (const struct rpc_method *m = r->tables[i].methods; m->name != NULL; m++)
			if (strcmp(m->name, name) == 0) {
				*arg = r->tables[i].arg;
				return m;
			}
	return NULL;
}

static int
fail_method(const struct rpc *r, const char *name, struct rpc_error *err)
{
	struct nearest near = { .word = name };
	int rc;

	for (uint32_t i = 0; i < r->n_tables; i++)
		for (const struct rpc_method *m = r->tables[i].methods; m->name != NULL; m++)
			nearest_offer(&near, m->name);
	if (near.best != NULL)
		rc = rpc_fail(err, -ENOENT, NULL, "no method \"%.64s\"; did you mean \"%s\"?", name,
			      near.best);
	else
		rc = rpc_fail(err, -ENOENT, NULL, "no method \"%.64s\"; rpc.show lists them", name);
	err->code = RPC_ERROR_METHOD;
	return rc;
}

static int
checked_find(const struct rpc *r, const char *name, json_t *params, const struct rpc_method **m,
	     void **arg, struct rpc_error *err)
{
	*m = method_find(r, name, arg);
	if (*m == NULL)
		return fail_method(r, name, err);
	return rpc_params_check(method_params(*m), params, "", err);
}

static int
run(struct rpc *r, const char *name, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_method *m;
	json_t *made = NULL;
	void *arg;
	int rc;

	rc = checked_find(r, name, params, &m, &arg, err);
	if (rc < 0)
		return rc;
	rc = m->fn(arg, params, &made, err);
	if (rc < 0) {
		json_decref(made);
		if (err->message[0] == '\0')
			rpc_fail(err, rc, NULL, "%s: %s", name, strerror(-rc));
		if (err->code == 0)
			err->code = RPC_ERROR_FAILED;
		return rc;
	}
	*result = made == NULL ? json_object() : made;
	return 0;
}

int
rpc_call(struct rpc *r, const char *method, json_t *params, json_t **result,
	 struct rpc_error *err)
{
	json_t *none = params == NULL ? json_object() : NULL;
	int rc;

	*err = (struct rpc_error){ 0 };
	rc = run(r, method, params == NULL ? none : params, result, err);
	json_decref(none);
	return rc;
}

int
rpc_check(struct rpc *r, const char *method, json_t *params, struct rpc_error *err)
{
	json_t *none = params == NULL ? json_object() : NULL;
	const struct rpc_method *m;
	void *arg;
	int rc;

	*err = (struct rpc_error){ 0 };
	rc = checked_find(r, method, params == NULL ? none : params, &m, &arg, err);
	json_decref(none);
	return rc < 0 ? -EINVAL : 0;
}
