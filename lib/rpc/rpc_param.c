/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_param.h"
#include "clock.h"
#include "nearest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VALUE_MAX 60

const char *const rpc_type_names[] = {
	[RPC_STRING] = "string", [RPC_INT] = "integer", [RPC_BOOL] = "boolean",
	[RPC_OBJECT] = "object", [RPC_ARRAY] = "array",
};

/* A message is one line, on terminals and in logs, whatever a stranger has put into a name. */
static void
one_line(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

int
rpc_fail(struct rpc_error *err, int rc, const char *member, const char *fmt, ...)
{
	char text[sizeof(err->message)];
	bool named = member != NULL && member[0] != '\0';
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err->code = named && rc == -EINVAL ? RPC_ERROR_PARAMS : RPC_ERROR_FAILED;
	snprintf(err->member, sizeof(err->member), "%s", named ? member : "");
	/* text may be as long as the message: what is cut is its end */
	if (snprintf(err->message, sizeof(err->message), "%s%s%s", named ? member : "",
		     named ? ": " : "", text) < 0)
		err->message[0] = '\0';
	one_line(err->message);
	one_line(err->member);
	return rc;
}

json_t *
rpc_time(uint64_t ns)
{
	time_t s = (time_t)(ns / NS_PER_S);
	char text[32];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return json_sprintf("%s.%03uZ", text, (unsigned int)(ns % NS_PER_S / 1000000));
}

json_t *
rpc_text(const char *text)
{
	json_t *s = json_string(text);
	char *plain;

	if (s != NULL)
		return s;
	plain = strdup(text);
	for (char *c = plain; c != NULL && *c != '\0'; c++)
		*c = (signed char)*c < 0 ? '?' : *c;
	s = json_string(plain == NULL ? "" : plain);
	free(plain);
	return s;
}

void
rpc_member(char *out, size_t size, const char *where, const char *name)
{
	snprintf(out, size, "%s%s%s", where, where[0] != '\0' ? "." : "", name);
}

/* A stranger's value goes to terminals and logs: JSON's own quoting, short, ASCII. */
static void
value_text(const json_t *value, char out[VALUE_MAX])
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);

	snprintf(out, VALUE_MAX, "%s", text == NULL ? "?" : text);
	if (text != NULL && strlen(text) >= VALUE_MAX)
		memcpy(out + VALUE_MAX - 4, "...", 4);
	free(text);
}

/* A member's name in the same quoting, without the quotes unless there is nothing else. */
static void
key_text(const char *key, char out[VALUE_MAX])
{
	json_t *s = json_string(key);
	size_t len;

	value_text(s, out);
	json_decref(s);
	if (key[0] == '\0')
		return;
	len = strlen(out);
	if (len > 0 && out[len - 1] == '"')
		out[len - 1] = '\0';
	memmove(out, out + 1, strlen(out));
}

static void
choices_text(const char *choices, char *out, size_t size)
{
	size_t n = 0;

	for (const char *at = choices; *at != '\0' && n < size;) {
		size_t len = strcspn(at, "|");
		const char *next = at + len + (at[len] == '|');
		bool last = *next == '\0' || next[strcspn(next, "|")] == '\0';

		n += (size_t)snprintf(out + n, size - n, "\"%.*s\"%s", (int)len, at,
				      *next == '\0' ? "" : last ? " or " : ", ");
		at = next;
	}
}

static bool
bounded(const struct rpc_param *p)
{
	return p->min != 0 || p->max != 0;
}

/* "an integer from 1 to 128": what a value of this row has to be. */
static void
expected_text(const struct rpc_param *p, char *out, size_t size)
{
	static const char *const plain[] = {
		[RPC_STRING] = "a string", [RPC_INT] = "an integer", [RPC_BOOL] = "true or false",
		[RPC_OBJECT] = "an object", [RPC_ARRAY] = "an array",
	};

	if (p->type == RPC_STRING && p->choices != NULL)
		choices_text(p->choices, out, size);
	else if (p->type == RPC_STRING && bounded(p))
		snprintf(out, size, "a string of %" PRId64 " to %" PRId64 " characters", p->min,
			 p->max);
	else if (p->type == RPC_INT && bounded(p))
		snprintf(out, size, "an integer from %" PRId64 " to %" PRId64, p->min, p->max);
	else
		snprintf(out, size, "%s", plain[p->type]);
}

int
rpc_expected(struct rpc_error *err, const char *member, const char *expected, const json_t *value)
{
	char text[VALUE_MAX];

	value_text(value, text);
	return rpc_fail(err, -EINVAL, member, "expected %s, not %s", expected, text);
}

static bool
type_matches(enum rpc_type type, const json_t *value)
{
	switch (type) {
	case RPC_STRING:
		return json_is_string(value);
	case RPC_INT:
		return json_is_integer(value);
	case RPC_BOOL:
		return json_is_boolean(value);
	case RPC_OBJECT:
		return json_is_object(value);
	case RPC_ARRAY:
		return json_is_array(value);
	}
	return false;
}

static bool
choice_matches(const char *choices, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
		at += *at == '|';
		if (strcspn(at, "|") == len && strncmp(at, word, len) == 0)
			return true;
	}
	return false;
}

static bool
range_matches(const struct rpc_param *p, int64_t n)
{
	return !bounded(p) || (n >= p->min && n <= p->max);
}

static bool
value_matches(const struct rpc_param *p, const json_t *value)
{
	if (!type_matches(p->type, value))
		return false;
	if (p->type == RPC_INT)
		return range_matches(p, json_integer_value(value));
	if (p->type != RPC_STRING)
		return true;
	if (p->choices != NULL)
		return choice_matches(p->choices, json_string_value(value));
	return range_matches(p, (int64_t)json_string_length(value));
}

static int
check_row(const struct rpc_param *p, const json_t *params, const char *where,
	  struct rpc_error *err)
{
	const json_t *value = json_object_get(params, p->name);
	char member[sizeof(err->member)], expected[128];

	if (value == NULL && !p->required)
		return 0;
	if (value != NULL && value_matches(p, value))
		return 0;
	rpc_member(member, sizeof(member), where, p->name);
	expected_text(p, expected, sizeof(expected));
	if (value == NULL)
		return rpc_fail(err, -EINVAL, member, "missing; expected %s", expected);
	return rpc_expected(err, member, expected, value);
}

static void
known_text(const struct rpc_param *rows, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (const struct rpc_param *p = rows; p->name != NULL && n < size; p++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", p == rows ? "" : ", ", p->name);
}

static int
fail_unknown(const struct rpc_param *rows, const char *where, const char *key,
	     struct rpc_error *err)
{
	struct nearest near = { .word = key };
	char member[sizeof(err->member)], known[160], plain[VALUE_MAX];

	for (const struct rpc_param *p = rows; p->name != NULL; p++)
		nearest_offer(&near, p->name);
	key_text(key, plain);
	rpc_member(member, sizeof(member), where, plain);
	if (near.best != NULL)
		return rpc_fail(err, -EINVAL, member, "unknown member; did you mean \"%s\"?",
				near.best);
	known_text(rows, known, sizeof(known));
	if (known[0] == '\0')
		return rpc_fail(err, -EINVAL, member, "unknown member; none is expected");
	return rpc_fail(err, -EINVAL, member, "unknown member; known are %s", known);
}

static const struct rpc_param *
row_find(const struct rpc_param *rows, const char *name)
{
	for (const struct rpc_param *p = rows; p->name != NULL; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

int
rpc_params_check(const struct rpc_param *rows, json_t *params, const char *where,
		 struct rpc_error *err)
{
	const char *key;
	json_t *value;
	int rc;

	if (!json_is_object(params))
		return rpc_expected(err, where[0] != '\0' ? where : "params", "an object", params);
	json_object_foreach(params, key, value)
		if (row_find(rows, key) == NULL)
			return fail_unknown(rows, where, key, err);
	for (const struct rpc_param *p = rows; p->name != NULL; p++) {
		rc = check_row(p, params, where, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

const char *
rpc_text_of(const json_t *params, const char *member)
{
	return json_string_value(json_object_get(params, member));
}

int64_t
rpc_int_of(const json_t *params, const char *member, int64_t none)
{
	const json_t *value = json_object_get(params, member);

	return value == NULL ? none : json_integer_value(value);
}
