/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words: what is typed at ferryctl, or stands in a script, becomes a method and its parameters.
 *
 * An input is words between blanks and newlines.  What ferryd says of itself is a table of ours in
 * the form of rpc.show; help on stderr goes nowhere.
 */
#include "fuzz.h"

#include "../../app/ferryctl/help.h"
#include "../../app/ferryctl/words.h"

#define WORDS_MAX 64

enum { REACH_OK, REACH_USAGE, REACH_STDOUT };

const char *fuzz_names[] = { "ok", "usage", "stdout" };
const size_t fuzz_n_names = 3;

const char *const fuzz_tokens[] = {
	"show ", "port ", "fdb ", "capture ", "add ", "start ", "set ", "vm1 ", "name=", "file=", "vlan=",
	"limit=", "static=", "rows=", "with=", "peer=", "on", "off", "yes", "0x10", "-1", "9223372036854775808", "-",
	"/", "[1,2]", "{}", "=", "\"", NULL,
};

/* All types, with and without a name that needs no key. */
static const char rows[] =
	"[{\"method\":\"port.show\",\"positional\":\"name\",\"params\":["
	"{\"name\":\"name\",\"type\":\"string\",\"required\":false,\"completes\":\"port\"}]},"
	"{\"method\":\"port.add\",\"positional\":\"name\",\"params\":["
	"{\"name\":\"name\",\"type\":\"string\",\"required\":true},"
	"{\"name\":\"rows\",\"type\":\"array\",\"required\":false},"
	"{\"name\":\"with\",\"type\":\"object\",\"required\":false},"
	"{\"name\":\"peer\",\"type\":\"object\",\"required\":false,\"completes\":\"file\","
	"\"asks\":\"port.show\"}]},"
	"{\"method\":\"fdb.set\",\"params\":["
	"{\"name\":\"vlan\",\"type\":\"integer\",\"required\":false},"
	"{\"name\":\"static\",\"type\":\"boolean\",\"required\":false}]},"
	"{\"method\":\"capture.start\",\"positional\":\"port\",\"params\":["
	"{\"name\":\"port\",\"type\":\"string\",\"required\":false},"
	"{\"name\":\"file\",\"type\":\"string\",\"required\":true,\"completes\":\"file\"}]},"
	"{\"method\":\"fdb.stats\",\"params\":[]},{\"method\":\"fdb.none\"}]";

char client_where[64];

static json_t *methods;
static FILE *nowhere;

json_t *
client_methods(struct client *c)
{
	return methods;
}

json_t *
client_method(struct client *c, const char *method)
{
	json_t *row;
	size_t i;

	json_array_foreach(methods, i, row)
		if (strcmp(json_string_value(json_object_get(row, "method")), method) == 0)
			return row;
	return NULL;
}

/* Another ferryd answers, but one whose socket has no name. */
enum status
client_call_at(const char *path, const char *method, json_t **result)
{
	FUZZ_CHECK(strcmp(method, "port.show") == 0 && path[0] != '{');
	if (path[0] == '\0')
		return STATUS_USAGE;
	*result = json_object();
	return STATUS_OK;
}

void
help_unknown(struct client *c, int n, const char *const *words)
{
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	methods = json_loads(rows, 0, NULL);
	nowhere = fopen("/dev/null", "w");
	FUZZ_CHECK(methods != NULL && nowhere != NULL);
	return 0;
}

/* A parameter has the type of its row, or is the text that was typed. */
static void
param_check(const struct words *w, const char *name, const json_t *value)
{
	const json_t *param = words_param(w->row, name);
	const char *type = json_string_value(json_object_get(param, "type"));

	if (json_is_string(value) || type == NULL)
		return;
	if (strcmp(type, "integer") == 0)
		FUZZ_CHECK(json_is_integer(value));
	else if (strcmp(type, "boolean") == 0)
		FUZZ_CHECK(json_is_boolean(value));
	else
		FUZZ_CHECK(strcmp(type, "object") == 0 || strcmp(type, "array") == 0);
}

static void
words_check(const struct words *w, int n)
{
	char *text = json_dumps(w->params, JSON_COMPACT);
	const char *name;
	json_t *value;

	FUZZ_CHECK(text != NULL && strchr(text, '\n') == NULL);
	FUZZ_CHECK(json_object_size(w->params) <= (size_t)n - 2);
	FUZZ_CHECK(client_method(NULL, w->method) == w->row);
	json_object_foreach(w->params, name, value)
		param_check(w, name, value);
	fuzz_reach(w->wants_stdout ? REACH_STDOUT : REACH_OK);
	free(text);
}

static void
run(int n, const char *const *words)
{
	FILE *told = stderr;
	struct words w;
	enum status st;

	stderr = nowhere;
	st = words_parse(NULL, n, words, &w);
	stderr = told;
	FUZZ_CHECK(st == STATUS_OK || st == STATUS_USAGE);
	if (st == STATUS_OK)
		words_check(&w, n);
	else
		fuzz_reach(REACH_USAGE);
	words_fini(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *at;
	const char *words[WORDS_MAX];
	int n = 0;

	for (char *word = strtok_r(text, " \n", &at); word != NULL && n < WORDS_MAX;
	     word = strtok_r(NULL, " \n", &at))
		words[n++] = word;
	run(n, words);
	free(text);
	return 0;
}
