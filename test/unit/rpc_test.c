/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON-RPC without a socket: envelopes, and checks of parameters. */
#include "rpc_test.h"

#include <errno.h>
#include <stdlib.h>

static int n_notes;

static int
t_echo(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	*result = json_incref(params);
	return 0;
}

static int
t_note(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	n_notes++;
	return 0;
}

static int
t_fail(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	return rpc_fail(err, -EBUSY, "name", "is in use");
}

static int
t_silent(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	return -ENODEV;
}

/* A string of so many bytes. */
static int
t_big(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	size_t n = (size_t)json_integer_value(json_object_get(params, "bytes"));
	char *s = malloc(n + 1);

	memset(s, 'x', n);
	s[n] = '\0';
	*result = json_string(s);
	free(s);
	return 0;
}

static const struct rpc_param echo_params[] = {
	{ "name", RPC_STRING, true, 1, 8 },
	{ "count", RPC_INT, .min = 1, .max = 10 },
	{ "any", RPC_INT },
	{ "flag", RPC_BOOL },
	{ "dir", RPC_STRING, .choices = "rx|tx|both", .help = "direction" },
	{ "opts", RPC_OBJECT },
	{ "list", RPC_ARRAY },
	{ 0 },
};

static const struct rpc_param big_params[] = { { "bytes", RPC_INT, true }, { 0 } };

const struct rpc_method rpc_test_methods[] = {
	{ "t.echo", t_echo, echo_params, "name", "give the parameters back" },
	{ "t.note", t_note },
	{ "t.fail", t_fail },
	{ "t.silent", t_silent },
	{ "t.big", t_big, big_params },
	{ 0 },
};

static const struct {
	const char *story, *line, *answer;
} lines[] = {
	{ "parameters by name", REQ("t.echo", "{\"name\":\"a\"}"), OK("1", "{\"name\":\"a\"}") },
	{ "all members of the row",
	  REQ("t.echo", "{\"name\":\"a\",\"count\":10,\"any\":-5,\"flag\":true,\"dir\":\"both\","
	      "\"opts\":{},\"list\":[]}"),
	  OK("1", "{\"name\":\"a\",\"count\":10,\"any\":-5,\"flag\":true,\"dir\":\"both\","
	      "\"opts\":{},\"list\":[]}") },
	{ "no parameters, no result", "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"t.note\"}",
	  OK("\"x\"", "{}") },
	{ "id null is a request", "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"t.note\"}",
	  OK("null", "{}") },
	{ "a carriage return", "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"t.note\"}\r",
	  OK("1.5", "{}") },
	{ "notification", "{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"}", NULL },
	{ "notification that fails", "{\"jsonrpc\":\"2.0\",\"method\":\"t.fail\"}", NULL },
	{ "empty line", "", NULL },
	{ "blank line", " \t\r", NULL },

	{ "no JSON", "hello", FAILED("null", "-32700", "column 5: invalid token near 'hello'") },
	{ "half a request", "{\"jsonrpc\":",
	  FAILED("null", "-32700", "column 11: unexpected token near end of file") },
	{ "two texts", "{} {}", FAILED("null", "-32700",
	  "column 4: end of file expected near '{'") },
	{ "the same member twice", "{\"a\":1,\"a\":2}",
	  FAILED("null", "-32700", "column 10: duplicate object key near '\\\"a\\\"'") },
	{ "number out of range", "[99999999999999999999]",
	  FAILED("null", "-32700", "column 21: too big integer near '99999999999999999999'") },
	{ "not an object", "5", FAILED("null", "-32600", "a request is an object") },
	{ "no version", "{\"id\":1,\"method\":\"t.note\"}",
	  FAILED("1", "-32600", "jsonrpc: expected \\\"2.0\\\"") },
	{ "id of a wrong type", "{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"t.note\"}",
	  FAILED("null", "-32600", "id: expected a string, a number or null") },
	{ "method of a wrong type", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
	  FAILED("1", "-32600", "method: expected a string") },
	{ "unknown method", REQ("t.ehco", "{}"),
	  FAILED("1", "-32601", "no method \\\"t.ehco\\\"; did you mean \\\"t.echo\\\"?") },
	{ "far from any method", REQ("destroy", "{}"),
	  FAILED("1", "-32601", "no method \\\"destroy\\\"; rpc.show lists them") },

	{ "parameters by position", REQ("t.echo", "[\"a\"]"),
	  BAD_PARAM("expected an object, not [\\\"a\\\"]", "params") },
	{ "unknown member with a neighbour", REQ("t.echo", "{\"name\":\"a\",\"cuont\":1}"),
	  BAD_PARAM("unknown member; did you mean \\\"count\\\"?", "cuont") },
	{ "unknown member", REQ("t.echo", "{\"name\":\"a\",\"zzz\":1}"),
	  BAD_PARAM("unknown member; known are name, count, any, flag, dir, opts, list", "zzz") },
	{ "no member is known", REQ("t.note", "{\"zzz\":1}"),
	  BAD_PARAM("unknown member; none is expected", "zzz") },
	{ "missing", REQ("t.echo", "{}"),
	  BAD_PARAM("missing; expected a string of 1 to 8 characters", "name") },
	{ "wrong type", REQ("t.echo", "{\"name\":5}"),
	  BAD_PARAM("expected a string of 1 to 8 characters, not 5", "name") },
	{ "null is not absence", REQ("t.echo", "{\"name\":\"a\",\"any\":null}"),
	  BAD_PARAM("expected an integer, not null", "any") },
	{ "too short", REQ("t.echo", "{\"name\":\"\"}"),
	  BAD_PARAM("expected a string of 1 to 8 characters, not \\\"\\\"", "name") },
	{ "too long", REQ("t.echo", "{\"name\":\"123456789\"}"),
	  BAD_PARAM("expected a string of 1 to 8 characters, not \\\"123456789\\\"", "name") },
	{ "below the range", REQ("t.echo", "{\"name\":\"a\",\"count\":0}"),
	  BAD_PARAM("expected an integer from 1 to 10, not 0", "count") },
	{ "above the range", REQ("t.echo", "{\"name\":\"a\",\"count\":11}"),
	  BAD_PARAM("expected an integer from 1 to 10, not 11", "count") },
	{ "a fraction", REQ("t.echo", "{\"name\":\"a\",\"count\":1.5}"),
	  BAD_PARAM("expected an integer from 1 to 10, not 1.5", "count") },
	{ "wrong choice", REQ("t.echo", "{\"name\":\"a\",\"dir\":\"bot\"}"),
	  BAD_PARAM("expected \\\"rx\\\", \\\"tx\\\" or \\\"both\\\", not \\\"bot\\\"", "dir") },
	{ "two choices in one", REQ("t.echo", "{\"name\":\"a\",\"dir\":\"rx|tx\"}"),
	  BAD_PARAM("expected \\\"rx\\\", \\\"tx\\\" or \\\"both\\\", not \\\"rx|tx\\\"", "dir") },
	{ "boolean as a word", REQ("t.echo", "{\"name\":\"a\",\"flag\":\"yes\"}"),
	  BAD_PARAM("expected true or false, not \\\"yes\\\"", "flag") },
	{ "object", REQ("t.echo", "{\"name\":\"a\",\"opts\":[]}"),
	  BAD_PARAM("expected an object, not []", "opts") },
	{ "array", REQ("t.echo", "{\"name\":\"a\",\"list\":{}}"),
	  BAD_PARAM("expected an array, not {}", "list") },
	{ "long and strange values are quoted and cut",
	  REQ("t.echo",
	  "{\"name\":\"\\u001b[2J\xc3\xbc 01234567890123456789012345678901234567890123\"}"),
	  BAD_PARAM("expected a string of 1 to 8 characters, not "
		    "\\\"\\\\u001B[2J\\\\u00FC 012345678901234567890123456789012345678...",
		  "name") },
	{ "unknown member with a strange name", REQ("t.note", "{\"\\n\xc3\xbc\":1}"),
	  BAD_PARAM("unknown member; none is expected", "\\\\n\\\\u00FC") },

	{ "handler names the member", REQ("t.fail", "{}"),
	  WRONG("1", "-32000", "name: is in use", "name") },
	{ "handler says nothing", REQ("t.silent", "{}"),
	  FAILED("1", "-32000", "t.silent: No such device") },

	{ "empty batch", "[]", FAILED("null", "-32600", "a batch is not empty") },
	{ "batch in order, notifications silent, errors in their place",
	  "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"t.note\"},"
	  "{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"},1,"
	  "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"t.echo\",\"params\":{\"name\":\"a\"}}]",
	  "[" OK("1", "{}") "," FAILED("null", "-32600", "a request is an object") ","
	  OK("2", "{\"name\":\"a\"}") "]" },
	{ "batch of notifications",
	  "[{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"},"
	  "{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"}]",
	  NULL },
	{ "rpc.show of one method", REQ("rpc.show", "{\"method\":\"t.big\"}"),
	  OK("1", "[{\"method\":\"t.big\",\"help\":\"\",\"params\":[{\"name\":\"bytes\","
	     "\"type\":\"integer\",\"required\":true,\"help\":\"\"}]}]") },
};

static void
test_lines(void)
{
	struct rpc *r;

	CHECK(rpc_create(NULL, NULL, &r) == 0);
	rpc_add(r, rpc_test_methods, NULL);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *answer = rpc_handle_line(r, lines[i].line, strlen(lines[i].line));

		CHECK_STR(lines[i].story, answer, lines[i].answer);
		free(answer);
	}
	rpc_destroy(r);
}

static void
test_notes_run(struct rpc *r)
{
	static const char note[] = "{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"}";

	n_notes = 0;
	CHECK(rpc_handle_line(r, note, strlen(note)) == NULL);
	CHECK(n_notes == 1);
}

static void
test_calls(struct rpc *r)
{
	json_t *params = json_pack("{s:s}", "name", "a"), *result = NULL;
	struct rpc_error err;

	CHECK(rpc_call(r, "t.echo", params, &result, &err) == 0 && result == params);
	json_decref(result);
	CHECK(rpc_call(r, "t.echo", NULL, &result, &err) == -EINVAL);
	CHECK_STR("member of a failed call", err.member, "name");
	CHECK(rpc_call(r, "t.fail", NULL, &result, &err) == -EBUSY && err.code == RPC_ERROR_FAILED);
	n_notes = 0;
	CHECK(rpc_check(r, "t.note", NULL, &err) == 0 && n_notes == 0);
	CHECK(rpc_check(r, "t.echo", params, &err) == 0);
	CHECK(rpc_check(r, "t.eko", params, &err) == -EINVAL && err.code == RPC_ERROR_METHOD);
	json_decref(params);
}

/* A batch is bounded in requests and in the bytes of its answers. */
static void
test_batch_bounds(struct rpc *r)
{
	json_t *batch = json_array(), *answers;
	char *line, *answer;
	size_t n;

	for (int i = 0; i < 1025; i++)
		json_array_append_new(batch, json_pack("{s:s,s:i,s:s,s:{s:i}}", "jsonrpc", "2.0",
			"id", i, "method", "t.big", "params", "bytes", 4 * MIB));
	line = json_dumps(batch, 0);
	answer = rpc_handle_line(r, line, strlen(line));
	CHECK_STR("1025 requests", answer, FAILED("null", "-32600",
		  "a batch of 1025 requests: at most 1024 are taken"));
	free(answer);
	free(line);

	json_array_remove(batch, 1024);
	line = json_dumps(batch, 0);
	answer = rpc_handle_line(r, line, strlen(line));
	n = strlen(answer);
	CHECK(n > 32 * MIB && n < 40 * MIB);
	answers = json_loads(answer, 0, NULL);
	CHECK(json_array_size(answers) == 1024);
	CHECK(json_object_get(json_array_get(answers, 0), "result") != NULL);
	CHECK(json_object_get(json_array_get(answers, 1023), "error") != NULL);
	json_decref(answers);
	json_decref(batch);
	free(answer);
	free(line);
}

int
main(void)
{
	struct rpc *r;

	test_lines();
	CHECK(rpc_create(NULL, NULL, &r) == 0);
	rpc_add(r, rpc_test_methods, NULL);
	test_notes_run(r);
	test_calls(r);
	test_batch_bounds(r);
	rpc_destroy(r);
	rpc_server_test();
	return check_done("rpc");
}
